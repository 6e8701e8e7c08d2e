"""The Ed25519 rule of the log, as answers that every verifier must give before it may judge a signature.

The rule is cofactorless: [S]B - [k]A must encode to the very 32 bytes of R, with S below the group's order, and neither
A nor R of small order (A's encoding is checked in `keys`). Honest signatures pass every rule in use; crafted ones tell
them apart. ZIP 215 multiplies by eight and so accepts an R that is off by a point of small order, RFC 8032 leaves the
choice, and libraries have moved from one to the other between versions. A log whose copies are replayed with two rules
is two logs, so a library is asked for these answers, whatever its version says.

The signatures are over the empty message; all but the first were crafted with known scalars, by adding points of the
torsion subgroup (see `tests/edwards.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ledger.errors import UnfitVerifierError

Verifier = Callable[[bytes, bytes, bytes], bool]
"""Says whether a 64-byte signature (third) over a message (second) holds under a 32-byte public key (first)."""


class KnownAnswer(NamedTuple):
    """One signature over the empty message, and whether the rule accepts it."""

    what: str
    public_key: bytes
    signature: bytes
    accepted: bool


_SOUND = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
_SOUND_R = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
_CRAFTED = "109ebf7c5afa9fec5c528b4824af4b3037122b75992d6d321277b55d11289f96"

KNOWN_ANSWERS: Final = tuple(
    KnownAnswer(what, bytes.fromhex(public_key), bytes.fromhex(signature), accepted)
    for what, public_key, signature, accepted in (
        (
            "an honest signature (RFC 8032, 7.1, test 1)",
            _SOUND,
            f"{_SOUND_R}5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            True,
        ),
        (
            "an S that is not below the group's order",
            _SOUND,
            f"{_SOUND_R}4c8c7872aa064e049dbb3013fbf29380d25bf5f0595bbe24655141438e7a101b",
            False,
        ),
        (
            "a key and an R of mixed order whose equation holds exactly",
            "40430f3f5904431fa945f1da9f453106b2140dc205788596476c80b9fb4a1557",
            "c16c21c9a0ae5dd7a3ab951ef6b7d7d8cf94826e6969101b3db2911633f12ccf"
            "47667a034d317589b5c9053868c039a869d62df4a3e4df7887ec559d8fe25c0f",
            True,
        ),
        (
            "an R that is off by a point of order 8",
            _CRAFTED,
            "f1b005408c6f59795695d21a12ae1c95d2fa427a82d4122d8d2a35a3ecfa0244"
            "1ff53bb79fead33529e981b3c636baa1f9f6272688d6ccc4a3423e94a2a3b509",
            False,
        ),
        (
            "an R that is off by the point of order 2",
            _CRAFTED,
            "0b254dd939017e94585cf7e7b3cfa5466733c7fa07ccfe83ac39d7f3c7c40c76"
            "8bc2bfde9275bdb1f23e71b520f1215f9550b5dcd5a8549fd1b399cb38a39e09",
            False,
        ),
        (
            "an R that is the neutral point",
            _CRAFTED,
            "0100000000000000000000000000000000000000000000000000000000000000"
            "82bc7dabd00e3ad483af84f69e869612c95e810511412667bccf2c75c9695209",
            False,
        ),
    )
)


def check_verifier(accepts: Verifier, name: str) -> None:
    """Ask a verifier for the known answers.

    Args:
        name: what to call it in the error.

    Raises:
        UnfitVerifierError: it gives another answer to one of them.
    """
    for known in KNOWN_ANSWERS:
        if accepts(known.public_key, b"", known.signature) != known.accepted:
            wrong = "refuses" if known.accepted else "accepts"
            raise UnfitVerifierError(f"{name} {wrong} {known.what}, against the rule of the log")

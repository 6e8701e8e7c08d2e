"""What somebody who verifies knows from elsewhere: a root event, a log's key, witnesses and how many must agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.checkpoints import Opened
from ledger.errors import VerificationError
from ledger.notes import COSIGNATURE, Verifier
from ledger.quorum import Policy


@dataclass(frozen=True, slots=True)
class Trust:
    """Everything may be left out; then a file's own word is taken, and said to be.

    `receipt_keys` are further receipt keys by label (32 raw bytes), `root` an event id (`sha256:…`), `headers` the
    raw headers of Bitcoin blocks by height.
    """

    root: str | None = None
    log_key: Verifier | None = None
    policy: Policy | None = None
    receipt_keys: Mapping[str, bytes] = field(default_factory=dict)
    headers: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def witnesses(self) -> tuple[Verifier, ...]:
        """The keys whose cosignatures are checked."""
        return tuple(witness.key for witness in self.policy.witnesses) if self.policy else ()


KEYS_ARE_OPEN: Final = (
    "open: that no other key event or policy was left out which changes this; the whole log shows it, a part cannot"
)


def open_questions(trust: Trust) -> list[str]:
    """Return what a file that holds only a part of a log leaves open, one sentence a question."""
    if trust.policy:
        return [KEYS_ARE_OPEN]
    return [KEYS_ARE_OPEN, "open: that others are shown the same checkpoint; witnesses tell, if asked with --policy"]


def cosigned(opened: Opened, trust: Trust) -> str:
    """Check an opened checkpoint's cosignatures by the policy, and say who cosigned as the end of a sentence.

    Raises:
        VerificationError: step `key validity`, another key signed than the one that was asked for; step
            `quorum`, too few of the witnesses signed.
    """
    if trust.log_key is not None and trust.log_key not in opened.signers:
        raise VerificationError(
            "key validity", f"the key {trust.log_key.format()} did not sign the checkpoint", cure=""
        )
    if trust.policy is None:
        return ""
    signers = [signer for signer in opened.signers if signer.kind == COSIGNATURE]
    trust.policy.check(signers)
    if trust.policy.logs and not any(log.key in opened.signers for log in trust.policy.logs):
        raise VerificationError("key validity", "the policy names other logs than this one", cure="")
    names = ", ".join(signer.name for signer in signers)
    return f", cosigned by {names}" if names else ""

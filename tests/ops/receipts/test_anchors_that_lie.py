"""Anchors that would vouch for another tree, another time or another block, and tokens that choke a reader."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.anchors import check_root, confirm
from ledger.appending import Submission
from ledger.batcher import Batcher
from ledger.errors import AnchorError, AnchorMalformedError
from ledger.events import Entry, sign
from ledger.keyring import microseconds
from ledger.proofs.trust import Trust
from ops import regtest
from ops.timestamps.der import timestamp_request
from ops.verify import verify_path
from projections.queries import record_as_of
from tests.builders import ALICE, NUMBER, OPENED, SHA256
from tests.ledger.timestamps import HEADER, HEIGHT
from tests.logs import Log
from tests.ops.false_notes import a_note
from tests.ops.forged import Forged
from tests.ops.proofs import a_receipt, failed_step, registry_key, root_of_log, written
from tests.ops.timestamps.authorities import Authority
from tests.ops.timestamps.tokens import a_certificate_of_no_version, with_certificate
from tests.projections.papers import confirmed_checkpoint, regtest_policy


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log.opened(tmp_path)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("tsa")) as found:
        yield found


def trusting(log: Log, authority: Authority) -> None:
    log.admit(regtest_policy(log.world, timestamp_roots=[base64.b64encode(authority.root_der).decode()]))


def token(authority: Authority, digest: bytes) -> bytes:
    return authority.reply(timestamp_request(digest, 5, None))


# Another tree.


def test_an_anchor_by_a_key_that_was_revoked_since_vouches_for_no_other_tree(log: Log, tmp_path: Path) -> None:
    second = registry_key(log, "second event key")
    log.admit(regtest_policy(log.world), log.world.registration(second, "event"))
    claim = log.admit(log.world.author())
    log.checkpoint()
    size = log.store.head().size
    stated = confirmed_checkpoint(log.world, size, a_note(log.world, size, bytes(32)))
    anchor = log.admit(
        sign(
            second.key,
            event_type="timestamp_anchor",
            subject=stated.subject,
            target=stated.target,
            registry=log.world.name,
            nonce=stated.value["nonce"],
            created_at=stated.value["created_at"],
            signer_type="pith_registry",
            signer_id=second.signer_id,
            payload=stated.value["payload"],
        )
    )

    def step_of_receipt() -> str:
        log.checkpoint()
        stream = log.store.of_registry(0, log.store.head().size)
        key_events = [entry for entry in stream if entry.event.event_type != "timestamp_anchor"]
        forged = Forged.of(log.world, log.store.entries())
        return failed_step(written(tmp_path, forged.receipt(claim, key_events, forged.row(anchor))))

    assert step_of_receipt() != "verified"
    log.admit(log.world.revocation(second, compromised_from=OPENED))
    assert step_of_receipt() == "anchor"


# Another time, another block.


def attested(log: Log, time: str) -> Entry:
    """Append an author's claim, and an anchor by which a toy block of some time vouches for it; return the claim."""
    log.admit(regtest_policy(log.world))
    claim = log.admit(log.world.author())
    signed = log.checkpoint()
    digest = hashlib.sha256(signed.note)
    proof, header = regtest.stamp(digest.digest(), microseconds(time) // 1_000_000, HEIGHT)
    anchored = {
        "what": "checkpoint",
        "sha256": digest.hexdigest(),
        "tree_size": signed.size,
        "note": signed.note.decode(),
    }
    proof_b64 = base64.b64encode(proof).decode()
    confirmed = {"status": "confirmed", "block_header": header.hex(), "height": HEIGHT, "proof_b64": proof_b64}
    log.admit(log.world.checkpoint_anchor(signed.size, anchored=anchored, **confirmed))
    log.checkpoint()
    return claim


@pytest.mark.parametrize(
    ("time", "is_told"),
    [("2015-01-01T00:00:00Z", True), ("2026-06-18T15:00:00Z", True), ("2026-06-19T01:00:00Z", False)],
)
def test_a_clock_that_saw_an_entry_long_before_it_was_received_is_told(
    log: Log, tmp_path: Path, time: str, is_told: bool
) -> None:
    path = written(tmp_path, a_receipt(log, attested(log, time)))
    said = verify_path(path, Trust(root_of_log(log)))
    assert any("one of these clocks is wrong" in line for line in said) is is_told


def test_headers_bear_out_no_token_of_an_authority(log: Log, authority: Authority, tmp_path: Path) -> None:
    trusting(log, authority)
    claim = log.admit(log.world.author())
    signed = log.checkpoint()
    digest = hashlib.sha256(signed.note).digest()
    anchored = {"what": "checkpoint", "sha256": digest.hex(), "tree_size": signed.size, "note": signed.note.decode()}
    stated = {
        "method": "rfc3161",
        "service": "https://tsa.example.org",
        "proof_b64": base64.b64encode(token(authority, digest)).decode(),
        "status": "confirmed",
        "block_header": HEADER.hex(),
        "height": HEIGHT,
    }
    log.admit(log.world.checkpoint_anchor(signed.size, anchored=anchored, **stated))
    log.checkpoint()
    said = verify_path(written(tmp_path, a_receipt(log, claim)), Trust(root_of_log(log), headers={HEIGHT: HEADER}))
    (word,) = [line for line in said if line.startswith("anchor: ")]
    assert "the word of this timestamp authority" in word and "headers" not in word


# Tokens with certificates that no signature covers.


@pytest.fixture
def choking(authority: Authority) -> bytes:
    """A good token over the paper's record, to which somebody has added a certificate that cannot be read."""
    found = token(authority, bytes.fromhex(SHA256))
    return with_certificate(found, a_certificate_of_no_version(authority.root_der))


def test_a_certificate_that_cannot_be_read_makes_a_token_none(authority: Authority, choking: bytes) -> None:
    with pytest.raises(AnchorError):
        confirm(
            "rfc3161",
            bytes.fromhex(SHA256),
            choking,
            block_header=None,
            height=None,
            bitcoin=[],
            roots=[authority.root_der],
        )


def test_a_root_that_cannot_be_read_is_none(authority: Authority) -> None:
    with pytest.raises(AnchorMalformedError):
        check_root(a_certificate_of_no_version(authority.root_der))


def test_such_a_token_keeps_nobody_elses_event_out(log: Log, authority: Authority, choking: bytes) -> None:
    trusting(log, authority)
    proof_b64 = base64.b64encode(choking).decode()
    anchor = log.world.anchor(
        ALICE, method="rfc3161", proof_b64=proof_b64, status="confirmed", service="https://tsa.example.org"
    )
    with Batcher(log.store, log.clock) as batcher:
        mine = log.store.verify(Submission(log.world.citation()))
        outcomes = batcher.submit_all([mine, log.store.verify(Submission(anchor))]).result(30).outcomes
    assert getattr(outcomes[0], "created", False) and isinstance(outcomes[1], AnchorError)


# What is remembered of proofs that do not hold.


def test_a_proof_that_does_not_hold_is_refused_anew_each_time(log: Log) -> None:
    log.admit(regtest_policy(log.world), log.world.anchor())
    registry = log.store.registry()
    pending = next(entry for entry in log.store.entries() if entry.event.event_type == "timestamp_anchor")
    errors = []
    for _ in range(3):
        record_as_of(log.store, NUMBER, log.store.head().size, registry)
        with pytest.raises(AnchorError) as refused:
            registry.confirmation(pending.event)
        errors.append(refused.value)
    depths = [sum(1 for _ in frames(error)) for error in errors]
    assert len({id(error) for error in errors}) == 3 and len(set(depths)) == 1


def frames(error: BaseException) -> Iterator[Any]:
    """Yield the stack that an error keeps."""
    found = error.__traceback__
    while found is not None:
        yield found
        found = found.tb_next

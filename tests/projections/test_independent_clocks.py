"""How many clocks must vouch: an anchor counts once as many of them as policy asks for, none twice."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import InvalidFieldError
from ledger.events import Event
from ledger.keyring import NOW, microseconds
from ledger.proofs.trust import Trust
from ops import regtest
from ops.verify import verify_path
from projections import bundles
from tests.builders import NUMBER, SHA256, World
from tests.logs import Log
from tests.ops.proofs import as_read, dropped, root_of_log, written
from tests.projections.papers import (
    HEIGHT,
    confirmed_anchor,
    confirmed_checkpoint,
    note_of,
    regtest_policy,
    state,
    status,
)
from tests.simulators import TimestampAuthority


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[TimestampAuthority, TimestampAuthority]:
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    return TimestampAuthority(folders[0]), TimestampAuthority(folders[1])


def policy_of(world: World, authorities: tuple[TimestampAuthority, ...], clocks: int) -> Event:
    roots = [base64.b64encode(authority.root_der).decode() for authority in authorities]
    return regtest_policy(world, timestamp_roots=roots, independent_clocks=clocks)


def stamped(world: World, size: int, authority: TimestampAuthority, service: str = "https://tsa.example") -> Event:
    """Return an anchor of a checkpoint of this size that an authority confirms."""
    note = note_of(world, size)
    digest = hashlib.sha256(note.encode())
    anchored = {"what": "checkpoint", "sha256": digest.hexdigest(), "tree_size": size, "note": note}
    return world.checkpoint_anchor(size, **{**by_authority(authority, digest.digest(), service), "anchored": anchored})


def by_authority(authority: TimestampAuthority, digest: bytes, service: str = "https://tsa.example") -> dict[str, Any]:
    return {
        "method": "rfc3161",
        "service": service,
        "proof_b64": base64.b64encode(authority.stamp(digest)).decode(),
        "status": "confirmed",
    }


def anchored_size(log: Log, before: int = NOW) -> int:
    return log.store.registry().anchored_size(before)


def test_one_clock_is_enough_where_policy_says_nothing(log: Log) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9))
    assert anchored_size(log) == 9


def test_one_clock_of_two_is_not_enough(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_checkpoint(log.world, 9))
    assert (anchored_size(log), status(log).externally_anchored) == (0, False)


def test_a_block_and_an_authority_are_two_clocks(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_checkpoint(log.world, 9))
    log.admit(stamped(log.world, 9, authorities[0]))
    assert (anchored_size(log), status(log).externally_anchored) == (9, True)


def test_two_authorities_are_two_clocks(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), *(stamped(log.world, 9, one) for one in authorities))
    assert anchored_size(log) == 9


def test_two_addresses_of_one_authority_are_one_clock(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), stamped(log.world, 9, authorities[0]))
    log.admit(stamped(log.world, 9, authorities[0], "https://another.example"))
    assert anchored_size(log) == 0


def test_two_blocks_of_one_chain_are_one_clock(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_checkpoint(log.world, 9))
    log.admit(confirmed_checkpoint(log.world, 8))
    assert anchored_size(log) == 0


def test_a_clock_vouches_for_earlier_states_too_so_the_lesser_size_counts(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_checkpoint(log.world, 9))
    log.admit(stamped(log.world, 7, authorities[0]), stamped(log.world, 6, authorities[0]))
    assert anchored_size(log) == 7


def test_of_three_clocks_the_two_that_reach_farthest_decide(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_checkpoint(log.world, 6))
    log.admit(stamped(log.world, 9, authorities[0]), stamped(log.world, 8, authorities[1]))
    deciding = log.store.registry().deciding_anchors()
    assert [entry.event.payload.anchored.tree_size for entry in deciding] == [9, 8]


def test_a_later_policy_that_asks_for_more_clocks_uncovers_what_one_alone_vouched_for(
    log: Log, authorities: Any
) -> None:
    log.admit(regtest_policy(log.world), confirmed_checkpoint(log.world, 9))
    asked = log.admit(policy_of(log.world, authorities, 2))
    assert (anchored_size(log, asked.position), anchored_size(log)) == (9, 0)


def test_the_size_follows_what_was_added_since_it_was_last_asked_for(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_checkpoint(log.world, 9))
    registry = log.store.registry()
    assert registry.anchored_size() == 0
    later = registry.copy()
    later.add(log.admit(stamped(log.world, 9, authorities[0])))
    assert (registry.anchored_size(), later.anchored_size()) == (0, 9)


def test_a_papers_own_anchors_are_counted_by_clock_too(log: Log, authorities: Any) -> None:
    log.admit(policy_of(log.world, authorities, 2), confirmed_anchor(log.world))
    alone = status(log).externally_anchored
    log.admit(log.world.anchor(**by_authority(authorities[0], bytes.fromhex(SHA256))))
    assert (alone, status(log).externally_anchored, state(log)) == (False, True, "anchored")


@pytest.mark.parametrize("clocks", [0, 11])
def test_a_policy_asks_for_one_to_ten_clocks(log: Log, clocks: int) -> None:
    with pytest.raises(InvalidFieldError, match="independent_clocks"):
        log.admit(regtest_policy(log.world, independent_clocks=clocks))


# Bundles.


def a_vouched_bundle(log: Log, authorities: Any) -> dict[str, Any]:
    log.admit(policy_of(log.world, authorities, 2))
    signed = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()))
    digest = hashlib.sha256(signed.note)
    anchored = {
        "what": "checkpoint",
        "sha256": digest.hexdigest(),
        "tree_size": signed.size,
        "note": signed.note.decode(),
    }
    by = by_authority(authorities[0], digest.digest())
    log.admit(log.world.checkpoint_anchor(signed.size, **{**by, "anchored": anchored}))
    log.checkpoint()
    return as_read(bundles.bundle(log.store, NUMBER))


def test_a_bundle_tells_offline_which_clocks_vouch_and_through_whom(log: Log, authorities: Any, tmp_path: Path) -> None:
    path = written(tmp_path, a_vouched_bundle(log, authorities))
    said = [check for check in verify_path(path, Trust(root_of_log(log))) if check.startswith("anchor: ")]
    assert len(said) == 2
    assert all("the record stood in the log" in check for check in said)
    assert "block" in said[0] and "by 2026-06-19T16:00:00Z, says bitcoin regtest block" in said[0]
    assert "says rfc3161" in said[1] and "asked through tsa.example" in said[1]


def test_a_bundle_without_one_of_its_clocks_is_not_anchored(log: Log, authorities: Any, tmp_path: Path) -> None:
    bundle = a_vouched_bundle(log, authorities)
    dropped("timestamp_anchor")(bundle)
    with pytest.raises(Exception, match="does not follow"):
        verify_path(written(tmp_path, bundle), Trust(root_of_log(log)))


def test_a_bundle_that_no_clock_vouches_for_says_so(log: Log, tmp_path: Path) -> None:
    log.checkpoint()
    path = written(tmp_path, as_read(bundles.bundle(log.store, NUMBER)))
    said = verify_path(path, Trust(root_of_log(log)))
    assert "open: no outside clock vouches for this record yet; the times here are the registry's word" in said


def test_headers_of_ones_own_bear_an_anchor_out_or_refuse_it(log: Log, tmp_path: Path) -> None:
    log.admit(regtest_policy(log.world))
    signed = log.checkpoint()
    anchor = log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()))
    log.checkpoint()
    path = written(tmp_path, as_read(bundles.bundle(log.store, NUMBER)))
    payload = anchor.event.payload
    header, root = bytes.fromhex(payload.block_header), root_of_log(log)

    def said(headers: dict[int, bytes]) -> str:
        checks = verify_path(path, Trust(root, headers=headers))
        return next(check for check in checks if check.startswith("anchor: "))

    assert "The block is in the headers you gave" in said({payload.height: header})
    assert "Your headers do not reach block" in said({payload.height + 1: header})
    with pytest.raises(Exception, match="is another one in the headers you gave"):
        said({payload.height: header[:-1] + bytes([header[-1] ^ 1])})


def test_a_bundle_tells_by_when_the_record_was_there_first_of_all(log: Log, tmp_path: Path) -> None:
    log.admit(regtest_policy(log.world))
    early, later = "2026-06-19T16:00:00Z", "2031-01-01T00:00:00Z"
    for time in (early, later):
        signed = log.checkpoint()
        note = signed.note.decode()
        digest = hashlib.sha256(signed.note)
        proof, header = regtest.stamp(digest.digest(), microseconds(time) // 1_000_000, HEIGHT)
        changes = {
            "anchored": {
                "what": "checkpoint",
                "sha256": digest.hexdigest(),
                "tree_size": signed.size,
                "note": note,
            },
            "proof_b64": base64.b64encode(proof).decode(),
            "block_header": header.hex(),
            "attested_time": time,
            "status": "confirmed",
            "height": HEIGHT,
        }
        log.admit(log.world.checkpoint_anchor(signed.size, **changes))
    log.checkpoint()
    path = written(tmp_path, as_read(bundles.bundle(log.store, NUMBER)))
    said = [check for check in verify_path(path, Trust(root_of_log(log))) if check.startswith("anchor: ")]
    assert len(said) == 1 and f"by {early}, says bitcoin" in said[0]

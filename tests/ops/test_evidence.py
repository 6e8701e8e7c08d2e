"""Evidence of a fork: whatever contradicts itself can be shown, and nothing else can be made to look like it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import checkpoints
from ledger.checkpoints import Checkpoint
from ledger.errors import VerificationError
from ledger.merkle import EMPTY_ROOT, NodeReader
from ledger.merkle import root_of as tree_root_of
from ledger.notes import ED25519, Verifier
from ledger.proofs.authority import Authority
from ledger.proofs.entry_rows import hashes_to_text
from ops.evidence import evidence, verify_evidence
from ops.whole_files import as_file
from tests.builders import World, key
from tests.logs import Log
from tests.ops.forks import NEXT_LOG_KEY, authority, beginning, grown, root_of, signed, with_next_key
from tests.ops.proofs import failed_step, written
from tests.witnesses import LOG, LOG_KEY, ORIGIN, Tree

NOW = 1_780_000_000_000_000
PINNED = Authority(None, "", (), LOG_KEY, pinned=True)


def nodes(tree: Tree) -> NodeReader:
    return lambda level, index: tree_root_of(tree.leaves[index << level : (index + 1) << level])


def shown(one: Tree, old: int, other: Tree, new: int) -> dict[str, Any]:
    """Return evidence that the first tree's and the second's checkpoints contradict each other."""
    larger = nodes(one if old > new else other)
    node = larger if old != new else None
    return evidence(PINNED, one.note(old).format(), other.note(new).format(), node, NOW)


def refusal(value: dict[str, Any], root: str | None = None, log_key: Verifier | None = None) -> tuple[str, str]:
    """Return at which step evidence is refused, and why."""
    with pytest.raises(VerificationError) as refused:
        verify_evidence(value, root, log_key)
    return refused.value.step, refused.value.message


# Any two trees.

sizes = st.integers(1, 600)


@given(st.data())
def test_two_histories_are_always_shown_whichever_was_seen_first(data: st.DataObject) -> None:
    old, new = data.draw(sizes, "one size"), data.draw(sizes, "the other")
    at = data.draw(st.integers(0, min(old, new) - 1), "forked at")
    one = Tree.of(max(old, new))
    found = shown(one, old, one.fork(at), new)
    checks = verify_evidence(json.loads(as_file(found)), None, LOG_KEY)
    assert any("cannot both be true" in check or "two roots" in check for check in checks)
    stated = [int(note.split("\n")[1]) for note in found["checkpoints"]]
    assert stated == sorted([old, new])


@given(st.data())
def test_honest_growth_is_never_evidence(data: st.DataObject) -> None:
    old, new = data.draw(st.integers(0, 600)), data.draw(sizes)
    tree = Tree.of(max(old, new))
    with pytest.raises(VerificationError) as refused:
        shown(tree, old, tree, new)
    assert refused.value.step == "consistency" and "both can be true" in refused.value.message


@given(st.data())
def test_trees_that_part_beyond_the_smaller_size_are_no_evidence(data: st.DataObject) -> None:
    old = data.draw(st.integers(1, 300))
    new = data.draw(st.integers(old + 1, 600))
    one = Tree.of(600)
    with pytest.raises(VerificationError):
        shown(one, old, one.fork(data.draw(st.integers(old, new))), new)


@given(st.data())
def test_an_honest_growth_cannot_be_dressed_up(data: st.DataObject) -> None:
    """Whatever hashes an accuser puts beside two checkpoints that can both be true, they prove nothing."""
    old = data.draw(st.integers(0, 40))
    tree = Tree.of(data.draw(st.integers(max(old, 1), 40)))
    new = len(tree.leaves)
    hashes = st.sampled_from([*tree.leaves, *(tree.root(size) for size in range(new + 1)), bytes(32)])
    value = {
        **shown(tree, 1, tree.fork(0), 1),
        "checkpoints": [tree.note(size).format().decode() for size in (old, new)],
        "prefix_root": hashes_to_text([data.draw(hashes)])[0],
        "consistency_proof": hashes_to_text(data.draw(st.lists(hashes, max_size=7) | st.just(tree.proof(old, new)))),
    }
    assert refusal(value)[0] == "consistency"


def test_a_log_that_signs_something_else_than_nothing_for_size_zero_is_shown() -> None:
    tree = Tree.of(5)
    lie = checkpoints.issue(Checkpoint(ORIGIN, 0, tree.root(1)), LOG).format()
    found = evidence(PINNED, lie, tree.note(5).format(), nodes(tree), NOW)
    assert found["prefix_root"] == hashes_to_text([EMPTY_ROOT])[0]


def test_the_smaller_tree_is_not_enough_to_make_evidence() -> None:
    one = Tree.of(9)
    with pytest.raises(VerificationError, match="the tree of 9 entries is needed"):
        evidence(PINNED, one.note(5).format(), one.fork(2).note(9).format(), None, NOW)


def test_evidence_that_would_not_verify_is_not_made() -> None:
    one = Tree.of(9)
    other = one.fork(2)
    with pytest.raises(VerificationError) as refused:
        evidence(PINNED, one.note(5).format(), other.note(9).format(), nodes(one.fork(1)), NOW)
    assert refused.value.step == "consistency"


def test_checkpoints_of_two_logs_are_no_evidence() -> None:
    one, other = Tree.of(5), Tree.of(5, "another")
    foreign = replace(other, origin="log.example/two").note(5).format()
    with pytest.raises(VerificationError) as refused:
        evidence(PINNED, one.note(5).format(), foreign, None, NOW)
    assert refused.value.step == "checkpoint"


# A registry's evidence.


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, Log]:
    """Two logs that part at position 20, one with a checkpoint over 25 entries and one over 31."""
    folder = tmp_path_factory.mktemp("fork")
    one, other = beginning(folder / "one"), beginning(folder / "other")
    signed(one, 25, "one history")
    signed(other, 31, "another history")
    return one, other


@pytest.fixture(scope="module")
def original(fork: tuple[Log, Log]) -> dict[str, Any]:
    one, other = fork
    with other.store.tree.nodes() as node:
        found = evidence(authority(one), note(one), note(other), node, NOW)
    return json.loads(as_file(found))  # type: ignore[no-any-return]


@pytest.fixture
def value(original: dict[str, Any]) -> dict[str, Any]:
    """Evidence that a test may spoil."""
    return copy.deepcopy(original)


def note(log: Log) -> bytes:
    return log.store.checkpoints.published().note


def test_a_registrys_evidence_verifies_under_its_root(fork: tuple[Log, Log], value: dict[str, Any]) -> None:
    checks = verify_evidence(value, root_of(fork[0]), None)
    assert checks[0].endswith("as you asked")
    assert [check.split(":")[0] for check in checks] == ["root", "checkpoints", "consistency", "open", "open"]


def test_a_registrys_evidence_verifies_under_its_log_key(fork: tuple[Log, Log], value: dict[str, Any]) -> None:
    world = fork[0].world
    log_key = Verifier(f"{world.name}/log", ED25519, world.log.key.public_key)
    assert verify_evidence(value, None, log_key)[0].startswith("log key:")


def test_evidence_that_nobody_pinned_says_so(value: dict[str, Any]) -> None:
    assert "by its own word" in verify_evidence(value, None, None)[0]


def test_the_command_verifies_evidence(fork: tuple[Log, Log], value: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, value), root=root_of(fork[0])) == "verified"
    assert failed_step(written(tmp_path, value), root="sha256:" + "0" * 64) == "root"


def test_another_root_is_refused(value: dict[str, Any]) -> None:
    assert refusal(value, root="sha256:" + "0" * 64)[0] == "root"


def test_another_log_key_is_refused(value: dict[str, Any]) -> None:
    stranger = Verifier(value["origin"], ED25519, key("a stranger").public_key)
    step, reason = refusal(value, log_key=stranger)
    assert (step, "no known key signed" in reason) == ("checkpoint", True)


def test_a_key_that_the_registry_never_registered_is_refused(value: dict[str, Any]) -> None:
    first, second = (notes_text(raw) for raw in value["checkpoints"])
    forged = [
        checkpoints.issue(checkpoints.parse(text), key("a stranger")).format().decode() for text in (first, second)
    ]
    assert refusal({**value, "checkpoints": forged})[0] == "key validity"


def notes_text(raw: str) -> str:
    return raw.partition("\n\n")[0] + "\n"


Spoil = Callable[[dict[str, Any]], object]


def put(**changes: Any) -> Spoil:
    return lambda value: value.update(changes)


def proof_changed(change: Callable[[list[str]], list[str]]) -> Spoil:
    return lambda value: value.update(consistency_proof=change(value["consistency_proof"]))


def stated_root(value: dict[str, Any]) -> None:
    value["prefix_root"] = value["checkpoints"][0].split("\n")[2]


SPOILT: dict[str, tuple[Spoil, str]] = {
    "another type": (put(evidence_type="pith_open_graph_bundle"), "canonical form"),
    "another version": (put(evidence_version="2.0"), "canonical form"),
    "a member that nobody knows": (put(more=1), "canonical form"),
    "the same checkpoint twice": (lambda v: v["checkpoints"].__setitem__(1, v["checkpoints"][0]), "consistency"),
    "the larger checkpoint first": (lambda v: v["checkpoints"].reverse(), "consistency"),
    "one checkpoint": (lambda v: v["checkpoints"].pop(), "canonical form"),
    "three checkpoints": (lambda v: v["checkpoints"].append(v["checkpoints"][0]), "canonical form"),
    "checkpoints of the wrong kind": (put(checkpoints=[1, 2]), "canonical form"),
    "a surrogate in a checkpoint": (put(checkpoints=["\ud800", "\ud800"]), "canonical form"),
    "the stated root as prefix root": (stated_root, "consistency"),
    "a prefix root of 31 bytes": (put(prefix_root="A" * 40), "canonical form"),
    "a prefix root of nothing": (put(prefix_root=None), "canonical form"),
    "another prefix root": (put(prefix_root="A" * 43 + "="), "consistency"),
    "a reordered proof": (proof_changed(lambda proof: proof[::-1]), "consistency"),
    "a truncated proof": (proof_changed(lambda proof: proof[:-1]), "consistency"),
    "a proof with a hash more": (proof_changed(lambda proof: [*proof, proof[0]]), "consistency"),
    "no proof": (put(consistency_proof=[]), "consistency"),
    "a proof of the wrong kind": (put(consistency_proof="AAAA"), "canonical form"),
    "a proof with another spelling": (proof_changed(lambda proof: [proof[0] + "\n", *proof[1:]]), "canonical form"),
    "no time": (put(found_at="then"), "canonical form"),
    "a time with a zone of its own": (put(found_at="2026-06-19T18:12:24.000000+02:00"), "canonical form"),
    "a time with no zone": (put(found_at="2026-06-19T16:12:24.000000"), "canonical form"),
    "another origin": (put(origin="test.registry/other"), "root"),
    "another registry": (put(registry="other.registry"), "root"),
    "another root": (put(root="sha256:" + "0" * 64), "root"),
    "no key events": (put(key_events=[]), "root"),
    "no root event": (lambda v: v["key_events"].pop(0), "root"),
    "reordered key events": (lambda v: v["key_events"].reverse(), "canonical form"),
    "a key event twice": (lambda v: v["key_events"].append(v["key_events"][-1]), "position"),
    "no log key among the key events": (lambda v: v.update(key_events=v["key_events"][:1]), "key validity"),
    "a second history of keys that is the first": (
        lambda v: v.update(other_key_events=v["key_events"]),
        "canonical form",
    ),
    "key events of a stranger": (
        lambda v: v["key_events"].__setitem__(-1, {**v["key_events"][-1], "signature_b64": "A" * 86 + "=="}),
        "signature",
    ),
    "a log key that is none": (
        lambda v: [v.pop(name) for name in ("registry", "root", "key_events")] + [v.update(log_key="no key")],
        "canonical form",
    ),
}


@pytest.mark.parametrize(("spoil", "step"), SPOILT.values(), ids=SPOILT.keys())
def test_spoilt_evidence_fails_at_its_step(value: dict[str, Any], spoil: Spoil, step: str) -> None:
    spoil(value)
    assert refusal(value)[0] == step


def test_a_proof_for_another_size_is_refused(fork: tuple[Log, Log], value: dict[str, Any]) -> None:
    tree = fork[1].store.tree
    for old, new in ((24, 31), (26, 31), (25, 30), (20, 31)):
        value["consistency_proof"] = hashes_to_text(tree.consistency_proof(old, new))
        assert refusal(value)[0] == "consistency"
        value["prefix_root"] = hashes_to_text([tree.root(old)])[0]
        assert refusal(value)[0] == "consistency"


def every_change(value: Any) -> Iterator[Any]:
    """Yield a JSON value with one thing changed, at every place of it that is not said to be open."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            yield {**value, f"{name}x": item}
            if name not in ("position", "received_at", "found_at"):
                yield from ({**value, name: changed} for changed in every_change(item))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield [*value[:at], item, *value[at:]]
            if not isinstance(item, dict):
                yield [*value[:at], *value[at + 1 :]]
            yield from ([*value[:at], changed, *value[at + 1 :]] for changed in every_change(item))
    elif isinstance(value, str):
        yield from (None, 0, [value], value + " ", f" {value}", value[:-1])
        for at in {0, len(value) // 3, len(value) // 2, len(value) - 1} if value else ():
            yield value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    else:
        yield from (None, str(value), 3, [value], {"a": value})


def test_no_change_of_evidence_is_accepted(fork: tuple[Log, Log], value: dict[str, Any]) -> None:
    changes = [changed for changed in every_change(value) if changed != value]
    assert len(changes) > 500
    for changed in changes:
        refusal(changed, root_of(fork[0]))


# Two histories of the log's own keys.


def test_a_fork_behind_a_rotation_is_shown_with_both_histories_of_keys(tmp_path: Path) -> None:
    """One history says that the key which signed the other was retired before: each needs its own key events."""
    one, other = beginning(tmp_path / "one"), with_next_key(beginning(tmp_path / "other"))
    signed(one, 25, "one history")
    signed(other, 31, "another history")
    with other.store.tree.nodes() as node:
        found = evidence(authority(one), note(one), note(other), node, NOW, authority(other))
        swapped = evidence(authority(other), note(other), note(one), node, NOW, authority(one))
    assert found == swapped
    assert len(found["other_key_events"]) == len(found["key_events"]) + 1
    checks = verify_evidence(json.loads(as_file(found)), root_of(one), None)
    assert any("two histories of the log's own keys" in check for check in checks)
    assert refusal({**found, "other_key_events": found["key_events"]})[0] == "key validity"
    assert refusal({**found, "other_key_events": []})[0] == "root"


def test_key_events_that_vouch_for_both_keys_are_enough(tmp_path: Path) -> None:
    one, other = beginning(tmp_path / "one"), beginning(tmp_path / "other")
    signed(one, 21, "one history")
    grown(other, 25, "another history")
    signed(with_next_key(other), 31, "another history")
    with other.store.tree.nodes() as node:
        found = evidence(authority(one), note(one), note(other), node, NOW, authority(other))
    assert "other_key_events" not in found
    assert found["key_events"] == authority(other).facts()["key_events"]


def test_a_second_history_of_keys_under_another_root_is_refused(tmp_path: Path, value: dict[str, Any]) -> None:
    stranger = World()
    stranger.registry = replace(stranger.registry, key=key("another root"))
    (tmp_path / "log").mkdir()
    log = Log.opened(tmp_path / "log", stranger)
    signed(log, 31, "a stranger's history")
    value["checkpoints"][1] = note(log).decode()
    value["other_key_events"] = authority(log).facts()["key_events"]
    assert refusal(value)[0] == "root"


def test_a_checkpoint_by_a_retired_key_is_no_evidence(tmp_path: Path) -> None:
    """A thief of a key that was retired can sign with it, which says nothing about the registry."""
    one, thief = with_next_key(beginning(tmp_path / "one")), beginning(tmp_path / "thief")
    signed(one, 25, "the registry's history")
    signed(thief, 31, "a thief's history")
    with thief.store.tree.nodes() as node, pytest.raises(VerificationError) as refused:
        evidence(authority(one), note(one), note(thief), node, NOW)
    assert refused.value.step == "key validity"
    assert NEXT_LOG_KEY.key.public_key != thief.world.log.key.public_key

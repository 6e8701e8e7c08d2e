"""`pith checkpoint`, `receipt`, `proof`, `bundle`, `export` and `verify` as processes: output, words, exit status."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ledger import notes, tlog_proof
from ledger.appending import Submission
from ledger.checkpoints import parse as parse_checkpoint
from ledger.keys import SecretKey
from ledger.notes import Verifier
from ledger.signing import HeldKey, Signatory
from ops.home import Home, create_home, now
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.keyfiles import write_key
from ops.settings import Settings
from tests.builders import REGISTRY, key
from tests.ops.homes import BASE_URL, a_line, as_lines
from tests.ops.proofs import NO_ROOT, WITNESS, WITNESS_KEY, files_of
from tests.processes import Pith, Result

ALICE = key("alice")
STATEMENT = "I wrote this on a rainy afternoon."


def made(folder: Path) -> Home:
    """Make a registry with one paper and what Alice says of it."""
    home = create_home(Settings(folder / "data", BASE_URL), REGISTRY)
    paper = folder / "paper.jsonl"
    paper.write_bytes(as_lines([a_line(1)]))
    import_sources(home, files.sources(paper), Report(), lambda _: None)
    number = files.draft_from_json(paper.read_bytes()).subject
    alice = Signatory(HeldKey(ALICE, REGISTRY, "name:alice", "contributor"), now, os.urandom)
    registration, _ = alice.sign("key_registered", "registry", alice.statement())
    claim, texts = alice.sign("author_attestation", number, {"author_name": "Alice", "statement": STATEMENT})
    home.append([Submission(registration), Submission(claim, texts)])
    home.catch_up()
    return home


@dataclass(slots=True)
class Office:
    """A registry with two checkpoints, the files that its commands handed out, and what they printed."""

    folder: Path
    pith: Pith
    root: str
    log_key: str
    claim: str
    number: str
    sizes: tuple[int, int]
    printed: dict[str, Result]

    def file(self, name: str) -> Path:
        return self.folder / name

    def result(self, name: str) -> Result:
        return self.printed[name]


def keep(office: Office, name: str, *arguments: object) -> None:
    result = office.pith.fine(*arguments)
    office.printed[name] = result
    office.file(name).write_text(result.out)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    folder = tmp_path_factory.mktemp("office")
    home = made(folder)
    pith, claim = Pith.at(folder / "data"), list(home.store.entries())[-1].event
    root = home.store.entry(0).event.id_text
    home.close()
    old = pith.fine("checkpoint", "--json").json
    public_key = json.loads((folder / "data" / "keys" / "log.json").read_bytes())["public_key"]
    verifier = Verifier(f"{REGISTRY}/log", notes.ED25519, bytes.fromhex(public_key)).format()
    size = old["size"]
    found = Office(folder, pith, root, verifier, claim.id_text, claim.subject, (size, size + 1), {})
    second = Signatory(HeldKey(ALICE, REGISTRY, "name:alice", "contributor"), now, os.urandom)
    citation, _ = second.sign(
        "citation_signature", claim.subject, {"citing": "arxiv:2606.00002", "relationship": "supports"}
    )
    pith.fine("append", "-", given=citation.raw)
    keep(found, "receipt", "receipt", claim.id_text)  # makes the second checkpoint
    with ThreadPoolExecutor(2) as threads:
        commands: dict[str, tuple[object, ...]] = {
            "checkpoint": ("checkpoint",),
            "checkpoint.json": ("checkpoint", "--json"),
            "receipt by position": ("receipt", size - 1),
            "proof": ("proof", claim.id_text),
            "growth": ("proof", "--growth", size, size + 1),
            "growth backwards": ("proof", "--growth", size + 1, size),
            "bundle": ("bundle", claim.subject),
            "export": ("export", folder / "exported"),
            "export.json": ("export", folder / "exported again", "--json"),
        }
        list(threads.map(lambda name: keep(found, name, *commands[name]), commands))
    return found


# What is printed.


def test_a_checkpoint_is_printed_as_the_signed_note_that_it_is(office: Office) -> None:
    *lines, last = office.result("checkpoint").out.splitlines(keepends=True)
    assert (parse_checkpoint(notes.parse("".join(lines).encode()).text).size, last) == (office.sizes[1], "published\n")


def test_a_checkpoint_in_json_says_whether_it_is_published(office: Office) -> None:
    found = office.result("checkpoint.json").json
    names = ("size", "root_hash", "published", "missing", "refusals", "note")
    checkpoint = parse_checkpoint(notes.parse(found["note"].encode()).text)
    assert tuple(found) == names
    assert (found["size"], bytes.fromhex(found["root_hash"])) == (checkpoint.size, checkpoint.root)
    assert (found["published"], found["missing"], found["refusals"]) == (True, "", {})


def test_a_checkpoint_of_an_unchanged_log_is_the_same(office: Office) -> None:
    assert office.result("checkpoint.json").json["note"] in office.result("checkpoint").out


def test_a_receipt_is_the_same_by_id_and_by_position(office: Office) -> None:
    assert office.result("receipt").json == office.result("receipt by position").json


def test_asking_for_a_receipt_makes_the_checkpoint_that_it_needs(office: Office) -> None:
    receipt = office.result("receipt").json
    assert parse_checkpoint(notes.parse(receipt["checkpoint"].encode()).text).size == office.sizes[1]


def test_a_proof_is_printed_byte_by_byte(office: Office) -> None:
    raw = office.result("proof").out.encode()
    assert tlog_proof.parse(raw).format() == raw


def test_a_proof_of_growth_takes_its_sizes_in_any_order(office: Office) -> None:
    assert office.result("growth").json == office.result("growth backwards").json


def test_a_bundle_names_the_size_that_it_proves(office: Office) -> None:
    assert office.result("bundle").json["log_size"] == office.sizes[1]


def test_an_export_says_how_to_verify_it(office: Office) -> None:
    said = office.result("export").out
    assert f"{office.sizes[1]} entries" in said and f"pith verify {office.file('exported')}" in said


def test_an_export_in_json_is_its_manifest(office: Office) -> None:
    manifest = json.loads((office.file("exported again") / "manifest.json").read_bytes())
    assert office.result("export.json").json == manifest


def exports(office: Office) -> tuple[Path, Path]:
    return office.file("exported"), office.file("exported again")


def test_two_exports_of_one_log_are_the_same(office: Office) -> None:
    one, other = ({name: (folder / name).read_bytes() for name in files_of(folder)} for folder in exports(office))
    assert one == other


@pytest.mark.parametrize("name", ["receipt", "proof", "growth", "bundle", "export.json"])
def test_no_private_text_is_printed(office: Office, name: str) -> None:
    assert STATEMENT not in office.result(name).out


@pytest.mark.parametrize("name", ["receipt", "proof", "growth", "bundle", "checkpoint.json", "export.json"])
def test_what_is_for_scripts_comes_alone(office: Office, name: str) -> None:
    assert "checkpoint" not in office.result(name).err


# What verifies.

Arguments = Callable[[Office], list[object]]


def spoiled(office: Office, name: str, old: str, new: str) -> Path:
    """Write a file again with one part of it changed."""
    content = office.file(name).read_text()
    assert old in content
    path = office.file(f"spoiled {name} {abs(hash((old, new)))}")
    path.write_text(content.replace(old, new))
    return path


def policy(office: Office, content: str) -> Path:
    path = office.file(f"policy {abs(hash(content))}")
    path.write_text(content)
    return path


WITNESSED = f"witness w {WITNESS_KEY.format()}\nquorum w\n"

VERIFIED: Mapping[str, Arguments] = {
    "a receipt": lambda o: [o.file("receipt"), "--root", o.root],
    "a receipt by its own word": lambda o: [o.file("receipt")],
    "a receipt under the log key": lambda o: [o.file("receipt"), "--log-key", o.log_key],
    "a receipt under both": lambda o: [o.file("receipt"), "--root", o.root, "--log-key", o.log_key],
    "a receipt under a policy of no witness": lambda o: [o.file("receipt"), "--policy", policy(o, "quorum none\n")],
    "a proof": lambda o: [o.file("proof"), "--log-key", o.log_key],
    "a proof of growth": lambda o: [o.file("growth"), "--root", o.root],
    "a proof of growth under the log key": lambda o: [o.file("growth"), "--log-key", o.log_key],
    "a bundle": lambda o: [o.file("bundle"), "--root", o.root],
    "an export": lambda o: [o.file("exported"), "--root", o.root],
    "an export under the log key": lambda o: [o.file("exported"), "--log-key", o.log_key],
}

FAILED: Mapping[str, tuple[Arguments, str]] = {
    "a receipt under another root": (lambda o: [o.file("receipt"), "--root", NO_ROOT], "root"),
    "a receipt under what is no root": (lambda o: [o.file("receipt"), "--root", "abc"], "root"),
    "a receipt under another log key": (lambda o: [o.file("receipt"), "--log-key", another_key(o)], "key validity"),
    "a receipt under both, the key wrong": (
        lambda o: [o.file("receipt"), "--root", o.root, "--log-key", another_key(o)],
        "key validity",
    ),
    "a receipt that no witness cosigned": (lambda o: [o.file("receipt"), "--policy", policy(o, WITNESSED)], "quorum"),
    "a spoiled receipt": (lambda o: [spoiled(o, "receipt", "Alice", "Alicia")], "canonical form"),
    "a torn receipt": (lambda o: [spoiled(o, "receipt", "}\n", "")], "canonical form"),
    "a proof under another log key": (lambda o: [o.file("proof"), "--log-key", another_key(o)], "checkpoint"),
    "a spoiled proof": (lambda o: [spoiled(o, "proof", "index ", "index 1"), "--log-key", o.log_key], "inclusion"),
    "a proof of growth under another root": (lambda o: [o.file("growth"), "--root", NO_ROOT], "root"),
    "a bundle under another root": (lambda o: [o.file("bundle"), "--root", NO_ROOT], "root"),
    "a bundle under another log key": (lambda o: [o.file("bundle"), "--log-key", another_key(o)], "key validity"),
    "a spoiled bundle": (lambda o: [spoiled(o, "bundle", '"log_size": ', '"log_size": 1')], "checkpoint"),
    "an export under another root": (lambda o: [o.file("exported"), "--root", NO_ROOT], "root"),
    "an empty folder": (lambda o: [a_folder(o)], "canonical form"),
    "an empty file": (lambda o: [policy(o, "")], "canonical form"),
}

REFUSED: Mapping[str, tuple[Arguments, str]] = {
    "verify nothing": (lambda o: ["verify"], "Missing argument"),
    "verify what is not there": (lambda o: ["verify", o.file("nowhere")], "cannot be read"),
    "verify what is no proof": (lambda o: ["verify", policy(o, "{}")], "neither a record document"),
    "verify a proof without its key": (lambda o: ["verify", o.file("proof")], "--log-key"),
    "verify under what is no key": (lambda o: ["verify", o.file("receipt"), "--log-key", "abc"], "no verifier key"),
    "verify under a policy that is not there": (
        lambda o: ["verify", o.file("receipt"), "--policy", o.file("nowhere")],
        "cannot be read",
    ),
    "verify under what is no policy": (
        lambda o: ["verify", o.file("receipt"), "--policy", policy(o, "applause\n")],
        "line 1",
    ),
    "receipt of nothing": (lambda o: ["receipt"], "Missing argument"),
    "receipt of no event": (lambda o: ["receipt", "abc"], "neither an event id nor a position"),
    "receipt of a number with a sign": (lambda o: ["receipt", "+1"], "neither an event id nor a position"),
    "receipt of an endless number": (lambda o: ["receipt", "9" * 5_000], "neither an event id nor a position"),
    "receipt of an unknown event": (lambda o: ["receipt", NO_ROOT], "the log has no event"),
    "receipt of a position beyond the log": (lambda o: ["receipt", 10**6], "the log has no position"),
    "proof of nothing": (lambda o: ["proof"], "give an event, or --growth"),
    "proof of an event and of growth": (
        lambda o: ["proof", o.claim, "--growth", *o.sizes],
        "give an event, or --growth",
    ),
    "proof of growth from an unknown size": (lambda o: ["proof", "--growth", 1, o.sizes[1]], "no checkpoint of 1"),
    "proof of growth from no size": (lambda o: ["proof", "--growth", "one", "two"], "Invalid value for '--growth'"),
    "proof of growth beyond all logs": (lambda o: ["proof", "--growth", 10**20, 10**20], "no log has"),
    "bundle of an unknown paper": (lambda o: ["bundle", "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"], "nothing here"),
    "export into a folder that holds something": (lambda o: ["export", o.file("exported")], "not empty"),
    "export into a file": (lambda o: ["export", o.file("receipt")], "receipt"),
}


FOR_SCRIPTS = [
    *("a receipt", "a proof", "a proof of growth", "a bundle", "an export"),
    *("a receipt under another root", "a spoiled proof", "a spoiled bundle", "an empty folder"),
]


def another_key(office: Office) -> str:
    return Verifier(f"{REGISTRY}/log", notes.ED25519, key("a stranger").public_key).format()


def a_folder(office: Office) -> Path:
    path = office.file("empty")
    path.mkdir(exist_ok=True)
    return path


@dataclass(frozen=True, slots=True)
class Done:
    """What commands did, for people and for scripts."""

    people: dict[str, Result]
    scripts: dict[str, Result]


@pytest.fixture(scope="module")
def done(office: Office) -> Done:
    """Run every command of the tables, two at a time; some of `verify` once more for scripts."""
    commands: dict[str, list[object]] = {name: ["verify", *found(office)] for name, found in VERIFIED.items()}
    commands |= {name: ["verify", *found(office)] for name, (found, _) in FAILED.items()}
    scripts = {name: [*arguments, "--json"] for name, arguments in commands.items() if name in FOR_SCRIPTS}
    commands |= {name: found(office) for name, (found, _) in REFUSED.items()}
    with ThreadPoolExecutor(2) as threads:
        people = threads.map(lambda name: office.pith(*commands[name]), commands)
        for_scripts = threads.map(lambda name: office.pith(*scripts[name]), scripts)
        return Done(dict(zip(commands, people, strict=True)), dict(zip(scripts, for_scripts, strict=True)))


@pytest.mark.parametrize("name", VERIFIED)
def test_what_holds_exits_with_0_and_says_what_was_checked(done: Done, name: str) -> None:
    result = done.people[name]
    marks = {line[:4] for line in result.out.splitlines()}
    assert (result.code, marks <= {"ok  ", "--  "}, result.err) == (0, True, "")


@pytest.mark.parametrize("name", [name for name in FOR_SCRIPTS if name in VERIFIED])
def test_what_holds_is_told_to_scripts(done: Done, name: str) -> None:
    found = done.scripts[name].json
    assert (done.scripts[name].code, found["verified"]) == (0, True)
    assert [f"{'--' if check.startswith('open:') else 'ok'}  {check}" for check in found["checks"]] == (
        done.people[name].out.splitlines()
    )


@pytest.mark.parametrize("name", FAILED)
def test_what_does_not_hold_exits_with_1_and_names_the_step(done: Done, name: str) -> None:
    result, step = done.people[name], FAILED[name][1]
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(f"verification: {step}: ")


@pytest.mark.parametrize("name", [name for name in FOR_SCRIPTS if name in FAILED])
def test_what_does_not_hold_is_told_to_scripts(done: Done, name: str) -> None:
    result, step = done.scripts[name], FAILED[name][1]
    found = json.loads(result.err)
    assert (result.code, result.out, found["error"], found["step"]) == (1, "", "verification", step)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_exits_with_2_and_says_why(done: Done, name: str) -> None:
    result, words = done.people[name], REFUSED[name][1]
    assert (result.code, result.out, result.crashed) == (2, "", False)
    assert words in result.err


# A policy of witnesses.


@pytest.fixture
def witnessed(tmp_path: Path) -> Iterator[tuple[Home, Pith]]:
    """A registry that publishes nothing that its witness, which has no address, did not cosign."""
    home = made(tmp_path)
    path = tmp_path / "policy"
    path.write_text(WITNESSED)
    yield home, Pith.at(tmp_path / "data", PITH_WITNESS_POLICY=str(path))
    home.close()


def test_a_checkpoint_that_lacks_cosignatures_is_not_published_and_exits_with_1(witnessed: tuple[Home, Pith]) -> None:
    _, pith = witnessed
    result = pith("checkpoint")
    assert (result.code, "not published yet: " in result.out, "no cosignature by w" in result.out) == (1, True, True)


def test_a_checkpoint_that_lacks_cosignatures_says_so_to_scripts(witnessed: tuple[Home, Pith]) -> None:
    _, pith = witnessed
    result = pith("checkpoint", "--json")
    assert (result.code, result.json["published"], "quorum" in result.json["missing"]) == (1, False, True)


def test_a_receipt_without_a_published_checkpoint_says_what_is_missing(witnessed: tuple[Home, Pith]) -> None:
    _, pith = witnessed
    result = pith("receipt", 0)
    assert (result.code, "no checkpoint was published" in result.err, "pith checkpoint" in result.err) == (
        2,
        True,
        True,
    )


def test_a_checkpoint_is_published_once_its_witness_has_cosigned(witnessed: tuple[Home, Pith], tmp_path: Path) -> None:
    home, pith = witnessed
    signed = pith("checkpoint", "--json").json
    line = notes.cosign(notes.parse(signed["note"].encode()).text, WITNESS_KEY.name, WITNESS, 1_767_139_200)
    home.store.checkpoints.add_cosignatures(signed["size"], {WITNESS_KEY: line})
    assert pith.fine("checkpoint", "--json").json["published"]
    receipt = tmp_path / "receipt.json"
    receipt.write_text(pith.fine("receipt", 0).out)
    result = pith.fine("verify", receipt, "--policy", tmp_path / "policy")
    assert f"cosigned by {WITNESS_KEY.name}" in result.out


def test_a_folder_without_the_log_key_hands_out_what_was_published(tmp_path: Path) -> None:
    home = made(tmp_path)
    home.close()
    pith, log_key = Pith.at(tmp_path / "data"), tmp_path / "data" / "keys" / "log.json"
    log_key.rename(tmp_path / "log.json")
    none_yet = pith("receipt", 0)
    (tmp_path / "log.json").rename(log_key)
    pith.fine("checkpoint")
    log_key.rename(tmp_path / "log.json")
    assert (none_yet.code, "no checkpoint was published yet" in none_yet.err) == (2, True)
    assert pith("receipt", 0).code == 0
    assert pith("checkpoint").code == 2


# Keys over time.


def test_the_view_of_the_time_before_a_revocation_is_the_one_shown_then(tmp_path: Path) -> None:
    home = made(tmp_path)
    number, size = list(home.store.entries())[-1].event.subject, home.store.head().size
    home.close()
    pith = Pith.at(tmp_path / "data")
    shown: Any = pith.fine("show", number, "--json").json
    path = tmp_path / "alice.json"
    write_key(path, HeldKey(SecretKey(ALICE.seed()), REGISTRY, "name:alice", "contributor"))
    payload = {"key_id": ALICE.key_id, "compromised_from": "2020-01-01T00:00:00Z"}
    line = pith.fine("sign", "key_revoked", "registry", json.dumps(payload), "--key", path).out
    pith.fine("append", "-", given=line)
    assert pith.fine("show", number, "--as-of", size, "--json").json == shown
    assert pith.fine("show", number, "--json").json != shown

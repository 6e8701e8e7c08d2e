"""`pith --url`: the same commands on a registry elsewhere, which is asked over HTTP and not believed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.keys import SecretKey
from ledger.log_keys import log_verifier
from ledger.proofs.trust import Trust
from ledger.signing import HeldKey
from ops.keyfiles import read_key, write_key
from ops.verify import verify_path
from tests.api.asking import a_citation, a_paper, known_alice
from tests.api.clients import root_of
from tests.api.liars import Asked, Reply, honest, lying, scripted
from tests.api.registry import Registry, a_registry
from tests.builders import ALICE, BOB, NUMBER, OTHER_NUMBER, REGISTRY, Who
from tests.ops.hostile import closed_port
from tests.processes import ROOT, Pith, Result, environment

NO_ID = f"sha256:{'0' * 64}"
QUOTE = "Table 3 shows it."


@dataclass
class Office:
    """A registry that is served, what commands printed who asked it, and what they print on its own folder."""

    folder: Path
    registry: Registry
    away: Pith
    here: Pith
    root: str
    printed: dict[str, Result] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        return self.folder / name

    def key(self, who: Who) -> Path:
        path = self.file(f"{who.signer_id.replace(':', '-')}.json")
        if not path.exists():
            write_key(path, HeldKey(SecretKey(who.key.seed()), REGISTRY, who.signer_id, "contributor"))
        return path

    def line(self, **changes: Any) -> bytes:
        return a_citation(self.registry, NUMBER, BOB, **changes).raw + b"\n"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("away")
    with a_registry(folder / "data") as registry:
        known_alice(registry)
        a_paper(registry, "Quaternions of the North")
        citing = registry.world.citation(citing=f"pith:2026:{OTHER_NUMBER[10:]}", relationship="extends")
        registry.post(citing)
        registry.post(a_citation(registry, NUMBER, BOB))
        registry.caught_up()
        away = Pith.at(folder / "nothing here", PITH_URL=registry.address)
        here = Pith.at(folder / "data", PITH_BASE_URL="https://pith.example")
        yield Office(folder, registry, away, here, root_of(registry))


def at_once(office: Office, commands: dict[str, Callable[[], Result]]) -> dict[str, Result]:
    """Run commands that do not depend on each other, two at a time."""
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda command: command(), commands.values()))
    return dict(zip(commands, results, strict=True))


# Reading.

READING: dict[str, tuple[object, ...]] = {
    "show": ("show", NUMBER),
    "show by alias": ("show", "arxiv:2606.00001"),
    "show in JSON": ("show", NUMBER, "--json"),
    "show as of then": ("show", NUMBER, "--as-of", 9, "--json"),
    "history": ("history", NUMBER),
    "history in JSON": ("history", NUMBER, "--json"),
    "find by words": ("find", "quaternions"),
    "find by name": ("find", "2606.00001"),
    "find in JSON": ("find", "quaternions", "--json"),
}


@pytest.fixture(scope="module")
def read(office: Office) -> dict[str, Result]:
    commands: dict[str, Callable[[], Result]] = {}
    for name, arguments in READING.items():
        commands[f"here: {name}"] = lambda arguments=arguments: office.here(*arguments)  # type: ignore[misc]
        commands[f"away: {name}"] = lambda arguments=arguments: office.away(*arguments)  # type: ignore[misc]
    for name in ("show", "show in JSON", "history", "history in JSON"):
        pinned = (*READING[name], "--root", office.root)
        commands[f"proven: {name}"] = lambda arguments=pinned: office.away(*arguments)  # type: ignore[misc]
    return at_once(office, commands)


@pytest.mark.parametrize("name", READING)
def test_a_registry_elsewhere_is_read_as_the_one_here(read: dict[str, Result], name: str) -> None:
    here, away = read[f"here: {name}"], read[f"away: {name}"]
    assert (here.code, away.code, here.err) == (0, 0, "")
    assert away.out == here.out and here.out


def test_people_are_told_that_it_is_the_registrys_word(read: dict[str, Result]) -> None:
    assert "--  open: this is the registry's word" in read["away: show"].err
    assert read["away: show in JSON"].err == read["proven: show"].err == ""


@pytest.mark.parametrize("name", ["history", "history in JSON"])
def test_under_a_root_the_history_is_computed_from_what_is_proven(read: dict[str, Result], name: str) -> None:
    assert read[f"proven: {name}"].code == 0
    assert read[f"proven: {name}"].out == read[f"here: {name}"].out


def test_under_a_root_the_record_is_computed_from_what_is_proven(office: Office, read: dict[str, Result]) -> None:
    here, proven = read["here: show in JSON"].json, read["proven: show in JSON"].json
    text = json.dumps(here).replace("https://pith.example", office.registry.address)
    assert proven == json.loads(text)


def test_the_texts_of_what_counts_are_shown(office: Office) -> None:
    payload = json.dumps({"author_name": "A. Author", "statement": "I wrote this on a rainy day."})
    arguments = ("sign", "author_attestation", NUMBER, payload, "--key", office.key(ALICE), "--send", "--json")
    position = office.away.fine(*arguments, "--root", office.root).json[0]["position"]
    office.registry.caught_up()
    rows = {row["position"]: row for row in office.away.fine("history", NUMBER, "--json").json}
    assert rows[position]["texts"] == {"statement": "I wrote this on a rainy day."}


# Proofs.


@pytest.fixture(scope="module")
def proofs(office: Office) -> dict[str, Result]:
    size = office.registry.client.post(
        "/api/events", content=office.line(), headers={"content-type": "application/json"}
    )
    position = size.json()["position"]
    office.registry.client.post("/api/events", content=office.line(), headers={"content-type": "application/json"})
    event_id = size.json()["event_id"]
    pinned = ("--root", office.root)
    return at_once(
        office,
        {
            "receipt": lambda: office.away("receipt", event_id, *pinned),
            "receipt by position": lambda: office.away("receipt", position, *pinned),
            "proof": lambda: office.away("proof", event_id, *pinned),
            "growth": lambda: office.away("proof", "--growth", position + 1, position + 2, *pinned),
            "bundle": lambda: office.away("bundle", "arxiv:2606.00001", *pinned),
            "unpinned": lambda: office.away("receipt", event_id),
            "another root": lambda: office.away("receipt", event_id, "--root", NO_ID),
            "another root for scripts": lambda: office.away("bundle", NUMBER, "--root", NO_ID),
        },
    )


@pytest.mark.parametrize("name", ["receipt", "receipt by position", "growth", "bundle", "proof"])
def test_what_is_printed_verifies_offline(office: Office, proofs: dict[str, Result], tmp_path: Path, name: str) -> None:
    assert (proofs[name].code, proofs[name].err) == (0, "")
    path = tmp_path / "file"
    path.write_text(proofs[name].out)
    log_key = log_verifier(REGISTRY, office.registry.world.log.key.public_key)
    assert verify_path(path, Trust(log_key=log_key) if name == "proof" else Trust(root=office.root))


def test_a_position_names_the_same_receipt(proofs: dict[str, Result]) -> None:
    found, by_position = (proofs[name].json for name in ("receipt", "receipt by position"))
    assert (found["event"], found["position"]) == (by_position["event"], by_position["position"])


def test_a_registry_that_vouches_for_itself_is_said_to(proofs: dict[str, Result]) -> None:
    assert proofs["unpinned"].code == 0 and "pin them with --root" in proofs["unpinned"].err


@pytest.mark.parametrize("name", ["another root", "another root for scripts"])
def test_another_root_is_a_failed_check(proofs: dict[str, Result], name: str) -> None:
    assert (proofs[name].code, proofs[name].out) == (1, "")
    assert "verification: root: " in proofs[name].err


# Making statements.


def test_a_statement_is_signed_and_handed_in_from_elsewhere(office: Office) -> None:
    key, receipt = office.file("new.json"), office.file("receipt.json")
    pinned = ("--root", office.root)
    made = office.away.fine("keygen", "name:newcomer", "-o", key, *pinned)
    assert read_key(key).registry == REGISTRY
    assert f"next       pith --url {office.registry.address} sign key_registered --key {key} --send" in made.out
    registered = office.away.fine("sign", "key_registered", "--key", key, "--send", *pinned)
    payload = json.dumps({"citing": "arxiv:2606.00002", "relationship": "supports", "quote": QUOTE})
    line = office.away.fine("sign", "citation_signature", "2606.00001", payload, "--key", key)
    assert f"2606.00001 is {NUMBER}, by the registry's word" in line.err
    done = office.away.fine("append", "-", "-o", receipt, *pinned, given=line.out)
    again = office.away.fine("append", "-", *pinned, given=line.out)
    event = json.loads(line.out)["event"]
    entry = office.registry.home.store.find(bytes.fromhex(event["event_id"][7:]))
    assert registered.out.split()[1] == "key_registered"
    assert done.out.split() == [str(entry.position), "citation_signature", event["event_id"]]
    assert again.out == done.out.rstrip("\n") + " (known already)\n"
    assert office.registry.home.store.disclosures([entry.position])[entry.position]["quote"].text == QUOTE
    assert office.here.fine("verify", receipt, "--root", office.root).out.count("\nok") >= 5


def test_bad_lines_are_refused_as_they_are_here_and_the_good_ones_kept(office: Office) -> None:
    good, changed, stranger = (
        office.line(),
        office.line(relationship="supports"),
        a_citation(office.registry, OTHER_NUMBER),
    )
    lines = good + changed.replace(b"supports", b"refutes") + b"{nope\n" + stranger.raw + b"\n"
    away = office.away("append", "-", given=lines)
    here = office.here("append", "-", given=lines)
    assert (away.code, here.code) == (2, 2)
    assert away.out.splitlines()[1:] == here.out.splitlines()[1:]
    assert [line.split(": ")[1] for line in away.out.splitlines()[1:]] == [
        "event-id-mismatch",
        "not-json",
        "record-missing",
    ]
    assert here.out.splitlines()[0] == away.out.splitlines()[0] + " (known already)"


def test_scripts_get_the_same_facts_as_here(office: Office) -> None:
    lines = office.line() + b"{nope\n"
    away, here = (pith("append", "-", "--json", given=lines).json for pith in (office.away, office.here))
    assert away[0] == {**here[0], "created": True} and away[1] == here[1]


def test_a_receipt_is_of_one_event(office: Office, tmp_path: Path) -> None:
    before = office.registry.home.store.head().size
    result = office.away("append", "-", "--receipt", tmp_path / "r.json", given=office.line() + office.line())
    assert (result.code, "a receipt is of one event" in result.err) == (2, True)
    assert office.registry.home.store.head().size == before


def test_a_receipt_is_written_here_too(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    office.here.fine("append", "-", "--receipt", path, given=office.line())
    assert verify_path(path, Trust(root=office.root))


def test_a_refused_statement_is_not_sent_and_says_why(office: Office) -> None:
    payload = json.dumps({"citing": "arxiv:2606.00002", "relationship": "supports"})
    result = office.away("sign", "citation_signature", OTHER_NUMBER, payload, "--key", office.key(BOB), "--send")
    assert (result.code, result.out) == (2, "") and result.err.startswith("record-missing: ")


def test_an_answer_that_proves_something_else_is_a_failed_check(office: Office) -> None:
    def lie(answer: Any) -> None:
        answer["receipt"]["position"] += 1

    def script(asked: Asked) -> Reply:
        reply = honest(office.registry.address)(asked)
        answer = reply.json
        lie(answer)
        return Reply.of(answer)

    with scripted(script) as liar:
        result = office.away("--url", liar.address, "append", "-", "--json", "--root", office.root, given=office.line())
    error = json.loads(result.err)
    assert (result.code, result.out, error["error"], error["step"]) == (1, "", "verification", "inclusion")


# Following.


def test_following_prints_what_comes_and_ends_quietly(office: Office) -> None:
    size = office.registry.home.store.head().size
    process = office.away.start("follow", "--after", size - 2, "--json")
    assert process.stdout and process.stderr
    before = json.loads(process.stdout.readline())
    line = office.line()
    office.registry.client.post("/api/events", content=line, headers={"content-type": "application/json"})
    new = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (before["position"], new["position"], new["event"]) == (size - 1, size, json.loads(line))
    assert (process.returncode, out, err) == (0, b"", b"")


def test_people_follow_in_lines(office: Office) -> None:
    process = office.away.start("follow", "--after", 7)
    assert process.stdout
    found = process.stdout.readline().decode().split()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    entry = office.registry.home.store.entry(8)
    assert (found[0], found[2:]) == ("8", ["record_created", entry.event.id_text])


# What is refused.

REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "a command for the data here": (("audit",), "`pith audit` works on the data here"),
    "another": (("checkpoint",), "unset PITH_URL"),
    "moderation": (("moderate", "list"), "`pith moderate` works on the data here"),
    "a command for no registry": (("--url", "http://127.0.0.1:1", "settings"), "leave --url out"),
    "no address": (("--url", "ftp://x", "show", NUMBER), "no address of a registry"),
    "a password in the address": (("--url", "https://a:b@x", "show", NUMBER), "a user's name or a password"),
    "the registry's own stream": (("history", "registry"), "does not list its own stream"),
    "the past of a history": (("history", NUMBER, "--as-of", "5"), "what was then"),
    "the past under a root": (("show", NUMBER, "--as-of", "5", "--root", NO_ID), "what was then"),
    "a time without zone": (("show", NUMBER, "--as-of", "2026-06-19T16:00:00"), "neither a position nor a time"),
    "a fraction of a second": (("show", NUMBER, "--as-of", "2026-06-19T16:00:00.5Z"), "whole seconds"),
    "more hits than there are": (("find", "quaternions", "--limit", "500"), "100 papers at most"),
    "no such paper": (("show", "arxiv:9912.99999"), "not-found: "),
    "no such event": (("receipt", NO_ID), "not-found: "),
    "no event at all": (("receipt", "x"), "neither an event id nor a position"),
    "a position beyond": (("receipt", "99999"), "not-found: "),
    "sizes nobody signed": (("proof", "--growth", "2", "3"), "not-found: "),
    "a key that is none": (("receipt", "1", "--log-key", "x"), "--log-key"),
    "nobody there": (("--url", closed_port(), "show", NUMBER), "source-unreadable: "),
    "more than there is": (("follow", "--after", "99999"), "beyond-head: "),
}
HERE: dict[str, tuple[tuple[object, ...], str]] = {
    "a root for the data here": (("show", NUMBER, "--root", NO_ID), "this checks a registry elsewhere"),
    "a key for the data here": (("append", "-", "--log-key", "x"), "this checks a registry elsewhere"),
    "following the data here": (("follow",), "there is nothing to follow here"),
    "sending to the data here": (("sign", "key_registered", "--key", "{key}", "--send"), "nowhere to send it"),
}


@pytest.fixture(scope="module")
def refused(office: Office) -> dict[str, Result]:
    commands: dict[str, Callable[[], Result]] = {}
    for name, (arguments, _) in REFUSED.items():
        commands[name] = lambda arguments=arguments: office.away(*arguments)  # type: ignore[misc]
    for name, (arguments, _) in HERE.items():
        named = [str(argument).format(key=office.key(BOB)) for argument in arguments]
        commands[name] = lambda arguments=named: office.here(*arguments)  # type: ignore[misc]
    return at_once(office, commands)


@pytest.mark.parametrize("name", [*REFUSED, *HERE])
def test_what_cannot_be_done_exits_with_2_and_says_why(refused: dict[str, Result], name: str) -> None:
    result, words = refused[name], {**REFUSED, **HERE}[name][1]
    assert (result.code, result.out, result.crashed) == (2, "", False)
    assert words in result.err


def test_commands_about_no_registry_pass_the_variable_over(office: Office) -> None:
    assert "PITH_DATA" in office.away.fine("settings").out


def test_another_registrys_name_is_not_put_into_a_key(office: Office, tmp_path: Path) -> None:
    result = office.away("keygen", "name:x", "-o", tmp_path / "x.json", "--registry", "other.registry")
    assert (result.code, (tmp_path / "x.json").exists()) == (2, False)
    pinned = office.away("keygen", "name:x", "-o", tmp_path / "x.json", "--root", NO_ID)
    assert (pinned.code, (tmp_path / "x.json").exists()) == (1, False)


HOSTILE = {
    "no record": Reply.of({}),
    "no object": Reply.of([]),
    "a page for people": Reply(b"<html>", 200, {"content-type": "text/html"}),
    "a record without a paper": Reply.of({"paper": None}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_registry_answers_is_named_and_no_crash(office: Office, name: str) -> None:
    record = office.registry.client.get(f"/api/records/{NUMBER[10:]}").json()
    reply = HOSTILE[name]
    if name == "a record without a paper":
        reply = Reply.of({**record, **reply.json})
    tell = honest(office.registry.address)
    with scripted(lambda asked: reply if asked.target.startswith("/api/records/") else tell(asked)) as liar:
        shown = office.away("--url", liar.address, "show", NUMBER)
    assert shown.code in (1, 2) and not shown.crashed and shown.err


def test_many_events_show_how_far_they_are_and_a_fork_meanwhile_is_kept_as_evidence(tmp_path: Path) -> None:
    """Two registries with the same keys: the first thousand events go to one, the rest to the other."""
    with a_registry(tmp_path / "one") as one, a_registry(tmp_path / "two") as two:
        two.admit(*(a_citation(two, NUMBER, BOB, citing=f"arxiv:2605.{at:05}") for at in range(1_100)))
        lines = b"".join(a_citation(one, NUMBER, BOB).raw + b"\n" for _ in range(1_001))
        turns, root = [one.address, two.address], root_of(one)

        def script(asked: Asked) -> Reply:
            return honest(turns.pop(0) if len(turns) > 1 else turns[0])(asked)

        with scripted(script) as liar:
            done = subprocess.run(
                [sys.executable, "-m", "ops", "append", "-", "--json", "--root", root],
                cwd=tmp_path,
                env=environment(PITH_URL=liar.address, PYTHONPATH=str(ROOT)),
                input=lines,
                capture_output=True,
                timeout=120,
            )
    *progress, error = done.stderr.decode().splitlines()
    evidence = tmp_path / json.loads(error)["place"]
    assert (done.returncode, json.loads(error)["error"], done.stdout) == (1, "fork", b"")
    assert progress[0] == "sending: 10 %"
    assert verify_path(evidence, Trust(root=root))


def test_foreign_text_does_not_steer_a_terminal(office: Office) -> None:
    def lie(record: Any) -> None:
        record["paper"]["title"] = "Innocent \x1b]0;owned\x07"

    with scripted(lying(office.registry.address, lie, "/api/records/")) as liar:
        shown = office.away("--url", liar.address, "show", NUMBER)
    assert shown.code == 0 and "\x1b" not in shown.out

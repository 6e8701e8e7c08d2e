"""What `pith` refuses: by name, on the right stream, with the right exit status, and without a trace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.appending import Submission
from ledger.events import Event, sign
from ledger.keys import SecretKey
from ledger.signing import HeldKey, Signatory
from ops.home import create_home, now
from ops.importers import files
from ops.importers.run import Report, import_sources
from ops.keyfiles import read_key, write_key
from ops.settings import Settings
from tests.builders import HASH, REGISTRY, World, key, nonce, seal, secret
from tests.ops.homes import BASE_URL, a_line, as_lines
from tests.processes import Pith, Result

ALICE = key("alice")
NOBODY = "pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"


class Desk:
    """A registry with one paper and one registered contributor, ready to refuse."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pith = Pith.at(folder / "data")
        home = create_home(Settings(self.pith.data, BASE_URL), REGISTRY)
        paper = folder / "paper.jsonl"
        paper.write_bytes(as_lines([a_line(1)]))
        import_sources(home, files.sources(paper), Report(), lambda _: None)
        self.number = files.draft_from_json(paper.read_bytes()).subject
        self.key = folder / "alice.json"
        write_key(self.key, HeldKey(SecretKey(ALICE.seed()), REGISTRY, "name:alice", "contributor"))
        self.alice = Signatory(HeldKey(ALICE, REGISTRY, "name:alice", "contributor"), now, os.urandom)
        registration, _ = self.alice.sign("key_registered", "registry", self.alice.statement())
        home.append([Submission(registration)])
        home.catch_up()
        self.time = self.alice.now()
        home.close()

    def citation(self, **changes: Any) -> Event:
        """Sign a citation by Alice that would be taken, but for the changes."""
        fields = {
            "event_type": "citation_signature",
            "subject": self.number,
            "target": "citation",
            "registry": None,
            "nonce": nonce(7),
            "created_at": self.time,
            "signer_type": "contributor",
            "signer_id": "name:alice",
            "payload": {"citing": "arxiv:2606.00002", "relationship": "supports"},
            **changes,
        }
        return sign(fields.pop("by", ALICE), **fields)

    def body(self, **changes: Any) -> dict[str, Any]:
        value = {**self.citation().value, **changes}
        return {name: item for name, item in value.items() if name not in ("event_id", "signature_b64")}

    def size(self) -> int:
        return int(self.pith.fine("replay", "--verify", "none", "--json").json["events"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


def line(event: Event) -> bytes:
    return event.raw


def raw(value: object) -> bytes:
    return msgspec.json.encode(value)


def tampered(desk: Desk) -> bytes:
    return raw({**desk.citation().value, "signature_b64": desk.citation(nonce=nonce(8)).value["signature_b64"]})


def other_text(desk: Desk) -> bytes:
    event = desk.citation(payload={"citing": "arxiv:2606.00002", "relationship": "cites", "quote": secret("one")})
    return raw({"event": event.value, "disclosures": {"quote": {"salt": "A" * 43, "text": "another text"}}})


def wrong_number(desk: Desk) -> bytes:
    keys = desk.pith.data / "keys"
    receipt = read_key(keys / "receipt.json").key
    payload = World().record_created(receipt_key=receipt).value["payload"]
    registry = Signatory(read_key(keys / "event.json"), now, os.urandom)
    return line(registry.sign("record_created", NOBODY, payload)[0])


BAD: dict[str, tuple[Callable[[Desk], bytes], str]] = {
    "not JSON": (lambda _: b"{nope", "not-json"),
    "a list": (lambda _: b"[1]", "not-json"),
    "not UTF-8": (lambda _: b'{"a":"\xff"}', "not-json"),
    "a byte order mark": (lambda _: b'\xef\xbb\xbf{"a":1}', "not-json"),
    "a key twice": (lambda _: b'{"a":1,"a":2}', "duplicate-key"),
    "a fraction": (lambda _: b'{"a":1.5}', "float"),
    "an exponent": (lambda _: b'{"a":1e3}', "float"),
    "a number beyond 2^53": (lambda _: b'{"a":9007199254740993}', "integer-range"),
    "half a character": (lambda _: b'{"a":"\\ud800"}', "lone-surrogate"),
    "nested too deep": (lambda _: b"[" * 40 + b"]" * 40, "too-deep"),
    "too long": (lambda d: raw(d.body(padding="x" * 70_000)), "too-large"),
    "an empty object": (lambda _: b"{}", "missing-field"),
    "a missing field": (lambda d: raw({k: v for k, v in d.citation().value.items() if k != "nonce"}), "missing-field"),
    "an unknown field": (lambda d: raw({**d.citation().value, "extra": 1}), "unknown-field"),
    "a field of the wrong kind": (lambda d: raw({**d.citation().value, "target": 7}), "invalid-field"),
    "an unknown type": (lambda d: raw(seal(d.body(event_type="applause"), ALICE)), "unknown-type"),
    "another id": (lambda d: raw({**d.citation().value, "event_id": f"sha256:{HASH}"}), "event-id-mismatch"),
    "another signature": (tampered, "signature-invalid"),
    "an unknown key": (lambda d: line(d.citation(by=key("a stranger"))), "unknown-key"),
    "somebody else's name": (lambda d: line(d.citation(signer_id="name:bob")), "signer-mismatch"),
    "another registry": (
        lambda d: line(
            d.citation(
                event_type="challenge",
                target="C1",
                registry="other.registry",
                payload={"about": "the count", "text": secret("no")},
            )
        ),
        "foreign-registry",
    ),
    "a paper without record": (lambda d: line(d.citation(subject=NOBODY)), "record-missing"),
    "a number that does not recompute": (wrong_number, "number-mismatch"),
    "the far future": (lambda d: line(d.citation(created_at="2999-01-01T00:00:00Z")), "clock-skew"),
    "a decision by a contributor": (
        lambda d: raw(seal(d.body(event_type="moderation_decision", target=f"sha256:{HASH}"), ALICE)),
        "signer-not-allowed",
    ),
    "another text than was committed to": (other_text, "commitment-mismatch"),
}


@pytest.fixture(scope="module")
def refused(desk: Desk) -> tuple[Result, int, int]:
    """Hand in every bad line at once; return the answer and the log's size before and after."""
    before = desk.size()
    result = desk.pith("append", "-", "--json", given=b"\n".join(make(desk) for make, _ in BAD.values()))
    return result, before, desk.size()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_statement_is_refused_by_name(refused: tuple[Result, int, int], name: str) -> None:
    assert refused[0].json[list(BAD).index(name)]["error"] == BAD[name][1]


def test_a_file_of_bad_statements_exits_with_2(refused: tuple[Result, int, int]) -> None:
    assert refused[0].code == 2


def test_nothing_of_a_bad_statement_is_stored(refused: tuple[Result, int, int]) -> None:
    assert refused[1] == refused[2]


def test_a_good_statement_between_bad_ones_is_stored(desk: Desk) -> None:
    good = line(desk.citation(nonce=nonce(99)))
    result = desk.pith("append", "-", "--json", given=b"\n".join([b"{nope", good, b"{}"]))
    assert [row.get("created", row.get("error")) for row in result.json] == ["not-json", True, "missing-field"]


def test_the_same_statement_again_is_known_already(desk: Desk) -> None:
    good = line(desk.citation(nonce=nonce(100)))
    first, second = (desk.pith.fine("append", "-", "--json", given=good).json[0] for _ in range(2))
    assert second == {**first, "created": False}


# Commands that cannot be carried out.

Arguments = Callable[[Desk], list[object]]
WRONG: dict[str, tuple[Arguments, str]] = {
    "a paper nobody knows": (lambda _: ["show", "nothing-here"], "not-found"),
    "words nobody wrote": (lambda _: ["find", "xylophone quartet"], "not-found"),
    "no words": (lambda _: ["find", "+-*"], "invalid-field"),
    "a position beyond the log": (lambda d: ["show", d.number, "--as-of", 9999], "usage"),
    "a time without zone": (lambda d: ["show", d.number, "--as-of", "2026-01-01T00:00:00"], "usage"),
    "a superscript for a position": (lambda d: ["show", d.number, "--as-of", "²"], "usage"),
    "a file that is not there": (lambda _: ["append", "/nowhere"], "usage"),
    "papers that are not there": (lambda _: ["import", "/nowhere"], "usage"),
    "a proof that is not there": (lambda _: ["verify", "/nowhere"], "usage"),
    "a receipt key of another form": (lambda d: ["import", d.folder / "paper.jsonl", "--key", "label=12"], "usage"),
    "no key to sign with": (lambda d: ["sign", "citation_signature", d.number, "{}"], "usage"),
    "a key that is not there": (lambda d: ["sign", "citation_signature", d.number, "{}", "--key", "/no"], "usage"),
    "a file that is no key": (
        lambda d: ["sign", "citation_signature", d.number, "{}", "--key", private(d.folder / "no.json", b"{}")],
        "invalid-field",
    ),
    "a payload that is not JSON": (lambda d: ["sign", "citation_signature", d.number, "{", "--key", d.key], "not-json"),
    "a payload with a key twice": (
        lambda d: ["sign", "citation_signature", d.number, '{"a":1,"a":1}', "--key", d.key],
        "duplicate-key",
    ),
    "a payload with a fraction": (
        lambda d: ["sign", "citation_signature", d.number, '{"a":0.5}', "--key", d.key],
        "float",
    ),
    "a payload that is not UTF-8": (
        lambda d: ["sign", "citation_signature", d.number, os.fsdecode(b"\xff"), "--key", d.key],
        "not-json",
    ),
    "a payload without a field": (
        lambda d: ["sign", "citation_signature", d.number, "{}", "--key", d.key],
        "missing-field",
    ),
    "a type nobody knows": (lambda d: ["sign", "applause", d.number, "{}", "--key", d.key], "unknown-type"),
    "a statement without target": (lambda d: ["sign", "challenge", d.number, "{}", "--key", d.key], "usage"),
    "an unknown projection": (lambda _: ["rebuild", "nothing"], "not-found"),
    "an export into a full folder": (lambda d: ["export", d.pith.data], "usage"),
    "a second init": (lambda _: ["init", REGISTRY], "usage"),
    "a name that is none": (lambda d: ["keygen", "nobody", "-o", d.folder / "new.json"], "invalid-field"),
    "a role that is none": (
        lambda d: ["keygen", "name:x", "-o", d.folder / "new.json", "--role", "foreign_receipt"],
        "usage",
    ),
    "a registry name that is none": (
        lambda d: ["keygen", "name:x", "-o", d.folder / "other.json", "--registry", "No Name"],
        "invalid-field",
    ),
    "a key file that is there": (lambda d: ["keygen", "name:x", "-o", d.key], "usage"),
}


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def outcomes(desk: Desk) -> dict[str, Result]:
    """Run every wrong command, two at a time."""
    with ThreadPoolExecutor(2) as threads:
        results = threads.map(lambda arguments: desk.pith(*arguments(desk)), (make for make, _ in WRONG.values()))
        return dict(zip(WRONG, results, strict=True))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_exits_with_2_and_names_its_error(outcomes: dict[str, Result], name: str) -> None:
    assert (outcomes[name].code, outcomes[name].err.split(":")[0]) == (2, WRONG[name][1])


def test_a_key_for_a_name_that_is_no_registrys_leaves_no_file(desk: Desk) -> None:
    path = desk.folder / "unmade.json"
    desk.pith("keygen", "name:x", "-o", path, "--registry", "No Name")
    assert not path.exists()


def test_an_error_in_json_is_one_object(desk: Desk) -> None:
    found = json.loads(desk.pith("show", "nothing-here", "--json").err)
    assert set(found) == {"error", "message", "cure"}


@pytest.mark.parametrize("arguments", [["applaud"], ["show"], ["import"], ["show", "X", "--nothing"]])
def test_a_command_line_that_is_none_exits_with_2(desk: Desk, arguments: list[str]) -> None:
    result = desk.pith(*arguments)
    assert (result.code, result.crashed) == (2, False)


def test_help_exits_with_0(desk: Desk) -> None:
    assert desk.pith("--help").code == 0


def test_a_folder_without_ledger_is_refused_with_words(tmp_path: Path) -> None:
    result = Pith.at(tmp_path)("show", "X")
    assert (result.code, "make one with `pith init" in result.err) == (2, True)


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    result = Pith.at(tmp_path, PITH_BASE_URL="not an address")("settings")
    assert (result.code, result.err.split(":")[0]) == (2, "usage")

"""Offline verification of documents and bundles: what holds, and the named step at which each lie fails."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError, UsageError
from ops.trust import Trust
from ops.verify import verify_path
from tests.builders import NUMBER, Who, World, a_record, key
from tests.logs import Log
from tests.ops.proofs import (
    Spoil,
    a_bundle,
    a_document,
    a_log,
    dropped,
    event_of,
    failed_step,
    reidentified,
    written,
)

SEEDS = sorted((Path(__file__).parents[1] / "vectors" / "pith-records").glob("*.json"))
RECEIPT_KEY = World().receipt.key


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def root(log: Log) -> str:
    return log.store.entry(0).event.id_text


@pytest.fixture(scope="module")
def original(log: Log) -> dict[str, Any]:
    return a_bundle(log)


@pytest.fixture
def bundle(original: dict[str, Any]) -> dict[str, Any]:
    """A bundle that a test may spoil."""
    return copy.deepcopy(original)


@pytest.fixture
def document(log: Log) -> dict[str, Any]:
    return a_document(log)


# Documents.


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_a_published_document_verifies_under_the_published_key(path: Path) -> None:
    assert failed_step(path) == "verified"


@pytest.mark.parametrize("name", ["findings", "detectors_run"])
def test_a_finding_that_was_put_in_later_fails_at_the_integrity(tmp_path: Path, name: str) -> None:
    document = json.loads(SEEDS[0].read_bytes())
    document["graph_snapshot"]["integrity"][name].append({"verdict": "made up"})
    assert failed_step(written(tmp_path, document)) == "integrity"


def test_an_own_document_verifies_under_the_given_key(document: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, document), {"own": RECEIPT_KEY.public_key}) == "verified"


def test_a_document_under_a_key_nobody_gave_fails_at_the_key(document: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, document)) == "key validity"


def put(*path: str | int, value: Any) -> Spoil:
    """Put another value at a path."""

    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = value

    return spoil


def without(*path: str) -> Spoil:
    def spoil(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        del found[path[-1]]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(put("pith_number", value="pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"), "number", id="another number"),
        pytest.param(put("pith_number", value=f"pith:2025:{NUMBER[10:]}"), "number", id="another year"),
        pytest.param(put("canonical_sha256", value="0" * 64), "number", id="another hash"),
        pytest.param(put("canonical_record", "source", "version", value=2), "number", id="another record"),
        pytest.param(put("canonical_record", value=[]), "number", id="a record of the wrong kind"),
        pytest.param(without("canonical_record"), "number", id="no record"),
        pytest.param(put("paper", "title", value="Another Title"), "title", id="another title"),
        pytest.param(put("paper", "abstract", value="Another abstract."), "title", id="another abstract"),
        pytest.param(put("paper", "title", value=3), "title", id="a title of the wrong kind"),
        pytest.param(without("paper"), "title", id="no paper"),
        pytest.param(put("receipt", "canonical_sha256", value="0" * 64), "signature", id="a receipt of another record"),
        pytest.param(put("receipt", "signature_b64", value="A" * 86 + "=="), "signature", id="another signature"),
        pytest.param(put("receipt", "signature_b64", value="?"), "signature", id="no base64"),
        pytest.param(put("receipt", "algorithm", value="rsa"), "signature", id="another algorithm"),
        pytest.param(without("receipt"), "signature", id="no receipt"),
        pytest.param(put("receipt", "key_id", value="0" * 64), "key validity", id="a key nobody gave"),
        pytest.param(put("receipt", "public_key_fingerprint", value="0" * 32), "key validity", id="another fingerprint"),
    ],
)
def test_a_spoiled_document_fails_at_its_step(
    document: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str
) -> None:
    spoil(document)
    assert failed_step(written(tmp_path, document), {"own": RECEIPT_KEY.public_key}) == step


def test_a_receipt_by_another_key_fails_at_the_signature(document: dict[str, Any], tmp_path: Path) -> None:
    stranger = key("a stranger")
    document["receipt"] |= {"key_id": stranger.key_id, "public_key_fingerprint": stranger.key_id[:32]}
    assert failed_step(written(tmp_path, document), {"own": stranger.public_key}) == "signature"


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"[]", b'{"record_type":1,"record_type":2}', b"\xff", b"[" * 100_000],
    ids=["empty", "not JSON", "a list", "a key twice", "not UTF-8", "too deep"],
)
def test_a_file_that_is_no_object_fails_at_the_canonical_form(tmp_path: Path, content: bytes) -> None:
    assert failed_step(written(tmp_path, content)) == "canonical form"


def test_a_file_of_another_kind_is_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a record document"):
        verify_path(written(tmp_path, {"hello": 1}), Trust())


def test_a_file_that_is_not_there_is_refused_with_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        verify_path(tmp_path / "nowhere", Trust())


# Bundles.


def test_a_bundle_verifies_under_its_root(bundle: dict[str, Any], tmp_path: Path, root: str) -> None:
    assert failed_step(written(tmp_path, bundle), root=root) == "verified"


def test_a_bundle_without_a_root_verifies_by_its_own_word(bundle: dict[str, Any], tmp_path: Path) -> None:
    assert any("by its own word" in line for line in verify_path(written(tmp_path, bundle), Trust()))


def test_a_bundle_says_what_it_cannot_show(bundle: dict[str, Any], tmp_path: Path, root: str) -> None:
    assert "nothing else was appended" in verify_path(written(tmp_path, bundle), Trust(root))[-1]


def test_the_order_in_which_a_bundle_lists_its_events_is_no_matter(
    bundle: dict[str, Any], tmp_path: Path, root: str
) -> None:
    bundle["events"].reverse()
    assert failed_step(written(tmp_path, bundle), root=root) == "verified"


def with_a_stranger(bundle: dict[str, Any]) -> None:
    event = World().record_created(*a_record("Another Paper", ident="2606.00099"))
    bundle["events"].append({**event.value, "position": bundle["log_size"] - 1, "received_at": 2**53 - 1})


def twice(bundle: dict[str, Any]) -> None:
    bundle["events"].append(bundle["events"][-1])


def same_position(bundle: dict[str, Any]) -> None:
    bundle["events"][1]["position"] = bundle["events"][0]["position"]


def another_nonce(bundle: dict[str, Any]) -> None:
    event_of(bundle, "author_attestation")["nonce"] = "A" * 22


def another_statement(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "author_attestation")
    row["payload"]["author_name"] = "Somebody Else"
    reidentified(row)


def another_record_in_the_event(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "record_created")
    row["payload"]["canonical_record"], _ = a_record("Another Title")
    reidentified(row)


def another_signers_key(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "author_attestation")
    row["signer"]["key_id"], row["signer"]["public_key_fingerprint"] = "0" * 64, "0" * 32
    reidentified(row)


def another_receipt(bundle: dict[str, Any]) -> None:
    row = event_of(bundle, "record_created")
    row["payload"]["pith_receipt"]["signature_b64"] = "A" * 86 + "=="
    reidentified(row)


def before_the_record(bundle: dict[str, Any]) -> None:
    row, created = event_of(bundle, "author_attestation"), event_of(bundle, "record_created")
    row["position"], row["received_at"] = created["position"] - 1, created["received_at"]
    bundle["key_events"] = [entry for entry in bundle["key_events"] if entry["position"] != row["position"]]


def earlier_than_its_predecessor(bundle: dict[str, Any]) -> None:
    bundle["events"][-1]["received_at"] = 1


def before_its_policy(bundle: dict[str, Any]) -> None:
    bundle["key_events"] = [row for row in bundle["key_events"] if row["event_type"] != "policy_set"]


def without_receipt_key(bundle: dict[str, Any]) -> None:
    mine = RECEIPT_KEY.public_key.hex()
    bundle["key_events"] = [
        row for row in bundle["key_events"] if row["payload"].get("statement", {}).get("public_key") != mine
    ]


def flattered(bundle: dict[str, Any]) -> None:
    bundle["state"]["verification_status"]["strong_author_claims"] = 7


def without_root(bundle: dict[str, Any]) -> None:
    bundle["key_events"] = bundle["key_events"][1:]


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        pytest.param(put("pith_number", value="pith:2026:AAAAAAAAAAAAAAAAAAAAAAAAAA"), "number", id="another number"),
        pytest.param(put("canonical_record", "source", "version", value=2), "number", id="another record"),
        pytest.param(put("canonical_sha256", value="0" * 64), "number", id="another hash"),
        pytest.param(another_nonce, "canonical form", id="an event that has another id"),
        pytest.param(put("events", 0, "position", value="8"), "canonical form", id="a position of the wrong kind"),
        pytest.param(put("events", 0, "position", value=-1), "canonical form", id="a negative position"),
        pytest.param(put("events", 0, "received_at", value=1.5), "canonical form", id="a time of the wrong kind"),
        pytest.param(put("events", 0, "extra", value=1), "canonical form", id="a field that events do not have"),
        pytest.param(put("events", value={}), "state", id="no events"),
        pytest.param(put("events", value=[7]), "canonical form", id="an event of the wrong kind"),
        pytest.param(without("log_size"), "canonical form", id="no size"),
        pytest.param(without("registry"), "canonical form", id="no registry"),
        pytest.param(without("root"), "root", id="no root"),
        pytest.param(without_root, "root", id="no root event"),
        pytest.param(put("key_events", value=[]), "root", id="no key events"),
        pytest.param(put("root", value="sha256:" + "0" * 64), "root", id="another root"),
        pytest.param(twice, "position", id="an event twice"),
        pytest.param(same_position, "position", id="two events in one place"),
        pytest.param(earlier_than_its_predecessor, "time", id="a time before its predecessor's"),
        pytest.param(another_signers_key, "key validity", id="a signer without registration"),
        pytest.param(without_receipt_key, "key validity", id="a receipt whose key is left out"),
        pytest.param(another_statement, "signature", id="another statement"),
        pytest.param(another_receipt, "signature", id="another receipt"),
        pytest.param(another_record_in_the_event, "rule", id="another record in the event"),
        pytest.param(before_the_record, "rule", id="a claim before its record"),
        pytest.param(before_its_policy, "rule", id="an anchor whose policy is left out"),
        pytest.param(put("registry", value="other.registry"), "canonical form", id="another registry"),
        pytest.param(with_a_stranger, "canonical form", id="an event about another paper"),
        pytest.param(dropped("withdrawal"), "state", id="a withdrawal left out"),
        pytest.param(dropped("key_revoked"), "state", id="a revocation left out"),
        pytest.param(dropped("moderation_decision"), "state", id="a decision left out"),
        pytest.param(dropped("identity_evidence"), "state", id="the proof of an identity left out"),
        pytest.param(dropped("record_created"), "rule", id="the record left out"),
        pytest.param(flattered, "state", id="another status"),
        pytest.param(put("state", "verdicts", value={}), "state", id="no verdicts"),
        pytest.param(without("state"), "state", id="no state"),
        pytest.param(put("log_size", value=9), "canonical form", id="a size that hides events"),
    ],
)
def test_a_spoiled_bundle_fails_at_its_step(bundle: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str) -> None:
    spoil(bundle)
    assert failed_step(written(tmp_path, bundle)) == step


@pytest.mark.parametrize("name", ["bundle_version", "short_pith_number", "source", "source_aliases"])
def test_nothing_that_a_bundle_repeats_of_its_events_may_differ_from_them(
    bundle: dict[str, Any], tmp_path: Path, root: str, name: str
) -> None:
    bundle[name] = "something else"
    assert failed_step(written(tmp_path, bundle), root=root) != "verified"


def test_a_bundle_under_another_root_than_the_one_asked_for_fails(bundle: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, bundle), root="sha256:" + "0" * 64) == "root"


def test_a_bundle_of_somebody_elses_log_of_the_same_name_fails_under_the_root(tmp_path: Path, root: str) -> None:
    thief = World()
    thief.registry = Who(key("a thief"), "pith_registry", thief.registry.signer_id)
    forged = {**a_bundle(Log.opened(tmp_path, thief)), "root": root}
    assert failed_step(written(tmp_path, forged), root=root) == "root"


@pytest.mark.parametrize("version", ["pith-ledger-merge-2", None, ""])
def test_a_bundle_by_foreign_merge_rules_is_refused_with_words(
    bundle: dict[str, Any], tmp_path: Path, version: str | None
) -> None:
    bundle["merge_version"] = version
    with pytest.raises(UsageError, match="merge rules"):
        verify_path(written(tmp_path, bundle), Trust())


def test_a_public_bundle_without_key_events_is_refused_with_words(bundle: dict[str, Any], tmp_path: Path) -> None:
    del bundle["key_events"]
    with pytest.raises(UsageError, match="merge rules"):
        verify_path(written(tmp_path, bundle), Trust())


@pytest.mark.parametrize("seed", range(8))
def test_a_bundle_with_any_byte_changed_never_verifies(
    original: dict[str, Any], tmp_path: Path, root: str, seed: int
) -> None:
    chance, raw = random.Random(seed), json.dumps(original).encode()
    for _ in range(40):
        spoiled = bytearray(raw)
        spoiled[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        path = written(tmp_path, bytes(spoiled))
        try:
            verify_path(path, Trust(root))
        except LedgerError:
            continue
        assert _signed_part(json.loads(spoiled)) == _signed_part(original)


def _signed_part(bundle: dict[str, Any]) -> dict[str, Any]:
    """Leave out where and when the log took its events, which is the log's word and in no signature."""
    found = {name: value for name, value in bundle.items() if name != "log_size"}
    for name in ("events", "key_events"):
        found[name] = [
            {field: value for field, value in row.items() if field not in ("position", "received_at")}
            for row in bundle[name]
        ]
    return found

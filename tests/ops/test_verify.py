"""Offline verification of record documents: what holds, and the named step at which each lie fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import UsageError
from ledger.proofs.trust import Trust
from ops.verify import verify_path
from tests.builders import NUMBER, World, key
from tests.logs import Log
from tests.ops.proofs import Spoil, a_document, a_log, failed_step, put, without, written

SEEDS = sorted((Path(__file__).parents[1] / "vectors" / "pith-records").glob("*.json"))
RECEIPT_KEY = World().receipt.key


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return a_log(tmp_path_factory.mktemp("log"))


@pytest.fixture
def document(log: Log) -> dict[str, Any]:
    return a_document(log)


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_a_published_document_verifies_under_the_published_key(path: Path) -> None:
    assert failed_step(path) == "verified"


@pytest.mark.parametrize("name", ["findings", "detectors_run"])
def test_a_finding_that_was_put_in_later_fails_at_the_integrity(tmp_path: Path, name: str) -> None:
    document = json.loads(SEEDS[0].read_bytes())
    document["graph_snapshot"]["integrity"][name].append({"verdict": "made up"})
    assert failed_step(written(tmp_path, document)) == "integrity"


def test_an_own_document_verifies_under_the_given_key(document: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, document), receipt_keys={"own": RECEIPT_KEY.public_key}) == "verified"


def test_a_document_under_a_key_nobody_gave_fails_at_the_key(document: dict[str, Any], tmp_path: Path) -> None:
    assert failed_step(written(tmp_path, document)) == "key validity"


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
        pytest.param(
            put("receipt", "public_key_fingerprint", value="0" * 32), "key validity", id="another fingerprint"
        ),
    ],
)
def test_a_spoiled_document_fails_at_its_step(
    document: dict[str, Any], tmp_path: Path, spoil: Spoil, step: str
) -> None:
    spoil(document)
    assert failed_step(written(tmp_path, document), receipt_keys={"own": RECEIPT_KEY.public_key}) == step


def test_a_receipt_by_another_key_fails_at_the_signature(document: dict[str, Any], tmp_path: Path) -> None:
    stranger = key("a stranger")
    document["receipt"] |= {"key_id": stranger.key_id, "public_key_fingerprint": stranger.key_id[:32]}
    assert failed_step(written(tmp_path, document), receipt_keys={"own": stranger.public_key}) == "signature"


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

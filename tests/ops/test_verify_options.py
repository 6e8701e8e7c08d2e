"""Options of `pith verify` that a kind of file cannot be checked by are refused, not passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import UsageError
from ledger.log_keys import log_verifier
from ledger.proofs.trust import Trust
from ledger.quorum import Policy
from ops.verify import verify_path
from tests.builders import REGISTRY
from tests.ops.proofs import a_document, a_log, written

KEY = log_verifier(REGISTRY, bytes([9]) + bytes(30) + bytes([1]))
NO_ROOT = "sha256:" + "0" * 64
POLICY = Policy((), (), (), None)


@pytest.mark.parametrize(
    ("trust", "option"),
    [(Trust(NO_ROOT), "--root"), (Trust(log_key=KEY), "--log-key"), (Trust(policy=POLICY), "--policy")],
)
def test_a_record_document_is_no_part_of_a_log(tmp_path: Path, trust: Trust, option: str) -> None:
    path = written(tmp_path, a_document(a_log(tmp_path)))
    with pytest.raises(UsageError, match="ask for a bundle") as refused:
        verify_path(path, trust)
    assert refused.value.place == option


@pytest.mark.parametrize(("trust", "option"), [(Trust(policy=POLICY), "--policy"), (Trust(NO_ROOT, KEY), "--log-key")])
def test_evidence_is_checked_by_a_root_or_a_key_alone(tmp_path: Path, trust: Trust, option: str) -> None:
    path = written(tmp_path, {"evidence_type": "pith_fork_evidence"})
    with pytest.raises(UsageError) as refused:
        verify_path(path, trust)
    assert refused.value.place == option


def test_a_file_that_is_too_large_is_refused_with_words(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    with pytest.raises(UsageError, match="more than"):
        verify_path(path, Trust())

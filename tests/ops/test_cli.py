"""`pith` from the first key to the last proof, each step a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from ledger.database import open_sqlite
from ledger.times import instant
from tests.ops.story import ORCID, TEXTS, Story, told
from tests.processes import Pith


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told(tmp_path_factory.mktemp("story"))


def statuses(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["event_id"]: row["status"] for row in rows}


# What the commands say.


@pytest.mark.parametrize(
    "name", ["init", "keygen alice", "import", "find", "keys", "attestations", "decisions", "show", "history"]
)
def test_json_output_parses(story: Story, name: str) -> None:
    assert story.results[name].json


@pytest.mark.parametrize("name", ["keys", "attestations", "decisions"])
def test_every_statement_of_the_story_was_appended(story: Story, name: str) -> None:
    assert all(row["created"] for row in story.results[name].json)


def test_the_paper_has_every_kind_of_attestation(story: Story) -> None:
    assert set(story.results["show"].json["event_summary"]) == {
        "timestamp_anchor",
        "storage_attestation",
        "author_attestation",
        "citation_signature",
        "replication_record",
        "challenge",
    }


def test_the_status_counts_what_was_said_and_accepted(story: Story) -> None:
    status = story.results["show"].json["verification_status"]
    names = ("strong_author_claims", "storage_verified", "citation_signatures", "replication_records")
    assert [status[name] for name in names] == [1, True, 0, 1]


def test_the_document_names_where_it_is_served(story: Story) -> None:
    assert story.results["show"].json["links"]["html"] == f"https://pith.example/pith/{story.number[10:]}"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("anchor", "counted"),
        ("storage", "counted"),
        ("author", "counted"),
        ("citation", "held"),
        ("replication", "counted"),
        ("challenge", "redacted"),
    ],
)
def test_history_says_what_became_of_each_statement(story: Story, name: str, status: str) -> None:
    assert statuses(story.results["history"].json)[story.events[name]] == status


def test_people_read_the_title_and_the_signer(story: Story) -> None:
    said = story.results["show for people"].out
    assert "Paper number 1" in said and ORCID in said


# What was, as of then.


def test_the_record_as_of_a_position_is_the_one_shown_then(story: Story) -> None:
    position = story.results["attestations"].json[0]["position"]
    found = story.pith.fine("show", story.number, "--as-of", position, "--json").json
    assert found == story.results["show before"].json


def test_the_record_as_of_a_time_is_the_one_shown_then(story: Story) -> None:
    first = story.results["attestations"].json[0]
    just_before = instant(first["received_at"] - 1)
    found = story.pith.fine("show", story.number, "--as-of", just_before, "--json").json
    assert found == story.results["show before"].json


def test_a_paper_had_no_record_before_its_import(story: Story) -> None:
    assert "not-found" in story.pith("show", story.number, "--as-of", "1").err


# Proofs.


def test_replay_and_export_agree_on_the_state(story: Story) -> None:
    assert story.results["replay"].json["state_digest"] == story.results["export"].json["state_digest"]


def test_rebuilding_changes_nothing(story: Story) -> None:
    assert all(outcome["same"] for outcome in story.results["rebuild"].json)


@pytest.mark.parametrize("name", ["verify bundle", "verify export"])
def test_what_was_written_out_verifies(story: Story, name: str) -> None:
    assert story.results[name].json["verified"] is True


def test_a_shown_document_verifies_with_the_registrys_receipt_key(story: Story, tmp_path: Path) -> None:
    path, key = tmp_path / "document.json", story.pith.data / "keys" / "receipt.json"
    path.write_text(story.results["show"].out)
    public_key = json.loads(key.read_bytes())["public_key"]
    assert story.pith("verify", path, "--key", f"own={public_key}").code == 0


def test_the_key_that_init_prints_is_the_one_that_signs_records(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "document.json"
    path.write_text(story.results["show"].out)
    printed = story.results["init"].json["receipt_public_key"]
    assert story.pith("verify", path, "--key", f"own={printed}").code == 0


def test_a_spoiled_bundle_names_its_step_and_exits_with_1(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(story.results["bundle"].out.replace('"verdicts"', '"Verdicts"'))
    result = story.pith("verify", path)
    assert (result.code, result.err.split(":")[:2]) == (1, ["verification", " state"])


def test_a_spoiled_bundle_names_its_step_in_json(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(story.results["bundle"].out.replace('"verdicts"', '"Verdicts"'))
    assert json.loads(story.pith("verify", path, "--json").err)["step"] == "state"


def test_a_wrong_row_makes_rebuild_exit_with_1(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "data")
    pith.fine("init", "test.registry")
    database = open_sqlite(pith.data / "projections.db")
    with database.write() as connection:
        wrong = "INSERT INTO aliases (generation, suffix, alias_kind, alias_value) VALUES (1, 'A', 'doi', '10.1/1')"
        connection.execute(text(wrong))
    database.close()
    result = pith("rebuild")
    assert (result.code, "CHANGED" in result.out) == (1, True)


# Secrets.


def everything_written(story: Story) -> bytes:
    """Return every byte that the story's commands printed or left, but for the key files."""
    files = [*story.pith.data.glob("*.db*"), *files_of(story.folder / "export"), story.folder / "bundle.json"]
    return b"".join(path.read_bytes() for path in files) + "".join(story.pith.log).encode()


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_secret_key_is_ever_printed_or_stored(story: Story) -> None:
    written = everything_written(story)
    assert [seed for seed in story.seeds() if seed.encode() in written or bytes.fromhex(seed) in written] == []


def test_every_key_file_is_its_owners_alone(story: Story) -> None:
    paths = [*story.folder.glob("*.key.json"), *(story.pith.data / "keys").glob("*.json")]
    assert {oct(path.stat().st_mode & 0o777) for path in paths} == {"0o600"}


def test_a_key_that_others_can_read_is_refused(story: Story, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_bytes(story.key("alice").read_bytes())
    key.chmod(0o640)
    result = story.pith("sign", "author_attestation", story.number, "{}", "--key", key)
    assert (result.code, "others can read this key" in result.err) == (2, True)


@pytest.mark.parametrize("name", TEXTS)
def test_a_private_text_stands_in_no_bundle(story: Story, name: str) -> None:
    assert TEXTS[name] not in story.results["bundle"].out


@pytest.mark.parametrize("name", TEXTS)
def test_a_private_text_stands_in_no_export(story: Story, name: str) -> None:
    exported = b"".join(path.read_bytes() for path in files_of(story.folder / "export"))
    assert TEXTS[name].encode() not in exported


@pytest.mark.parametrize("name", TEXTS)
def test_a_private_text_stands_in_no_document(story: Story, name: str) -> None:
    assert TEXTS[name] not in story.results["show"].out


def test_history_shows_the_text_of_what_counts(story: Story) -> None:
    assert TEXTS["statement"] in story.results["history"].out


def test_history_does_not_show_the_text_of_what_is_held(story: Story) -> None:
    assert TEXTS["quote"] not in story.results["history"].out


def test_history_does_not_show_the_text_of_what_was_redacted(story: Story) -> None:
    assert TEXTS["challenge"] not in story.results["history"].out


def test_a_redacted_text_is_gone_from_the_database(story: Story) -> None:
    stored = b"".join(path.read_bytes() for path in story.pith.data.glob("*.db*"))
    assert TEXTS["challenge"].encode() not in stored

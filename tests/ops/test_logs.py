"""Several logs of one registry: made, kept together, interrupted, and read by everybody else as logs of their own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from api.witness import create_witness_app
from ledger.appending import Submission
from ledger.errors import (
    AmbiguousError,
    ForeignLogError,
    InvalidFieldError,
    LogCorruptedError,
    NotFoundError,
    OtherLogError,
    UsageError,
    VerificationError,
)
from ledger.log_keys import log_verifier
from ledger.proofs.trust import Trust
from ledger.shared import is_shared
from ops import export as exports
from ops.audit import Audit, audit_home
from ops.checkpointing import checkpoint
from ops.finding import found_anywhere, held_elsewhere, searched_anywhere
from ops.home import Home, create_home, open_home
from ops.logs import Shown, add_log, standings
from ops.logs_file import OtherLog, note_log, read_logs
from ops.mirror import mirror
from ops.monitor import Monitor
from ops.observing import Status
from ops.publications import FolderPublication, StorePublication
from ops.rotation import rotate
from ops.settings import Settings
from ops.shared_logs import settings_of, share
from ops.sightings import open_sightings
from ops.verify_export import verify_export
from projections.queries import count, search
from projections.rebuild import replay
from tests.builders import REGISTRY
from tests.logs import Ticking
from tests.ops.homes import a_home, a_line, as_lines, imported
from tests.processes import Pith
from tests.witnesses import a_witness, served

ADDRESS = "https://2027.pith.example"


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Home]:
    with closing(a_home(tmp_path / "first")) as home:
        yield home


@pytest.fixture
def beside(first: Home, tmp_path: Path) -> Iterator[Home]:
    other = add_log(first, "2027", tmp_path / "2027", ADDRESS)
    with closing(open_other(first, other)) as home:
        yield home


def open_other(home: Home, other: OtherLog) -> Home:
    return open_home(settings_of(home.settings, other), home.clock, home.random)


def shared_of(home: Home) -> list[bytes]:
    registry = home.store.registry()
    return [entry.event.raw for entry in home.store.entries() if is_shared(entry.event, registry)]


def append_policy(home: Home, clocks: int) -> None:
    """Change the policy in the first log, and tell the others nothing of it."""
    policy = home.store.of_registry(0, home.store.head().size)[-1].event.value["payload"]
    event, _ = home.signatory("event").sign("policy_set", "registry", {**policy, "independent_clocks": clocks})
    home.append([Submission(event)])


def shown(home: Home, label: str) -> Shown:
    return next(found for found in standings(home) if found.label == label)


# Making one.


def test_a_new_log_has_the_same_name_root_keys_and_policies(first: Home, beside: Home) -> None:
    assert shared_of(beside) == shared_of(first)
    assert (beside.store.registry_name, beside.store.label) == (REGISTRY, "2027")
    assert beside.store.entry(0).event.raw == first.store.entry(0).event.raw
    assert beside.store.registry().policy().logs == ["2027"]
    assert beside.signatory("log").key.key_id == first.signatory("log").key.key_id


def test_both_folders_know_of_each_other(first: Home, beside: Home) -> None:
    assert read_logs(first.settings.data).others == (OtherLog("2027", beside.settings.data, ADDRESS),)
    assert read_logs(beside.settings.data).first == OtherLog("", first.settings.data, first.settings.base_url)


def test_a_third_log_and_the_second_know_of_each_other(first: Home, beside: Home, tmp_path: Path) -> None:
    third = add_log(first, "elsevier", tmp_path / "elsevier")
    assert {other.label for other in read_logs(beside.settings.data).others} == {"", "elsevier"}
    assert {other.label for other in read_logs(third.data).others} == {"", "2027"}
    with closing(open_other(first, third)) as home:
        assert shared_of(home) == shared_of(first) == shared_of(beside)


def test_making_it_again_changes_nothing(first: Home, beside: Home) -> None:
    sizes = first.store.head().size, beside.store.head().size
    add_log(first, "2027", beside.settings.data, ADDRESS)
    assert (first.store.head().size, beside.store.head().size) == sizes


@pytest.mark.parametrize("left", ["nothing", "a folder", "its name", "an unfinished log", "a log that nobody lists"])
def test_what_was_broken_off_is_finished(first: Home, tmp_path: Path, left: str) -> None:
    data = tmp_path / "2027"
    add_log(first, "2027", data, ADDRESS)
    (first.settings.data / "logs.toml").unlink()
    if left == "a log that nobody lists":
        append_policy(first, 2)
    else:
        (data / "ledger.db").unlink()
    if left == "an unfinished log":
        (data / "ledger.new").write_bytes(b"half a log")
    if left in ("a folder", "nothing"):
        shutil.rmtree(data)
    if left == "a folder":
        data.mkdir()
    other = add_log(first, "2027", data, ADDRESS)
    with closing(open_other(first, other)) as home:
        assert shared_of(home) == shared_of(first)
    assert shown(first, "2027").is_whole


@pytest.mark.parametrize("label", ["", "A", "a b", "-2027", "2027.", "a" * 32, "../x"])
def test_a_log_has_a_plain_label(first: Home, tmp_path: Path, label: str) -> None:
    with pytest.raises(InvalidFieldError):
        add_log(first, label, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_holds_something_else_is_left_alone(first: Home, tmp_path: Path) -> None:
    data = tmp_path / "mine"
    data.mkdir()
    (data / "letter.txt").write_text("Dear diary")
    with pytest.raises(UsageError, match="holds something else"):
        add_log(first, "2027", data)
    assert [path.name for path in data.iterdir()] == ["letter.txt"]


def test_a_folder_of_another_log_is_left_alone(first: Home, beside: Home) -> None:
    for label, match in (("2028", "holds something else"), ("2027", "is in")):
        data = beside.settings.data if label == "2028" else beside.settings.data.with_name("elsewhere")
        with pytest.raises(UsageError, match=match):
            add_log(first, label, data)


def test_only_the_first_log_gets_others_beside_it(beside: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only the registry's first log"):
        add_log(beside, "2028", tmp_path / "2028")


# Keeping them together.


@pytest.mark.parametrize("role", ["event", "receipt", "log"])
def test_a_key_that_is_replaced_is_so_in_every_log(first: Home, beside: Home, role: str) -> None:
    rotate(first, role)  # type: ignore[arg-type]
    assert shared_of(beside) == shared_of(first)
    assert imported(beside, as_lines([a_line(1)])).created == 1
    assert checkpoint(beside).published


def test_no_key_is_replaced_that_another_log_could_not_hear_of(first: Home, beside: Home) -> None:
    hidden = beside.settings.data.rename(beside.settings.data.with_name("hidden"))
    before = first.signatory("log").key.key_id
    with pytest.raises(UsageError):
        rotate(first, "log")
    assert first.signatory("log").key.key_id == before
    hidden.rename(beside.settings.data)
    assert rotate(first, "log").old == before
    assert shared_of(beside) == shared_of(first)


def test_keys_are_replaced_in_the_first_log(beside: Home) -> None:
    with pytest.raises(UsageError, match="first log"):
        rotate(beside, "event")
    assert not list(beside.settings.keys.glob("*.next.json"))


def test_a_policy_is_set_in_the_first_log(beside: Home) -> None:
    with pytest.raises(ForeignLogError):
        append_policy(beside, 2)


def test_a_log_that_misses_something_is_shown_and_mended(first: Home, beside: Home) -> None:
    append_policy(first, 2)
    append_policy(first, 3)
    found = shown(first, "2027")
    assert found.shared is not None and len(found.shared.behind) == 2 and not found.is_whole
    assert share(first) == {}
    assert shown(first, "2027").is_whole
    assert shared_of(beside) == shared_of(first)


def test_a_log_beside_the_first_fetches_what_it_misses_itself(first: Home, beside: Home) -> None:
    append_policy(first, 2)
    assert share(beside) == {}
    assert shared_of(beside) == shared_of(first)


def test_a_log_that_is_gone_is_named_and_keeps_nothing_from_the_others(
    first: Home, beside: Home, tmp_path: Path
) -> None:
    third = add_log(first, "elsevier", tmp_path / "elsevier")
    (beside.settings.data / "ledger.db").rename(tmp_path / "gone")
    append_policy(first, 2)
    assert set(share(first)) == {"2027"}
    assert isinstance(shown(first, "2027").fault, UsageError)
    with closing(open_other(first, third)) as home:
        assert shared_of(home) == shared_of(first)


def test_a_first_log_restored_from_an_old_backup_is_noticed(first: Home, beside: Home, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    first.ledger.close()
    shutil.copytree(first.settings.data, backup)
    append_policy(first, 2)
    assert share(first) == {}
    note_log(backup, OtherLog("2027", beside.settings.data))
    with closing(open_home(replace(first.settings, data=backup), first.clock, first.random)) as restored:
        (error,) = share(restored).values()
        assert isinstance(error, LogCorruptedError)
        assert isinstance(shown(restored, "2027").fault, LogCorruptedError)


def test_another_registrys_log_is_none_of_the_registrys(first: Home, tmp_path: Path) -> None:
    create_home(Settings(tmp_path / "other", "http://127.0.0.1:8080"), "other.registry").close()
    note_log(first.settings.data, OtherLog("2027", tmp_path / "other"))
    (error,) = share(first).values()
    assert "it holds other.registry/log" in error.message


# Papers.


def test_a_paper_is_imported_into_one_log(first: Home, beside: Home) -> None:
    assert imported(first, as_lines([a_line(1)])).created == 1
    report = imported(beside, as_lines([a_line(1), a_line(2)]))
    assert (report.created, [refused["error"] for refused in report.refused]) == (1, ["foreign-log"])
    assert imported(first, as_lines([a_line(2)])).refused_count == 1


def test_no_paper_is_imported_while_another_log_may_hold_it(first: Home, beside: Home) -> None:
    (beside.settings.data / "ledger.db").rename(beside.settings.data / "gone")
    with pytest.raises(OtherLogError, match="log/2027 cannot be read"):
        imported(first, as_lines([a_line(1)]))


def test_a_record_says_which_log_it_was_made_for(first: Home, beside: Home) -> None:
    for home, label in ((first, None), (beside, "2027")):
        imported(home, as_lines([a_line(len(label or ""))]))
        (created,) = (e.event for e in home.store.entries() if e.event.event_type == "record_created")
        assert created.value["payload"].get("log") == label


def test_a_paper_is_found_in_whatever_log_it_is(first: Home, beside: Home) -> None:
    imported(first, as_lines([a_line(1)]))
    imported(beside, as_lines([a_line(2)]))
    for here in (first, beside):
        for number, holder in ((1, first), (2, beside)):
            with found_anywhere(here, f"https://example.org/papers/{number}") as (home, named):
                assert home.settings.data == holder.settings.data
                assert named.subject in {entry.event.subject for entry in holder.store.entries()}
        hits, unread = searched_anywhere(here, "paper", 10)
        assert (sorted(hit.title for hit in hits), unread) == (["Paper number 1", "Paper number 2"], [])


def test_a_name_without_a_version_means_the_newest_in_any_log(first: Home, beside: Home) -> None:
    versions = [arxiv(version) for version in (1, 2, 3)]
    imported(first, as_lines([versions[0], versions[2]]))
    imported(beside, as_lines([versions[1]]))
    for here in (first, beside):
        with found_anywhere(here, "arxiv:2605.00001") as (home, named):
            assert home.settings.data == first.settings.data
            assert len(named.other_versions) == 2
        with found_anywhere(here, "arxiv:2605.00001v2") as (home, _):
            assert home.settings.data == beside.settings.data


def test_a_name_of_different_papers_in_different_logs_lists_them_all(first: Home, beside: Home) -> None:
    doi = "10.5555/shared"
    imported(first, as_lines([a_line(1, doi=doi)]))
    imported(beside, as_lines([a_line(2, doi=doi)]))
    for here in (first, beside):
        with pytest.raises(AmbiguousError) as caught, found_anywhere(here, f"doi:{doi}"):
            pass
        assert len(caught.value.choices) == 2


def test_what_no_log_has_is_not_found(first: Home, beside: Home) -> None:
    for here in (first, beside):
        with pytest.raises(NotFoundError), found_anywhere(here, "https://example.org/nowhere"):
            pass


def test_what_may_be_in_a_log_that_is_gone_is_not_said_to_be_nowhere(first: Home, beside: Home) -> None:
    imported(first, as_lines([a_line(1)]))
    (beside.settings.data / "ledger.db").rename(beside.settings.data / "gone")
    with pytest.raises(OtherLogError, match=f"{REGISTRY}/log/2027"), found_anywhere(first, "https://example.org/x"):
        pass
    with found_anywhere(first, "https://example.org/papers/1") as (home, _):
        assert home is first
    hits, unread = searched_anywhere(first, "paper", 10)
    assert (len(hits), len(unread)) == (1, 1)
    with pytest.raises(OtherLogError):
        held_elsewhere(first, ["pith:2026:" + "A" * 26])


def test_projections_of_another_log_with_the_same_root_are_never_taken_for_this_ones(first: Home, beside: Home) -> None:
    imported(first, as_lines([a_line(1)]))
    imported(beside, as_lines([a_line(2)]))
    beside.close()
    for path in beside.settings.data.glob("projections.db*"):
        path.unlink()
    first.projections.close()
    shutil.copyfile(first.settings.projections_path, beside.settings.projections_path)
    with closing(open_home(beside.settings, beside.clock, beside.random)) as again:
        assert count(again.projections) == 0
        again.catch_up()
        assert [hit.title for hit in search(again.projections, "paper")] == ["Paper number 2"]


# Everybody else.


def test_an_audit_and_a_replay_go_over_a_log_beside_the_first(beside: Home) -> None:
    imported(beside, as_lines([a_line(1)]))
    checkpoint(beside)
    log, projected = audit_home(beside.settings, beside.clock(), Audit())
    assert log.checkpoints.count == 1
    assert projected is not None and projected.cursor == beside.store.head().size
    assert replay(beside.store, beside.store.head().size)


def test_an_export_of_a_log_beside_the_first_verifies(first: Home, beside: Home, tmp_path: Path) -> None:
    imported(beside, as_lines([a_line(1)]))
    folder = exported(beside, tmp_path / "export")
    checks = verify_export(folder, Trust(first.store.entry(0).event.id_text), lambda _: None)
    assert any(check.endswith(f"log {REGISTRY}/log/2027") for check in checks)


def test_an_export_under_another_logs_checkpoint_fails(first: Home, beside: Home, tmp_path: Path) -> None:
    one, other = exported(first, tmp_path / "one"), exported(beside, tmp_path / "other")
    for name in ("checkpoint", "pith-log.json"):
        moved = tmp_path / f"moved {name}"
        shutil.copytree(other, moved)
        shutil.copyfile(one / name, moved / name)
        with pytest.raises(VerificationError):
            verify_export(moved, Trust(first.store.entry(0).event.id_text), lambda _: None)


def test_a_mirror_follows_one_log(first: Home, beside: Home, tmp_path: Path) -> None:
    checkpoint(first)
    checkpoint(beside)
    settings = Settings(tmp_path / "mirror", "http://127.0.0.1:8080")
    mirror(StorePublication(beside.store), settings, Trust(), lambda _: None)
    with pytest.raises(UsageError, match=f"mirrors {REGISTRY}/log/2027, not {REGISTRY}/log"):
        mirror(StorePublication(first.store), settings, Trust(), lambda _: None)
    with closing(open_home(settings)) as home:
        assert (home.store.label, home.store.head().size) == ("2027", beside.store.head().size)


def test_a_mirror_serves_for_finding_papers_and_is_not_written_to(first: Home, beside: Home, tmp_path: Path) -> None:
    imported(beside, as_lines([a_line(1)]))
    checkpoint(beside)
    settings = Settings(tmp_path / "mirror", "http://127.0.0.1:8080")
    mirror(StorePublication(beside.store), settings, Trust(), lambda _: None)
    (first.settings.data / "logs.toml").unlink()
    note_log(first.settings.data, OtherLog("2027", settings.data, ADDRESS))
    with found_anywhere(first, "https://example.org/papers/1") as (home, _):
        assert home.settings.data == settings.data
    append_policy(first, 2)
    assert share(first) == {}
    assert shown(first, "2027").shared is not None and not shown(first, "2027").is_whole


def test_a_monitor_follows_one_log(first: Home, beside: Home, tmp_path: Path) -> None:
    one, other = exported(first, tmp_path / "one"), exported(beside, tmp_path / "other")
    with open_sightings(tmp_path / "state") as sightings:
        watching = Monitor(sightings, first.store.entry(0).event.id_text, None, Ticking())
        assert watching.observe("there", FolderPublication(other)).status not in (Status.failed, Status.fork)
        assert watching.observe("there", FolderPublication(one)).status is Status.failed
        assert not sightings.evidence()


def test_a_witness_cosigns_each_log_as_one_of_its_own(first: Home, beside: Home, tmp_path: Path) -> None:
    imported(beside, as_lines([a_line(1), a_line(2)]))
    key = first.signatory("log").key.public_key
    witness = a_witness(tmp_path / "witness", [log_verifier(REGISTRY, key), log_verifier(REGISTRY, key, "2027")])
    with served(create_witness_app(witness, first.clock)) as address:
        (tmp_path / "policy").write_text(f"witness w {witness.verifier.format()} {address}\nquorum w\n")
        for home in (first, beside):
            made = checkpoint(replace(home, settings=replace(home.settings, witness_policy=tmp_path / "policy")))
            assert made.published and made.refusals == {}
    sizes = {followed.origin: followed.size for followed in witness.followed()}
    assert sizes == {home.store.registry().origin: home.store.head().size for home in (first, beside)}


# The command.


def test_the_command_makes_lists_and_mends_logs(tmp_path: Path) -> None:
    pith = Pith.at(tmp_path / "first")
    pith.fine("init", "press.example")
    made = pith.fine("log", "add", "2027", "--data", tmp_path / "2027", "--address", ADDRESS, "--json").json
    assert (made["origin"], made["address"], made["behind"]) == ("press.example/log/2027", ADDRESS, 0)
    assert made["log_key"].startswith("press.example/log/2027+")
    assert pith("log", "add", "20 27", "--data", tmp_path / "other").code == 2
    pith.fine("policy", "--clocks", "2")
    assert [log["shared"] for log in pith.fine("log", "list", "--json").json] == [7, 7]
    (tmp_path / "2027" / "ledger.db").rename(tmp_path / "away.db")
    told = pith.fine("policy", "--clocks", "3")
    assert "'2027' does not have its registry's newest keys and policies" in told.err
    listed = pith("log", "list")
    assert (listed.code, "there is no ledger" in listed.out) == (1, True)
    assert pith("log", "share").code == 1
    (tmp_path / "away.db").rename(tmp_path / "2027" / "ledger.db")
    assert "misses 1 key or policy event" in pith("log", "list").out
    assert "every log" in pith.fine("log", "share").out
    assert pith.fine("log", "list").code == 0


def exported(home: Home, folder: Path) -> Path:
    published = checkpoint(home).checkpoint
    exports.export(home.store, folder, published, replay(home.store, published.size), lambda _: None)
    return folder


def arxiv(version: int) -> dict[str, object]:
    return a_line(version, source="arxiv", id="2605.00001", version=version)

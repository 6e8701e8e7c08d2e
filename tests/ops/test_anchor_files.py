"""Outside proofs as files of an export: which there are, their names, and that their own programs accept them."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest
from opentimestamps.core.op import OpAppend, OpSHA256  # type: ignore[import-untyped]
from opentimestamps.core.timestamp import DetachedTimestampFile, Timestamp  # type: ignore[import-untyped]

from ledger.canonical import encode
from ledger.events import Event
from ledger.proofs.trust import Trust
from ops.anchor_files import anchor_files
from ops.regtest import serialized
from ops.verify import verify_path
from tests.builders import (
    ALICE,
    NUMBER,
    OTHER_NUMBER,
    OTHER_PAPER,
    OTHER_RECORD,
    RECORD,
    SESSION,
    SHA256,
    Who,
    key,
)
from tests.logs import Log
from tests.ops.proofs import an_export, failed_step, files_of
from tests.ops.timestamps.chains import Litecoin
from tests.programs import program
from tests.projections.papers import REGTEST, confirmed_anchor, confirmed_checkpoint, open_policy
from tests.simulators import TimestampAuthority, pending_anchor

SUFFIX: Final = NUMBER[10:]
HOST: Final = "calendar.example.org"
TSA: Final = "https://tsa.example.org/tsr"


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log that counts at once what anybody says, and accepts toy blocks."""
    log = Log.opened(tmp_path)
    log.admit(open_policy(log.world))
    return log


def written(log: Log) -> dict[str, bytes]:
    """Return the files by their names below `anchors/`."""
    found = list(anchor_files(log.store, log.store.head().size))
    assert len({name for name, _ in found}) == len(found)
    return {name.removeprefix("anchors/"): content for name, content in found}


def proofs(log: Log) -> list[str]:
    return sorted(name for name in written(log) if name.endswith((".ots", ".tsr")))


def proof_in(event: Event) -> bytes:
    return base64.b64decode(event.payload.proof_b64)


def pending_checkpoint(log: Log, note: str, tree_size: int, service: str = f"https://{HOST}", **changes: Any) -> Event:
    digest = sha256(note.encode())
    return log.world.checkpoint_anchor(
        anchored={"what": "checkpoint", "sha256": digest.hexdigest(), "tree_size": tree_size, "note": note},
        proof_b64=base64.b64encode(pending_anchor(digest.digest(), service)).decode(),
        service=service,
        **changes,
    )


# Which files there are.


def test_a_log_without_anchors_has_no_such_files(log: Log) -> None:
    assert written(log) == {}


def test_a_checkpoint_stands_beside_its_proof_byte_for_byte(log: Log) -> None:
    signed = log.checkpoint()
    anchor = confirmed_checkpoint(log.world, signed.size, signed.note.decode())
    log.admit(anchor)
    found = written(log)
    assert found[f"checkpoint-{signed.size}/checkpoint"] == signed.note
    assert found[f"checkpoint-{signed.size}/checkpoint.{HOST}.ots"] == proof_in(anchor)
    assert set(found) == {
        "README",
        f"checkpoint-{signed.size}/checkpoint",
        f"checkpoint-{signed.size}/checkpoint.{HOST}.ots",
    }


def test_a_record_stands_beside_its_proof_as_the_bytes_that_were_hashed(log: Log) -> None:
    anchor = confirmed_anchor(log.world)
    log.admit(anchor)
    found = written(log)
    assert found[f"{SUFFIX}/record.json"] == encode(RECORD)
    assert hashlib.sha256(found[f"{SUFFIX}/record.json"]).hexdigest() == SHA256
    assert found[f"{SUFFIX}/record.{HOST}.ots"] == proof_in(anchor)


def test_a_promise_stands_there_until_it_was_followed_up(log: Log) -> None:
    promise = log.world.anchor()
    log.admit(promise)
    assert written(log)[f"{SUFFIX}/record.{HOST}.ots"] == proof_in(promise)
    kept = confirmed_anchor(log.world, upgrades=promise.id_text)
    log.admit(kept)
    assert proofs(log) == [f"{SUFFIX}/record.{HOST}.ots"]
    assert written(log)[f"{SUFFIX}/record.{HOST}.ots"] == proof_in(kept)


def test_a_promise_of_a_checkpoint_stands_there_until_it_was_followed_up(log: Log) -> None:
    signed = log.checkpoint()
    promise = pending_checkpoint(log, signed.note.decode(), signed.size)
    log.admit(promise)
    assert proofs(log) == [f"checkpoint-{signed.size}/checkpoint.{HOST}.ots"]
    log.admit(pending_checkpoint(log, signed.note.decode(), signed.size, status="failed", upgrades=promise.id_text))
    assert written(log) == {}


def test_nobody_follows_up_the_promise_of_another(log: Log) -> None:
    promise = log.world.anchor()
    log.admit(promise, confirmed_anchor(log.world, who=ALICE, upgrades=promise.id_text))
    assert proofs(log) == [f"{SUFFIX}/record.{HOST}-2.ots", f"{SUFFIX}/record.{HOST}.ots"]


def test_two_people_behind_the_registry_are_two(log: Log) -> None:
    world, promise = log.world, log.world.anchor()
    given_up = world.anchor(status="failed", upgrades=promise.id_text).value["payload"]
    log.admit(promise, world.event(world.registry, "timestamp_anchor", given_up, on_behalf_of=SESSION))
    assert proofs(log) == [f"{SUFFIX}/record.{HOST}.ots"]


def test_what_does_not_count_is_not_written(log: Log) -> None:
    world = log.world
    rejected, payload = world.anchor(ALICE), world.anchor().value["payload"]
    log.admit(rejected, world.decision(rejected, "rejected"), world.policy(bitcoin=REGTEST))
    log.admit(world.event(world.registry, "timestamp_anchor", payload, on_behalf_of=SESSION))
    assert written(log) == {}


def test_proofs_of_a_stolen_key_are_not_written(log: Log) -> None:
    world, spare = log.world, Who(key("spare"), "pith_registry", log.world.registry.signer_id)
    log.admit(world.registration(spare, "event"))
    signed = log.checkpoint()
    payload = pending_checkpoint(log, signed.note.decode(), signed.size).value["payload"]
    log.admit(world.event(spare, "timestamp_anchor", payload, subject=world.subject), world.anchor(spare))
    assert len(proofs(log)) == 2
    log.admit(world.revocation(spare, by=world.registry, compromised_from="2026-06-19T15:59:00Z"))
    assert written(log) == {}


def test_an_anchor_that_does_not_tell_its_note_has_nothing_to_stand_beside(log: Log) -> None:
    log.admit(log.world.checkpoint_anchor())
    assert written(log) == {}


def test_a_note_that_was_not_what_was_stamped_is_not_written(log: Log) -> None:
    signed = log.checkpoint()
    anchored = {"what": "checkpoint", "sha256": SHA256, "tree_size": signed.size, "note": signed.note.decode()}
    log.admit(log.world.checkpoint_anchor(signed.size, anchored=anchored))
    assert written(log) == {}


def test_only_what_stands_below_the_size_is_written(log: Log) -> None:
    log.admit(confirmed_anchor(log.world))
    size = log.store.head().size
    before = list(anchor_files(log.store, size))
    log.admit(log.world.anchor(service="https://later.example"))
    assert list(anchor_files(log.store, size)) == before
    assert list(anchor_files(log.store, size - 1)) == []


def test_two_notes_of_one_size_have_a_folder_each(log: Log) -> None:
    signed = log.checkpoint()
    note = signed.note.decode()
    cosigned = f"{note}\u2014 witness.example/w AAAAAAAA\n"
    log.admit(*(pending_checkpoint(log, text, signed.size) for text in (note, cosigned, note)))
    found = written(log)
    assert found[f"checkpoint-{signed.size}/checkpoint"] == note.encode()
    assert found[f"checkpoint-{signed.size}_2/checkpoint"] == cosigned.encode()
    assert proofs(log) == [
        f"checkpoint-{signed.size}/checkpoint.{HOST}-2.ots",
        f"checkpoint-{signed.size}/checkpoint.{HOST}.ots",
        f"checkpoint-{signed.size}_2/checkpoint.{HOST}.ots",
    ]


def test_each_paper_has_a_folder_of_its_own(log: Log) -> None:
    world = log.world
    other = {"what": "record", "sha256": hashlib.sha256(encode(OTHER_RECORD)).hexdigest()}
    log.admit(world.record_created(OTHER_RECORD, OTHER_PAPER), world.anchor())
    log.admit(world.anchor(subject=OTHER_NUMBER, anchored=other))
    found = written(log)
    assert found[f"{OTHER_NUMBER[10:]}/record.json"] == encode(OTHER_RECORD)
    assert len(proofs(log)) == 2


def test_the_roots_that_policy_accepts_stand_beside_them(log: Log, tmp_path: Path) -> None:
    authority = an_authority(tmp_path)
    root = base64.b64encode(authority.root_der).decode()
    log.admit(open_policy(log.world, timestamp_roots=[root]), log.world.anchor())
    assert written(log)["roots.pem"] == ssl.DER_cert_to_PEM_cert(authority.root_der).encode()


# What they are called.


@pytest.mark.parametrize(
    ("service", "host"),
    [
        ("https://a.pool.opentimestamps.org", "a.pool.opentimestamps.org"),
        ("https://Calendar.Example.ORG:8443/path?x=y", "calendar.example.org"),
        ("https://user:secret@calendar.example/", "calendar.example"),
        ("http://[2001:db8::1]:80/", "2001.db8.1"),
        ("https://../../../etc/passwd", "service"),
        ("https://..%2f..%2fetc/", "2f.2fetc"),
        ("https://con\\..\\windows/", "con.windows"),
        ("https://$(reboot)/", "reboot"),
        ("https://a;b|c&d'e\"f`g/", "a.b.c.d.e.f.g"),
        ("https://[not-an-address", "service"),
        ("mailto:somebody", "service"),
        ("urn:uuid:0", "service"),
        ("https://-rf/", "rf"),
        (f"https://{'a' * 300}.example/", "a" * 80),
    ],
)
def test_a_file_is_named_safely_whatever_the_service_is_called(log: Log, service: str, host: str) -> None:
    log.admit(log.world.anchor(service=service))
    assert proofs(log) == [f"{SUFFIX}/record.{host}.ots"]


def test_several_of_one_host_are_numbered_and_none_takes_the_name_of_another(log: Log) -> None:
    services = ["https://a-2/", "https://a/", "https://a:81/", "https://a/x"]
    events = [log.world.anchor(service=service) for service in services]
    log.admit(*events)
    found = written(log)
    names = ["record.a-2.ots", "record.a.ots", "record.a-3.ots", "record.a-4.ots"]
    assert [found[f"{SUFFIX}/{name}"] for name in names] == [proof_in(event) for event in events]


def test_the_same_log_gives_the_same_files(log: Log, tmp_path: Path) -> None:
    signed = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()))
    log.admit(*(confirmed_anchor(log.world, who=who) for who in (None, ALICE)), log.world.anchor())
    log.checkpoint()
    one, other = an_export(log, tmp_path / "one"), an_export(log, tmp_path / "other")
    assert files_of(one) == files_of(other)
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in files_of(one))
    assert f"anchors/{SUFFIX}/record.{HOST}-2.ots" in files_of(one)


# Verifying an export with them.


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a checkpoint's proof, a record's, and a promise."""
    folder = tmp_path_factory.mktemp("log")
    log = Log.opened(folder)
    log.admit(open_policy(log.world))
    signed = log.checkpoint()
    log.admit(confirmed_checkpoint(log.world, signed.size, signed.note.decode()), confirmed_anchor(log.world))
    log.admit(log.world.anchor(service="https://promise.example"))
    log.checkpoint()
    return an_export(log, folder / "export")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """An export that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "export"))


def of_anchors(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "anchors").rglob("*") if path.is_file())


def test_verifying_says_how_many_proofs_stand_in_files(folder: Path) -> None:
    said = verify_path(folder, Trust())
    assert "anchor files: 3 outside proofs stand in files of their own, as the log says" in said


def test_an_export_without_these_files_verifies_and_says_nothing_of_them(folder: Path) -> None:
    shutil.rmtree(folder / "anchors")
    assert not any(line.startswith("anchor files") for line in verify_path(folder, Trust()))


def test_whoever_passes_on_some_of_them_only_is_believed(folder: Path) -> None:
    for path in of_anchors(folder):
        if "promise" in path.name or path.name in ("README", "record.json"):
            path.unlink()
    assert "anchor files: 2 outside proofs stand in files of their own, as the log says" in verify_path(folder, Trust())


def test_any_changed_file_is_found(original: Path, tmp_path: Path) -> None:
    for number, spoiled in enumerate(of_anchors(original)):
        folder = Path(shutil.copytree(original, tmp_path / str(number)))
        path = folder / spoiled.relative_to(original)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        if path.name == "README":
            assert any(said.startswith("open: what anchors/README says") for said in verify_path(folder, Trust()))
        else:
            assert failed_step(folder) == "anchor files"


@pytest.mark.parametrize("change", [lambda content: content + b"\n", lambda content: content[:-1], lambda _: b""])
def test_a_longer_or_shorter_file_is_found(folder: Path, change: Any) -> None:
    path = next(path for path in of_anchors(folder) if path.suffix == ".ots")
    path.write_bytes(change(path.read_bytes()))
    assert failed_step(folder) == "anchor files"


@pytest.mark.parametrize(
    "name",
    [
        "anchors/verify.sh",
        "anchors/roots.pem",
        f"anchors/{SUFFIX}/record.{HOST}-2.ots",
        f"anchors/{SUFFIX}/README",
        "anchors/checkpoint-1/checkpoint",
        "anchors/.hidden",
        f"anchors/{SUFFIX}/nested/record.json",
    ],
)
def test_a_file_that_the_log_knows_nothing_of_is_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"anything")
    assert failed_step(folder) == "anchor files"


def test_two_files_that_changed_places_are_found(folder: Path) -> None:
    one, other = (path for path in of_anchors(folder) if path.parent.name == SUFFIX and path.suffix == ".ots")
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert failed_step(folder) == "anchor files"


def test_a_folder_elsewhere_does_not_stand_in_for_a_part(folder: Path, tmp_path: Path) -> None:
    moved = folder / "anchors" / SUFFIX
    shutil.move(moved, tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    assert failed_step(folder) == "anchor files"


def test_a_file_of_that_name_at_the_top_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "anchors")
    (folder / "anchors").write_bytes(b"")
    assert failed_step(folder) == "canonical form"


# Their own programs.


def an_authority(folder: Path) -> TimestampAuthority:
    (folder / "authority").mkdir()
    return TimestampAuthority(folder / "authority")


def commands(folder: Path, program: str) -> list[list[str]]:
    """Return the commands of a program that the README gives, as the words of a shell."""
    lines = (folder / "anchors" / "README").read_text().splitlines()
    return [shlex.split(line) for line in lines if line.startswith(f"    {program} ")]


def run(words: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, **environment}
    return subprocess.run(words, cwd=folder, env=settings, capture_output=True, text=True, timeout=120, check=False)


def filled(words: list[str], folder: Path, ending: str) -> list[str]:
    """Put the one host of a folder's proofs in place of HOST."""
    (host,) = (re.sub(r"^(checkpoint|record)\.|\.[a-z]+$", "", path.name) for path in folder.glob(f"*.{ending}"))
    return [word.replace("HOST", host) for word in words]


def stamped(authority: TimestampAuthority, digest: bytes) -> dict[str, str]:
    proof = base64.b64encode(authority.stamp(digest)).decode()
    return {"method": "rfc3161", "service": TSA, "proof_b64": proof, "status": "confirmed"}


def test_openssl_accepts_the_replies_by_the_commands_of_the_readme(log: Log, tmp_path: Path) -> None:
    program("openssl", "apt install openssl")
    authority = an_authority(tmp_path)
    log.admit(open_policy(log.world, timestamp_roots=[base64.b64encode(authority.root_der).decode()]))
    signed = log.checkpoint()
    payload = confirmed_checkpoint(log.world, signed.size, signed.note.decode()).value["payload"]
    by_tsa = stamped(authority, sha256(signed.note).digest())
    log.admit(log.world.checkpoint_anchor(anchored=payload["anchored"], **by_tsa))
    log.admit(log.world.anchor(**stamped(authority, bytes.fromhex(SHA256))))
    log.checkpoint()
    export = an_export(log, tmp_path / "export")
    for_checkpoint, for_record = commands(export, "openssl")
    for words, name in ((for_checkpoint, f"checkpoint-{signed.size}"), (for_record, SUFFIX)):
        folder = export / "anchors" / name
        judged = run(filled(words, folder, "tsr"), folder)
        assert (judged.returncode, "Verification: OK" in judged.stdout) == (0, True), judged.stderr
        data = folder / words[words.index("-data") + 1]
        data.write_bytes(data.read_bytes() + b" ")
        assert run(filled(words, folder, "tsr"), folder).returncode != 0


def ots_program() -> str:
    """Return the official client, which stands beside the interpreter."""
    return str(Path(sys.executable).parent / "ots")


def test_the_official_client_reads_the_proofs(original: Path) -> None:
    found = [path for path in of_anchors(original) if path.suffix == ".ots"]
    for path in found:
        content = path.parent / ("checkpoint" if path.name.startswith("checkpoint") else "record.json")
        told = run([ots_program(), "--no-cache", "info", path.name], path.parent)
        assert told.returncode == 0, told.stderr
        assert f"File sha256 hash: {hashlib.sha256(content.read_bytes()).hexdigest()}" in told.stdout
    assert len(found) == 3


@pytest.fixture(scope="module")
def litecoin() -> Iterator[Litecoin]:
    with Litecoin() as node:
        yield node


def buried(node: Litecoin, digest: bytes) -> Mapping[str, Any]:
    """Put a digest into a real block; return an anchor's fields that show it."""
    file = DetachedTimestampFile(OpSHA256(), Timestamp(digest))
    height = node.bury(file.timestamp.ops.add(OpAppend(os.urandom(16))).ops.add(OpSHA256()))
    header = node.header(height)
    assert header is not None
    proof = base64.b64encode(serialized(file)).decode()
    return {"proof_b64": proof, "status": "confirmed", "block_header": header.hex(), "height": height}


def test_the_official_client_verifies_the_proofs_against_a_node(log: Log, litecoin: Litecoin, tmp_path: Path) -> None:
    accepted = [{"network": "litecoin-regtest", "minimum_work_bits": 0, "checkpoints": {}}]
    log.admit(open_policy(log.world, bitcoin=accepted))
    signed = log.checkpoint()
    payload = confirmed_checkpoint(log.world, signed.size, signed.note.decode()).value["payload"]
    of_checkpoint = buried(litecoin, sha256(signed.note).digest())
    log.admit(log.world.checkpoint_anchor(anchored=payload["anchored"], **of_checkpoint))
    log.admit(log.world.anchor(**buried(litecoin, bytes.fromhex(SHA256))))
    log.checkpoint()
    export = an_export(log, tmp_path / "export")
    assert failed_step(export) == "verified"
    node = ["--no-cache", "--btc-regtest", "--bitcoin-node", litecoin.rpc_url]
    for_checkpoint, for_record = commands(export, "ots")
    for words, name in ((for_checkpoint, f"checkpoint-{signed.size}"), (for_record, SUFFIX)):
        folder = export / "anchors" / name
        command = [ots_program(), *node, *filled(words, folder, "ots")[1:]]
        judged = run(command, folder)
        assert (judged.returncode, "Success! Bitcoin block" in judged.stderr) == (0, True), judged.stderr
        data = folder / words[words.index("-f") + 1]
        data.write_bytes(data.read_bytes() + b" ")
        spoiled = run(command, folder)
        assert spoiled.returncode == 1 and "does not match" in spoiled.stderr

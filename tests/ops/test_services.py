"""The file of services: read strictly, with every fault named by its place and no secret repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import UsageError
from ops.services import (
    Anchoring,
    Authority,
    Bucket,
    Calendar,
    Fetched,
    HeaderSource,
    Services,
    Storing,
    WebArchive,
)
from ops.services_file import read_services
from ops.settings import read_settings

WHOLE = """
[anchoring]
every_seconds = 1800
use = 2
depth = 3
stale_seconds = 86400
give_up_seconds = 864000
renew_seconds = 0
patience_seconds = 7200

[[anchoring.calendars]]
url = "https://alice.example/path/"

[[anchoring.calendars]]
url = "http://127.0.0.1:14788"

[[anchoring.authorities]]
url = "https://tsa.example/tsr"
policy = "1.3.6.1.4.1.99999.1"

[[anchoring.authorities]]
url = "http://tsa.example/tsr"
insecure = true

[[anchoring.headers]]
kind = "node"
address_file = "node.secret"

[[anchoring.headers]]
kind = "node"
address = "env:NODE"

[[anchoring.headers]]
kind = "esplora"
address = "https://explorer.example/api/"

[[anchoring.headers]]
kind = "file"
address = "headers.json"

[fetched]
hosts = ["arxiv.org", "*.example.org", "10.1.2.3", "archive.example:8443"]
networks = ["10.1.2.0/24", "fd00::/8"]
max_bytes = 1000
max_bytes_a_day = 5000
seconds = 9

[storing]
recheck_seconds = 100
again_seconds = 10

[[storing.archives]]
name = "archive.org"
save = "https://web.archive.org/save"
cdx = "https://web.archive.org/cdx/search/cdx"
replay = "https://web.archive.org/web/"
access_key = "low"
secret_key = "env:ARCHIVE_SECRET"

[[storing.buckets]]
name = "cold"
endpoint = "https://s3.example"
bucket = "pith-copies"
region = "eu-central-1"
access_key = "AKIA"
secret_key_file = "bucket.secret"
retain_days = 365
"""
ENVIRONMENT = {"NODE": "http://u:p@127.0.0.1:8332", "ARCHIVE_SECRET": "hunter2"}


def written(folder: Path, content: str) -> Path:
    (folder / "node.secret").write_text("https://user:pass@node.example:8332\n")
    (folder / "bucket.secret").write_text("s3cr3t\n")
    path = folder / "services.toml"
    path.write_text(content)
    return path


def fault(folder: Path, content: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_services(written(folder, content), ENVIRONMENT)
    return caught.value


def test_everything_that_can_be_set_is_read(tmp_path: Path) -> None:
    assert read_services(written(tmp_path, WHOLE), ENVIRONMENT) == Services(
        Anchoring(
            calendars=(Calendar("https://alice.example/path"), Calendar("http://127.0.0.1:14788")),
            authorities=(
                Authority("https://tsa.example/tsr", "1.3.6.1.4.1.99999.1"),
                Authority("http://tsa.example/tsr"),
            ),
            headers=(
                HeaderSource("node", "https://user:pass@node.example:8332"),
                HeaderSource("node", "http://u:p@127.0.0.1:8332"),
                HeaderSource("esplora", "https://explorer.example/api"),
                HeaderSource("file", str(tmp_path / "headers.json")),
            ),
            every_seconds=1800,
            use=2,
            depth=3,
            stale_seconds=86_400,
            give_up_seconds=864_000,
            renew_seconds=0,
            patience_seconds=7_200,
        ),
        Fetched(
            ("arxiv.org", "*.example.org", "10.1.2.3", "archive.example:8443"),
            ("10.1.2.0/24", "fd00::/8"),
            max_bytes=1_000,
            max_bytes_a_day=5_000,
            seconds=9,
        ),
        Storing(
            (
                WebArchive(
                    "archive.org",
                    "https://web.archive.org/save",
                    "https://web.archive.org/cdx/search/cdx",
                    "https://web.archive.org/web",
                    "low",
                    "hunter2",
                ),
            ),
            (Bucket("cold", "https://s3.example", "pith-copies", "eu-central-1", "AKIA", "s3cr3t", 365),),
            100,
            10,
        ),
    )


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "[anchoring]\n[fetched]\n[storing]\n"])
def test_without_anything_in_it_nobody_is_asked(tmp_path: Path, content: str) -> None:
    assert read_services(written(tmp_path, content), {}) == Services()
    assert read_services(tmp_path / "no such file", {}) == Services()


def test_no_secret_stands_in_a_repr(tmp_path: Path) -> None:
    told = repr(read_services(written(tmp_path, WHOLE), ENVIRONMENT))
    for secret in ("hunter2", "s3cr3t", "pass@", "u:p"):
        assert secret not in told


CALENDAR = '[[anchoring.calendars]]\nurl = "https://a.example"\n'
HEADERS = '[[anchoring.headers]]\nkind = "esplora"\naddress = "https://e.example"\n'
BUCKET = (
    '[[storing.buckets]]\nname = "b"\nendpoint = "https://s3.example"\nbucket = "copies"\nregion = "eu"\n'
    'access_key = "A"\n'
)
ARCHIVE = (
    '[[storing.archives]]\nname = "a"\nsave = "https://w.example/save"\ncdx = "https://w.example/cdx"\n'
    'replay = "https://w.example/web"\n'
)


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        ("[anchorage]\n", "anchorage", "no such setting"),
        ("anchoring = 3\n", "anchoring", "no table"),
        ("[anchoring]\nevery = 3\n", "anchoring.every", "no such setting"),
        ("[[anchoring.calendars]]\nurl = 3\n", "anchoring.calendars[1].url", "no text"),
        ("[[anchoring.calendars]]\n", "anchoring.calendars[1].url", "missing"),
        (f"{CALENDAR}policy = 'x'\n{HEADERS}", "anchoring.calendars[1].policy", "no such setting"),
        ("[anchoring]\ncalendars = ['https://a.example']\n", "anchoring.calendars[1]", "no table"),
        ("[anchoring]\ncalendars = 'https://a.example'\n", "anchoring.calendars", "no list"),
        ("[anchoring]\nevery_seconds = 0\n", "anchoring.every_seconds", "from 1 to"),
        ("[anchoring]\nevery_seconds = 1.5\n", "anchoring.every_seconds", "whole number"),
        ("[anchoring]\nevery_seconds = true\n", "anchoring.every_seconds", "whole number"),
        ("[anchoring]\nevery_seconds = '60'\n", "anchoring.every_seconds", "whole number"),
        (f"[anchoring]\nuse = 2\n{CALENDAR}{HEADERS}", "anchoring.use", "only 1"),
        ("[anchoring]\nuse = -1\n", "anchoring.use", "from 0"),
        (CALENDAR, "anchoring.headers", "without block headers"),
        (f"{CALENDAR}{CALENDAR}{HEADERS}", "anchoring.calendars", "named twice"),
        ("[anchoring]\nstale_seconds = 9\ngive_up_seconds = 8\n", "anchoring.give_up_seconds", "before it is stale"),
        ("[[anchoring.authorities]]\nurl = 'https://t.example'\npolicy = '1.x'\n", "authorities[1].policy", "no OID"),
        ("[[anchoring.headers]]\nkind = 'electrum'\naddress = 'https://e'\n", "headers[1].kind", "none of node"),
        (
            "[[anchoring.headers]]\nkind = 'node'\naddress = 'http://u:p@127.0.0.1'\n",
            "headers[1].address",
            "a user and a password",
        ),
        ("[[anchoring.headers]]\nkind = 'node'\naddress = 'env:NOWHERE'\n", "headers[1].address", "not set"),
        ("[[anchoring.headers]]\nkind = 'node'\naddress_file = 'none'\n", "headers[1].address_file", "cannot be read"),
        ("[[anchoring.headers]]\nkind = 'file'\n", "headers[1].address", "missing"),
        ("[fetched]\nhosts = ['https://arxiv.org']\n", "fetched.hosts", "no host"),
        ("[fetched]\nhosts = ['*']\n", "fetched.hosts", "no host"),
        ("[fetched]\nhosts = ['arxiv.org.']\n", "fetched.hosts", "no host"),
        ("[fetched]\nhosts = 'arxiv.org'\n", "fetched.hosts", "no list"),
        ("[fetched]\nnetworks = ['10.0.0.1/24']\n", "fetched.networks", "no network"),
        (BUCKET, "storing.buckets[1].secret_key_file", "missing"),
        (f"{BUCKET}secret_key = 'hunter2'\n", "storing.buckets[1].secret_key", "does not stand in this file"),
        (f"{BUCKET}secret_key = 'env:NODE'\nsecret_key_file = 'x'\n", "buckets[1].secret_key", "given too"),
        (f"{BUCKET.replace('copies', 'Copies_')}secret_key = 'env:NODE'\n", "buckets[1].bucket", "no name of a bucket"),
        (f"{BUCKET.replace('https', 'ftp')}secret_key = 'env:NODE'\n", "buckets[1].endpoint", "no address"),
        (f"{ARCHIVE}access_key = 'low'\n", "storing.archives[1].access_key", "belong together"),
        (f"{ARCHIVE}secret_key = 'env:ARCHIVE_SECRET'\n", "storing.archives[1].access_key", "belong together"),
        (f"{ARCHIVE}{ARCHIVE}", "storing.archives", "named twice"),
        (ARCHIVE.replace('"a"', '"Ärchive"'), "storing.archives[1].name", "no name"),
        ("[anchoring\n", "services.toml", "no TOML"),
        ("[anchoring]\nuse = 1\nuse = 2\n", "services.toml", "no TOML"),
        ("a = " + "[" * 5_000, "services.toml", "no TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, content: str, place: str, message: str) -> None:
    error = fault(tmp_path, content)
    assert error.place.endswith(place)
    assert "services.toml" in error.place
    assert message in error.message
    assert error.cure  # every one says what to do
    assert "hunter2" not in str(error)
    assert "u:p" not in str(error)


@pytest.mark.parametrize(
    ("content", "cure"),
    [
        ("[[anchoring.headers]]\nkind = 'node'\naddress = 'http://u:p@127.0.0.1'\n", 'address_file = "…"'),
        (
            "[[anchoring.headers]]\nkind = 'electrum'\naddress = 'https://e'\n",
            'write kind = "node" or kind = "esplora"',
        ),
        ("[[anchoring.headers]]\nkind = 'node'\naddress = 'env:NOWHERE'\n", "set it where `pith` is started"),
        ("[[anchoring.headers]]\nkind = 'node'\naddress_file = 'none'\n", "must be able to read it"),
        (f"[anchoring]\nuse = 2\n{CALENDAR}{HEADERS}", "name more, or write use = 1"),
        (f"{CALENDAR}{CALENDAR}{HEADERS}", "take one of them out"),
        ("[anchoring]\nstale_seconds = 9\ngive_up_seconds = 8\n", "at least stale_seconds, which is 9"),
        ("[anchoring]\nuse = '2'\n", "in digits, without quotes"),
        (f"{BUCKET.replace('copies', 'Copies_')}secret_key = 'env:NODE'\n", "3 to 63 small letters"),
    ],
)
def test_a_refusal_says_how_it_is_mended(tmp_path: Path, content: str, cure: str) -> None:
    assert cure in fault(tmp_path, content).cure


def test_a_pool_of_calendars_is_refused_for_a_calendar_itself(tmp_path: Path) -> None:
    pool = '[[anchoring.calendars]]\nurl = "https://a.pool.opentimestamps.org"\n'
    error = fault(tmp_path, f"{pool}{HEADERS}")
    assert error.place.endswith("anchoring.calendars[1].url")
    assert "pool" in error.message
    assert "name a calendar itself, such as https://alice.btc.calendar.opentimestamps.org" in error.cure
    named = "https://pool.opentimestamps.org/a.pool.x"
    assert read_services(written(tmp_path, f"{pool}{HEADERS}".replace("https://a.pool.opentimestamps.org", named)), {})


@pytest.mark.parametrize("secret", ["s3cr3t", " s3cr3t\t", "s3cr3t\r\n", "\n s3cr3t \n"])
def test_blanks_around_a_secret_are_no_part_of_it_wherever_it_stands(tmp_path: Path, secret: str) -> None:
    (tmp_path / "other.secret").write_text(secret, newline="")
    for line in ('secret_key_file = "other.secret"', 'secret_key = "env:SECRET"'):
        found = read_services(written(tmp_path, f"{BUCKET}{line}\n"), {"SECRET": secret})
        assert found.storing.buckets[0].secret_key == "s3cr3t"


@pytest.mark.parametrize("secret", ["two words", "two\nlines", "bell\a", "", " "])
def test_what_is_no_single_secret_is_refused_wherever_it_stands(tmp_path: Path, secret: str) -> None:
    (tmp_path / "other.secret").write_text(secret)
    for line in ('secret_key_file = "other.secret"', 'secret_key = "env:SECRET"'):
        with pytest.raises(UsageError) as caught:
            read_services(written(tmp_path, f"{BUCKET}{line}\n"), {"SECRET": secret})
        assert caught.value.cure
        assert "words" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://tsa.example", "over http"),
        ("http://127.0.0.1.example", "over http"),
        ("http://localhost.example", "over http"),
        ("https://user:secret@tsa.example", "no user"),
        ("https://tsa.example/?key=secret", "no query"),
        ("https://tsa.example/#x", "no query"),
        ("https://", "no address"),
        ("tsa.example", "no address"),
        ("file:///etc/passwd", "no address"),
        ("https://[::1", "no address"),
        ("https://a.example:99999999", "no address"),
        ("https://a.example/ä", "no address"),
        ("https://a.example/ b", "no address"),
    ],
)
def test_an_address_that_cannot_be_trusted_is_refused(tmp_path: Path, url: str, message: str) -> None:
    error = fault(tmp_path, f'[[anchoring.authorities]]\nurl = "{url}"\n')
    assert message in error.message
    assert "secret" not in str(error)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost", "http://[::1]:8080/x", "https://a.example"])
def test_addresses_that_nobody_on_the_way_can_answer_for_are_taken(tmp_path: Path, url: str) -> None:
    found = read_services(written(tmp_path, f'[[anchoring.authorities]]\nurl = "{url}"\n'), {})
    assert found.anchoring.authorities == (Authority(url),)


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    assert "bytes" in fault(tmp_path, "# " + "x" * 2_000_000).message


def test_a_secret_of_several_lines_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, f"{BUCKET}secret_key_file = 'bucket.secret'\n")
    (tmp_path / "bucket.secret").write_text("one\ntwo\n")
    with pytest.raises(UsageError, match="one secret on one line"):
        read_services(path, {})


def test_the_file_stands_in_the_data_folder_or_where_it_is_said(tmp_path: Path) -> None:
    found = read_settings({"PITH_DATA": str(tmp_path)})
    assert found.services_path == tmp_path / "services.toml"
    assert found.jobs_path == tmp_path / "jobs.db"
    other = tmp_path / "other.toml"
    other.touch()
    assert read_settings({"PITH_DATA": str(tmp_path), "PITH_SERVICES": str(other)}).services_path == other
    with pytest.raises(UsageError, match="no such file"):
        read_settings({"PITH_SERVICES": str(tmp_path / "nowhere.toml")})

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from ledger.errors import ServiceRefusedError, ServiceUnavailableError
from ops.services import WebArchive
from ops.storage.mementos import Memento, not_this_capture, parse_memento, stamp_of
from ops.storage.wayback import RETRYABLE, Archive, CapturedByOthersError
from tests.api.liars import Reply, scripted
from tests.ops.storage.archives import RealArchive, Switches, eventually, shared_fetching, web_archive
from tests.ops.storage.strangers import answering, stranger

URL = "https://example.org/a paper.pdf?v=1&w=2"
STAMP = "20260827142259"
DEEP = b'{"job_id":' + b"[" * 20_000


def repr_of(content: bytes) -> str:
    return repr(content[:20])


def archive_at(address: str, key: str = "key", secret: str = "hunter2") -> Archive:
    settings = WebArchive("archive", f"{address}/save", f"{address}/cdx", f"{address}/web", key, secret)
    return Archive(settings, shared_fetching())


def save(reply: Reply) -> str:
    with scripted(lambda _: reply) as server:
        return archive_at(server.address).save(URL)


def saved(reply: Reply) -> str | None:
    with scripted(lambda _: reply) as server:
        return archive_at(server.address).saved("spn2-1")


def captures(reply: Reply) -> list[str]:
    with scripted(lambda _: reply) as server:
        return archive_at(server.address).captures(URL, "20260101000000")


# --- the interface, as its documents have it -----------------------------------------------------


def test_a_capture_is_ordered_by_a_form_with_the_keys() -> None:
    with scripted(lambda _: Reply.of({"url": URL, "job_id": "spn2-0a"})) as server:
        assert archive_at(server.address).save(URL) == "spn2-0a"
    (asked,) = server.asked
    assert (asked.method, asked.target) == ("POST", "/save")
    assert asked.headers["authorization"] == "LOW key:hunter2" and asked.headers["accept"] == "application/json"
    assert parse_qs(asked.body.decode()) == {"url": [URL], "force_get": ["1"]}


def test_without_keys_none_are_sent() -> None:
    with scripted(lambda _: Reply.of({"job_id": "spn2-0a"})) as server:
        archive_at(server.address, "", "").save(URL)
    assert "authorization" not in server.asked[0].headers


@pytest.mark.parametrize("job", ["spn2-" + "a" * 40, "anything at all/../?x", "é"])
def test_a_job_is_asked_for_under_whatever_name_it_has(job: str) -> None:
    with scripted(lambda _: Reply.of({"status": "pending"})) as server:
        assert archive_at(server.address).saved(job) is None
    assert server.targets[0].startswith("GET /save/status/") and server.targets[0].count("/") == 3


def test_a_job_that_ended_well_names_its_capture() -> None:
    done = {"status": "success", "timestamp": STAMP, "original_url": URL, "duration_sec": 16.04, "counters": {}}
    assert saved(Reply.of(done)) == STAMP


@pytest.mark.parametrize("code", sorted(RETRYABLE))
def test_what_can_go_better_is_tried_again(code: str) -> None:
    failed = Reply.of({"status": "error", "status_ext": code, "message": "Not now."})
    for ask in (save, saved):
        with pytest.raises(ServiceUnavailableError, match=code):
            ask(failed)


@pytest.mark.parametrize("code", ["error:blocked-url", "error:not-found", "error:invented-yesterday", "\x1b[31m", ""])
def test_every_other_error_is_final_and_quoted_printably(code: str) -> None:
    failed = Reply.of({"status": "error", "status_ext": code, "message": "No.\x00\n" + "x" * 5_000})
    for ask in (save, saved):
        with pytest.raises(ServiceRefusedError) as caught:
            ask(failed)
        assert caught.value.message.isprintable() and len(caught.value.message) < 400


def test_too_many_captures_today_is_told_apart() -> None:
    failed = Reply.of({"status": "error", "status_ext": "error:too-many-daily-captures", "message": "Enough."})
    for ask in (save, saved):
        with pytest.raises(CapturedByOthersError):
            ask(failed)


@pytest.mark.parametrize(("status", "is_retryable"), [(401, True), (403, True), (429, True), (502, True), (400, False)])
def test_a_status_is_translated(status: int, is_retryable: bool) -> None:
    with pytest.raises(ServiceUnavailableError if is_retryable else ServiceRefusedError) as caught:
        save(Reply.of({"message": "no"}, status))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"null", b'{"job_id": 7}', b'{"status":"success"}', b"\xff", DEEP],
    ids=repr_of,
)
def test_what_is_no_answer_of_the_interface_is_refused(content: bytes) -> None:
    for ask in (save, saved):
        with pytest.raises((ServiceUnavailableError, ServiceRefusedError)):
            ask(Reply(content))


@pytest.mark.parametrize("stamp", ["2026", "20261399000000", "x" * 14, "20260827142259; rm", "٢٠٢٦٠٨٢٧١٤٢٢٥٩", ""])
def test_a_time_that_there_is_not_is_no_capture(stamp: str) -> None:
    with pytest.raises(ServiceUnavailableError):
        saved(Reply.of({"status": "success", "timestamp": stamp}))


def test_an_answer_without_end_is_given_up() -> None:
    with stranger(answering(b"x" * 200_000, length=10**9)) as server:
        archive = archive_at(f"http://127.0.0.1:{server.port}")
        for ask in (lambda: archive.save(URL), lambda: archive.saved("a"), lambda: archive.captures(URL, STAMP)):
            with pytest.raises(ServiceUnavailableError):
                ask()


def test_the_index_is_read_in_both_spellings() -> None:
    columns = ["timestamp", "original", "statuscode"]
    rows = [["20260827142259", URL, "200"], ["20260827142300", URL, "-"], ["20260827142301", URL, "404"]]
    lines = "\n".join(json.dumps({"timestamp": row[0], "url": row[1], "status": row[2]}) for row in rows)
    for reply in (Reply.of([columns, *rows]), Reply(lines.encode())):
        assert captures(reply) == ["20260827142259", "20260827142300"]


def test_an_index_without_captures_is_empty_in_every_spelling() -> None:
    for content in (b"", b"[]", b"\n", b'[["timestamp","original","statuscode"]]'):
        assert captures(Reply(content)) == []


def test_captures_from_before_are_passed_over() -> None:
    rows = [["timestamp", "original", "statuscode"], ["20250827142259", URL, "200"]]
    assert captures(Reply.of(rows)) == []


@pytest.mark.parametrize(
    "content", [b"<html>", b"7", b'"x"', b"[7]", b"[[1],[2,3]]", b"{}\n7", b"\xff\xfe", DEEP], ids=repr_of
)
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(ServiceUnavailableError, match="no index"):
        captures(Reply(content))


# --- addresses of captures -----------------------------------------------------------------------


def test_the_address_of_a_capture_is_read_and_written_back() -> None:
    address = f"https://web.archive.org/web/{STAMP}/{URL}"
    memento = parse_memento(address)
    assert memento == Memento("https://web.archive.org/web", STAMP, URL)
    assert memento.address == address
    assert memento.raw == f"https://web.archive.org/web/{STAMP}id_/{URL}"
    assert memento.captured_at == "2026-08-27T14:22:59Z"
    assert parse_memento(memento.raw) == memento


@pytest.mark.parametrize(
    "address",
    [
        "https://web.archive.org/web/2026/https://example.org/",
        "https://web.archive.org/web/*/https://example.org/",
        "https://web.archive.org/web/20261399000000/https://example.org/",
        "https://example.org/a.pdf",
        "",
    ],
)
def test_what_names_no_second_is_no_capture(address: str) -> None:
    assert parse_memento(address) is None


@pytest.mark.parametrize(
    ("final", "datetime", "why"),
    [
        (f"https://a.example/web/{STAMP}id_/{URL}", "Thu, 27 Aug 2026 14:22:59 GMT", ""),
        (f"https://a.example/web/20260101000000id_/{URL}", "Thu, 27 Aug 2026 14:22:59 GMT", "elsewhere"),
        ("https://a.example/login", "Thu, 27 Aug 2026 14:22:59 GMT", "elsewhere"),
        (f"https://a.example/web/{STAMP}id_/{URL}", "Thu, 27 Aug 2026 14:23:00 GMT", "14:23:00"),
        (f"https://a.example/web/{STAMP}id_/{URL}", "", "does not say"),
        (f"https://a.example/web/{STAMP}id_/{URL}", "yesterday, more or less", "does not say"),
        (f"https://a.example/web/{STAMP}id_/{URL}", "Thu, 99 Aug 99999 14:22:59 GMT", "does not say"),
    ],
)
def test_another_capture_is_no_answer(final: str, datetime: str, why: str) -> None:
    memento = Memento("https://a.example/web", STAMP, URL)
    said = not_this_capture(memento, final, {"memento-datetime": datetime} if datetime else {})
    assert (why in said) if why else not said


def test_a_time_is_written_in_fourteen_digits() -> None:
    assert stamp_of(1_787_840_579_999_999) == "20260827142259"


# --- a real archive ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealArchive]:
    with web_archive(tmp_path_factory.mktemp("archive")) as found:
        yield found


@pytest.fixture
def archive(real: RealArchive) -> Iterator[RealArchive]:
    real.switches = Switches()
    yield real
    real.switches = Switches()


def test_a_real_capture_is_ordered_followed_and_found(archive: RealArchive) -> None:
    with stranger(answering(b"%PDF a paper", 200, "content-type: application/pdf")) as site:
        url = f"http://127.0.0.1:{site.port}/ordered.pdf"
        client = Archive(archive.settings(), shared_fetching())
        assert client.captures(url, "20200101000000") == []
        job = client.save(url)
        stamp = eventually(lambda: client.saved(job))
        assert client.captures(url, "20200101000000") == [stamp]
        assert client.captures(url, "20990101000000") == []
        assert client.save(url) == job


def test_a_real_archive_with_wrong_keys_says_which_setting_to_check(archive: RealArchive) -> None:
    settings = WebArchive("archive", f"{archive.address}/save", "", "", "no", "such key")
    with pytest.raises(ServiceUnavailableError) as caught:
        Archive(settings, shared_fetching()).save("http://127.0.0.1/")
    assert "secret_key" in caught.value.cure and "such key" not in str(caught.value)

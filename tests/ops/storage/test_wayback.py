from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from ledger.errors import ServiceRefusedError, ServiceUnavailableError
from ops.services import WebArchive
from ops.storage.archive_errors import (
    BUSY,
    MAX_RETRY_SECONDS,
    RETRYABLE,
    ArchiveBusyError,
    ArchiveUnavailableError,
    CapturedByOthersError,
    CaptureRefusedError,
    retry_after,
)
from ops.storage.mementos import Memento, is_same_address, not_this_capture, parse_memento, stamp_of
from ops.storage.wayback import Archive
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


@pytest.mark.parametrize("code", sorted(BUSY))
def test_an_archive_that_begins_nothing_more_is_busy_with_all_addresses(code: str) -> None:
    for ask in (save, saved):
        with pytest.raises(ArchiveBusyError, match=code):
            ask(Reply.of({"status": "error", "status_ext": code, "message": "Not now."}))


@pytest.mark.parametrize(
    ("code", "is_final"),
    [
        ("error:blocked-url", True),
        ("error:not-found", True),
        ("error:invented-yesterday", True),
        ("\x1b[31m", False),
        ("", False),
    ],
)
def test_only_a_code_of_the_interface_is_final_and_all_is_quoted_printably(code: str, is_final: bool) -> None:
    failed = Reply.of({"status": "error", "status_ext": code, "message": "No.\x00\n" + "x" * 5_000})
    for ask in (save, saved):
        with pytest.raises(CaptureRefusedError if is_final else ServiceUnavailableError) as caught:
            ask(failed)
        assert caught.value.message.isprintable() and len(caught.value.message) < 400


def test_too_many_captures_today_is_told_apart() -> None:
    failed = Reply.of({"status": "error", "status_ext": "error:too-many-daily-captures", "message": "Enough."})
    for ask in (save, saved):
        with pytest.raises(CapturedByOthersError):
            ask(failed)


@pytest.mark.parametrize(
    ("status", "is_about_all"),
    [(302, True), (401, True), (403, True), (429, True), (502, True), (400, False), (404, False), (418, False)],
)
def test_no_status_is_final(status: int, is_about_all: bool) -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        save(Reply.of({"message": "no"}, status))
    assert isinstance(caught.value, ArchiveUnavailableError) == is_about_all
    assert "hunter2" not in str(caught.value)


def test_an_index_that_refuses_one_address_is_not_out_of_order() -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        captures(Reply.of({"message": "blocked"}, 403))
    assert not isinstance(caught.value, ArchiveUnavailableError)


def test_how_long_an_archive_asks_to_be_left_alone_is_told() -> None:
    with pytest.raises(ArchiveUnavailableError) as caught:
        save(Reply.of({}, 429, retry_after="600"))
    assert caught.value.retry_after == 600


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("120", 120),
        ("9" * 40, MAX_RETRY_SECONDS),
        ("Thu, 27 Aug 2026 14:24:59 GMT", 120),
        ("Thu, 27 Aug 2020 14:24:59 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 -0100", MAX_RETRY_SECONDS),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
    ],
)
def test_a_wish_to_be_left_alone_is_read_in_both_spellings_and_bounded(stated: str, seconds: int) -> None:
    assert retry_after({"retry-after": stated, "date": "Thu, 27 Aug 2026 14:22:59 GMT"}) == seconds


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


@pytest.mark.parametrize(
    "other",
    [
        "https://example.org/a paper.pdf?v=1&w=23",
        "https://example.org/a paper.pdf",
        "https://example.org/another.pdf",
        "https://elsewhere.example/a paper.pdf?v=1&w=2",
        "http://example.org:8080/a paper.pdf?v=1&w=2",
        "",
    ],
)
def test_captures_of_another_address_are_passed_over(other: str) -> None:
    assert captures(Reply.of([["timestamp", "original", "statuscode"], [STAMP, other, "200"]])) == []


@pytest.mark.parametrize(
    "spelling",
    [
        "http://www.example.org/a%20paper.pdf?v=1&w=2",
        "https://example.org:443/a paper.pdf?v=1&w=2",
        "HTTP://EXAMPLE.org:80/a%20paper.pdf?v=1&w=2",
    ],
)
def test_what_an_index_makes_no_difference_of_is_the_same_address(spelling: str) -> None:
    assert captures(Reply.of([["timestamp", "original", "statuscode"], [STAMP, spelling, "200"]])) == [STAMP]


def test_a_final_slash_makes_a_difference_only_where_it_is_said_so() -> None:
    assert not is_same_address("https://a.example/x", "https://a.example/x/")
    assert is_same_address("https://a.example/x", "http://a.example/x/", slash=True)
    assert is_same_address("https://a.example", "http:/a.example/")
    assert not is_same_address("https://a.example/x?y=", "https://a.example/x?y=/", slash=True)


@pytest.mark.parametrize("url", ["https://example.org/p?x=*", "*.example.org"])
def test_an_address_that_stands_for_many_is_asked_of_nobody(url: str) -> None:
    with scripted(lambda _: Reply.of([])) as server:
        archive = archive_at(server.address)
        for ask in (lambda: archive.save(url), lambda: archive.captures(url, STAMP)):
            with pytest.raises(CaptureRefusedError):
                ask()
    assert not server.asked


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
        "https://web.archive.org/web/09990101000000/https://example.org/",
        "https://web.archive.org/web/19891231235959/https://example.org/",
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
        (f"https://a.example/web/{STAMP}id_/https://other.example/", "Thu, 27 Aug 2026 14:22:59 GMT", "elsewhere"),
        (f"https://a.example/web/{STAMP}id_/{URL}3", "Thu, 27 Aug 2026 14:22:59 GMT", "elsewhere"),
        (f"https://other.example/web/{STAMP}id_/{URL}", "Thu, 27 Aug 2026 14:22:59 GMT", "elsewhere"),
        (f"https://a.example/web/{STAMP}id_/http://www.{URL[8:]}", "Thu, 27 Aug 2026 14:22:59 GMT", ""),
        (f"https://a.example/web/{STAMP}id_/{URL}", "Fri, 31 Dec 9999 23:59:59 -0100", "does not say"),
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

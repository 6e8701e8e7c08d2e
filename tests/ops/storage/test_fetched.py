from __future__ import annotations

import gzip
import hashlib
import ssl
import threading
import time
import zlib
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from ledger.errors import SourceUnreadableError
from ops.fetching import Fetching
from ops.services import Fetched
from ops.storage.fetched import MAX_REDIRECTS, Copy, CopyFetching
from ops.storage.guard import AddressRefusedError, Guard
from ops.storage.pinned import GuardedTransport
from ops.storage.public_addresses import Address
from tests.api.liars import Asked, Reply, scripted
from tests.logs import Ticking
from tests.ops.storage.strangers import LOOPBACK, Send, Stranger, answering, certified, reply, stranger

CONTENT = b"%PDF-1.7 a paper" * 1_000
HOST = "site.example"


def at_home(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def fetching(server: Stranger, *, max_bytes: int = 100_000, seconds: int = 20, **others: object) -> CopyFetching:
    guard = Guard([f"{HOST}:{server.port}"], LOOPBACK, at_home)
    return CopyFetching(guard, Fetched(max_bytes=max_bytes, seconds=seconds), Ticking(), **others)  # type: ignore[arg-type]


def fetched(server: Stranger, path: str = "/paper.pdf", **limits: int) -> Copy:
    return fetching(server, **limits).fetch(server.at(HOST, path))


def test_a_copy_is_held_with_its_hash_length_and_type() -> None:
    with stranger(answering(CONTENT, 200, "content-type: Application/PDF; version=1")) as server:
        with fetched(server) as copy:
            assert (copy.outcome, copy.sha256) == ("held", hashlib.sha256(CONTENT).hexdigest())
            assert (copy.length, copy.media_type, copy.status) == (len(CONTENT), "application/pdf", 200)
            assert copy.final_url == server.at(HOST, "/paper.pdf")
            assert copy.body is not None and copy.body.read() == CONTENT
            assert copy.started_at < copy.ended_at
        assert copy.body.closed


def test_the_evidence_is_the_answers_head_as_it_came() -> None:
    with stranger(answering(CONTENT, 200, "X-Strange:  yes")) as server, fetched(server) as copy:
        assert copy.evidence.startswith(b"HTTP 200\r\n") and b"X-Strange: yes" in copy.evidence
        assert copy.evidence_sha256 == hashlib.sha256(copy.evidence).hexdigest()


@pytest.mark.parametrize("kind", ["", "nonsense", "a/b/c", "text/ü", "text/" + "x" * 200])
def test_a_type_that_is_none_is_recorded_as_bytes(kind: str) -> None:
    script = answering(b"x", 200, *([f"content-type: {kind}"] if kind else []))
    with stranger(script) as server, fetched(server) as copy:
        assert copy.media_type == "application/octet-stream"


@pytest.mark.parametrize("status", [404, 410])
def test_only_what_the_server_calls_gone_is_missing(status: int) -> None:
    with stranger(answering(b"not here", status)) as server:
        copy = fetched(server)
    assert (copy.outcome, copy.status, copy.body) == ("missing", status, None)


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 429, 451, 500, 502, 503])
def test_every_other_status_says_nothing_about_the_copy(status: int) -> None:
    script = answering(b"" if status in (204, 304) else b"no", status)
    with stranger(script) as server:
        copy = fetched(server)
    assert (copy.outcome, copy.status) == ("unreachable", status)
    assert str(status) in copy.reason


def test_a_body_cut_short_is_unreachable() -> None:
    with stranger(answering(CONTENT[:500], 200, length=len(CONTENT))) as server:
        copy = fetched(server)
    assert copy.outcome == "unreachable" and not copy.sha256 and copy.body is None


def test_chunks_without_their_end_are_unreachable() -> None:
    def script(_: str, send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")

    with stranger(script) as server:
        assert fetched(server).outcome == "unreachable"


def test_a_copy_that_says_it_is_too_long_is_not_read() -> None:
    def script(_: str, send: Send) -> None:
        send(reply(length=1_000_000_000))
        server.stopped.wait(30)

    with stranger(script) as server:
        copy = fetched(server, max_bytes=1_000)
    assert copy.outcome == "unreachable" and "1000 bytes" in copy.reason


def test_a_body_that_never_ends_is_given_up_at_the_limit() -> None:
    def script(_: str, send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        while True:
            send(b"x" * 65_536)

    with stranger(script) as server:
        copy = fetched(server, max_bytes=1_000_000)
    assert copy.outcome == "unreachable" and "1000000 bytes" in copy.reason


def test_a_slow_drip_is_given_up_at_the_deadline() -> None:
    def script(_: str, send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not server.stopped.wait(0.1):
            send(b"x")

    with stranger(script) as server:
        copy = fetched(server, seconds=1)
    assert copy.outcome == "unreachable" and "1 second" in copy.reason


def test_headers_that_never_end_are_given_up() -> None:
    def script(_: str, send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\n")
        while not server.stopped.is_set():
            send(b"x-more: " + b"y" * 1_000 + b"\r\n")

    with stranger(script) as server:
        assert fetched(server).outcome == "unreachable"


def test_a_server_that_says_nothing_is_given_up_at_the_deadline() -> None:
    def script(_: str, __: Send) -> None:
        server.stopped.wait(30)

    with stranger(script) as server:
        copy = fetched(server, seconds=1)
    assert copy.outcome == "unreachable" and copy.status is None and not copy.evidence_sha256


def test_what_is_no_http_is_unreachable_and_quoted_printably() -> None:
    with stranger(lambda _, send: send(b"\x00\x1b[31mSSH-2.0-nothing\r\n\r\n")) as server:
        copy = fetched(server)
    assert copy.outcome == "unreachable" and copy.reason.isprintable()


def test_nobody_there_is_unreachable() -> None:
    with stranger(answering(b"")) as server:
        pass
    assert fetched(server).outcome == "unreachable"


def test_packed_content_is_unpacked_before_it_is_hashed() -> None:
    with stranger(answering(gzip.compress(CONTENT), 200, "content-encoding: gzip")) as server, fetched(server) as copy:
        assert (copy.outcome, copy.length) == ("held", len(CONTENT))
        assert copy.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_packed_content_of_exactly_the_limit_is_held() -> None:
    content = bytes(3 * 65_536)
    with stranger(answering(gzip.compress(content), 200, "content-encoding: gzip")) as server:
        with fetched(server, max_bytes=len(content)) as copy:
            assert (copy.outcome, copy.length) == ("held", len(content))
        assert fetched(server, max_bytes=len(content) - 1).outcome == "unreachable"


@pytest.mark.parametrize(
    ("packed", "encoding", "why"),
    [
        (gzip.compress(bytes(50_000_000)), "gzip", "100000 bytes"),
        (gzip.compress(CONTENT)[:-9], "gzip", "cut off"),
        (gzip.compress(CONTENT) + b"more", "gzip", "behind the end"),
        (b"not gzip at all", "gzip", "not gzip"),
        (zlib.compress(CONTENT), "deflate", "encoding"),
        (CONTENT, "br", "encoding"),
        (CONTENT, "gzip, gzip", "encoding"),
    ],
    ids=["a bomb", "cut off", "with a tail", "none at all", "deflate", "br", "twice"],
)
def test_packing_that_cannot_be_undone_within_limits_is_unreachable(packed: bytes, encoding: str, why: str) -> None:
    with stranger(answering(packed, 200, f"content-encoding: {encoding}")) as server:
        copy = fetched(server)
    assert copy.outcome == "unreachable" and why in copy.reason


def test_redirects_are_followed_and_the_last_address_recorded() -> None:
    def script(target: str, send: Send) -> None:
        send(reply(CONTENT) if target == "/b" else reply(b"", 302, "location: /b"))

    with stranger(script) as server, fetched(server, "/a") as copy:
        assert copy.outcome == "held" and copy.final_url == server.at(HOST, "/b")
        assert server.asked == ["/a", "/b"]


def test_a_redirect_loop_ends() -> None:
    with stranger(answering(b"", 301, "location: /again")) as server:
        copy = fetched(server)
    assert copy.outcome == "unreachable" and len(server.asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://127.0.0.1/",
        "http://evil.example/",
        "//evil.example/",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/passwd",
        "http://user@site.example/",
        "http://2852039166/",
    ],
)
def test_a_redirect_to_what_is_not_allowed_is_refused(location: str) -> None:
    with stranger(answering(b"", 302, f"location: {location}")) as server:
        copy = fetched(server)
    assert copy.outcome == "refused" and len(server.asked) == 1


def test_a_redirect_to_nowhere_is_unreachable() -> None:
    with stranger(answering(b"", 302)) as server:
        assert fetched(server).outcome == "unreachable"


def test_a_redirect_out_of_tls_is_refused(tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path, [HOST])
    with stranger(answering(CONTENT)) as plain:
        with stranger(answering(b"", 302, f"location: {plain.at(HOST)}"), tls) as server:
            guard = Guard([f"{HOST}:{server.port}", f"{HOST}:{plain.port}"], LOOPBACK, at_home)
            copy = CopyFetching(guard, Fetched(), Ticking(), trusting).fetch(server.at(HOST, scheme="https"))
        assert copy.outcome == "refused" and "TLS" in copy.reason and not plain.asked


def test_a_name_is_resolved_once_and_that_address_connected_to() -> None:
    looked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["10.0.0.1"]

    with stranger(answering(CONTENT)) as server:
        guard = Guard([f"{HOST}:{server.port}"], LOOPBACK, rebinding)
        fetches = CopyFetching(guard, Fetched(), Ticking())
        with fetches.fetch(server.at(HOST)) as copy:
            assert copy.outcome == "held" and looked == [HOST]
        again = fetches.fetch(server.at(HOST))
        assert again.outcome == "refused" and "10.0.0.1" in again.reason
        assert server.asked == ["/"]


def test_a_redirect_to_the_same_name_is_resolved_anew() -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    with stranger(answering(b"", 302, "location: /b")) as server:
        guard = Guard([f"{HOST}:{server.port}"], LOOPBACK, lambda _host, _port: answers.pop(0))
        copy = CopyFetching(guard, Fetched(), Ticking()).fetch(server.at(HOST))
    assert copy.outcome == "refused" and not answers


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with stranger(answering(CONTENT)) as server:
        guard = Guard([f"{HOST}:{server.port}"], LOOPBACK, lambda _host, _port: ["127.0.0.9", "127.0.0.1"])
        with CopyFetching(guard, Fetched(), Ticking()).fetch(server.at(HOST)) as copy:
            assert copy.outcome == "held"


def test_tls_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path, [HOST])
    with stranger(answering(CONTENT), tls) as server:
        with fetching(server, tls=trusting).fetch(server.at(HOST, scheme="https")) as copy:
            assert copy.outcome == "held"
        assert fetching(server).fetch(server.at(HOST, scheme="https")).outcome == "unreachable"
    other, trusting = certified(tmp_path, ["other.example", "127.0.0.1"])
    with stranger(answering(CONTENT), other) as server:
        copy = fetching(server, tls=trusting).fetch(server.at(HOST, scheme="https"))
        assert copy.outcome == "unreachable" and not server.asked


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with stranger(answering(b"a proxy was here")) as proxy, stranger(answering(CONTENT)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        with fetched(server) as copy:
            assert copy.outcome == "held"
        assert not proxy.asked


def test_a_fetch_that_is_not_allowed_asks_nobody() -> None:
    with stranger(answering(CONTENT)) as server:
        copy = fetching(server).fetch(f"http://127.0.0.1:{server.port}/")
    assert copy.outcome == "refused" and not server.asked


def test_fetches_from_several_threads_do_not_wait_for_each_other() -> None:
    def script(target: str, send: Send) -> None:
        if target == "/slow":
            # Answers only once the other was answered.
            deadline = time.monotonic() + 10
            while "/fast" not in server.asked and time.monotonic() < deadline:
                time.sleep(0.01)
        send(reply(target.encode()))

    with stranger(script) as server:
        fetches, outcomes = fetching(server), {}

        def run(path: str) -> None:
            with fetches.fetch(server.at(HOST, path)) as copy:
                outcomes[path] = copy.outcome

        slow = threading.Thread(target=run, args=("/slow",))
        slow.start()
        run("/fast")
        slow.join()
    assert outcomes == {"/slow": "held", "/fast": "held"}


def test_small_requests_through_the_guarded_transport_are_guarded_too() -> None:
    with stranger(answering(b"an answer")) as server:
        asking = Fetching(20, GuardedTransport(Guard([f"{HOST}:{server.port}"], LOOPBACK, at_home)))
        assert asking.ask("POST", server.at(HOST), 100, body=b"a question").body == b"an answer"
        with pytest.raises(AddressRefusedError):
            asking.ask("GET", f"http://127.0.0.1:{server.port}/", 100)
        assert len(server.asked) == 1


class Reaching(Guard):
    """A guard behind which every public name leads to this machine, in no network of its own."""

    def addresses(self, host: str, port: int) -> list[Address]:
        return [ip_address("127.0.0.1")]


def from_afar(server: Stranger, path: str = "/", tls: ssl.SSLContext | None = None, scheme: str = "http") -> Copy:
    """Fetch as from a public address."""
    guard = Reaching([f"{HOST}:{server.port}"])
    return CopyFetching(guard, Fetched(), Ticking(), tls).fetch(server.at(HOST, path, scheme))


def test_a_redirect_to_a_host_that_is_no_name_is_unreachable_and_no_silence() -> None:
    for location in ("http://xn--a/", "http://xn--0.example/p", "http://[::1/"):
        with stranger(answering(b"", 302, f"location: {location}")) as server:
            copy = fetched(server)
            assert copy.outcome == "unreachable" and copy.reason and not copy.is_silent
            with pytest.raises(SourceUnreadableError):
                Fetching(20).ask("POST", f"http://127.0.0.1:{server.port}/", 100, body=b"a question")


def test_a_server_that_says_nothing_at_all_is_silent_and_one_that_sends_elsewhere_is_not() -> None:
    with stranger(lambda _, __: None) as server:
        assert fetched(server).is_silent
        with stranger(answering(b"", 302, f"location: {server.at(HOST)}")) as first:
            guard = Guard([f"{HOST}:{server.port}", f"{HOST}:{first.port}"], LOOPBACK, at_home)
            copy = CopyFetching(guard, Fetched(), Ticking()).fetch(first.at(HOST))
    assert copy.outcome == "unreachable" and not copy.is_silent


def test_no_cookie_is_sent_back_to_anybody() -> None:
    heads = []

    def serve(asked: Asked) -> Reply:
        heads.append(asked.headers)
        return Reply(b"x", 200, {"set-cookie": "a=1; Path=/", "content-type": "text/plain"})

    with scripted(serve) as server:
        fetches = CopyFetching(
            Guard([server.address.partition("://")[2]], LOOPBACK, at_home), Fetched(seconds=20), Ticking()
        )
        asking = Fetching(20)
        for _ in range(2):
            fetches.fetch(f"{server.address}/").close()
            asking.get(f"{server.address}/", 100)
    assert len(heads) == 4 and not any("cookie" in head for head in heads)


def test_what_comes_over_plain_http_from_afar_is_in_doubt(tmp_path: Path) -> None:
    with stranger(answering(CONTENT)) as server:
        with from_afar(server) as copy:
            assert copy.outcome == "held" and "plain http" in copy.doubt
        with fetched(server) as copy:
            assert not copy.doubt, "it comes from a network of one's own"
    tls, trusting = certified(tmp_path, [HOST])
    with stranger(answering(CONTENT), tls) as server, from_afar(server, "/", trusting, "https") as copy:
        assert copy.outcome == "held" and not copy.doubt


def test_a_redirect_over_plain_http_is_in_doubt_too(tmp_path: Path) -> None:
    tls, trusting = certified(tmp_path, [HOST])
    with (
        stranger(answering(CONTENT), tls) as server,
        stranger(answering(b"", 302, f"location: {server.at(HOST, '/p', 'https')}")) as first,
    ):
        guard = Reaching([f"{HOST}:{server.port}", f"{HOST}:{first.port}"])
        with CopyFetching(guard, Fetched(), Ticking(), trusting).fetch(first.at(HOST)) as copy:
            assert copy.outcome == "held" and "plain http" in copy.doubt and copy.is_redirected


@pytest.mark.parametrize(
    ("head", "body", "is_in_doubt"),
    [
        (b"", CONTENT, True),
        (b"content-encoding: gzip\r\n", gzip.compress(CONTENT), False),
        (b"transfer-encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONTENT), CONTENT), False),
        (b"content-length: %d\r\n" % len(CONTENT), CONTENT, False),
    ],
    ids=["until it closes", "gzip", "chunks", "a length"],
)
def test_a_body_whose_end_nothing_tells_is_in_doubt(head: bytes, body: bytes, is_in_doubt: bool) -> None:
    def script(_: str, send: Send) -> None:
        send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + head + b"\r\n" + body)

    with stranger(script) as server, fetched(server) as copy:
        assert copy.outcome == "held" and copy.length == len(CONTENT)
        assert ("cut off" in copy.doubt) == is_in_doubt

"""The client on bad lines: what is tried again and how often, what is given up, and what is never sent."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from api.client import Client
from api.client.exchange import BrokenOffError
from api.client.problems import RemoteError
from api.client.transport import Timeouts
from ledger.appending import Submission
from ledger.errors import (
    LedgerError,
    LogCorruptedError,
    NotFoundError,
    ProjectionBehindError,
    SourceUnreadableError,
    StoreError,
)
from tests.api.clients import Pauses, hasty, signatory
from tests.api.liars import PROBLEM, Asked, Liar, Reply, honest, one_after_another, scripted
from tests.api.registry import Registry
from tests.builders import ALICE, NUMBER
from tests.ops.hostile import closed_port
from tests.ops.hostile_logs import Behaviour, Connection, hostile_log

FOUND = Reply.of({"query": "x", "hits": []})
NOW = 1_781_884_800_000_000
"""2026-06-19T16:00:00Z"""


def busy(status: int, **headers: str) -> Reply:
    return Reply.of({"type": "about:blank", "status": status, "detail": "not now"}, status, PROBLEM, **headers)


# What is tried again.


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_is_refused_for_now_is_asked_again(status: int) -> None:
    with scripted(one_after_another(busy(status), busy(status), FOUND)) as liar, hasty(liar.address) as client:
        assert client.search("x") == []
    assert len(liar.asked) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_submission_is_sent_again_for_it_is_the_same_event(registry: Registry, status: int) -> None:
    refused = [busy(status)]

    def script(asked: Asked) -> Reply:
        return refused.pop() if refused else honest(registry.address)(asked)

    event = registry.world.citation()
    with scripted(script) as liar, hasty(liar.address) as client:
        assert client.submit(event).created
        refused.append(busy(status))
        assert [outcome.event for outcome in client.submit_all([Submission(event)])] == [event]
    posts = [asked.body for asked in liar.asked if asked.method == "POST"]
    assert len(posts) == 4 and posts[0] == posts[1] and posts[2] == posts[3]


def test_an_answer_that_was_lost_on_the_way_is_asked_for_again(registry: Registry) -> None:
    lost = [True]

    def script(asked: Asked) -> Reply:
        reply = honest(registry.address)(asked)  # the log has taken it
        return busy(502) if lost and lost.pop() else reply

    with scripted(script) as liar, hasty(liar.address) as client:
        done = client.submit(registry.world.citation())
    assert not done.created and done.receipt and registry.home.store.entry(done.position)


def test_it_is_not_tried_for_ever() -> None:
    pauses = Pauses()
    with (
        scripted(one_after_another(busy(503))) as liar,
        hasty(liar.address, wait=pauses) as client,
        pytest.raises(RemoteError) as caught,
    ):
        client.search("x")
    assert (caught.value.status, len(liar.asked), pauses.seconds) == (503, 4, [0.5, 1.0, 2.0])


def test_pauses_are_varied_so_that_clients_do_not_come_back_in_step() -> None:
    pauses = Pauses()
    with (
        scripted(one_after_another(busy(503))) as liar,
        hasty(liar.address, wait=pauses, jitter=lambda: 1.0) as client,
        pytest.raises(RemoteError),
    ):
        client.search("x")
    assert pauses.seconds == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("told", "waited"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Fri, 19 Jun 2026 16:00:30 GMT", 30.0),
        ("Fri, 19 Jun 2026 15:00:00 GMT", 0.0),
        ("soon", 0.5),
        ("-5", 0.5),
        ("1e3", 0.5),
    ],
)
def test_a_registry_says_how_long_to_wait(told: str, waited: float) -> None:
    pauses = Pauses()
    with (
        scripted(one_after_another(busy(429, retry_after=told), FOUND)) as liar,
        hasty(liar.address, wait=pauses, clock=lambda: NOW) as client,
    ):
        client.search("x")
    assert pauses.seconds == [waited]


def test_a_registry_that_asks_for_too_much_time_is_not_waited_for() -> None:
    pauses = Pauses()
    with (
        scripted(one_after_another(busy(503, retry_after="3600"))) as liar,
        hasty(liar.address, wait=pauses) as client,
        pytest.raises(RemoteError),
    ):
        client.search("x")
    assert (len(liar.asked), pauses.seconds) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 501])
def test_what_will_not_change_is_asked_once(status: int) -> None:
    with (
        scripted(one_after_another(busy(status), FOUND)) as liar,
        hasty(liar.address) as client,
        pytest.raises(RemoteError) as caught,
    ):
        client.search("x")
    assert (caught.value.status, caught.value.message, len(liar.asked)) == (status, "not now", 1)


def test_a_log_that_contradicts_itself_is_not_asked_again() -> None:
    corrupted = Reply.of({"type": "urn:pith:error:log-corrupted", "status": 500, "detail": "stop"}, 500, PROBLEM)
    with (
        scripted(one_after_another(corrupted, FOUND)) as liar,
        hasty(liar.address) as client,
        pytest.raises(LogCorruptedError),
    ):
        client.search("x")
    assert len(liar.asked) == 1


def test_what_may_not_be_done_twice_is_asked_once() -> None:
    with (
        scripted(one_after_another(busy(503), Reply.of({}))) as liar,
        hasty(liar.address) as client,
        pytest.raises(RemoteError),
    ):
        client.begin_login(signatory(ALICE, "contributor"))
    assert len(liar.asked) == 1


def test_each_try_of_a_signed_request_is_signed_anew() -> None:
    queue = Reply.of({"status": "held", "events": [], "next_cursor": None})
    with scripted(one_after_another(busy(503), queue)) as liar, hasty(liar.address) as client:
        assert list(client.moderation_queue(signatory(ALICE, "contributor"))) == []
    first, second = (asked.headers["authorization"] for asked in liar.asked)
    assert first != second


# What problems become.


@pytest.mark.parametrize(
    ("code", "kind"),
    [("not-found", NotFoundError), ("store", StoreError), ("projection-behind", ProjectionBehindError)],
)
def test_a_problem_becomes_the_error_of_its_code(code: str, kind: type[LedgerError]) -> None:
    told = {
        "type": f"urn:pith:error:{code}",
        "status": 404,
        "detail": "d",
        "place": "p",
        "cure": "c",
        "request_id": "r",
    }
    with (
        scripted(lambda _: Reply.of(told, 404, PROBLEM)) as liar,
        hasty(liar.address) as client,
        pytest.raises(kind) as caught,
    ):
        client.search("x")
    assert (caught.value.message, caught.value.place, caught.value.cure) == ("d", "p", "c")


def test_a_problem_of_a_code_that_is_not_known_keeps_it() -> None:
    told = {"type": "urn:pith:error:teapot", "status": 418, "detail": "short and stout", "cure": "tip it"}
    with (
        scripted(lambda _: Reply.of(told, 418, PROBLEM)) as liar,
        hasty(liar.address) as client,
        pytest.raises(RemoteError) as caught,
    ):
        client.search("x")
    assert (caught.value.code, caught.value.status, caught.value.cure) == ("teapot", 418, "tip it")
    assert caught.value.facts()["error"] == "teapot"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<h1>no</h1>", 404, {"content-type": "text/html"}),
        Reply(b"{", 404, {"content-type": PROBLEM}),
        Reply(b"\xff", 404, {"content-type": PROBLEM}),
        Reply(b"[" * 100_000, 404, {"content-type": PROBLEM}),
        Reply.of({"type": 7}, 404, PROBLEM),
        Reply.of({"type": "urn:pith:error:../x\n", "detail": ""}, 404, PROBLEM),
        Reply(b"", 404, {}),
        Reply(b"x" * 300_000, 404, {"content-type": PROBLEM}),
    ],
)
def test_a_refusal_without_a_problem_is_still_a_refusal(reply: Reply) -> None:
    with scripted(lambda _: reply) as liar, hasty(liar.address) as client, pytest.raises(RemoteError) as caught:
        client.search("x")
    assert (caught.value.status, caught.value.code) == (404, "remote")
    assert "404 (Not Found)" in caught.value.message


def test_what_a_problem_says_is_cut_to_size() -> None:
    told = {"type": "about:blank", "status": 400, "detail": "x" * 100_000, "cure": "y" * 100_000}
    with (
        scripted(lambda _: Reply.of(told, 400, PROBLEM)) as liar,
        hasty(liar.address) as client,
        pytest.raises(RemoteError) as caught,
    ):
        client.search("x")
    assert len(str(caught.value)) < 5_000


# What is no answer.


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"{}", 200, {"content-type": "text/html"}), "text/html"),
        (Reply(b'{"hits":[]}', 200, {}), "no content type"),
        (Reply(b'{"hits":', 200), "something else"),
        (Reply(b'{"hits":7}', 200), "something else"),
        (Reply(b"{}", 200), "something else"),
        (Reply(b'{"hits":"\xff"}', 200), "something else"),
        (Reply(b"[" * 1_000_000, 200), "something else"),
        (Reply(b"no gzip", 200, {"content-type": "application/json", "content-encoding": "gzip"}), "not gzip"),
        (Reply(b"{}", 200, {"content-type": "application/json", "content-encoding": "br"}), "'br'"),
        (Reply(gzip.compress(b"{}" * 50)[:-9], 200, {"content-type": "x", "content-encoding": "gzip"}), "cut off"),
    ],
)
def test_another_answer_than_asked_for_is_named(reply: Reply, words: str) -> None:
    with (
        scripted(lambda _: reply) as liar,
        hasty(liar.address) as client,
        pytest.raises(SourceUnreadableError) as caught,
    ):
        client.search("x")
    assert words in caught.value.message and len(liar.asked) == 1


def test_an_answer_in_gzip_is_read() -> None:
    headers = {**FOUND.headers, "content-encoding": "gzip"}
    with scripted(lambda _: Reply(gzip.compress(FOUND.content), 200, headers)) as liar, hasty(liar.address) as client:
        assert client.search("x") == []


def test_a_little_gzip_does_not_become_endless_content() -> None:
    bomb = Reply(gzip.compress(bytes(8 << 20)), 200, {"content-type": "text/plain", "content-encoding": "gzip"})
    with (
        scripted(lambda _: bomb) as liar,
        hasty(liar.address) as client,
        pytest.raises(SourceUnreadableError) as caught,
    ):
        client.checkpoint()
    assert "more than the" in caught.value.message


# Bad lines.


@contextmanager
def facing(behave: Behaviour, **changes: object) -> Iterator[tuple[Client, list[str]]]:
    with hostile_log(behave) as log, hasty(log.address, **changes) as client:  # type: ignore[arg-type]
        yield client, log.paths


def truncated(connection: Connection) -> None:
    connection.head("200 OK", content_type="application/json", content_length=1_000)
    connection.send(b'{"hits":[')


def hanging_up(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-le")


def no_http(connection: Connection) -> None:
    connection.send(b"\x16\x03\x01 hello\r\n\r\n")


@pytest.mark.parametrize("behave", [truncated, hanging_up, no_http])
def test_an_answer_that_breaks_off_is_asked_for_again_and_then_named(behave: Behaviour) -> None:
    with facing(behave) as (client, paths), pytest.raises(BrokenOffError) as caught:
        client.search("x")
    assert len(paths) == 4 and caught.value.place.endswith("/api/search")


def test_an_answer_that_broke_off_once_is_had_the_second_time() -> None:
    turns: list[Behaviour] = [truncated, lambda line: line.answer(FOUND.content, content_type="application/json")]
    with facing(lambda connection: turns.pop(0)(connection)) as (client, _):
        assert client.search("x") == []


def endless(connection: Connection) -> None:
    connection.head("200 OK", content_type="text/plain")
    while True:
        connection.send(b"x" * 65_536)


def test_an_endless_body_is_cut_off() -> None:
    with facing(endless) as (client, paths), pytest.raises(SourceUnreadableError) as caught:
        client.checkpoint()
    assert "more than the 1048576 bytes" in caught.value.message and len(paths) == 1


def dribbled_body(connection: Connection) -> None:
    connection.head("200 OK", content_type="application/json")
    connection.dribble(b" ")


def dribbled_head(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.dribble(b"x: y\r\n")


@pytest.mark.parametrize("behave", [dribbled_body, dribbled_head])
def test_an_answer_that_never_ends_is_given_up_in_time(behave: Behaviour) -> None:
    with (
        facing(behave, timeouts=Timeouts(whole=0.3)) as (client, paths),
        pytest.raises(SourceUnreadableError) as caught,
    ):
        client.search("x")
    assert "within 0.3 seconds" in caught.value.message and len(paths) == 1


def test_a_registry_that_falls_silent_is_asked_again_and_then_named() -> None:
    with (
        facing(lambda connection: connection.over.wait(), timeouts=Timeouts(silence=0.1)) as (client, paths),
        pytest.raises(SourceUnreadableError) as caught,
    ):
        client.search("x")
    assert "silent" in caught.value.message and len(paths) == 4


def test_where_nobody_listens_that_is_said() -> None:
    with hasty(closed_port()) as client, pytest.raises(SourceUnreadableError) as caught:
        client.search("x")
    assert caught.value.place.startswith("http://127.0.0.1:")


@contextmanager
def over_tls(folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Run a server with a certificate that it signed itself; yields its address and what it was asked."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, secret.public_key(), 1, day, day + timedelta(days=3_650))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = made.sign(secret, SHA256()).public_bytes(Encoding.PEM)
    (folder / "tls.pem").write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.pem")
    asked: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                    asked.append(secured.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


# Where it is led.


@pytest.mark.parametrize(
    "where",
    [
        "http://169.254.169.254/latest/meta-data",
        "//127.0.0.1:1/",
        "https://{here}/",
        "http://localhost:1/",
        "file:///etc",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_to_another_server(where: str, status: int) -> None:
    with (
        scripted(lambda asked: Reply(b"", status, {"location": where.format(here=asked.headers["host"])})) as liar,
        hasty(liar.address) as client,
        pytest.raises(SourceUnreadableError) as caught,
    ):
        client.search("x")
    assert "redirect" in caught.value.message and len(liar.asked) == 1


def test_a_redirect_on_the_same_server_is_followed() -> None:
    def script(asked: Asked) -> Reply:
        return FOUND if asked.target == "/elsewhere" else Reply(b"", 302, {"location": "/elsewhere"})

    with scripted(script) as liar, hasty(liar.address) as client:
        assert client.search("x") == []


def test_redirects_do_not_go_on_for_ever() -> None:
    with (
        scripted(lambda _: Reply(b"", 302, {"location": "/again"})) as liar,
        hasty(liar.address) as client,
        pytest.raises(SourceUnreadableError),
    ):
        client.search("x")
    assert len(liar.asked) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_submission_is_never_led_elsewhere(registry: Registry, status: int) -> None:
    with (
        scripted(lambda _: Reply(b"", status, {"location": "/elsewhere"})) as liar,
        hasty(liar.address) as client,
        pytest.raises(RemoteError) as caught,
    ):
        client.submit(registry.world.citation())
    assert (caught.value.status, len(liar.asked)) == (status, 1)


# What is never sent.


def cookies_and_credentials(liar: Liar) -> set[str]:
    return {name for asked in liar.asked for name in asked.headers} & {"cookie", "authorization", "proxy-authorization"}


def test_cookies_are_not_taken_and_not_sent() -> None:
    baited = Reply(FOUND.content, 200, {**FOUND.headers, "set-cookie": "id=1; path=/"})
    with scripted(lambda _: baited) as liar, hasty(liar.address) as client:
        client.search("x")
        client.search("y")
    assert cookies_and_credentials(liar) == set()


def test_only_requests_that_need_a_signature_have_one(registry: Registry) -> None:
    with scripted(honest(registry.address)) as liar, hasty(liar.address) as client:
        client.submit(registry.world.citation())
        client.record(NUMBER)
        client.bundle(NUMBER)
        client.checkpoint()
        list(client.moderation_queue())
    assert cookies_and_credentials(liar) == set()


class Counting(httpx.AsyncHTTPTransport):
    """The network, with a count of what goes through it."""

    count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        return await super().handle_async_request(request)


def test_callers_may_bring_a_way_of_their_own_to_the_registry(registry: Registry) -> None:
    way = Counting()
    with hasty(registry.address, transport=way) as client:
        client.record(NUMBER)
    assert way.count == 1


def test_a_path_in_the_address_is_kept(registry: Registry) -> None:
    def script(asked: Asked) -> Reply:
        assert asked.target.startswith("/registry/")
        return honest(registry.address)(Asked(asked.method, asked.target.removeprefix("/registry"), {}, b""))

    with scripted(script) as liar, hasty(f"{liar.address}/registry/") as client:
        assert client.record(NUMBER).value["pith_number"] == NUMBER
        assert client.url == f"{liar.address}/registry"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with (
        over_tls(tmp_path) as (address, asked),
        hasty(address) as client,
        pytest.raises(SourceUnreadableError) as caught,
    ):
        client.search("x")
    assert "certificate" in caught.value.message.lower() and asked == []


def test_names_are_quoted_in_addresses(registry: Registry) -> None:
    asked: list[str] = []

    def script(request: Asked) -> Reply:
        asked.append(request.target)
        return honest(registry.address)(request)

    with scripted(script) as liar, hasty(liar.address) as client, pytest.raises(NotFoundError):
        client.record("../../x?y=z&q=other#frag")
    assert asked == ["/api/pith-number/resolve?q=..%2F..%2Fx%3Fy%3Dz%26q%3Dother%23frag&json=true"]

"""The client of a timestamp authority, against one that `openssl ts` signs for, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rfc3161_client import decode_timestamp_response
from rfc3161_client._rust import parse_timestamp_request

from ledger.anchors import confirm
from ledger.errors import ServiceError, ServiceRefusedError, ServiceUnavailableError, UsageError
from ops.fetching import Fetching
from ops.timestamps.authority import MAX_ANSWER_BYTES, AuthorityClient
from ops.timestamps.der import timestamp_request
from tests.ledger.timestamps import HELLO, ROOT, TOKEN
from tests.ops.timestamps.authorities import OTHER_POLICY, POLICY, UNKNOWN_POLICY, Authority
from tests.ops.timestamps.serving import Served, Switches

FETCHING = Fetching(deadline=20)
HASTY = Fetching(deadline=0.3)
CONTENT = b"a signed checkpoint\n"
DIGEST = hashlib.sha256(CONTENT).digest()
MINUTE = 60 * 1_000_000


def now() -> int:
    return time.time_ns() // 1_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("authority") / "keys") as running:
        yield running


@pytest.fixture
def authority(shared: Authority) -> Authority:
    """An honest authority, whatever the test before made of it."""
    shared.switches = Switches()
    shared.replays, shared.answers_about, shared.type = False, "", "application/timestamp-reply"
    shared.alters = bytes
    return shared


def client_of(
    authority: Authority,
    *roots: bytes,
    policy: str | None = None,
    clock: Callable[[], int] = now,
    fetching: Fetching = FETCHING,
) -> AuthorityClient:
    return AuthorityClient(authority.url, policy, roots or [authority.root_der], clock, fetching)


def refusal(authority: Authority, *roots: bytes, policy: str | None = None, clock: Callable[[], int] = now) -> str:
    """Return why a stamp is refused, for good."""
    with pytest.raises(ServiceRefusedError) as caught:
        client_of(authority, *roots, policy=policy, clock=clock).stamp(CONTENT)
    assert caught.value.place == authority.url
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    return caught.value.message


# What is accepted.


@pytest.mark.parametrize("key", ["p256", "rsa"])
def test_reply_verifies_here_and_by_openssl(tmp_path: Path, key: str) -> None:
    with Authority(tmp_path / "keys", key=key) as authority:  # type: ignore[arg-type]
        reply = client_of(authority).stamp(CONTENT)
        found = confirm(
            "rfc3161", DIGEST, reply, block_header=None, height=None, bitcoin=[], roots=[authority.root_der]
        )
        assert found.clock == f"rfc3161 {hashlib.sha256(authority.root_der).hexdigest()}"
        assert authority.accepts(CONTENT, reply) and not authority.accepts(CONTENT + b"!", reply)


def test_certificates_end_is_told(authority: Authority) -> None:
    ends = AuthorityClient.ends(client_of(authority).stamp(CONTENT))
    assert timedelta(days=99) < ends - datetime.now(UTC) < timedelta(days=101)


def test_end_of_what_is_no_reply_is_refused() -> None:
    for raw in (b"", b"no reply", TOKEN[:500]):
        with pytest.raises(ServiceRefusedError):
            AuthorityClient.ends(raw)


def test_every_request_is_fresh_and_asks_for_the_certificate(authority: Authority) -> None:
    authority.queries.clear()
    for _ in range(3):
        client_of(authority).stamp(CONTENT)
    requests = [parse_timestamp_request(query) for query in authority.queries]
    assert len({request.nonce for request in requests}) == 3
    for request in requests:
        assert request.cert_req and request.policy is None and request.message_imprint.message == DIGEST
        assert request.nonce is not None and request.nonce > 2**32


def test_policy_is_asked_for_and_found_in_the_reply(authority: Authority) -> None:
    for policy in (POLICY, OTHER_POLICY):
        reply = client_of(authority, policy=policy).stamp(CONTENT)
        assert decode_timestamp_response(reply).tst_info.policy.dotted_string == policy


def test_address_is_used_as_it_is_given(tmp_path: Path) -> None:
    for prefix in ("", "/", "/tsa", "/tsa/"):
        with Authority(tmp_path / prefix.strip("/"), prefix=prefix) as authority:
            client_of(authority).stamp(CONTENT)
            assert set(authority.paths) == {prefix or "/"}


def test_token_without_stated_accuracy_is_accepted(tmp_path: Path) -> None:
    with Authority(tmp_path / "keys", accuracy=None) as authority:
        assert client_of(authority).stamp(CONTENT)


def test_intermediate_left_out_must_be_known(tmp_path: Path) -> None:
    with Authority(tmp_path / "keys", intermediate=True) as authority:
        assert "accepted root" in refusal(authority)
        reply = client_of(authority, authority.root_der, authority.intermediate_der).stamp(CONTENT)
        assert authority.accepts(CONTENT, reply)


def test_chain_sent_out_of_order_is_put_in_order_and_stays_good(tmp_path: Path) -> None:
    with Authority(tmp_path / "keys", intermediate=True, sends_chain=True) as authority:
        for number in range(8):  # a random key may happen to stand in order
            sent = authority.reply(timestamp_request(DIGEST, number + 1, None))
            reply = client_of(authority).stamp(CONTENT)
            assert authority.accepts(CONTENT, reply)
            assert len(decode_timestamp_response(reply).signed_data.certificates) == 3
            try:
                decode_timestamp_response(sent)
            except ValueError as error:
                assert "InvalidSetOrdering" in str(error)
                return
            authority.renew()
    raise AssertionError("no reply was out of order")


# What does not hold.


def test_old_reply_played_back_is_refused(authority: Authority) -> None:
    client_of(authority).stamp(CONTENT)
    authority.replays = True
    assert "the nonce is not ours" in refusal(authority)


def test_reply_about_another_hash_is_refused(authority: Authority) -> None:
    authority.answers_about = "other"
    assert f"is about {bytes(32).hex()}" in refusal(authority)


def test_reply_about_a_sha1_is_refused(authority: Authority) -> None:
    authority.answers_about = "sha1"
    assert "not a SHA-256" in refusal(authority)


def test_reply_under_another_policy_is_refused(authority: Authority) -> None:
    authority.answers_about = "policy"
    assert f"under policy {OTHER_POLICY}, not {POLICY}" in refusal(authority, policy=POLICY)


def test_policy_that_the_authority_does_not_have_is_its_own_refusal(authority: Authority) -> None:
    assert "Requested policy is not supported" in refusal(authority, policy=UNKNOWN_POLICY)


def test_rejected_status_is_refused_with_its_words(authority: Authority) -> None:
    authority.answers_about = "refusal"
    assert "status 2, not granted: Requested policy is not supported" in refusal(authority)


def test_reply_without_certificate_is_refused(authority: Authority) -> None:
    authority.answers_about = "bare"
    assert "does not verify" in refusal(authority)


def test_reply_under_another_root_is_refused(authority: Authority, tmp_path: Path) -> None:
    with Authority(tmp_path / "keys") as other:
        assert "accepted root" in refusal(authority, other.root_der)
        client_of(authority, other.root_der, authority.root_der).stamp(CONTENT)
    assert "accepted root" in refusal(authority, ROOT)
    assert "no root is accepted" in nobody_trusted(authority)


def nobody_trusted(authority: Authority) -> str:
    with pytest.raises(ServiceRefusedError) as caught:
        AuthorityClient(authority.url, None, [], now, FETCHING).stamp(CONTENT)
    return caught.value.message


def test_certificate_that_has_ended_or_not_begun_is_refused(tmp_path: Path) -> None:
    with Authority(tmp_path / "keys") as authority:
        authority.expire()
        assert "expired" in refusal(authority)
        authority.anticipate()
        assert "not yet valid" in refusal(authority)
        authority.renew()
        client_of(authority).stamp(CONTENT)


@pytest.mark.parametrize(("digest", "key"), [("sha1", "p256"), ("sha1", "rsa")])
def test_signature_over_a_weak_hash_is_refused(tmp_path: Path, digest: str, key: str) -> None:
    with Authority(tmp_path / "keys", signer_digest=digest, key=key) as authority:  # type: ignore[arg-type]
        assert "weaker than SHA-256" in refusal(authority)


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_signature_over_a_longer_hash_is_accepted(tmp_path: Path, digest: str) -> None:
    with Authority(tmp_path / "keys", signer_digest=digest) as authority:
        client_of(authority).stamp(CONTENT)


def changed_signature(reply: bytes) -> bytes:
    return reply[:-1] + bytes([reply[-1] ^ 1])


def changed_time(reply: bytes) -> bytes:
    """Turn the time in the token by some seconds, which only the signature tells."""
    at = reply.index(b"\x18", reply.index(DIGEST)) + 2 + 13
    return reply[:at] + (b"1" if reply[at : at + 1] != b"1" else b"2") + reply[at + 1 :]


@pytest.mark.parametrize("alters", [changed_signature, changed_time])
def test_changed_reply_is_refused(authority: Authority, alters: Callable[[bytes], bytes]) -> None:
    authority.alters = alters
    assert "does not verify" in refusal(authority)


@pytest.mark.parametrize(
    "alters",
    [
        lambda reply: reply[:-1],
        lambda reply: reply[:40],
        lambda reply: b"",
        lambda reply: reply + b"\0",
        lambda reply: reply * 2,
        lambda reply: b"<!doctype html><title>502 Bad Gateway</title>",
        lambda reply: base64.b64encode(reply),
        lambda reply: b"\x30\x80" + reply,
        lambda reply: b"\x30\x84\xff\xff\xff\xff" + reply,
    ],
    ids=["cut-by-one", "cut-short", "empty", "trailing", "twice", "page", "base64", "indefinite", "overlong"],
)
def test_bytes_that_are_no_reply_are_refused(authority: Authority, alters: Callable[[bytes], bytes]) -> None:
    authority.alters = alters
    assert "not an RFC 3161 reply" in refusal(authority)


def test_reply_longer_than_a_proof_can_be_is_refused(authority: Authority) -> None:
    authority.alters = lambda _: bytes(20_000)
    assert "20000 bytes, more than 16384" in refusal(authority)


@pytest.mark.parametrize("type", ["text/html", "application/timestamp-query", "", "application/timestamp-reply-not"])
def test_other_content_type_is_refused(authority: Authority, type: str) -> None:
    authority.type = type
    assert "not application/timestamp-reply" in refusal(authority)


@pytest.mark.parametrize("type", ["Application/Timestamp-Reply", "application/timestamp-reply; charset=binary"])
def test_content_type_is_read_as_http_has_it(authority: Authority, type: str) -> None:
    authority.type = type
    client_of(authority).stamp(CONTENT)


# Clocks.


@pytest.mark.parametrize("minutes", [-1_000_000, -60, -2, 2, 60, 1_000_000])
def test_clocks_that_disagree_are_told_apart(authority: Authority, minutes: int) -> None:
    said = refusal(authority, clock=lambda: now() + minutes * MINUTE)
    assert "it says it is 20" in said and "our clock" in said


@pytest.mark.parametrize("seconds", [-50, -10, 10, 50])
def test_clocks_that_differ_by_less_than_a_minute_agree(authority: Authority, seconds: int) -> None:
    client_of(authority, clock=lambda: now() + seconds * 1_000_000).stamp(CONTENT)


def test_stated_accuracy_widens_what_is_plausible_but_not_without_end(tmp_path: Path) -> None:
    def late(minutes: int) -> Callable[[], int]:
        return lambda: now() + minutes * MINUTE

    with Authority(tmp_path / "two-minutes", accuracy=120) as authority:
        client_of(authority, clock=late(2)).stamp(CONTENT)
        assert "our clock" in refusal(authority, clock=late(4))
    with Authority(tmp_path / "a-century", accuracy=2**31 - 1) as authority:
        client_of(authority, clock=late(5)).stamp(CONTENT)
        assert "our clock" in refusal(authority, clock=late(7))


def test_time_between_question_and_answer_counts(authority: Authority) -> None:
    times = iter([now() - 30 * MINUTE, now()])  # asked half an hour ago, answered now
    client_of(authority, clock=lambda: next(times)).stamp(CONTENT)


# Services that do not do as they should.


@pytest.mark.parametrize(
    ("name", "expected"),
    [("down", ServiceUnavailableError), ("refusing", ServiceUnavailableError), ("endless", ServiceUnavailableError),
     ("huge", ServiceUnavailableError), ("garbage", ServiceRefusedError)],
)  # fmt: skip
def test_broken_authority_gives_no_token(authority: Authority, name: str, expected: type[ServiceError]) -> None:
    authority.switches = replace(Switches(), **{name: True})
    with pytest.raises(expected) as caught:
        client_of(authority).stamp(CONTENT)
    assert caught.value.place == authority.url and str(caught.value).isprintable()


def test_longest_answer_is_bounded(authority: Authority) -> None:
    authority.alters = lambda _: bytes(MAX_ANSWER_BYTES + 1)
    with pytest.raises(ServiceUnavailableError, match=str(MAX_ANSWER_BYTES)):
        client_of(authority).stamp(CONTENT)


def test_authority_that_never_answers_is_given_up(authority: Authority) -> None:
    authority.switches.hanging = True
    with pytest.raises(ServiceUnavailableError):
        client_of(authority, fetching=HASTY).stamp(CONTENT)


def test_authority_that_is_gone_is_unavailable(authority: Authority) -> None:
    with Served() as gone:
        url = gone.url
    with pytest.raises(ServiceUnavailableError):
        AuthorityClient(url, None, [authority.root_der], now, FETCHING).stamp(CONTENT)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(500, ServiceUnavailableError), (503, ServiceUnavailableError), (429, ServiceUnavailableError),
     (400, ServiceRefusedError), (401, ServiceRefusedError), (415, ServiceRefusedError), (301, ServiceRefusedError)],
)  # fmt: skip
def test_status_says_whether_asking_again_can_help(
    authority: Authority, status: int, expected: type[ServiceError]
) -> None:
    authority.switches.status = status
    with pytest.raises(expected, match=f"status {status}, saying: Not today"):
        client_of(authority).stamp(CONTENT)


def test_password_goes_out_as_a_header_and_into_no_error(authority: Authority) -> None:
    url = authority.url.replace("//", "//someone:p%40ss@")
    client = AuthorityClient(url, None, [authority.root_der], now, FETCHING)
    client.stamp(CONTENT)
    assert authority.requests[-1].headers["authorization"] == f"Basic {base64.b64encode(b'someone:p@ss').decode()}"
    authority.switches.down = True
    with pytest.raises(ServiceUnavailableError) as caught:
        client.stamp(CONTENT)
    assert "ss@" not in str(caught.value) + client.url and caught.value.place == authority.url


@pytest.mark.parametrize(
    "policy", ["x", "1", "3.1", "1.40", "1.-2.3", "1..2", "1.2.3 ", "1.02", "1.٣", "1_0.2", "1.2."]
)
def test_policy_that_is_no_oid_makes_no_client(policy: str) -> None:
    with pytest.raises(UsageError, match="object identifier"):
        AuthorityClient("http://127.0.0.1", policy, [], now, FETCHING)


def test_token_of_a_real_authority_says_when_its_certificate_ends() -> None:
    confirm("rfc3161", HELLO, TOKEN, block_header=None, height=None, bitcoin=[], roots=[ROOT])
    assert AuthorityClient.ends(TOKEN) > datetime(2025, 5, 9, tzinfo=UTC)

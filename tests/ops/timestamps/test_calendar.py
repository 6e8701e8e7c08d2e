"""The client of a calendar, against a real one over HTTP that also misbehaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.anchors import confirm
from ledger.errors import (
    AnchorMalformedError,
    AnchorMismatchError,
    ServiceError,
    ServiceRefusedError,
    ServiceUnavailableError,
    UsageError,
)
from ops.fetching import Fetching
from ops.timestamps.calendar import CalendarClient
from ops.timestamps.proofs import begun, heights, merged, pending, promises
from tests.ledger.timestamps import OTHER, OTS
from tests.ops.timestamps.calendars import ToyCalendar
from tests.ops.timestamps.serving import Reply, Request, Served, Switches

pytestmark = pytest.mark.filterwarnings("ignore:OpReverse:PendingDeprecationWarning")

FETCHING = Fetching(deadline=20)
HASTY = Fetching(deadline=0.3)


@pytest.fixture
def calendar() -> Iterator[ToyCalendar]:
    with ToyCalendar() as running:
        yield running


def client_of(calendar: Served, fetching: Fetching = FETCHING) -> CalendarClient:
    return CalendarClient(calendar.url, fetching)


class Echo(Served):
    """A calendar that answers everything with the same bytes."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.reply = Reply(status, body, "application/vnd.opentimestamps.v1")
        super().__init__()

    def answer(self, request: Request) -> Reply:
        return self.reply


# A promise, and what becomes of it.


def test_promise_is_pending_until_the_calendar_has_anchored_it(calendar: ToyCalendar) -> None:
    client = client_of(calendar)
    proof = client.stamp(OTHER)
    assert pending(proof) == [calendar.url] and heights(proof) == []
    assert client.upgrade(proof) is None
    height = calendar.anchor()
    assert height is not None
    grown = client.upgrade(proof)
    assert grown is not None and heights(grown) == [height] and pending(grown) == []
    found = confirm(
        "opentimestamps", OTHER, grown,
        block_header=calendar.chain.header(height), height=height, bitcoin=[calendar.chain.rules], roots=[],
    )  # fmt: skip
    assert found.authority == f"bitcoin regtest block {height}"


def test_upgrade_adds_to_a_proof_and_takes_nothing_away(calendar: ToyCalendar) -> None:
    proof = client_of(calendar).stamp(OTHER)
    calendar.anchor()
    grown = client_of(calendar).upgrade(proof)
    assert grown is not None
    assert promises(grown) == promises(proof) and merged(grown, proof) == grown


def test_upgrade_of_what_is_complete_is_nothing_new(calendar: ToyCalendar) -> None:
    client = client_of(calendar)
    proof = client.stamp(OTHER)
    calendar.anchor()
    grown = client.upgrade(proof)
    assert grown is not None and client.upgrade(grown) is None


def test_several_promises_share_one_block(calendar: ToyCalendar) -> None:
    client = client_of(calendar)
    digests = [hashlib.sha256(bytes([number])).digest() for number in range(5)]
    proofs = [client.stamp(digest) for digest in digests]
    height = calendar.anchor()
    for digest, proof in zip(digests, proofs, strict=True):
        grown = client.upgrade(proof)
        assert grown is not None and heights(grown) == [height]
        header = calendar.chain.header(heights(grown)[0])
        confirm(
            "opentimestamps", digest, grown,
            block_header=header, height=height, bitcoin=[calendar.chain.rules], roots=[],
        )  # fmt: skip


def test_each_calendar_is_asked_only_about_its_own_promise(calendar: ToyCalendar) -> None:
    with ToyCalendar(calendar.toy) as other:
        both = merged(client_of(calendar).stamp(OTHER), client_of(other).stamp(OTHER))
        calendar.anchor()
        other.anchor()
        once = client_of(calendar).upgrade(both)
        assert once is not None and heights(once) == [101] and pending(once) == [other.url]
        assert other.asked == {}
        twice = client_of(other).upgrade(once)
        assert twice is not None and heights(twice) == [101, 102] and pending(twice) == []


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("prefix", ["", "/ots/public"])
def test_address_keeps_its_path_with_or_without_a_final_slash(prefix: str, slash: str) -> None:
    with ToyCalendar(prefix=prefix) as calendar:
        client = CalendarClient(calendar.url + slash, FETCHING)
        proof = client.stamp(OTHER)
        calendar.anchor()
        assert client.upgrade(proof) is not None
        assert set(calendar.paths) == {f"{prefix}/digest", f"{prefix}/timestamp/{promises(proof)[0][0].hex()}"}


def test_promise_that_names_the_address_with_a_final_slash_is_the_calendars_own() -> None:
    with ToyCalendar() as calendar:
        calendar.promised_as = calendar.url + "/"
        assert client_of(calendar).upgrade(client_of(calendar).stamp(OTHER)) is None
        assert calendar.asked[OTHER.hex()] == 1


def test_request_says_what_it_accepts_and_holds_the_raw_digest(calendar: ToyCalendar) -> None:
    client_of(calendar).stamp(OTHER)
    (request,) = calendar.requests
    assert request.headers["accept"] == "application/vnd.opentimestamps.v1" and request.body == OTHER


# Calendars that do not do as they should.


def test_promise_of_another_calendar_is_refused_with_its_address() -> None:
    with ToyCalendar(promised_as="https://alice.btc.calendar.opentimestamps.org") as pool:
        with pytest.raises(ServiceRefusedError, match="another calendar") as caught:
            client_of(pool).stamp(OTHER)
        assert "https://alice.btc.calendar.opentimestamps.org" in caught.value.cure


def test_promise_beside_one_of_another_host_is_kept_and_that_host_is_never_asked(calendar: ToyCalendar) -> None:
    with ToyCalendar(promised_as=calendar.url) as impostor:
        # Somebody promises in the name of a calendar that knows nothing of it.
        strange = begun_at(impostor)
    proof = merged(client_of(calendar).stamp(OTHER), strange)
    with ToyCalendar() as elsewhere:
        foreign = client_of(elsewhere).stamp(OTHER)
        proof = merged(proof, foreign)
        calendar.anchor()
        grown = client_of(calendar).upgrade(proof)
        assert grown is not None and pending(grown) == sorted([calendar.url, elsewhere.url])
        assert elsewhere.asked == {}


def begun_at(impostor: ToyCalendar) -> bytes:
    return begun(OTHER, impostor.answer(Request("POST", "/digest", OTHER)).body)


def test_calendar_that_never_confirms_stays_pending(calendar: ToyCalendar) -> None:
    calendar.never_confirms = calendar.prompt = True
    client = client_of(calendar)
    proof = client.stamp(OTHER)
    for _ in range(3):
        assert client.upgrade(proof) is None
    assert calendar.asked[OTHER.hex()] == 3


@pytest.mark.parametrize("lie", ["digest", "block"])
def test_lie_about_a_block_is_a_promise_that_no_header_bears_out(calendar: ToyCalendar, lie: str) -> None:
    client = client_of(calendar)
    proof = client.stamp(OTHER)
    true_height = calendar.anchor()
    calendar.toy.grow(3)
    calendar.lies = lie  # type: ignore[assignment]
    grown = client.upgrade(proof)
    assert grown is not None
    (height,) = heights(grown)
    assert (height == true_height) == (lie == "digest")
    with pytest.raises(AnchorMismatchError):
        confirm(
            "opentimestamps", OTHER, grown,
            block_header=calendar.chain.header(height), height=height, bitcoin=[calendar.chain.rules], roots=[],
        )  # fmt: skip


def test_truth_after_a_lie_is_found_when_the_calendar_is_asked_again(calendar: ToyCalendar) -> None:
    client = client_of(calendar)
    proof = client.stamp(OTHER)
    height = calendar.anchor()
    calendar.lies = "block"
    lied = client.upgrade(proof)
    assert lied is not None and heights(lied) != [height]
    calendar.lies = ""
    corrected = client.upgrade(lied)
    assert corrected is not None and height in heights(corrected)


@pytest.mark.parametrize("name", ["garbage", "huge", "endless", "down", "refusing"])
@pytest.mark.parametrize("asking", ["stamp", "upgrade"])
def test_broken_calendar_gives_no_proof(calendar: ToyCalendar, name: str, asking: str) -> None:
    proof = client_of(calendar).stamp(OTHER)
    calendar.switches = replace(Switches(), **{name: True})
    expected = ServiceRefusedError if name == "garbage" else ServiceUnavailableError
    with pytest.raises(expected) as caught:
        ask(client_of(calendar), asking, proof)
    assert caught.value.place == calendar.url and str(caught.value).isprintable() and len(str(caught.value)) < 400


@pytest.mark.parametrize("asking", ["stamp", "upgrade"])
def test_calendar_that_never_answers_is_given_up(calendar: ToyCalendar, asking: str) -> None:
    proof = client_of(calendar).stamp(OTHER)
    calendar.switches.hanging = True
    with pytest.raises(ServiceUnavailableError, match="usable answer"):
        ask(client_of(calendar, HASTY), asking, proof)


def test_calendar_that_is_gone_is_unavailable(calendar: ToyCalendar) -> None:
    with ToyCalendar() as gone:
        client = client_of(gone)
        proof = client.stamp(OTHER)
    for asking in ("stamp", "upgrade"):
        with pytest.raises(ServiceUnavailableError):
            ask(client, asking, proof)


def test_calendar_that_comes_back_is_asked_again(calendar: ToyCalendar) -> None:
    client = client_of(calendar)
    calendar.switches.down = True
    with pytest.raises(ServiceUnavailableError, match="status 503, saying: Down for maintenance"):
        client.stamp(OTHER)
    calendar.switches.down = False
    assert client.stamp(OTHER)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, ServiceRefusedError), (403, ServiceRefusedError), (410, ServiceRefusedError), (302, ServiceRefusedError),
     (204, ServiceRefusedError), (429, ServiceUnavailableError), (408, ServiceUnavailableError),
     (500, ServiceUnavailableError), (502, ServiceUnavailableError)],
)  # fmt: skip
def test_status_says_whether_asking_again_can_help(
    calendar: ToyCalendar, status: int, expected: type[ServiceError]
) -> None:
    proof = client_of(calendar).stamp(OTHER)
    calendar.switches.status = status
    for asking in ("stamp", "upgrade"):
        with pytest.raises(expected, match=f"status {status}"):
            ask(client_of(calendar), asking, proof)


def test_redirect_is_not_followed(calendar: ToyCalendar) -> None:
    calendar.switches.status = 307
    with pytest.raises(ServiceRefusedError) as caught:
        client_of(calendar).stamp(OTHER)
    assert "not followed" in caught.value.cure and set(calendar.paths) == {"/digest"}


def test_stamping_where_nothing_is_served_is_refused(calendar: ToyCalendar) -> None:
    with pytest.raises(ServiceRefusedError, match="404"):
        CalendarClient(calendar.url + "/nowhere", FETCHING).stamp(OTHER)


@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\xff" * 100, b"\x00" * 10_000, b"\x08" * 9_999, b"\xf0" + b"\xff" * 9_000 + b"\x01", b"\xf2" * 50]
    + [path.read_bytes() for path in sorted((OTS / "invalid").glob("*.ots"))],
    ids=lambda body: f"{len(body)}-{hashlib.sha256(body).hexdigest()[:6]}",
)
def test_bytes_that_are_no_answer_are_refused(calendar: ToyCalendar, body: bytes) -> None:
    held = client_of(calendar).stamp(OTHER)
    with Echo(body) as echo:
        with pytest.raises(ServiceRefusedError, match="cannot be used"):
            client_of(echo).stamp(OTHER)
        with pytest.raises(ServiceRefusedError, match="cannot be used"):
            client_of(echo).upgrade(renamed(held, calendar, echo))


def test_answer_with_nothing_but_an_unknown_attestation_is_no_promise() -> None:
    with Echo(b"\x00" + bytes(8) + b"\x01?") as echo, pytest.raises(ServiceRefusedError, match="no promise"):
        client_of(echo).stamp(OTHER)


def test_empty_404_is_pending_too(calendar: ToyCalendar) -> None:
    held = client_of(calendar).stamp(OTHER)
    with Echo(b"", 404) as echo:
        assert client_of(echo).upgrade(renamed(held, calendar, echo)) is None


def renamed(proof: bytes, calendar: Served, other: Served) -> bytes:
    """Return a proof whose promise names another server (ports of five digits, so that no length changes)."""
    assert len(calendar.url) == len(other.url)
    return proof.replace(calendar.url.encode(), other.url.encode())


def test_given_bytes_that_are_no_proof_are_the_callers_fault(calendar: ToyCalendar) -> None:
    with pytest.raises(AnchorMalformedError):
        client_of(calendar).upgrade(b"no proof")
    assert calendar.asked == {}


@pytest.mark.parametrize(
    "url", ["", "calendar.example", "ftp://calendar.example", "http://", "http://x:port", "http://a?b"]
)
def test_what_is_no_address_makes_no_client(url: str) -> None:
    with pytest.raises(UsageError, match="address"):
        CalendarClient(url, FETCHING)


def ask(client: CalendarClient, asking: str, proof: bytes) -> None:
    if asking == "stamp":
        client.stamp(OTHER)
    else:
        client.upgrade(proof)

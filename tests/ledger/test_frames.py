"""The short way to read an event: it takes what is ordinary, and never says otherwise than the long way does."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger import canonical
from ledger.errors import LedgerError
from ledger.events import Event, Facts, from_decoded, parse, parse_own, parse_quickly, parse_stored
from ledger.payloads import PAYLOADS
from tests.builders import ALICE, HASH, Who, World, key
from tests.logs import samples

WORLD = World()
SAMPLES = samples(WORLD)

every_type = pytest.mark.parametrize("event", SAMPLES.values(), ids=SAMPLES)
any_sample = st.sampled_from([event.raw for event in SAMPLES.values()])


def facts(event: Event) -> tuple[Any, ...]:
    signer = event.signer
    return (
        *(event.event_type, event.subject, event.target, event.registry, event.created_at),
        *(signer.signer_type, signer.signer_id, signer.key_id, signer.public_key_fingerprint, signer.on_behalf_of),
        *(event.event_id, event.signature, event.raw, type(event.payload), event.payload, event.value),
    )


def outcome(read: Callable[[bytes], Event], raw: bytes) -> tuple[Any, ...]:
    try:
        return facts(read(raw))
    except LedgerError as error:
        return type(error), error.message, error.place, error.cure


def the_long_way(raw: bytes) -> Event:
    return from_decoded(canonical.decode_canonical(raw))


def body_of(event: Event, **changes: Any) -> dict[str, Any]:
    value = {**json.loads(event.raw), **changes}
    return {name: item for name, item in value.items() if name not in ("event_id", "signature_b64")}


def as_text(value: Mapping[str, Any]) -> bytes:
    """Write a value with its keys in order, and everything else as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sealed(body: Mapping[str, Any] | bytes) -> bytes:
    """Give a body, or the text of one, its right id, whatever is wrong with it, and some signature."""
    text = body if isinstance(body, bytes) else as_text(body)
    event_id = b',"event_id":"sha256:%b"' % hashlib.sha256(text).hexdigest().encode()
    signature = b',"signature_b64":"' + b"A" * 86 + b'=="'
    id_at, signature_at = text.find(b',"event_type":'), text.rfind(b',"signer":')
    return text[:id_at] + event_id + text[id_at:signature_at] + signature + text[signature_at:]


# What is ordinary.


@every_type
def test_every_type_of_event_is_read_the_short_way(event: Event) -> None:
    found = parse_quickly(event.raw)
    assert found is not None
    assert facts(found) == facts(the_long_way(event.raw))


def test_an_event_on_behalf_of_somebody_is_read_the_short_way() -> None:
    event = WORLD.author(WORLD.registry, on_behalf_of={"kind": "session", "subject": HASH})
    found = parse_quickly(event.raw)
    assert found is not None
    assert facts(found) == facts(the_long_way(event.raw))


@every_type
def test_facts_make_the_same_event_in_another_process(event: Event) -> None:
    packed = msgspec.msgpack.encode(Facts.of(parse(event.raw)))
    assert facts(msgspec.msgpack.decode(packed, type=Facts).event(event.raw)) == facts(event)
    assert facts(parse_own(event.raw)) == facts(event)


def test_an_own_event_that_is_rare_in_form_is_read_too() -> None:
    event = WORLD.finding(evidence={"\U00010000": 1, "\uffff": 2})
    assert parse_quickly(event.raw) is None
    assert facts(parse_own(event.raw)) == facts(the_long_way(event.raw))


# What is not.


def spoiled(raw: bytes) -> Iterator[bytes]:
    """Yield an event's bytes with small things changed that a reader by patterns could overlook."""
    value = json.loads(raw)
    yield raw[:-1]
    yield raw.replace(b"==", b"=")
    for name in value:
        yield as_text({other: item for other, item in value.items() if other != name})
        yield as_text({**value, name: None})
    body = {name: item for name, item in value.items() if name not in ("event_id", "signature_b64")}
    text = as_text(body)
    yield sealed(text + b" ")
    yield sealed(text + b"\n")
    yield sealed(text[:-1] + b',"target":"record"}')
    for old, new in (
        (b'"payload":', b'"payload" :'),
        (b'"payload":{', b'"payload":{ '),
        (b'"payload":', b'"payload":{},"payload":'),
        (b',"registry":', b',"registry":null,"registry":'),
        (b'"schema":"pith-event/1"', b'"schema":"pith-event/2"'),
        (b'"signer":{', b'"signer":{ '),
        (b'"signer_type"', b'"signer_kind"'),
        (b'"pith', b'"\\u0070ith'),
        (b"a", b"\\u0061"),
    ):
        yield sealed(text.replace(old, new))
    yield sealed({**body, "extra": 1})
    yield from (sealed(changed) for changed in changed_bodies(body))


def changed_bodies(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield bodies that are wrong in one thing: with the right id, nothing but that thing can refuse them."""
    signer = body["signer"]
    for name, items in {
        "created_at": [
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00Z\n",
            "0000-01-01T00:00:00Z",
        ],
        "event_type": ["record_created", "policy_set", "no_such_type", "author_attestation"],
        "nonce": ["A" * 22, "A" * 21 + "B", "A" * 23],
        "registry": ["other.registry", "-", "UPPER", None],
        "subject_pith_number": ["pith:2026:" + "A" * 26, "pith:registry:other.registry", "pith:2026:" + "a" * 26],
        "target": ["record", "event", "sha256:" + "0" * 64, "C1", "C" * 81, "", 'a"b', "a\\b", "é"],
        "signer": [
            {**signer, "signer_type": "moderator"},
            {**signer, "signer_type": "nobody"},
            {**signer, "public_key_fingerprint": "0" * 32},
            {**signer, "key_id": "A" * 64},
            {**signer, "signer_id": "email:somebody@example.org"},
            {**signer, "signer_id": 'name:"\\{},"registry":null'},
            {**signer, "on_behalf_of": {"kind": "session", "subject": HASH}},
            {**signer, "on_behalf_of": {"kind": "nobody", "subject": HASH}},
        ],
    }.items():
        for item in items:
            yield {**body, name: item}
    for path, item in leaves(body["payload"]):
        for instead in instead_of(item):
            yield {**body, "payload": replaced(body["payload"], path, instead)}
    for payload in ({**body["payload"], "extra": 1}, [], None):
        yield {**body, "payload": payload}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield (*path, name), item
        yield from leaves(item, (*path, name))


def instead_of(item: Any) -> list[Any]:
    match item:
        case bool():
            return [None, 1]
        case int():
            return [-1, 0, 2**53 - 1, None, True, str(item)]
        case str():
            return ["", item + "\n", item + "\x7f", item.upper(), f" {item}", item + '"', "é\u2028", "\x00", None, 7]
        case _:
            return [None, {}, []]


def replaced(value: Any, path: tuple[Any, ...], item: Any) -> Any:
    if not path:
        return item
    head, *rest = path
    if isinstance(value, list):
        return [replaced(old, tuple(rest), item) if at == head else old for at, old in enumerate(value)]
    return {**value, head: replaced(value[head], tuple(rest), item)}


@every_type
def test_whatever_is_spoiled_is_judged_as_the_long_way_judges_it(event: Event) -> None:
    for raw in spoiled(event.raw):
        assert outcome(parse_stored, raw) == outcome(the_long_way, raw), raw


@pytest.mark.parametrize("number", ["9007199254740992", "-9007199254740992", "1.0", "1e2", "-0", "1" * 20])
@pytest.mark.parametrize("event_type", sorted(PAYLOADS))
def test_a_number_that_cannot_be_signed_is_refused_wherever_it_stands(event_type: str, number: str) -> None:
    body = body_of(SAMPLES[event_type])
    for path, item in leaves(body["payload"]):
        if isinstance(item, int) and not isinstance(item, bool):
            changed = as_text({**body, "payload": replaced(body["payload"], path, "N")})
            raw = sealed(changed.replace(b'"N"', number.encode()))
            assert outcome(parse_stored, raw) == outcome(the_long_way, raw), raw
            with pytest.raises(LedgerError):
                parse_stored(raw)


def test_keys_beyond_the_basic_plane_stand_in_the_order_of_the_rfc() -> None:
    # RFC 8785 3.2.3 sorts by UTF-16 unit, where U+10000 comes before U+FFFF.
    raw = WORLD.finding(evidence={"\U00010000": 1, "\uffff": 2}).raw
    assert raw.index("\U00010000".encode()) < raw.index("\uffff".encode())
    assert parse_stored(raw).raw == raw
    by_code_point = sealed(body_of(parse_stored(raw)))
    assert by_code_point.index("\uffff".encode()) < by_code_point.index("\U00010000".encode())
    assert outcome(parse_stored, by_code_point) == outcome(the_long_way, by_code_point)
    with pytest.raises(LedgerError):
        parse_stored(by_code_point)


def test_a_payload_in_the_order_of_its_struct_is_not_canonical() -> None:
    for name in ("A. Author", "\U00010000"):
        body = body_of(WORLD.author(author_name=name, claims=["C1"]))
        fields = PAYLOADS["author_attestation"].__struct_fields__
        in_order = {field: body["payload"][field] for field in fields if field in body["payload"]}
        old, new = (
            json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort).encode()
            for value, sort in ((in_order, True), (in_order, False))
        )
        assert old != new
        raw = sealed(as_text(body).replace(old, new))
        assert outcome(parse_stored, raw) == outcome(the_long_way, raw)
        with pytest.raises(LedgerError):
            parse_stored(raw)


@pytest.mark.parametrize("depth", [28, 29, 30, 31, 32, 64])
def test_depth_is_counted_from_the_event_not_from_the_payload(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    body = body_of(WORLD.finding())
    raw = sealed({**body, "payload": {**body["payload"], "evidence": {"deep": value}}})
    assert outcome(parse_stored, raw) == outcome(the_long_way, raw)
    assert isinstance(outcome(parse_stored, raw)[0], str) == (depth <= 29)


def test_text_that_imitates_the_frame_is_read_for_what_it_is() -> None:
    imitation = ',"registry":null,"schema":"pith-event/1","signature_b64":"' + "A" * 86 + '==","signer":{}'
    imitator = Who(key("imitator"), "contributor", 'name:",\\","subject_pith_number":"x","registry":')
    for event in (WORLD.finding(evidence={"text": imitation}), WORLD.author(imitator, author_name=imitation[:150])):
        assert outcome(parse_stored, event.raw) == outcome(the_long_way, event.raw)
        assert parse_stored(event.raw).id_text == event.id_text


def test_signer_blocks_that_strangers_make_long_fill_no_memory() -> None:
    raw = WORLD.citation().raw
    head, signer, rest = raw.partition(b',"signer":')
    end = rest[rest.rindex(b',"subject_pith_number":') :]
    tracemalloc.start()
    try:
        for number in range(200):
            padded = head + signer + b'"%06d%b"' % (number, b"x" * 50_000) + end
            assert outcome(parse_stored, padded) == outcome(the_long_way, padded)
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


@settings(max_examples=400)
@given(any_sample, st.data())
def test_bytes_changed_at_random_are_judged_as_the_long_way_judges_them(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw)))
    length = data.draw(st.integers(0, 8))
    middle = data.draw(st.binary(max_size=8) | st.sampled_from([b'"', b"\\", b",", b"{", b"}", b"null", b"1", b"0"]))
    changed = raw[:at] + middle + raw[at + length :]
    assert outcome(parse_stored, changed) == outcome(the_long_way, changed)


@given(st.binary(max_size=200))
@example(b"")
@example(b"null")
@example(b"[]")
@example(ALICE.key.public_key)
def test_bytes_that_are_no_event_are_refused(raw: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_stored(raw)

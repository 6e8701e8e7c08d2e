"""The short way to read an event's canonical bytes: a frame of fixed form around one payload.

Canonical order puts an event's fields in one sequence, and all but the payload have forms so narrow that three
patterns take them in. The payload is decoded straight into its struct and must, written out again, be the very bytes
that it was read from. Whatever this way takes, the long way in `events` takes too, and reads the same in it; of
everything else this one only says that it is not for it, be it wrong or merely rare.
"""

from __future__ import annotations

import hashlib
import re
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import inspect

from ledger import canonical
from ledger.payloads import PAYLOADS, Payload
from ledger.subjects import NUMBER, REGISTRY_NAME

_HEAD: Final = re.compile(
    rb'\{"created_at":"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)"'
    rb',"event_id":"sha256:([0-9a-f]{64})","event_type":"([a-z_]{1,40})"'
    rb',"nonce":"[A-Za-z0-9_-]{21}[AQgw]","payload":'
)
_MIDDLE: Final = re.compile(
    rb',"registry":(?:null|"(%b)"),"schema":"pith-event/1","signature_b64":"([A-Za-z0-9+/]{85}[AQgw]==)","signer":'
    % REGISTRY_NAME.encode()
)
_END: Final = re.compile(
    rb',"subject_pith_number":"(%b|pith:registry:%b)","target":"([A-Za-z0-9_.:-]{1,80})"\}'
    % (NUMBER.encode(), REGISTRY_NAME.encode())
)
_ID_START: Final = len('{"created_at":"2026-01-01T00:00:00Z"')
_ID_END: Final = _ID_START + len(',"event_id":"sha256:"') + 64
_SIGNATURE_START: Final = len(',"signature_b64":"') + 88 + len('","signer":')
"""How far before the signer the signature's field begins; it ends `_SIGNATURE_END` before it."""

_SIGNATURE_END: Final = len(',"signer":')


class Frame(msgspec.Struct, frozen=True):
    """What stands around a payload; `signer` is still the text of the signer block, [start, stop) is the payload."""

    created_at: str
    stated_id: bytes
    event_type: str
    registry: str | None
    signature: bytes
    signer: bytes
    subject: str
    target: str
    start: int
    stop: int
    signer_at: int

    def digest(self, raw: bytes) -> bytes:
        """Return the 32-byte hash of the event's body: its bytes without `event_id` and `signature_b64`."""
        at = self.signer_at
        body = raw[:_ID_START] + raw[_ID_END : at - _SIGNATURE_START] + raw[at - _SIGNATURE_END :]
        return hashlib.sha256(body).digest()


def frame_of(raw: bytes) -> Frame | None:
    """Read the frame of an event's bytes; None where it has not the one form that is read here.

    Of the payload and the signer block nothing is checked but that they are what is left between.
    """
    # No quotation mark stands bare inside a JSON string, so these are field names wherever they are found.
    middle_at, end_at = raw.rfind(b',"registry":'), raw.rfind(b',"subject_pith_number":')
    if middle_at < 0 or end_at < 0:
        return None
    head, middle, end = _HEAD.match(raw), _MIDDLE.match(raw, middle_at), _END.fullmatch(raw, end_at)
    if head is None or middle is None or end is None or head.end() >= middle_at or middle.end() >= end_at:
        return None
    created_at, stated_id, event_type = head.groups()
    registry, signature = middle.groups()
    subject, target = end.groups()
    signer_at = middle.end()
    return Frame(
        created_at.decode(),
        stated_id,
        event_type.decode(),
        None if registry is None else registry.decode(),
        a2b_base64(signature),
        raw[signer_at:end_at],
        subject.decode(),
        target.decode(),
        head.end(),
        middle_at,
        signer_at,
    )


def payload_of(event_type: str, text: bytes) -> Payload | None:
    """Read a payload from its canonical bytes; None where they are not that, or cannot be told quickly."""
    kind = _KINDS.get(event_type)
    if kind is None or not (kind.is_bounded or canonical.is_sure(text, within=1)):
        return None
    return canonical.decode_as(kind.decoder, text)


class _Kind(NamedTuple):
    """How a type's payload is decoded; `is_bounded` says that its form alone keeps depth and integers in bounds."""

    decoder: msgspec.json.Decoder[Payload]
    is_bounded: bool


def _is_bounded(kind: type[Payload]) -> bool:
    return all(
        _is_within(part.ge, part.le) if isinstance(part, inspect.IntType) else isinstance(part, _BOUNDED)
        for part in _parts(inspect.type_info(kind))
    )


def _is_within(least: int | None, most: int | None) -> bool:
    if least is None or most is None:
        return False
    return least >= -canonical.MAX_INTEGER and most <= canonical.MAX_INTEGER


def _parts(part: inspect.Type) -> Iterator[inspect.Type]:
    """Yield every type that a payload is made of."""
    yield part
    match part:
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _parts(field.type)
        case inspect.UnionType(types=types):
            for one in types:
                yield from _parts(one)
        case inspect.ListType(item_type=item):
            yield from _parts(item)
        case inspect.DictType(key_type=key, value_type=value):
            yield from _parts(key)
            yield from _parts(value)
        case inspect.Metadata(type=inner):
            yield from _parts(inner)


_BOUNDED: Final = (
    inspect.StrType,
    inspect.BoolType,
    inspect.NoneType,
    inspect.LiteralType,
    inspect.StructType,
    inspect.UnionType,
    inspect.ListType,
    inspect.DictType,
    inspect.Metadata,
)
"""What, beside integers, keeps bounds where all its parts, as `_parts` finds them, do."""

_KINDS: Final[Mapping[str, _Kind]] = {
    name: _Kind(msgspec.json.Decoder(kind, float_hook=canonical.refuse_float), _is_bounded(kind))
    for name, kind in PAYLOADS.items()
}

"""Parts of an event as the very text that was signed.

Canonical order puts an event's fields in one sequence, and no quotation mark stands bare inside a JSON string. So a
field's name is found where the field is: before `payload` and behind `registry` stand only fields of fixed form, and
none of them holds another of the names that are looked for here.
"""

from __future__ import annotations

from typing import Final

from ledger.events import Event

_PAYLOAD: Final = b',"payload":'
_REGISTRY: Final = b',"registry":'
_SIGNER: Final = b',"signer":'
_SUBJECT: Final = b',"subject_pith_number":'


def payload_text(event: Event) -> bytes:
    """Return the canonical bytes of an event's payload."""
    raw = event.raw
    return raw[raw.index(_PAYLOAD) + len(_PAYLOAD) : raw.rindex(_REGISTRY)]


def signer_text(event: Event) -> bytes:
    """Return the canonical bytes of an event's signer block."""
    raw = event.raw
    end = raw.rindex(_SUBJECT)
    return raw[raw.rindex(_SIGNER, 0, end) + len(_SIGNER) : end]

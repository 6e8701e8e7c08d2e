"""The five attestations as somebody would send them: shell commands that are fit to be copied."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import addresses
from api.submitting import actions

JSON_HEADER: Final = "-H 'content-type: application/json'"
OF_FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "timestamp_anchor": {"proof_b64": "base64 < record.ots | tr -d '\\n'"}
}
"""Values that the shell is to take from a file, by event type and field."""


@dataclass(frozen=True, slots=True)
class Action:
    """One attestation: in a few words, its event type, and the command that sends an example."""

    title: str
    event_type: str
    command: str


def examples(suffix: str, base_url: str) -> list[Action]:
    """Return how each of the five attestations about a paper is sent as a form."""
    page = addresses.links(suffix, base_url)["html"]
    found = []
    for event_type in addresses.ACTIONS.values():
        title, example = actions.ACTIONS[event_type]
        found.append(Action(title, event_type, _command(event_type, example, f"{page}/action/{event_type}")))
    return found


def signed(suffix: str, base_url: str) -> str:
    """Return the command that signs a citation with the sender's own key and sends it."""
    citation = {"citing": "arxiv:2605.25619", "relationship": "supports", "quote": "Table 3 shows it."}
    return (
        f"pith --url {base_url} sign citation_signature {suffix} \\\n  '{json.dumps(citation)}' --key me.json \\\n"
        f"  | curl {JSON_HEADER} --data-binary @- {base_url}/api/events"
    )


def _command(event_type: str, example: Mapping[str, Any], address: str) -> str:
    body = json.dumps(example)
    for field, command in OF_FILES.get(event_type, {}).items():
        # Within single quotes the shell expands nothing: this value steps out of them and back.
        body = body.replace(json.dumps(example[field]), f'"\'"$({command})"\'"')
    return f"curl {JSON_HEADER} \\\n  -d '{body}' \\\n  {address}"

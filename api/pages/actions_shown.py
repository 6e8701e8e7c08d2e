"""The five attestations as somebody would send them: shell commands that are fit to be copied."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api import addresses
from api.settings import ApiSettings
from api.submitting import actions

JSON_HEADER: Final = "-H 'content-type: application/json'"
MAX_HOSTS: Final = 5
OF_FILES: Final[Mapping[str, Mapping[str, str]]] = {
    "timestamp_anchor": {"proof_b64": "base64 < record.ots | tr -d '\\n'"}
}
"""Values that the shell is to take from a file, by event type and field."""


@dataclass(frozen=True, slots=True)
class Action:
    """One attestation: in a few words, its event type, and the command that sends an example.

    `request` is the command that asks the registry to see to it instead, and `request_title` says so in a few words;
    both are "" where it does not offer that.
    """

    title: str
    event_type: str
    command: str
    request_title: str = ""
    request: str = ""


def examples(suffix: str, base_url: str, settings: ApiSettings) -> list[Action]:
    """Return how each of the five attestations about a paper is sent as a form."""
    page, requests = addresses.links(suffix, base_url)["html"], _requests(settings)
    found = []
    for event_type in addresses.ACTIONS.values():
        (title, example), address = actions.ACTIONS[event_type], f"{page}/action/{event_type}"
        request_title, request = "", ""
        if event_type in requests:
            request_title, body = requests[event_type]
            request = _command(event_type, body, address)
        found.append(Action(title, event_type, _command(event_type, example, address), request_title, request))
    return found


def _requests(settings: ApiSettings) -> dict[str, tuple[str, dict[str, str]]]:
    """Return what this registry sees to when it is asked, in a few words, and what it is asked with."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    if settings.stamps:
        found["timestamp_anchor"] = ("Ask this registry to stamp it now", {})
    if settings.preserves:
        host = settings.preserves[0].replace("*.", "www.")
        hosts = ", ".join(settings.preserves[:MAX_HOSTS]) + (", …" if len(settings.preserves) > MAX_HOSTS else "")
        found["storage_attestation"] = (
            f"Ask this registry to keep a copy; it fetches from {hosts}",
            {"url": f"https://{host}/paper.pdf"},
        )
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
        if field not in example:
            continue
        # Within single quotes the shell expands nothing: this value steps out of them and back.
        body = body.replace(json.dumps(example[field]), f'"\'"$({command})"\'"')
    return f"curl {JSON_HEADER} \\\n  -d '{body}' \\\n  {address}"

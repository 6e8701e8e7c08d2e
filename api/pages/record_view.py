"""What the page of a paper shows, drawn from its record document.

Metadata is foreign text of any shape: whatever is not of the form it should have is left out, and nothing here fails
over it. Escaping is the templates' affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from api.pages import wording
from api.pages.wording import Proof
from ledger.commitments import PRIVATE_FIELDS

MAX_EVENTS: Final = 100
MAX_FACTS: Final = 40
MAX_VALUE: Final = 300
MAX_AUTHORS: Final = 60
EXCERPT: Final = 600
"""Pages stay readable: what is longer is cut, and whole in the JSON."""

_ORCID: Final = re.compile(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]", re.ASCII)
_SOURCES: Final[Mapping[str, str]] = {
    "arxiv": "https://arxiv.org/abs/{id}v{version}",
    "acl": "https://aclanthology.org/{id}/",
    "doi": "https://doi.org/{id}",
    "pmid": "https://pubmed.ncbi.nlm.nih.gov/{id}/",
    "openreview": "https://openreview.net/forum?id={id}",
}

Texts = Mapping[int, Mapping[str, str]]
"""The private texts that may be shown, by the position of their event and their path in its payload."""


@dataclass(frozen=True, slots=True)
class Author:
    name: str
    orcid: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """One field of the status: `value` is whether it holds or how many do."""

    field: str
    proof: Proof
    value: bool | int


@dataclass(frozen=True, slots=True)
class Said:
    """One event about a paper, in words.

    `facts` are the payload's values by their paths, and `left_out` is how many there are beside these; `texts` are its
    private texts, as far as they are shown, and `closed` the paths of those that are not.
    """

    event_id: str
    kind: str
    status: str
    status_word: str
    reason: str
    claim: str
    name_matches: bool
    position: int
    received_at: str
    signer: str
    signer_word: str
    signer_link: str
    on_behalf: bool
    summary: str
    facts: tuple[tuple[str, str], ...]
    left_out: int
    texts: tuple[tuple[str, str], ...]
    closed: tuple[str, ...]

    @property
    def counts(self) -> bool:
        return self.status == "counted"


def authors(paper: Mapping[str, Any]) -> list[Author]:
    """Return the authors of a paper: from the list, where the source gave one, else its one line of names."""
    listed = paper.get("authors")
    found = []
    for author in listed if isinstance(listed, list) else ():
        name = text(author.get("name")) if isinstance(author, Mapping) else text(author)
        orcid = text(author.get("orcid")) if isinstance(author, Mapping) else ""
        if name:
            found.append(Author(name, orcid if _ORCID.fullmatch(orcid) else ""))
    line = text(paper.get("authors_text"))
    return found or ([Author(line)] if line else [])


def aliases(found: Any) -> list[tuple[str, str]]:
    """Return the other names of a paper, each with its kind."""
    listed = [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []
    return [(text(item.get("alias_kind")), text(item.get("alias_value"))) for item in listed]


def excerpt(paper: Mapping[str, Any]) -> str:
    """Return the beginning of the abstract."""
    found = text(paper.get("abstract_excerpt")) or text(paper.get("abstract"))
    return f"{found[:EXCERPT].rstrip()}…" if len(found) > EXCERPT else found


def source_address(source: Mapping[str, Any]) -> str:
    """Return where a paper can be read: an http or https address, or "" where its source has none."""
    kind, ident = text(source.get("kind")), text(source.get("id"))
    if kind == "url":
        return ident if is_web_address(ident) else ""
    if kind not in _SOURCES:
        return ""
    return _SOURCES[kind].format(id=quote(ident, safe="/:;().,-_~"), version=source.get("version", 1))


def holdings(status: Mapping[str, Any]) -> list[Holding]:
    """Return the fields of a `verification_status` with what they prove."""
    return [
        Holding(name, proof, value)
        for name, proof in wording.PROOFS.items()
        if isinstance(value := status.get(name), bool | int)
    ]


def differing(ours: Mapping[str, Any], theirs: Any) -> list[tuple[str, str, str]]:
    """Return what a source's own record says otherwise: field, its value, ours."""
    if not isinstance(theirs, Mapping):
        return []
    return [(name, plain(value), plain(ours[name])) for name, value in theirs.items() if ours.get(name, value) != value]


def rungs(state: str) -> list[tuple[str, str, bool]]:
    """Return the ladder of states: name, meaning, and whether the paper stands on it."""
    return [(name, meaning, name == state) for name, meaning in wording.RUNGS.items()]


def said(events: Sequence[Mapping[str, Any]], texts: Texts) -> list[Said]:
    """Return the newest events of a document in words, in order of position."""
    return [_said(event, texts.get(event["position"], {})) for event in events[-MAX_EVENTS:]]


def facts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of a JSON value with their dotted paths."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from facts(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for at, item in enumerate(value, 1):
            yield from facts(item, f"{path}.{at}" if path else str(at))
    else:
        yield path, plain(value)


def plain(value: Any) -> str:
    """Write a JSON value for people."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    found = str(value)
    return f"{found[:MAX_VALUE]}…" if len(found) > MAX_VALUE else found


def text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def is_web_address(found: str) -> bool:
    """Whether a text may stand as a link: http or https, and nothing that only looks like it."""
    return re.fullmatch(r"https?://[!-~]+", found, re.ASCII | re.IGNORECASE) is not None


def _said(event: Mapping[str, Any], disclosed: Mapping[str, str]) -> Said:
    kind, signer, status = event["event_type"], event["signer"], event["status"]
    payload = event.get("payload", {})
    private = {path for path in PRIVATE_FIELDS.get(kind, ()) if _at(payload, path) is not None}
    shown = [(path, value) for path, value in facts(payload) if path not in private]
    identifier = signer["signer_id"]
    return Said(
        event_id=event["event_id"],
        kind=wording.EVENTS.get(kind, kind),
        status=status,
        status_word=wording.STATUSES.get(status, status),
        reason=event["reason"],
        claim=event.get("claim", ""),
        name_matches=event.get("name_matches", False),
        position=event["position"],
        received_at=event["received_at"],
        signer=identifier,
        signer_word=wording.SIGNERS.get(signer["signer_type"], signer["signer_type"]),
        signer_link=f"https://orcid.org/{identifier[6:]}" if _is_orcid(identifier) else "",
        on_behalf="on_behalf_of" in signer,
        summary=_summary(kind, payload, event["target"]) if "payload" in event else "",
        facts=tuple(shown[:MAX_FACTS]),
        left_out=len(shown[MAX_FACTS:]),
        texts=tuple((path, disclosed[path]) for path in sorted(private & disclosed.keys())),
        closed=tuple(sorted(private - disclosed.keys())),
    )


def _summary(kind: str, payload: Mapping[str, Any], target: str) -> str:
    match kind:
        case "timestamp_anchor":
            when = f": it was there by {payload['attested_time']}" if "attested_time" in payload else ""
            block = f", in block {payload['height']}" if "height" in payload else ""
            method = f"{wording.METHODS[payload['method']]} over the {payload['anchored']['what']}"
            match payload["status"]:
                case "pending":
                    return f"{method}, promised by {payload['service']}"
                case "failed":
                    return f"{method}, promised by {payload['service']}, came to nothing"
            return f"{method}, confirmed{block}{when}"
        case "storage_attestation":
            outcome, grade = wording.OUTCOMES[payload["outcome"]], wording.GRADES[payload["grade"]]
            return f"A check at {payload['location']['url']} {outcome} ({grade})"
        case "author_attestation":
            at = f", author {payload['author_position']}" if "author_position" in payload else ""
            return f"{payload['author_name']}{at}: this paper is mine"
        case "citation_signature":
            return f"{payload['citing']} {wording.RELATIONSHIPS[payload['relationship']]} this paper"
        case "replication_record":
            return f"{wording.REPLICATIONS[payload['kind']]} {wording.OUTCOMES[payload['outcome']]}"
        case "integrity_finding":
            return f"{payload['finding_type']}: {payload['severity']}, {payload['verdict_class']}"
        case "integrity_rescinded":
            return f"The finding {payload['evidence_hash']} was taken back"
        case "challenge" | "challenge_response":
            return f"About {payload['about']}, on {target}"
    return ""


def _is_orcid(identifier: str) -> bool:
    return identifier.startswith("orcid:") and _ORCID.fullmatch(identifier[6:]) is not None


def _at(payload: Mapping[str, Any], path: str) -> Any:
    value: Any = payload
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value

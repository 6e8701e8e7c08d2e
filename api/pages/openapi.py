"""The description of the API (OpenAPI 3.1) at `/schema`: for programs as JSON and YAML, for people as a page.

The framework gathers it from the routes. What it says by itself of refusals is not what this application answers, so
that is put right here; and everything under `/schema` is answered here, so that no page of the framework's own, which
would load scripts from elsewhere, is ever served.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import msgspec
from litestar import Request, Response, Router, head
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import License, Server, Tag

from api.answers import HTML, JSON
from api.caching import SHORT, cached
from api.pages.rendered import schema_page
from api.problems import PROBLEM_TYPE
from ledger.errors import NotFoundError

PATH: Final = "/schema"
TITLE: Final = "Pith Ledger"
YAML: Final = "application/yaml"
"""RFC 9512."""

SCHEMA_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: Swagger UI's icons are data, and its requests go to this registry."""

DESCRIPTION: Final = """\
A registry of **Pith Numbers**, which name scholarly papers by their content, and of what people sign about them.

Everything is readable without an account, everything that counts is signed, and everything can be checked offline.

### Read

`GET /pith/{suffix}` is a paper: a page for people, and with `Accept: application/json` or at `/pith/{suffix}.json` its
record, with what holds of it (`verification_status`) and what was signed about it (`events`). Any other name leads
there: `/api/pith-number/resolve?arxiv=2605.25619`, or `/api/search?q=` with words. `GET /api/events` is the whole log,
entry by entry, in pages or as a stream of server-sent events that goes on as the log grows.

### Register a key

    pith --url BASE_URL keygen orcid:0000-0002-1825-0097 -o me.json
    pith --url BASE_URL sign key_registered --key me.json > registration.json
    curl -H 'content-type: application/json' -d @registration.json BASE_URL/api/events

A key signs from then on. Until it is shown whose it is, what it signs is *held*: visible as such, and not counted. The
addresses under *identity* show that an identifier is yours: by a login there, by a letter, or by a key you published.

### Sign

    pith --url BASE_URL sign citation_signature SUFFIX \\
        '{"citing": "arxiv:2605.25619", "relationship": "supports"}' --key me.json

An event is JSON: the statement, who signs it, a nonce and the time. Its id is the SHA-256 of its canonical bytes (RFC
8785), its signature is Ed25519 over `pith-event/1`, a newline and those 32 bytes. Free text is private: the event holds
its salted commitment, and the text goes beside it as a *disclosure*, which can be deleted without touching any proof.

### Submit

`POST /api/events` takes one signed event, or up to a thousand as JSON lines, and answers once they are on the disk:
with the position in the log and the time it was received. The same event again is the same entry, so repeat a request
whose answer was lost. Without a key, send a form to `/pith/{suffix}/action/…`: the registry signs that somebody said
so, and holds it for a moderator. Where it offers that, an empty form asks it to stamp the record (`timestamp_anchor`),
and an address alone to keep a copy (`storage_attestation`).

### Verify

    curl -o bundle.json BASE_URL/pith/SUFFIX/bundle.json
    pith verify bundle.json --root sha256:…

A bundle holds all of a paper with the path from each event to a checkpoint that the log signed; a receipt
(`/api/receipts/{event_id}`) holds one event. `/checkpoint` and `/tile/…` (C2SP tlog-tiles) are the log for monitors,
mirrors and witnesses, who see to it that everybody is shown the same one.

### Refusals

Every refusal is a problem document (RFC 9457), `application/problem+json`: `type` is `urn:pith:error:CODE`, `detail`
says what is wrong, `place` where, and `cure` what to do. Browsers get the same as a page. GET addresses also answer
HEAD, carry a strong `ETag`, and answer 304 to an `If-None-Match` that names it.
"""

TAGS: Final[Mapping[str, str]] = {
    "records": "Papers: their records, what follows from the events about them, and finding them by any name.",
    "actions": "Saying something about a paper, with a key of one's own or without.",
    "events": "Signed events: sending them, and the private texts behind them.",
    "log": "The append-only log: every entry in order, checkpoints, tiles, and who may sign for it.",
    "proofs": "That the log holds an event, and that it only grew.",
    "identity": "Showing which identifiers belong to a key.",
    "session": "Acting again as the same person without a key.",
    "keys": "What is known of a key.",
    "moderation": "What is held, and the decisions of moderators.",
    "protocol": "The registry's own keys, mirrors and schemas, at the public protocol's addresses.",
    "admin": "Registering keys and proven identities by hand, for those who run the registry.",
    "operation": "How the registry does, for those who run it.",
    "pages": "Pages for people.",
}

_PROBLEM: Final = "ProblemDetails"
_PROBLEM_SCHEMA: Final = {
    "title": "Problem details (RFC 9457)",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`urn:pith:error:CODE`, or `about:blank` where the status says it."},
        "title": {"type": "string", "description": "What the status means."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong."},
        "place": {"type": "string", "description": "Where: a field, by its path."},
        "cure": {"type": "string", "description": "What to do about it."},
        "choices": {"type": "array", "items": {"type": "string"}, "description": "With 300: what a name may mean."},
        "request_id": {"type": "string", "description": "By which the registry's operator finds it in their log."},
    },
    "examples": [
        {
            "type": "urn:pith:error:not-found",
            "title": "Not Found",
            "status": 404,
            "detail": "nothing here is called 'QKNOCXGX'",
            "cure": "look for it at /api/search?q=…",
        }
    ],
}
_REFUSED: Final = {
    "description": "A refusal, or our failure, as a problem document.",
    "content": {PROBLEM_TYPE: {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
}
_METHODS: Final = ("get", "post", "put", "patch", "delete", "trace")
_ALL_METHODS: Final = (*_METHODS, "head", "options")


def described_by(base_url: str) -> OpenAPIConfig:
    """Return how the API is described and where that is served.

    Args:
        base_url: the registry's public address without a final slash.
    """
    served = _Served()
    return OpenAPIConfig(
        title=TITLE,
        version=version("pith-ledger"),
        summary="Registry, resolver, mirror and verifier for Pith Numbers",
        description=DESCRIPTION.replace("BASE_URL", base_url),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        servers=[Server(url=base_url)],
        tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
        use_handler_docstrings=True,
        render_plugins=[served, JsonRenderPlugin(), YamlRenderPlugin()],
        openapi_router=Router(PATH, route_handlers=[], include_in_schema=False, before_request=served.answer),
    )


def published(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the framework's description as it is served.

    HEAD and OPTIONS are left out, and every refusal is a problem document, whatever the framework takes it for.
    """
    paths = {}
    for path, item in schema["paths"].items():
        kept = {method: said for method, said in item.items() if method not in ("head", "options")}
        if kept:
            paths[path] = {
                method: _with_problems(said) if method in _METHODS else said for method, said in kept.items()
            }
    components = schema.get("components", {})
    schemas = {**components.get("schemas", {}), _PROBLEM: _PROBLEM_SCHEMA}
    found = {**schema, "paths": paths, "components": {**components, "schemas": schemas}}
    return {**found, "components": {**components, "schemas": _referred_to(found, schemas)}}


def _with_problems(operation: Mapping[str, Any]) -> dict[str, Any]:
    answers = {}
    for status, answer in operation.get("responses", {}).items():
        refuses = status >= "400" or PROBLEM_TYPE in answer.get("content", {})
        answers[status] = {**answer, "content": _REFUSED["content"]} if refuses else answer
    return {**operation, "responses": {**answers, "default": _REFUSED}}


def _referred_to(found: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return those schemas that something refers to, directly or through others."""
    wanted: set[str] = set()
    waiting: list[Any] = [found["paths"]]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, Mapping):
            waiting += value.values()
            name = str(value.get("$ref", "")).removeprefix("#/components/schemas/")
            if name in schemas and name not in wanted:
                wanted.add(name)
                waiting.append(schemas[name])
    return {name: schemas[name] for name in sorted(wanted)}


class _Served(OpenAPIRenderPlugin):
    """Everything under `/schema`, made at the first request for it, since by then every route is known."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._made: dict[str, tuple[bytes, str]] | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page, which is the same whatever is described."""
        return schema_page(TITLE)

    def receive_router(self, router: Router) -> None:
        """Let HEAD in where GET is."""

        @head(["/", "/openapi.json", "/openapi.yaml"])
        async def head_of(request: Request[Any, Any, Any]) -> None: ...

        router.register(head_of)

    async def answer(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer in place of the framework's handlers; raises NotFoundError for any other address."""
        if self._made is None:
            self._made = self._make(request)
        name = request.scope["path"].rstrip("/").removeprefix(PATH)
        if name not in self._made:
            raise NotFoundError(f"there is nothing at {PATH}{name[:80]}", cure=f"look at {PATH}")
        content, kind = self._made[name]
        answer = cached(request, content, kind, SHORT)
        if not name:
            answer.headers["content-security-policy"] = SCHEMA_POLICY
        return answer

    def _make(self, request: Request[Any, Any, Any]) -> dict[str, tuple[bytes, str]]:
        gathered = JsonRenderPlugin().render(request, request.app.openapi_schema.to_schema())
        found = msgspec.json.encode(published(msgspec.json.decode(gathered)))
        return {
            "": (schema_page(TITLE), HTML),
            "/openapi.json": (found, JSON),
            # Read anew, so that nothing in it is one object in two places, which YAML would say.
            "/openapi.yaml": (YamlRenderPlugin().render(request, msgspec.json.decode(found)), YAML),
        }

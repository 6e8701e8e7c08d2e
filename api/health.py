"""`/health/live` and `/health/ready`: what a supervisor asks a registry."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.documented import METHODS, operation
from api.problems import SECURITY_HEADERS
from api.readiness import AnchoringAge, CheckpointAge, Health, Readiness, Reason, Waiting

Asked = Request[Any, Any, Any]


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: str = "ok"


_FAILING: Final = Readiness(
    status="failing",
    size=508,
    cursor=507,
    lag=1,
    checkpoint=CheckpointAge(size=508, age_seconds=41.3),
    waiting=Waiting(groups=0, seconds=0.0),
    anchoring=AnchoringAge(anchored_size=496, unanchored_seconds=1_800.0),
    reasons=[
        Reason(
            reason="projections-stand-still",
            detail="the projections stand at 507 of 508 entries for 41 seconds",
            cure="look for the reason in the server's own log and restart it",
        )
    ],
    warnings=[],
)


def health_handlers(health: Health) -> list[HTTPRouteHandler]:
    """Return the routes by which a supervisor asks how the registry does."""

    @route(
        "/health/live",
        http_method=METHODS,
        operation_id=operation("live"),
        tags=["operation"],
        summary="Does the process answer?",
        responses={200: ResponseSpec(Liveness, description="It does.", generate_examples=False)},
    )
    async def live(request: Asked) -> Response[bytes]:
        """Answer 200 and nothing else; where this does not answer, restart the process."""
        return _told(request, HTTPStatus.OK, Liveness())

    @route(
        "/health/ready",
        http_method=METHODS,
        operation_id=operation("ready"),
        tags=["operation"],
        summary="Does what is served keep up with the log?",
        responses={
            200: ResponseSpec(Readiness, description="It does.", generate_examples=False),
            503: ResponseSpec(
                Readiness,
                description="It does not: `reasons` say why, each with its cure.",
                generate_examples=False,
                examples=[Example(value=msgspec.to_builtins(_FAILING))],
            ),
        },
        sync_to_thread=True,
    )
    def ready(request: Asked) -> Response[bytes]:
        """Answer 200 where the log can be read, its projections follow it and submissions are appended, or else 503.

        Reads go on in either case, as far as they can: what was projected stays readable while projections stand still.
        `warnings` change no status: timestamp services that fail take no registry out of service.
        """
        found = health.readiness()
        status = HTTPStatus.SERVICE_UNAVAILABLE if found.reasons else HTTPStatus.OK
        return _told(request, status, found)

    return [live, ready]


def _told(request: Asked, status: HTTPStatus, found: msgspec.Struct) -> Response[bytes]:
    content = msgspec.json.encode(found)
    headers = {"content-type": "application/json", "cache-control": "no-store", **SECURITY_HEADERS}
    headers["content-length"] = str(len(content))
    return Response(b"" if request.method == "HEAD" else content, status_code=status, headers=headers)

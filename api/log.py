"""A log over HTTP (C2SP tlog-tiles): `/checkpoint`, `/tile/…`, and at `/pith-log.json` who may sign for it.

Everything is a file that a proxy may cache: a tile never changes under its address, and each has exactly one.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import HttpMethod, Litestar, Request, Response, route
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from api.caching import IMMUTABLE, SHORT, cached
from api.problems import HANDLERS
from ledger.errors import NotFoundError
from ledger.publication import CHECKPOINT_PATH, IDENTITY_PATH, Publication
from ledger.tiles import parse_tile_path

METHODS: Final = (HttpMethod.GET, HttpMethod.HEAD, HttpMethod.OPTIONS)
"""Those that handlers see; left out, OPTIONS would be answered by the framework."""

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"

Asked = Request[Any, Any, Any]

TilePath = Annotated[
    str,
    PathParameter(
        description="The tile's level and number, in groups of three digits.", examples=[Example(value="/0/x001/067")]
    ),
]


def log_handlers(publication: Publication) -> list[HTTPRouteHandler]:
    """Return the routes of a published log, for mounting at an application's root or under a prefix.

    They read on worker threads; `api.problems.HANDLERS` answers what they raise.
    """

    @route(
        f"/{CHECKPOINT_PATH}",
        http_method=METHODS,
        sync_to_thread=True,
        summary="The newest checkpoint",
        tags=["log"],
        responses=_answers("A signed note (C2SP tlog-checkpoint).", TEXT),
    )
    def checkpoint(request: Asked) -> Response[bytes]:
        """Return how many entries the log has and the root of its tree, signed by the log and its witnesses."""
        _check_request(request)
        return cached(request, publication.checkpoint(), TEXT, SHORT)

    @route(
        f"/{IDENTITY_PATH}",
        http_method=METHODS,
        sync_to_thread=True,
        summary="Who may sign for the log",
        tags=["log"],
        responses=_answers("The log identity.", JSON, dict[str, Any]),
    )
    def identity(request: Asked) -> Response[bytes]:
        """Return the log's root event, its key, and every event by which the root vouches for it."""
        _check_request(request)
        return cached(request, publication.identity(), JSON, SHORT)

    @route(
        "/tile/{path:path}",
        http_method=METHODS,
        sync_to_thread=True,
        summary="A tile of the log's tree",
        tags=["log"],
        responses=_answers("Hashes, or entries each after its length (C2SP tlog-tiles).", BYTES, bytes),
    )
    def tile(request: Asked, path: TilePath) -> Response[bytes]:
        """Return a tile of hashes (`L/N`, `L/N.p/W`) or of entries (`entries/N`, `entries/N.p/W`); it never changes."""
        _check_request(request)
        found = publication.tile(parse_tile_path(f"tile{path}"))
        return cached(request, found, BYTES, IMMUTABLE)

    return [checkpoint, identity, tile]


def create_log_app(publication: Publication) -> Litestar:
    """Return an application that serves one published log and nothing else."""
    return Litestar(log_handlers(publication), openapi_config=None, logging_config=None, exception_handlers=HANDLERS)


def _answers(description: str, kind: str, container: Any = str) -> dict[int, ResponseSpec]:
    return {200: ResponseSpec(container, description=description, media_type=kind, generate_examples=False)}


def _check_request(request: Asked) -> None:
    """Refuse other methods, and what only the router reads as this address: doubled slashes, escaped characters."""
    if request.method == HttpMethod.OPTIONS:
        raise MethodNotAllowedException(headers={"allow": "GET, HEAD"})
    raw = request.scope["raw_path"].decode("latin-1").removeprefix(request.scope.get("root_path", ""))
    if raw != request.scope["path"]:
        raise NotFoundError(f"{raw[:100]!r} is no address here", cure="")

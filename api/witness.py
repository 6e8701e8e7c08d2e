"""A witness over HTTP (C2SP tlog-witness): `POST /add-checkpoint`, and at `/` who it is and what it follows.

Everything is answered in plain text. A refusal says what is wrong and what to do; what goes wrong on our
side is logged here and not told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from litestar import Litestar, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.params import RawBody

from ledger.errors import StoreError
from ledger.witness import Followed, Witness
from ledger.witness_errors import (
    InconsistentTreeError,
    LogSignatureError,
    MalformedRequestError,
    RootConflictError,
    SizeConflictError,
    UnknownLogError,
    WitnessClockError,
    WitnessRefusedError,
)
from ledger.witnessing import MAX_BODY_BYTES

STATUS: Final[dict[type[WitnessRefusedError], HTTPStatus]] = {
    MalformedRequestError: HTTPStatus.BAD_REQUEST,
    LogSignatureError: HTTPStatus.FORBIDDEN,
    UnknownLogError: HTTPStatus.NOT_FOUND,
    SizeConflictError: HTTPStatus.CONFLICT,
    RootConflictError: HTTPStatus.CONFLICT,
    InconsistentTreeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    WitnessClockError: HTTPStatus.SERVICE_UNAVAILABLE,
}

PLAIN: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"
"""Of a conflict's body, without a charset: clients compare it as a whole."""

_LOG: Final = logging.getLogger(__name__)


def create_witness_app(witness: Witness, clock: Callable[[], int]) -> Litestar:
    """Return the application of one witness.

    Args:
        clock: returns now, in microseconds since 1970, UTC.
    """

    @post("/add-checkpoint", status_code=HTTPStatus.OK, request_max_body_size=MAX_BODY_BYTES, sync_to_thread=True)
    def add_checkpoint(body: RawBody) -> Response[bytes]:
        return _answer(HTTPStatus.OK, witness.add_checkpoint(body, clock() // 1_000_000))

    @get("/", sync_to_thread=True)
    def describe() -> Response[bytes]:
        lines = (
            f"witness {witness.verifier.name}",
            f"key {witness.verifier.format()}",
            *map(_line, witness.followed()),
        )
        return _answer(HTTPStatus.OK, "".join(f"{line}\n" for line in lines).encode())

    return Litestar(
        [add_checkpoint, describe],
        openapi_config=None,
        logging_config=None,
        exception_handlers={
            WitnessRefusedError: _refused,
            StoreError: _not_stored,
            HTTPException: _not_served,
            Exception: _failed,
        },
    )


def _line(log: Followed) -> str:
    seen = "".join(f" two-roots-at {size}" for size in log.contradicted)
    return f"log {log.origin} {log.size}{seen}"


def _answer(status: HTTPStatus, content: bytes, kind: str = PLAIN, **headers: str) -> Response[bytes]:
    named = {"content-type": kind, "x-content-type-options": "nosniff", **headers}
    return Response(content, status_code=status, headers=named)


def _refused(_request: Request[Any, Any, Any], error: WitnessRefusedError) -> Response[bytes]:
    status = STATUS[type(error)]
    if isinstance(error, SizeConflictError):
        return _answer(status, f"{error.known_size}\n".encode(), SIZE)
    return _answer(status, f"{error}\n".encode())


def _not_stored(_request: Request[Any, Any, Any], error: StoreError) -> Response[bytes]:
    _LOG.error("nothing was cosigned: %s", error)
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the witness cannot keep checkpoints at present; try again later\n")


def _not_served(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = HTTPStatus(error.status_code)
    cure = f": at most {MAX_BODY_BYTES} bytes are taken" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else ""
    if status != HTTPStatus.METHOD_NOT_ALLOWED:
        return _answer(status, f"{status.phrase}{cure}\n".encode())
    method = "GET, OPTIONS" if request.scope["path"] == "/" else "OPTIONS, POST"
    return _answer(status, f"{status.phrase}\n".encode(), allow=method)


def _failed(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _LOG.error("a request could not be answered", exc_info=error)
    return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"the witness failed to answer; its operator can see why\n")

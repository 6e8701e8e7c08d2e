"""What the server writes down about its own work: lines of JSON, or text on a terminal.

Modules log by the standard library; `configure_logging` sends it all, and what structlog is given, through one
formatter, which adds the request on whose behalf it was said. Nothing is set up on import.

Bodies, tokens, cookies and query strings are never handed to it. Should an error's text hold an e-mail address or the
values of a database statement, they are withheld here; whatever control characters it holds, a line stays one line.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from json import JSONEncoder
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog
from litestar import Request
from sqlalchemy.exc import StatementError
from structlog.typing import EventDict, Processor

from api.front.current import CURRENT, exchange_of

if TYPE_CHECKING:
    from api.front.exchange import Exchange

WITHHELD: Final = "(withheld)"

_requests: Any = None
"""Where lines about requests go: past the standard library, which would take longer over each than all else here."""

_OURS: Final = ("api", "projections", "ledger", "ops")
_QUIET: Final = {"httpx": logging.WARNING, "httpcore": logging.WARNING, "uvicorn": logging.ERROR}
"""They speak of every request, whose address may hold a code, and of every byte that is malformed."""

_SECRET: Final = re.compile("authorization|cookie|token|secret|password|mail|disclos|body", re.IGNORECASE)
_MAIL: Final = re.compile(r"[^\s@<>'\"(),:;]+@[^\s@<>'\"(),:;]+\.[A-Za-z]{2,}")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def configure_logging(stream: TextIO, json: bool, level: int = logging.INFO) -> None:
    """Send what is logged to a stream from now on; calling it again replaces what was set up before.

    Args:
        json: one object a line; otherwise text for people.
        level: of our own modules; at DEBUG every request has a line. Others' are heard from WARNING on.
    """
    global _requests
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")
    told: list[Processor] = [structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, stamp, _add_request]
    renderer: list[Processor] = (
        [structlog.processors.JSONRenderer(_json)]
        if json
        else [
            _on_one_line,
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=told,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _without_parameters,
            structlog.processors.format_exc_info,
            _without_secrets,
            *renderer,
        ],
    )
    handler = _Handler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *told,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    _requests = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=[structlog.stdlib.add_log_level, stamp, _add_request, _without_secrets, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind(logger="api.requests")


def noted(request: Request[Any, Any, Any], **facts: str | int | list[str]) -> None:
    """Put facts into the line that is logged about a write, such as the ids of its events.

    Args:
        facts: what anybody may read: no text of a submission, nothing by which somebody shows who they are. Of many
            events their number is enough.
    """
    if (exchange := exchange_of(request)) is not None:
        exchange.facts = {**(exchange.facts or {}), **facts}


def log_request(exchange: Exchange, status: int, seconds: float, code: str | None) -> None:
    """Log a request that wrote something or failed; at DEBUG, any.

    Args:
        code: the code of the error that it was answered with.
    """
    if _requests is None:
        return
    wrote = exchange.method not in ("GET", "HEAD", "OPTIONS")
    line = _requests.bind(**exchange.facts) if exchange.facts else _requests
    if code is not None:
        line = line.bind(code=code)
    # What failed with 500 was logged where it failed, with the traceback.
    log = line.warning if status > 500 else line.info if wrote else line.debug
    log("write" if wrote else "read", status=status, outcome=_outcome(status), milliseconds=round(seconds * 1_000, 2))


def _outcome(status: int) -> str:
    if not status:
        return "unanswered"
    if status < 400:
        return "done"
    return "refused" if status < 500 else "failed"


class _Handler(logging.StreamHandler[TextIO]):
    """The one that `configure_logging` made."""


def _add_request(_logger: Any, _method: str, line: EventDict) -> EventDict:
    exchange = CURRENT.get()
    if exchange is not None:
        line["request_id"] = exchange.id
        line["method"] = exchange.method
        line["route"] = exchange.route
    return line


def _without_parameters(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Keep the values of a database statement out of its error's text."""
    told = line.get("exc_info")
    waiting = [told[1] if isinstance(told, tuple) else sys.exc_info()[1] if told is True else told]
    seen: set[int] = set()
    while waiting:
        error = waiting.pop()
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        if isinstance(error, StatementError):
            error.hide_parameters = True
        waiting += [error.__cause__, error.__context__]
        if isinstance(error, BaseExceptionGroup):
            waiting += error.exceptions
    return line


def _without_secrets(_logger: Any, _method: str, line: EventDict) -> EventDict:
    return {name: WITHHELD if _is_secret(name) else _masked(value) for name, value in line.items()}


@lru_cache(512)
def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _MAIL.sub(WITHHELD, value) if "@" in value else value
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(part) for part in value]
    if isinstance(value, dict):
        return dict(_without_secrets(None, "", value))
    return value if isinstance(value, int | float | bool | None) else _masked(str(value))


_ENCODER: Final = JSONEncoder(ensure_ascii=True, default=str)


def _json(line: EventDict, **_: Any) -> str:
    return _ENCODER.encode(line)


def _on_one_line(_logger: Any, _method: str, line: EventDict) -> EventDict:
    """Show control characters as escapes, so that nobody can write to the operator's terminal."""
    escaped: MutableMapping[str, Any] = {}
    for name, value in line.items():
        if name == "exception":
            lines = str(value).split("\n")
            escaped[name] = "\n".join("    " + _CONTROL.sub(_escape, text) for text in lines)
        else:
            escaped[name] = value if isinstance(value, int | float | None) else _CONTROL.sub(_escape, str(value))
    return escaped


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode-escape", "surrogatepass").decode()

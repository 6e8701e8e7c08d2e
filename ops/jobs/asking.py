"""Asking several services at once.

Each is asked in a thread of its own, one thing after the other, so that one which hangs keeps nobody else waiting;
what comes back is handled in the caller's thread, as it comes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from ledger.errors import LedgerError, ServiceRefusedError, ServiceUnavailableError, StoreError
from ops.jobs.resting import is_refusal

LOOK_SECONDS: Final = 0.5
BEGIN_SECONDS: Final = 60.0
"""After so long nothing more is begun, so that a slow service keeps nobody from the next round."""

_LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")
Ask = Callable[[], T]


@dataclass(slots=True)
class Answered(Generic[T]):
    """What came of one thing that a service was asked: `index` is its place in that service's list."""

    service: str
    index: int
    result: T | LedgerError


def asked(
    asks: Mapping[str, Sequence[Ask[T]]], stopped: threading.Event, meanwhile: Callable[[], None], every: float
) -> Iterator[Answered[T]]:
    """Ask services, by their address, for one thing after the other; yield the answers and errors as they come.

    After an error that the same service would meet again with the next thing, nothing more is asked of it, nor after
    BEGIN_SECONDS. What is under way when the worker is told to stop is dropped. What nobody foresaw is that service's
    failure, so that one which sends nonsense of a new kind ends nothing for the others.

    Args:
        meanwhile: is called in the caller's thread about every so many seconds.
    """
    began = time.monotonic()
    answers: queue.Queue[Answered[T] | Exception | None] = queue.Queue()

    def ask(service: str, things: Sequence[Ask[T]]) -> None:
        try:
            for index, thing in enumerate(things):
                if stopped.is_set() or (index and time.monotonic() - began > BEGIN_SECONDS):
                    return
                result = outcome_of(thing, service)
                answers.put(Answered(service, index, result))
                if isinstance(result, LedgerError) and not is_refusal(result):
                    return
        except Exception as error:
            answers.put(error)
        finally:
            answers.put(None)

    for service, things in asks.items():
        # Daemons: a service that hangs must not keep the process from ending.
        threading.Thread(target=ask, args=(service, things), name="asking", daemon=True).start()
    open_threads, last = len(asks), began
    while open_threads and not stopped.is_set():
        if time.monotonic() - last > every:
            meanwhile()
            last = time.monotonic()
        try:
            answer = answers.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            continue
        if answer is None:
            open_threads -= 1
        elif isinstance(answer, Exception):
            raise answer
        else:
            yield answer


def outcome_of(thing: Ask[T], service: str) -> T | LedgerError:
    """Do what depends on what one service sends; return what came of it, or the error.

    One that nobody foresaw is logged with where it happened, and taken for a refusal, which rests long.

    Raises:
        StoreError, SQLAlchemyError: a database of our own failed, which is no service's doing.
    """
    try:
        return thing()
    except (StoreError, SQLAlchemyError):
        raise
    except LedgerError as error:
        return error
    except OSError as error:
        return ServiceUnavailableError(error.strerror or type(error).__name__, place=service)
    except Exception as error:
        _LOG.exception("%s answered in a way that nobody foresaw", service)
        return ServiceRefusedError(
            f"it answered in a way that nobody foresaw: {type(error).__name__}",
            place=service,
            cure="the worker's log says where",
        )

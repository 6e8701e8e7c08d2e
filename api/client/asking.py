"""Asking again where that helps: what is refused for now, and what broke off, as long as repeating it does no harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from api.client.exchange import Answer, BrokenOffError, OverdueError, Request
from api.client.problems import FOR_NOW, error_of
from api.client.transport import Transport
from ledger.errors import LedgerError, LogCorruptedError

_GRANTED: Final = 2
"""The hundreds of the statuses of success."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and for how many seconds is waited in between.

    `first` doubles with each failure up to `longest`; a registry that asks for more than `longest` is not waited for.
    """

    tries: int = 4
    first: float = 0.5
    longest: float = 60.0

    def pause(self, failures: int, jitter: float) -> float:
        """Return how long to wait after a number of failures in a row; jitter takes off up to a half."""
        return float(min(self.first * 2.0 ** min(failures - 1, 32), self.longest) * (1 - 0.5 * jitter))


class Asking:
    """Asks a registry with patience.

    Args:
        wait: what waits for a number of seconds.
        jitter: returns a number between 0 and 1, so that many clients do not come back in step.
        clock: returns now, in microseconds since 1970, UTC.
    """

    def __init__(
        self,
        transport: Transport,
        patience: Patience,
        wait: Callable[[float], object],
        jitter: Callable[[], float],
        clock: Callable[[], int],
    ) -> None:
        self.transport = transport
        self.patience = patience
        self.wait = wait
        self.jitter = jitter
        self.clock = clock

    def ask(self, request: Request) -> Answer:
        """Return the answer to a request that was granted.

        Raises:
            LedgerError: the registry refuses it, by the code of its problem.
            SourceUnreadableError: there is no answer that can be read.
        """
        failures = 0
        while True:
            wanted: float | None = None
            try:
                answer = self.transport.ask(request)
                if answer.status // 100 == _GRANTED:
                    return answer
                error = self.refusal(answer, request)
                if answer.status not in FOR_NOW or isinstance(error, LogCorruptedError):
                    raise error
                wanted = self.retry_after(answer)
            except OverdueError:
                raise  # the caller has waited long enough
            except BrokenOffError as broken:
                error = broken
            failures += 1
            if not request.repeatable or failures >= self.patience.tries:
                raise error
            if wanted is None:
                self.wait(self.patience.pause(failures, self.jitter()))
            elif wanted > self.patience.longest:
                raise error
            else:
                self.wait(wanted * (1 + 0.1 * self.jitter()))

    def refusal(self, answer: Answer, request: Request) -> LedgerError:
        """Return the error that an answer is."""
        place = f"{self.transport.url}{request.target.partition('?')[0]}"
        return error_of(answer.status, answer.headers.get("content-type", ""), answer.content, place)

    def retry_after(self, answer: Answer) -> float | None:
        """Return for how many seconds an answer asks to wait (RFC 9110, 10.2.3); None where it does not say."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            then = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        if then.tzinfo is None:
            then = then.replace(tzinfo=UTC)
        return max(0.0, (then - datetime.fromtimestamp(self.clock() / 1_000_000, UTC)).total_seconds())

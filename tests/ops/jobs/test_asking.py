"""Asking several services at once: what one of them does is its own failure."""

from __future__ import annotations

import threading

import pytest

from ledger.errors import LedgerError, ServiceRefusedError, ServiceUnavailableError, StoreError
from ops.jobs.asking import Answered, Ask, asked


def outcomes(asks: dict[str, list[Ask[str]]]) -> dict[tuple[str, int], str | LedgerError]:
    answers: list[Answered[str]] = list(asked(asks, threading.Event(), lambda: None, 10.0))
    return {(answer.service, answer.index): answer.result for answer in answers}


def raises(error: Exception) -> Ask[str]:
    def ask() -> str:
        raise error

    return ask


def test_what_nobody_foresaw_is_that_services_refusal_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    found = outcomes(
        {
            "https://bad.example": [raises(RecursionError("too deep")), lambda: "well"],
            "https://good.example": [lambda: "one", lambda: "two"],
        }
    )
    refused = found.pop(("https://bad.example", 0))
    assert isinstance(refused, ServiceRefusedError)
    assert refused.message == "it answered in a way that nobody foresaw: RecursionError"
    assert "too deep" not in str(refused)
    assert found == {
        ("https://bad.example", 1): "well",
        ("https://good.example", 0): "one",
        ("https://good.example", 1): "two",
    }
    (record,) = caplog.records
    assert "https://bad.example" in record.getMessage()
    assert record.exc_info is not None


def test_after_silence_nothing_more_is_asked_of_a_service() -> None:
    found = outcomes({"https://a.example": [raises(ConnectionResetError(104, "reset")), lambda: "one"]})
    (only,) = found.values()
    assert isinstance(only, ServiceUnavailableError)


def test_a_database_of_our_own_that_fails_is_no_services_doing() -> None:
    with pytest.raises(StoreError, match="disk"):
        outcomes({"https://a.example": [raises(StoreError("the disk is full"))]})

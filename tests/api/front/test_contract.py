"""What the schema says of every address, held against what the application does with requests made up from it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.registry import Registry

EXAMPLES: Final = 15
"""How many requests are made up for each operation, of those it takes and of those it does not."""

PATIENCE: Final = 30
METHODS: Final = ("get", "head", "post", "put", "patch", "delete")

KEPT_WAITING: Final = "wait_for"
"""A reader who names an entry that is not there yet waits ten seconds for it; another test sees to that."""

REFUSALS: Final = (501, 503)
"""What a registry may answer beyond 4xx, where the schema says so."""


def no_failure_of_ours(_ctx: Any, response: schemathesis.Response, _case: schemathesis.Case) -> None:
    assert response.status_code < 500 or response.status_code in REFUSALS, response.text[:500]


CHECKS: Final[list[Any]] = [
    no_failure_of_ours,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(registry: Registry) -> Any:
    config = schemathesis.Config(seed=1)
    return schemathesis.openapi.from_url(f"{registry.address}/schema/openapi.json", config=config)


def test_the_schema_is_one(described: Any) -> None:
    assert described.raw_schema["openapi"].startswith("3.1.")
    described.validate()


def test_every_operation_has_a_name_of_its_own_and_says_what_it_is(described: Any) -> None:
    operations = [
        operation
        for item in described.raw_schema["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) >= 20
    assert [operation["operationId"] for operation in operations if not operation.get("summary")] == []
    assert [operation["operationId"] for operation in operations if not operation.get("tags")] == []


@pytest.mark.parametrize("mode", [*schemathesis.GenerationMode])
def test_the_application_does_what_its_schema_says(
    registry: Registry, described: Any, subtests: pytest.Subtests, mode: schemathesis.GenerationMode
) -> None:
    held = 0
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=[*HealthCheck],
        )
        def conforms(case: schemathesis.Case) -> None:
            if case.query:
                case.query.pop(KEPT_WAITING, None)
            case.call_and_validate(base_url=registry.address, checks=CHECKS, timeout=PATIENCE, allow_redirects=False)

        # What takes no parameters has no wrong ones.
        with subtests.test(operation.label), suppress(Unsatisfiable):
            conforms()
            held += 1
    assert held >= 15

"""The API keeps to its own OpenAPI: whatever is asked of it, answers are what is described, and never a 500."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from callers import desk_of, house, seed, standing, token
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from sqlalchemy import Engine

from factories import make_core
from monitor.clock import HandClock
from monitor.core import Core

API = "/api/v1"
EXAMPLES = 15
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
_STEADY = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Asked:
    """An API that is asked."""

    core: Core
    desk: httpx.Client
    schema: Any


@pytest.fixture
def asked(core: Core) -> Iterator[Asked]:
    core = house(core)
    seed(core)
    headers = token(core, role="admin")
    with desk_of(core) as desk:
        described = desk.get(f"{API}/openapi.json", headers=headers).json()
        desk.headers.update(headers)
        schema = schemathesis.openapi.from_dict(described)
        schema.config.update(base_url=f"{desk.base_url}api/v1")
        yield Asked(core, desk, schema)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_answers_are_as_described(asked: Asked, mode: GenerationMode) -> None:
    """Right and wrong requests to every operation: a described status, type and shape."""
    headers = {"Authorization": asked.desk.headers["authorization"]}
    for found in asked.schema.get_all_operations():
        operation = found.ok()

        @_STEADY
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            case.call_and_validate(headers=headers)

        ask()

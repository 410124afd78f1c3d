"""The API keeps to its own OpenAPI: whatever is asked of it, answers are what is described, and never a 500."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from callers import desk_of, house, seed, standing, token
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from monitor.core import Core

API = "/api/v1"
EXAMPLES = 5  # right ones and as many wrong ones, of each operation
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
        schema.config.update(base_url=str(desk.base_url.join(API)))
        yield Asked(core, desk, schema)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_answers_are_as_described(asked: Asked, mode: GenerationMode) -> None:
    """Right and wrong requests to every operation: a described status, type and shape."""
    headers = {"Authorization": asked.desk.headers["authorization"]}
    with requests.Session() as kept:
        for found in asked.schema.get_all_operations():
            operation = found.ok()

            @_STEADY
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                case.call_and_validate(headers=headers, session=kept)

            ask()


@pytest.mark.parametrize("who", ["nobody", "brand"])
def test_who_may_not_changes_nothing(asked: Asked, who: str) -> None:
    """Right requests to whatever changes something, by nobody and by who only looks: refused, and nothing changes."""
    headers = token(asked.core, "品牌", role="brand") if who == "brand" else {}
    before = standing(asked.core)
    for found in (
        asked.schema.include(method=["POST", "PUT", "DELETE"]).exclude(path_regex="/check$").get_all_operations()
    ):
        operation = found.ok()

        @_STEADY
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def ask(case: Any) -> None:
            assert case.call(headers=headers).status_code in ((401,) if who == "nobody" else (403, 404, 409))

        ask()
    assert standing(asked.core) == before

"""Every connector's saved answers give the items written beside them.

``tests/fixtures/connectors/<kind>/<case>/`` holds ``options.toml`` (the connector's keys), ``1.json``, ``2.html`` …
(what its requests are answered, in their order) and ``expected.json`` (what comes out, with the clock at ``NOW``).
"""

import json
import re
import textwrap
import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from crawler_factories import make_connector, make_page
from stores import stand_in

from crawler.bases.base import Fetch, SourceError, Visited
from crawler.connectors import load
from crawler.items import BadRow, FeedbackItem
from crawler.secrets import Secrets
from monitor.settings import Source

CASES = sorted((Path(__file__).parent / "fixtures" / "connectors").glob("*/*/"))


def answers(case: Path) -> dict[int, str]:
    return {int(file.stem): file.read_text(encoding="utf-8") for file in case.iterdir() if file.stem.isdecimal()}


def told(output: Any) -> dict[str, Any]:
    """What is said of an output: an item without its empty fields, a bad element by its reason."""
    if isinstance(output, FeedbackItem):
        output = replace(output, undated_id="")
        values = {name: value for name, value in asdict(output).items() if value not in ("", None, {}, False)}
        return values | ({"created_at": output.created_at.isoformat()} if output.created_at else {})
    if isinstance(output, BadRow):
        return {"left out": output.reason}
    assert isinstance(output, SourceError)
    return {"refused": type(output).__name__, "says": str(output)}


def play(case: Path) -> list[dict[str, Any]]:
    """What a connector makes of the saved answers; requests beyond them stay unanswered."""
    options = tomllib.loads((case / "options.toml").read_text(encoding="utf-8"))
    env = {value: stand_in(value) for key, value in options.items() if key.endswith("_env")}
    connector = make_connector(case.parent.name, options, secrets=Secrets(env), base_dir=case)
    saved, said = answers(case), []
    waiting = list(connector.start())
    asked = 0
    while waiting:
        output = waiting.pop(0)
        if not isinstance(output, Fetch):
            said += [] if isinstance(output, Visited) else [told(output)]
            continue
        asked += 1
        if asked in saved:
            try:
                waiting[:0] = [*connector.read(make_page(saved[asked], output.url), output)]
            except SourceError as error:
                said.append(told(error))
    assert asked >= len(saved), "an answer that nobody asked for"
    return said


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_saved_answers_give_the_expected_items(case: Path, request: pytest.FixtureRequest) -> None:
    """Every field of every item, in order, and every element that was left out with its reason."""
    said = play(case)
    expected = case / "expected.json"
    if request.config.getoption("--update-golden"):
        expected.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    assert said == json.loads(expected.read_text(encoding="utf-8"))


def official() -> list[str]:
    from crawler import connectors
    from crawler.bases.api import ApiOptions

    return [kind for kind in connectors.kinds() if issubclass(connectors.load(kind).Options, ApiOptions)]


@pytest.mark.parametrize("kind", official())
def test_no_official_api_goes_without_a_page_and_saved_answers(kind: str) -> None:
    """Whoever adds one writes both; the lines to copy are eight at most, and the config takes them."""
    assert kind in {case.parent.name for case in CASES}
    page = (Path(__file__).parent.parent / "docs" / "connectors" / f"{kind}.md").read_text(encoding="utf-8")
    block = re.search(r"(?m)^    \[\[sources\]\]\n(?:    .*\n)+", page)
    assert block, "a source to copy"
    lines = textwrap.dedent(block[0])
    assert len(lines.splitlines()) <= 9
    (source,) = tomllib.loads(lines)["sources"]
    assert source["kind"] == kind
    load(kind).Options.model_validate(Source(**source).options)

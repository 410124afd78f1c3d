"""Pages about sources: what they tell people to write is what the program takes."""

import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest

from crawler.connectors import kinds, load
from monitor.settings import Source

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted([*DOCS.glob("connectors/*.md"), *DOCS.glob("how-to/*.md")])


def sources(page: Path) -> list[dict[str, Any]]:
    """Every complete example of a source on the page."""
    blocks = re.findall(
        r"(?m)^(?:    .*\n|\n(?=    ))*^    \[\[sources\]\]\n(?:    .*\n)+", page.read_text(encoding="utf-8")
    )
    return [source for block in blocks for source in tomllib.loads(textwrap.dedent(block))["sources"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_are_taken(page: Path) -> None:
    """Kind, keys and values; a connector's page shows its own kind."""
    found = sources(page)
    for source in found:
        load(source["kind"]).Options.model_validate(Source(**source).options)
    if page.parent.name == "connectors":
        assert page.stem in kinds()
        assert [source["kind"] for source in found] == [page.stem]


def test_there_are_examples() -> None:
    """Otherwise nothing was tested."""
    assert len(sources(DOCS / "how-to" / "read-a-forum.md")) == 2
    assert len(sources(DOCS / "how-to" / "read-rsshub.md")) == 1

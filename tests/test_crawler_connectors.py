"""crawler.connectors: found by being there."""

import subprocess
import sys

import pytest

from crawler.bases.base import Connector, Fetch
from crawler.connectors import UnknownKindError, kinds, load


def test_kinds() -> None:
    """Every file in crawler/spiders is one."""
    assert {"html", "feed", "json", "schema_org", "file"} <= set(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_every_connector_tells_what_it_takes(kind: str) -> None:
    """Options refuse unknown keys and describe each known one; the docs are made of them."""
    connector = load(kind)
    assert issubclass(connector, Connector)
    assert connector.Options.model_config["extra"] == "forbid"
    fields = connector.Options.model_fields
    assert fields
    assert all(field.description for field in fields.values())
    assert connector.__doc__


def test_an_unknown_kind_names_the_nearest() -> None:
    """A slip of the pen is put right."""
    with pytest.raises(UnknownKindError, match=r"'html'.*feed"):
        load("htm")


def test_checking_a_config_imports_nothing_heavy() -> None:
    """Options of all kinds come without Scrapy, Twisted, openpyxl, feedparser and extruct."""
    code = (
        "import sys; from crawler.connectors import *; [load(kind) for kind in kinds()]; import crawler.run;"
        "print({'scrapy', 'twisted', 'openpyxl', 'feedparser', 'extruct', 'lxml'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_a_connector_without_pages_needs_no_read() -> None:
    """Reading a page is for those that ask for one."""
    with pytest.raises(NotImplementedError):
        load("file").read(None, None, Fetch("http://a.example"))  # type: ignore[arg-type]

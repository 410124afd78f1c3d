"""The reference of all connectors, made from their options: ``docs/reference/connectors.md``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crawler import connectors

REPOSITORY = Path(__file__).parent.parent
PAGE = "docs/reference/connectors.md"


def connectors_page() -> Iterator[str]:
    """The page, piece by piece."""
    yield "# Connectors\n\nA source's `kind`; these keys stand beside those of every source: [settings](settings.md).\n"
    for kind in connectors.kinds():
        connector = connectors.load(kind)
        more = f" [More](../connectors/{kind}.md)." if page_of(kind) != f"{PAGE}#{kind}" else ""
        yield f"\n## `{kind}`\n\n{(connector.__doc__ or '').strip()}{more}\n"
        yield "\n| key | default | meaning |\n|---|---|---|\n"
        for key, field in connector.Options.model_fields.items():
            default = "required" if field.is_required() else shown(field.get_default(call_default_factory=True))
            yield f"| `{key}` | {default} | {cell(field.description)} |\n"


def page_of(kind: str) -> str:
    """Where a kind is documented, from the repository's root: its own page, else its place in the reference."""
    own = f"docs/connectors/{kind}.md"
    return own if (REPOSITORY / own).exists() else f"{PAGE}#{kind}"


def shown(value: Any) -> str:
    """A default as a table's cell."""
    if isinstance(value, list):
        value = [getattr(one, "value", one) for one in value]
    return "–" if value in (None, "", [], {}) else f"`{value}`"


def cell(text: str | None) -> str:
    """A description as a table's cell."""
    return " ".join((text or "").split()).replace("|", "\\|")

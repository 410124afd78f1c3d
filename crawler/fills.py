"""Which fields of an item its source filled: what shows a page or an interface that changed its shape."""

import re

from crawler.items import FeedbackItem

FIELDS = ("id", "text", "author", "time", "stars", "product")
ITEMS = "items"  # under which the items themselves are counted
_DERIVED = re.compile(
    r"[0-9a-f]{40}"
)  # crawler.bases.fields.derived_id; a source's own ids of this shape are never news


def filled(item: FeedbackItem) -> list[str]:
    """``ITEMS`` and those of ``FIELDS`` that the item has; an id that was made up for it is none."""
    has = (
        not _DERIVED.fullmatch(item.external_id),
        bool(item.text),
        bool(item.author),
        item.created_at is not None,
        item.stars is not None,
        bool(item.product),
    )
    return [ITEMS, *(name for name, there in zip(FIELDS, has, strict=True) if there)]

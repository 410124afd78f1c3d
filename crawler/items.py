"""What connectors yield: one frozen item per review or mention, before any cleaning or masking."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Kind = Literal["review", "mention"]


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """One review or mention exactly as its source gave it.

    Attributes:
        external_id: The source's own id, or one derived from page, author, time and text; unique within the source.
        undated_id: What a derived id would be without the time: by it a review is known that was read before its date
            could be; empty where the id is the source's own.
        text: What the writer said, plain text; may be empty (pictures only).
        created_at: When it was written, aware; None where the source does not say.
        stars: 1.0–5.0 in halves; None where the source has none.
        followup: The writer's later addition (追评), plain text.
        reply: The shop's public answer, plain text.
        order_ref: The shop's order number; kept unmasked because staff need it.
        deleted: The source says the text was taken down.
        extra: Small further facts by standard name: ``sku, batch, warehouse, courier, likes, reposts, comments``, the
            customer's ``tier``, stars for ``service`` and ``logistics``, when the 追评 was written (``followup_at``,
            ISO), and ids or addresses of the ``thread`` it stands in, the ``parent`` it answers and what it passes on
            (``repost``).
        counts_only: It was asked for again for its likes, reposts and comments; what else is known of it stays.
    """

    external_id: str
    text: str
    created_at: datetime | None = None
    stars: float | None = None
    title: str = ""
    url: str = ""
    author: str = ""
    product: str = ""
    order_ref: str = ""
    followup: str = ""
    reply: str = ""
    deleted: bool = False
    extra: dict[str, str | int | float] = field(default_factory=dict)
    undated_id: str = ""
    counts_only: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row or page element that could not become an item; counted as skipped and logged.

    Attributes:
        where: File and line, or page address.
        reason: What was expected, in Chinese, for the person who mends it.
    """

    where: str
    reason: str

"""Raw fields of one review, whatever they came from, made into an item."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from crawler.items import BadRow, FeedbackItem
from crawler.parsing import is_relative, parse_count, parse_stars, parse_time, plain_text

Field = Literal[
    "id", "text", "title", "stars", "time", "author", "product", "order", "url", "followup", "followup_time", "reply",
    "deleted",
    "sku", "batch", "warehouse", "courier", "tier", "service", "logistics",
    "likes", "reposts", "comments", "thread", "parent", "repost",
]  # fmt: skip
FIELDS: tuple[str, ...] = get_args(Field)
MARKUP = frozenset({"text", "title", "author", "product", "followup", "reply"})  # taken as HTML, the others as they are
COUNTS = ("likes", "reposts", "comments")
_SCORES = ("service", "logistics")
_EXTRA = ("sku", "batch", "warehouse", "courier", "tier", *_SCORES, *COUNTS, "thread", "parent", "repost")
_YES = frozenset({"1", "true", "yes", "y", "是", "已删除", "deleted"})
_PAGING = re.compile(r"p|pn|pg|page(?:_?no|_?num|index)?|currentpage|paged|offset|start|cursor", re.IGNORECASE)
_PAGING_PATH = re.compile(r"[/_-]page[-_/]?\d+(?=/|\.\w+$|$)", re.IGNORECASE)


def make_item(
    raw: Mapping[str, object],
    zone: ZoneInfo,
    now: datetime,
    *,
    where: str,
    page: str = "",
    words: Mapping[str, float] | None = None,
) -> FeedbackItem | BadRow:
    """One item out of raw values by field name (``FIELDS``); a BadRow where there is nothing to store.

    Args:
        raw: Text (HTML or plain), numbers or dates, as found; missing and None are the same.
        zone: Zone of times that name none.
        now: What relative times are counted from.
        where: Page address or file and line, for the BadRow.
        page: What a derived id starts from: ``page_identity`` of an address, or what else tells two reviews apart.
        words: The source's own words for stars.
    """
    text = _clean(said(raw, "text"))
    title = _clean(said(raw, "title"))
    stars = parse_stars(raw.get("stars"), words)
    followup = _clean(said(raw, "followup"))
    deleted = said(raw, "deleted").casefold() in _YES
    if not (text or title or stars or followup or deleted):
        return BadRow(where, "没有文字、标题和评分，无可入库")
    time = parse_time(raw.get("time"), zone, now)
    author = _clean(said(raw, "author"))
    own_id = said(raw, "id")
    return FeedbackItem(
        external_id=own_id or derived_id(page, author, _stable(raw.get("time"), time), text or title),
        text=text,
        created_at=time,
        stars=stars,
        title=title,
        url=said(raw, "url"),
        author=author,
        product=_clean(said(raw, "product")),
        order_ref=said(raw, "order"),
        followup=followup,
        reply=_clean(said(raw, "reply")),
        deleted=deleted,
        extra=_extra(raw) | _followup_at(raw, followup, zone, now),
        undated_id="" if own_id or time is None else derived_id(page, author, "", text or title),
    )


def unread(raw: Mapping[str, object], item: FeedbackItem) -> Iterator[tuple[str, str]]:
    """Field and value of a time or star that was said but not understood; the item goes without it."""
    times = (("time", item.created_at), ("followup_time", item.extra.get("followup_at") or not item.followup or None))
    for name, value in (*times, ("stars", item.stars)):
        if value is None and (told := said(raw, name)):
            yield name, told


def _followup_at(
    raw: Mapping[str, object], followup: str, zone: ZoneInfo, now: datetime
) -> dict[str, str | int | float]:
    at = parse_time(raw.get("followup_time"), zone, now) if followup else None
    return {"followup_at": at.isoformat()} if at else {}


def _clean(text: str) -> str:
    return plain_text(text) if text else ""


def said(raw: Mapping[str, object], name: str) -> str:
    """A raw value as text; numbers without a false ``.0``, what is no value at all as ``""``."""
    value = raw.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, (int, float)) else ""


def derived_id(*parts: str) -> str:
    """A stable id out of what makes a review itself, for sources that give none."""
    return hashlib.sha1("\x1f".join(parts).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def _stable(said_time: object, time: datetime | None) -> str:
    """The time as the next visit will read it too: "3分钟前" counts as a day only."""
    if time is None:
        return ""
    return time.date().isoformat() if is_relative(said_time) else str(int(time.timestamp()))


def page_identity(url: str) -> str:
    """The address without what pages through a list: a review pushed on to page 2 stays the same review."""
    parts = urlsplit(url)
    query = [
        (name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not _PAGING.fullmatch(name)
    ]
    return urlunsplit((parts.scheme, parts.netloc, _PAGING_PATH.sub("", parts.path).rstrip("/"), urlencode(query), ""))


def _extra(raw: Mapping[str, object]) -> dict[str, str | int | float]:
    extra: dict[str, str | int | float] = {}
    for name in (name for name in _EXTRA if name in raw):
        value: str | float | None
        if name in COUNTS:
            value = parse_count(raw[name])
        else:
            value = parse_stars(raw[name]) if name in _SCORES else said(raw, name)
        if value is not None and value != "":
            extra[name] = value
    return extra

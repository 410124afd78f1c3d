"""An item as a row of ``feedback``: cleaned, bounded, masked, hashed; nothing personal goes further than here."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crawler.items import FeedbackItem
from monitor.duplicates import text_key
from monitor.privacy import author_hash, mask, mask_nickname
from monitor.text import clean

FOLLOWUP_MARK = "【追评】"
_PLAIN = frozenset({"thread", "parent", "repost", "followup_at"})  # digits of these tell nothing of a person
_SHORT = 200  # characters of names, titles and ids
_WEB = re.compile(r"https?://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a batch comes from.

    Attributes:
        watched: The source was read before, so what appears now has just happened even where it bears no date.
        archive: Tables exported by people: they tell what was, and a row without a date says nothing of the present.
        questions: Buyers' questions: each opens a case, whatever its tone.
    """

    source_id: int
    shop_id: str | None
    platform: str
    kind: str
    watched: bool
    archive: bool = False
    questions: bool = False


def make_row(secret: bytes, origin: Origin, item: FeedbackItem, now: datetime) -> dict[str, Any]:
    """Everything of a new row but its id and what it copies; the secret salts the author's hash."""
    body = mask(clean(item.text)).text
    if followup := mask(clean(item.followup)).text:
        body = f"{body}\n{FOLLOWUP_MARK}{followup}".lstrip()
    values: dict[str, Any] = {
        "title": mask(clean(item.title)[:_SHORT]).text,
        "text": body,
        "stars": item.stars,
        "reply": mask(clean(item.reply)).text,
        "deleted": item.deleted,
        "url": url if _WEB.match(url := clean(item.url)) else "",  # it becomes a link that people click
        "product": clean(item.product)[:_SHORT],
        "order_ref": clean(item.order_ref)[:_SHORT],
    }
    author = clean(item.author)[:_SHORT]
    created = item.created_at if item.created_at is None or item.created_at <= now else now
    return values | {
        "source_id": origin.source_id,
        "shop_id": origin.shop_id,
        "platform": origin.platform,
        "kind": origin.kind,
        "external_id": _identity(item.external_id),
        "author": mask_nickname(author) if author else "",
        "author_hash": author_hash(author, origin.platform, secret) if _is_name(author) else "",
        "extra": {clean(str(name)): _fact(name, value) for name, value in item.extra.items()},
        "created_at": created,
        "happened_at": created or now,
        "timely": item.created_at is not None or (origin.watched and not origin.archive),
        "first_seen_at": now,
        "updated_at": now,
        "version": 1,
        "content_hash": _content_hash(values),
        "text_key": text_key(body),
    }


def _fact(name: str, value: str | float) -> str | float:
    """A further fact; buyers have their phone engraved, and then it stands in the SKU."""
    if not isinstance(value, str):
        return value
    return clean(value) if name in _PLAIN else mask(clean(value)).text


def _identity(external_id: str) -> str:
    """The source's id where it is short and plain, else a stand-in that tells it from every other."""
    plain = clean(external_id)
    if plain == external_id and len(plain) <= _SHORT:
        return plain
    digest = hashlib.sha1(external_id.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{plain[: _SHORT - len(digest) - 1]}#{digest}"


def _is_name(author: str) -> bool:
    """Whether a nickname tells one person from another: "匿名用户" and what platforms masked themselves do not."""
    return bool(author) and "*" not in author and "匿名" not in author and author.lower() not in ("anonymous", "guest")


def _content_hash(values: dict[str, Any]) -> str:
    """What an edit changes; a new address or a product renamed does not make a review a new version."""
    parts = [str(values[name]) for name in ("title", "text", "stars", "reply", "deleted")]
    return hashlib.sha1("\x00".join(parts).encode(), usedforsecurity=False).hexdigest()

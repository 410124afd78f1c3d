"""What a crisis's feedbacks share, with counts: kept up to date with what is new, so that a flood stays cheap."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from monitor.models import CrisisFeedback, Feedback, Score

_FIELDS = ("product", "platform")
_FACTS = ("sku", "batch", "warehouse", "courier", "region")
READ = 3000
"""Newest complaints of a category and span that are asked what they tell."""
_KEPT = 20  # values of a field that are counted on; what most have in common is always among them
_TELLING = 3  # letters: fewer say what it is about, not what is wrong with it
_LONGEST = 100  # letters of a value that are kept
_COMPARED = 1000  # newest texts that are compared for copies: near-copies show in far fewer
_ANEW = 1.25  # times as many feedbacks before they are compared again
_SMALL = 200  # … or whenever something is new, while there are no more than so many

_COURIER = re.compile(
    r"(顺丰|中通|圆通|申通|韵达|极兔|德邦|百世|跨越|丰网|邮政|京东(?=快递|物流|小哥))|(?i:(?<![a-z])ems(?![a-z]))"
)
_WAREHOUSE = re.compile(r"(?:从|由|自|是)(?![从由自])([一-鿿]{2,3})仓(?:库)?(?:发|出|寄|配)")
_NO_PLACE = re.compile(r"[你我他她它]们?|这|那|哪|同|别|某|一|两|几|各|其|本地|外地|当地|自己|不同")


def grow(session: Session, crisis_id: int, scope: dict[str, Any], feedback_ids: Sequence[int]) -> dict[str, Any]:
    """The scope of a crisis to which feedbacks were added; costs what they cost, not what it holds already.

    Args:
        session: Where the feedbacks are the crisis's already.
        crisis_id: The crisis.
        scope: As it was before; empty at first.
        feedback_ids: What was added, each once, some thousands at most.

    Returns:
        ``count``, ``buyers`` (different writers), ``first_at``/``last_at`` (ISO), as ``[[value, count], …]`` the most
        frequent values of ``product``, ``platform``, ``sku``, ``batch``, ``warehouse``, ``courier`` and ``region``, and
        of ``said``, the words that showed what is wrong; and
        ``spread``: of the ``of`` newest texts, how many are near-copies of one another, from how many authors, and
        what that looks like.
    """
    columns: Any = (*_COLUMNS, Score.evidence)
    judged = select(*columns).join(Score, isouter=True)
    rows = session.execute(judged.where(col(Feedback.id).in_(feedback_ids))).all()
    counts = {name: Counter(dict(scope.get(name, []))) for name in (*_FIELDS, *_FACTS, "said")}
    for row in rows:
        for name, value in shared(row).items():
            counts[name][value] += 1
        said = {str(mark["text"]) for mark in row.evidence or []}
        counts["said"].update(sorted(words for words in said if _TELLING <= len(words) <= _LONGEST))
    grown = scope | {name: [list(pair) for pair in found.most_common(_KEPT)] for name, found in counts.items() if found}
    grown["count"] = scope.get("count", 0) + len(rows)
    grown["buyers"] = scope.get("buyers", 0) + _new_people(session, crisis_id, rows, feedback_ids)
    moments = [row.happened_at for row in rows]
    moments += [datetime.fromisoformat(scope[name]) for name in ("first_at", "last_at") if name in scope]
    if moments:
        grown |= {"first_at": min(moments).isoformat(), "last_at": max(moments).isoformat()}
    compared_at = scope.get("spread", {}).get("at", 0)
    if grown["count"] <= _SMALL or grown["count"] >= compared_at * _ANEW:
        grown["spread"] = _spread(session, crisis_id) | {"at": grown["count"]}
    return grown


_COLUMNS: Any = tuple(
    getattr(Feedback, name)
    for name in ("id", "happened_at", "author_hash", "author", "order_ref", "product", "platform", "extra", "text")
)


def shared(row: Any) -> dict[str, str]:
    """What the feedback could have in common with others; courier and warehouse from its words where nothing tells."""
    found = {name: getattr(row, name) for name in _FIELDS}
    found |= {name: str(row.extra.get(name, ""))[:_LONGEST] for name in _FACTS}
    text = row.text[:_COMPARED]
    if not found["courier"] and (courier := _COURIER.search(text)):
        found["courier"] = courier[1] or "邮政"
    if not found["warehouse"] and (place := _WAREHOUSE.search(text)) and not _NO_PLACE.match(place[1]):
        found["warehouse"] = f"{place[1]}仓"
    return {name: value for name, value in found.items() if value}


def told(row: Any) -> set[tuple[str, str]]:
    """What a complaint tells, as field and value: what it shares, and as ``said`` the words that show what is wrong."""
    said = (str(mark["text"]) for mark in row.evidence or [])
    return {*shared(row).items(), *(("said", words) for words in said if len(words) >= _TELLING)}


def who(row: Any) -> str:
    """What tells one writer from another: the account, else the order, else the name as the platform masked it."""
    masked = "" if "匿名" in row.author else row.author
    return str(row.author_hash or row.order_ref or masked)


def _new_people(session: Session, crisis_id: int, rows: Sequence[Any], fresh: Sequence[int]) -> int:
    """How many of the writers wrote nothing else in the crisis; those whom nothing tells apart count one each."""
    names = [who(row) for row in rows]
    hashes = {row.author_hash for row in rows} - {""}
    orders = {row.order_ref for row in rows if not row.author_hash} - {""}
    masked = {row.author for row in rows if not row.author_hash and not row.order_ref} - {""}
    mine = (
        select(Feedback.author_hash, Feedback.order_ref, Feedback.author)  # type: ignore[call-overload]
        .join(CrisisFeedback, col(CrisisFeedback.feedback_id) == Feedback.id)
        .where(col(CrisisFeedback.crisis_id) == crisis_id, col(Feedback.id).not_in(fresh))
    )
    known: set[str] = set()
    for column, wanted in ((Feedback.author_hash, hashes), (Feedback.order_ref, orders), (Feedback.author, masked)):
        if wanted:
            known |= {who(row) for row in session.execute(mine.where(col(column).in_(wanted)))}
    return len(set(names) - known - {""}) + sum(not name for name in names)


def _spread(session: Session, crisis_id: int) -> dict[str, Any]:
    from monitor.duplicates import spread

    newest = (
        select(*_COLUMNS)
        .join(CrisisFeedback, col(CrisisFeedback.feedback_id) == Feedback.id)
        .where(col(CrisisFeedback.crisis_id) == crisis_id)
        .order_by(col(CrisisFeedback.feedback_id).desc())
        .limit(_COMPARED)
    )
    rows = session.execute(newest).all()
    found = spread([row.text for row in rows], [who(row) for row in rows])
    return {
        "verdict": found.verdict,
        "copies": found.copies,
        "authors": found.authors,
        "share": round(found.share, 3),
        "of": len(rows),
    }

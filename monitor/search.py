"""Full-text search over feedback: any two neighbouring letters lead to the texts that have them, in any language.

The index keeps, for each feedback, the pairs of neighbouring letters of its title, text and product, and its order
number, the end of that, and its id at the source as one number each: in FTS5 on SQLite, in an array under a GIN index on
PostgreSQL. Chinese has no spaces to cut words at, and pairs find a word of two letters, which trigrams cannot. What the
index finds may be too much, never too little; `Found.says` looks at the text itself and has the last word.

Whoever writes feedback calls `drop` before and `add` after, in the same transaction. Stores older than the index are
filled by `fill`, the newest first.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal
from zlib import crc32

from sqlalchemy import Engine, and_, or_, text
from sqlmodel import Session, col, func, select

from monitor import db, known
from monitor.clock import Clock
from monitor.models import Feedback, Known
from monitor.text import clean

Pool = Literal["all", "case", "mention"]
MOST = 2000  # feedbacks a search is narrowed down to; words found in more are looked for as the reader goes
FILLED = "search.filled"  # of monitor.known, while an older store is not filled yet: {"below": the smallest id done}
_BATCH = 2000
_LONGEST = 100  # letters of a query
_MOST_WORDS = 8
_MASK = 0x7FFFFFFF  # PostgreSQL's integers have a sign
_MARKS: dict[Pool, int] = {"case": 1 << 16, "mention": 2 << 16}  # as if a NUL stood in the text, which none has
_TAIL = 4  # letters of an order number that cards show
_SHORTEST_REF = 4
_COLUMNS = ("id", "title", "text", "product", "order_ref", "external_id", "kind", "case_id")

_capitals = re.compile("[A-Z]+")
_word = re.compile(r'"([^"]+)"|([^\s"]+)')


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes:
        words: What every feedback found has in it: ASCII in small letters.
        ids: The feedbacks, where they are no more than `MOST`; None where the reader has to look at each by `says`.
        says: Whether a feedback has the words: a condition on columns of ``feedback``.
    """

    words: tuple[str, ...]
    ids: list[int] | None
    says: Any


def words(query: str) -> tuple[str, ...]:
    """The words of a query; several must all be found, "in quotes" spaces are letters too. Any text is a query."""
    parts = (quoted or plain for quoted, plain in _word.findall(_small(clean(query)[:_LONGEST])))
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))[:_MOST_WORDS]


def find(session: Session, query: str, pool: Pool = "all") -> Found:
    """Look up a query; one without any letter finds nothing.

    Args:
        session: A transaction that reads.
        query: As a person typed it.
        pool: Only feedbacks of cases, or only mentions.
    """
    wanted = words(query)
    says = and_(*(_has(session, word) for word in wanted))
    if not wanted:
        return Found((), [], says)
    near = _near(session, wanted, pool)
    if near is None or len(near) > MOST:
        return Found(wanted, None, says)
    return Found(wanted, list(session.exec(select(Feedback.id).where(col(Feedback.id).in_(near), says))), says)  # type: ignore[arg-type]


def cut(shown: str, wanted: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in parts, each with whether it is one of the words."""
    if not wanted:
        return [(shown, False)]
    longest = sorted(wanted, key=len, reverse=True)
    parts = re.split(f"({'|'.join(re.escape(word) for word in longest)})", shown, flags=re.IGNORECASE | re.ASCII)
    return [(part, n % 2 == 1) for n, part in enumerate(parts) if part]


def add(session: Session, ids: Sequence[int]) -> None:
    """Index feedbacks as they stand in the store now; those that `fill` has not reached yet are left to it."""
    rows = _rows(session, _reached(session, ids))
    _insert(session, rows)


def drop(session: Session, ids: Sequence[int]) -> None:
    """Take feedbacks out of the index, before they are changed or deleted."""
    rows = _rows(session, _reached(session, ids))
    if not rows:
        return
    if _postgresql(session):
        session.execute(
            text("DELETE FROM feedback_search WHERE feedback_id = ANY(:ids)"), {"ids": [row["id"] for row in rows]}
        )
        return
    statement = "INSERT INTO feedback_search (feedback_search, rowid, grams) VALUES ('delete', :id, :grams)"
    session.execute(text(statement), rows)


def fill(engine: Engine, clock: Clock, most: int = _BATCH) -> int:
    """Index the next feedbacks of a store that is older than its index, the newest first; gives how many there were."""
    with db.reading(engine) as session:
        if not filling(session):
            return 0
    with db.writing(engine) as session:
        mark = known.hold(session, FILLED, clock.now())
        older = select(Feedback.id).where(col(Feedback.id) < mark.value.get("below", 0))
        # a writer waits for these rows and then sees them indexed, or is waited for
        held = older.order_by(col(Feedback.id).desc()).limit(most).with_for_update(read=True)
        ids = [n for n in session.exec(held) if n is not None]
        _insert(session, _rows(session, ids))
        if len(ids) < most:
            session.delete(mark)
        else:
            mark.value = {"below": ids[-1]}
            session.add(mark)
    return len(ids)


def filling(session: Session) -> bool:
    """Whether older feedback cannot be found yet."""
    return session.exec(select(Known.name).where(Known.name == FILLED)).first() is not None


def _reached(session: Session, ids: Sequence[int]) -> Sequence[int]:
    mark = session.exec(select(Known.value).where(Known.name == FILLED)).first()
    return [n for n in ids if n >= mark["below"]] if mark else ids


def _rows(session: Session, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Id and grams of each, as the database takes them."""
    if not ids:
        return []
    stored = session.execute(select(*(getattr(Feedback, name) for name in _COLUMNS)).where(col(Feedback.id).in_(ids)))  # type: ignore[call-overload]
    shape = "{%s}" if _postgresql(session) else "%s"
    joint = "," if _postgresql(session) else " "
    return [{"id": row.id, "grams": shape % joint.join(map(str, _grams_of(row)))} for row in stored]


def _insert(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    statement = "INSERT INTO feedback_search (rowid, grams) VALUES (:id, :grams)"
    if _postgresql(session):
        statement = (
            "INSERT INTO feedback_search (feedback_id, grams) VALUES (:id, CAST(:grams AS integer[]))"
            " ON CONFLICT (feedback_id) DO UPDATE SET grams = excluded.grams"
        )
    session.execute(text(statement), rows)


def _postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _small(shown: str) -> str:
    """ASCII in small letters: the only letters both databases fold alike."""
    return _capitals.sub(lambda found: found[0].lower(), shown)


def _grams_of(row: Any) -> set[int]:
    """Everything a row is found by: a set of numbers of 31 bits."""
    found = _grams(_small(f"{row.title}\n{row.text}\n{row.product}"))
    found.update(_whole(ref) for ref in {row.order_ref, row.order_ref[-_TAIL:], row.external_id} if ref)
    if row.case_id is not None:
        found.add(_MARKS["case"])
    if row.kind == "mention":
        found.add(_MARKS["mention"])
    return found


def _grams(small: str) -> set[int]:
    """The pairs of neighbouring UTF-16 units; none where there is only one."""
    units = small.encode("utf-16-le", "surrogatepass")
    pairs = len(units) // 4, (len(units) - 2) // 4
    even = struct.unpack(f"<{pairs[0]}I", units[: pairs[0] * 4])
    odd = struct.unpack(f"<{max(pairs[1], 0)}I", units[2 : 2 + pairs[1] * 4]) if pairs[1] > 0 else ()
    return {pair & _MASK for pair in chain(even, odd)}


def _whole(ref: str) -> int:
    return crc32(_small(ref).encode(errors="surrogatepass")) & _MASK


def _near(session: Session, wanted: Sequence[str], pool: Pool) -> list[int] | None:
    """Ids of feedbacks the index holds for the words, at most one more than `MOST`; None where it cannot tell."""
    ways = [way for word in wanted if (way := _ways(word))]
    if not ways:
        return None
    mark = [_MARKS[pool]] if pool != "all" else []
    if _postgresql(session):
        return _near_by_gin(session, ways, mark)
    sides = [" OR ".join(f"({' AND '.join(map(str, way))})" for way in both) for both in ways]
    match = " AND ".join(map(str, [*mark, *(f"({side})" for side in sides)]))
    statement = "SELECT rowid FROM feedback_search WHERE feedback_search MATCH :match ORDER BY rowid DESC LIMIT :most"
    return list(session.execute(text(statement), {"match": match, "most": MOST + 1}).scalars())


def _near_by_gin(session: Session, ways: Sequence[Sequence[set[int]]], mark: list[int]) -> list[int]:
    given: dict[str, Any] = {"most": MOST + 1}
    sides = []
    for both in ways:
        one_word = []
        for way in both:
            one_word.append(f"grams @> CAST(:w{len(given)} AS integer[])")
            given[f"w{len(given)}"] = "{%s}" % ",".join(map(str, [*mark, *way]))
        sides.append(f"({' OR '.join(one_word)})")
    statement = f"SELECT feedback_id FROM feedback_search WHERE {' AND '.join(sides)} LIMIT :most"  # noqa: S608 — no words in it
    return list(session.execute(text(statement), given).scalars())


def _ways(word: str) -> list[set[int]]:
    """What the index holds of a word: the pairs in it, or the whole of it as an order number or id."""
    pairs = _grams(word)
    ways = [pairs] if pairs else []
    return [*ways, {_whole(word)}] if ways and word.isascii() and len(word) >= _SHORTEST_REF else ways


def _has(session: Session, word: str) -> Any:
    """Whether a feedback has a word in its texts, or is of that order, or is known by that id at its source."""
    parts = []
    for column in (col(Feedback.text), col(Feedback.title), col(Feedback.product)):
        if _postgresql(session):
            parts.append(func.strpos(func.lower(column.collate("C")), word) > 0)
        else:
            parts.append(func.instr(func.lower(column), word) > 0)
    if word.isascii() and len(word) >= _SHORTEST_REF:
        for ref in (col(Feedback.order_ref), col(Feedback.external_id)):
            parts.append(func.lower(ref.collate("C")) == word if _postgresql(session) else func.lower(ref) == word)
    if len(word) == _TAIL:
        tail = func.substr(col(Feedback.order_ref), func.length(col(Feedback.order_ref)) - _TAIL + 1)
        parts.append(func.lower(tail) == word)
    return or_(*parts)

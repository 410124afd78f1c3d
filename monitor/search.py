"""Full-text search over feedback: any two neighbouring letters lead to the texts that have them, in any language.

Chinese has no spaces to cut words at, and pairs find a word of two letters, which trigrams cannot. The index holds the
pairs of a feedback's title, text and product (see `monitor.pairs`): in FTS5 on SQLite, in an array under a GIN index on
PostgreSQL. What it finds may be too much, never too little; `Found.says` looks at the text and has the last word.

Whoever writes feedback calls `drop` before and `add` after, in the same transaction. A store older than the index is
filled by `fill`, the newest first.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine, and_, false, or_, text
from sqlmodel import Session, col, func, select

from monitor import db, known, pairs
from monitor.clock import Clock
from monitor.models import Feedback, Known
from monitor.text import clean

Pool = Literal["all", "case", "mention"]
MOST = 2000  # feedbacks a search is narrowed down to; words found in more are looked for as the reader goes
FILLED = "search.filled"  # of monitor.known, while a store is not filled yet: {"below": the smallest id done}
_BATCH = 500
_FIRST = 50  # feedbacks of a round's first batch, which tells how long one takes
_HELD = 0.25  # seconds in which a batch should be done: whoever wants to write waits for it
_BREATH = 0.15  # seconds between two batches: who waits for SQLite's lock looks again after a tenth of one
_ROUND = 4.0  # seconds
_LONGEST = 100  # letters of a query
_MOST_WORDS = 8
_MARKS: dict[Pool, bytes] = {"all": b"", "case": pairs.IN_A_CASE, "mention": pairs.A_MENTION}
_COLUMNS: Any = [
    getattr(Feedback, name)
    for name in ("id", "title", "text", "product", "order_ref", "external_id", "kind", "case_id")
]

_word = re.compile(r'"([^"]+)"|([^\s"]+)')


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found.

    Attributes:
        words: What every feedback found has in it, ASCII in small letters.
        ids: The feedbacks, where they are no more than `MOST`; None where the reader has to look at each by `says`.
        says: Whether a feedback has the words: a condition on columns of ``feedback``.
    """

    words: tuple[str, ...]
    ids: list[int] | None
    says: Any


def words(query: str) -> tuple[str, ...]:
    """The words of a query; several must all be found, "in quotes" spaces are letters too. Any text is a query."""
    parts = (quoted or plain for quoted, plain in _word.findall(pairs.small(clean(query)[:_LONGEST])))
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))[:_MOST_WORDS]


def find(session: Session, query: str, pool: Pool = "all") -> Found:
    """Look up a query; one without words finds nothing.

    Args:
        session: A transaction that reads.
        query: As a person typed it.
        pool: Only feedbacks of cases, or only mentions.
    """
    wanted = words(query)
    if not wanted:
        return Found((), [], false())
    says = and_(*(_has(session, word) for word in wanted))
    ways = [way for word in wanted if (way := pairs.ways(word))]
    near = _near(session, ways, _MARKS[pool]) if ways else None
    if near is None or len(near) > MOST:
        return Found(wanted, None, says)
    sure = select(Feedback.id).where(col(Feedback.id).in_(near), says)
    return Found(wanted, [n for n in session.exec(sure) if n is not None], says)


def cut(shown: str, wanted: Sequence[str]) -> list[tuple[str, bool]]:
    """A text in parts, each with whether it is one of the words."""
    if not wanted:
        return [(shown, False)] if shown else []
    longest = sorted(wanted, key=len, reverse=True)
    parts = re.split(f"({'|'.join(re.escape(word) for word in longest)})", shown, flags=re.IGNORECASE | re.ASCII)
    return [(part, n % 2 == 1) for n, part in enumerate(parts) if part]


def add(session: Session, ids: Sequence[int]) -> None:
    """Index feedbacks as they stand in the store now; those that `fill` has not reached yet are left to it."""
    _insert(session, _reached(session, ids))


def drop(session: Session, ids: Sequence[int]) -> None:
    """Take feedbacks out of the index, before they are changed or deleted."""
    rows = _rows(session, _reached(session, ids))
    if not rows:
        return
    statement = "INSERT INTO feedback_search (feedback_search, rowid, grams) VALUES ('delete', :id, :grams)"
    if _postgresql(session):
        statement = "DELETE FROM feedback_search WHERE feedback_id = :id"
    session.execute(text(statement), rows)


def fill(engine: Engine, clock: Clock, most: int = _BATCH) -> int:
    """Index the next feedbacks of a store that is older than its index, the newest first; gives how many there were."""
    with db.reading(engine) as session:
        if not filling(session):
            return 0
    with db.writing(engine) as session:
        mark = known.hold(session, FILLED, clock.now())
        older = (
            select(Feedback.id).where(col(Feedback.id) < mark.value.get("below", 0)).order_by(col(Feedback.id).desc())
        )
        # a writer of these rows waits and then sees them indexed, or is waited for
        ids = [n for n in session.exec(older.limit(most).with_for_update(read=True)) if n is not None]
        _insert(session, ids)
        if len(ids) < most:
            session.delete(mark)
        else:
            mark.value = {"below": ids[-1]}
            session.add(mark)
    return len(ids)


def keep_filling(engine: Engine, clock: Clock) -> int:
    """`fill` for some seconds, half of which are others'; the service's round. Gives how many feedbacks there were."""
    began, count, most = time.monotonic(), 0, _FIRST
    until = began + _ROUND
    while began < until and (done := fill(engine, clock, most)):
        count += done
        took = time.monotonic() - began
        most = max(1, min(_BATCH, int(most * _HELD / took)))
        time.sleep(max(_BREATH, took))
        began = time.monotonic()
    return count


def filling(session: Session) -> bool:
    """Whether older feedback cannot be found yet."""
    return session.exec(select(Known.name).where(Known.name == FILLED)).first() is not None


def _reached(session: Session, ids: Sequence[int]) -> Sequence[int]:
    mark = session.exec(select(Known.value).where(Known.name == FILLED)).first() if ids else None
    return [n for n in ids if n >= mark["below"]] if mark else ids


def _rows(session: Session, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Id and pairs of each, as the database takes them."""
    if not ids:
        return []
    stored = session.execute(select(*_COLUMNS).where(col(Feedback.id).in_(ids)))
    given = pairs.array if _postgresql(session) else pairs.line
    return [{"id": row.id, "grams": given(pairs.of(row))} for row in stored]


def _insert(session: Session, ids: Sequence[int]) -> None:
    rows = _rows(session, ids)
    if not rows:
        return
    if not _postgresql(session):
        session.execute(text("INSERT INTO feedback_search (rowid, grams) VALUES (:id, :grams)"), rows)
        return
    statement = (  # one for all: each row by itself would cost intake a tenth of its time
        "INSERT INTO feedback_search (feedback_id, grams) SELECT id, CAST(grams AS integer[])"
        " FROM unnest(CAST(:ids AS integer[]), CAST(:grams AS text[])) AS given (id, grams)"
        " ON CONFLICT (feedback_id) DO UPDATE SET grams = excluded.grams"
    )
    session.execute(text(statement), {"ids": [row["id"] for row in rows], "grams": [row["grams"] for row in rows]})


def _postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def _near(session: Session, ways: Sequence[Sequence[bytes]], mark: bytes) -> list[int]:
    """Ids of feedbacks that hold each word in one of its ways, at most one more than `MOST`."""
    if not _postgresql(session):
        sides = [" OR ".join(f"({_all(way + mark)})" for way in both) for both in ways]
        match = " AND ".join(f"({side})" for side in sides)
        statement = (
            "SELECT rowid FROM feedback_search WHERE feedback_search MATCH :match ORDER BY rowid DESC LIMIT :most"
        )
        return list(session.execute(text(statement), {"match": match, "most": MOST + 1}).scalars())
    given: dict[str, Any] = {
        f"w{n}_{k}": pairs.array(way + mark) for n, both in enumerate(ways) for k, way in enumerate(both)
    }
    held = {name: f"grams @> CAST(:{name} AS integer[])" for name in given}
    words = (" OR ".join(held[f"w{n}_{k}"] for k in range(len(both))) for n, both in enumerate(ways))
    where = " AND ".join(f"({word})" for word in words)
    statement = f"SELECT feedback_id FROM feedback_search WHERE {where} LIMIT :most"  # noqa: S608 — names of parameters
    return list(session.execute(text(statement), given | {"most": MOST + 1}).scalars())


def _all(entries: bytes) -> str:
    return " AND ".join(dict.fromkeys(pairs.line(entries).split()))


def _has(session: Session, word: str) -> Any:
    """Whether a feedback has a word in its texts, or is of that order, or is known by that id at its source."""
    texts = (col(Feedback.text), col(Feedback.title), col(Feedback.product))
    place = func.strpos if _postgresql(session) else func.instr
    parts = [place(_small(session, one), word) > 0 for one in texts]
    if pairs.is_ref(word):
        parts += [_small(session, ref) == word for ref in (col(Feedback.order_ref), col(Feedback.external_id))]
    if pairs.is_ref(word) and len(word) == pairs.TAIL:
        start = func.length(col(Feedback.order_ref)) - pairs.TAIL + 1
        parts.append(_small(session, func.substr(col(Feedback.order_ref), start)) == word)
    return or_(*parts)


def _small(session: Session, column: Any) -> Any:
    """`pairs.small` by the database; what SQLite calls lower is of ASCII alone."""
    return func.lower(column.collate("C") if _postgresql(session) else column)

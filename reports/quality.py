"""The quality list of the day: public answers that somebody should change, few and of every kind."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from sqlalchemy import func, select
from sqlmodel import Session

from monitor.answers import KINDS
from monitor.bulk import table
from monitor.models import AnswerFinding
from monitor.order_numbers import hide_orders
from reports.period import Period
from reports.store import F, feedback, within

_SHOWN = 5
_SILENT = "unanswered"  # nothing to change there, but to write
A = table(AnswerFinding).c


@dataclass(frozen=True)
class Flaw:
    """An answer to change, or several that say the same.

    Attributes:
        finding_id: The newest finding.
        feedback_id: What it answers.
        case_id: Its case.
        shop_id: The shop.
        kind: What is wrong.
        mark: The words that may not be said.
        why: The reason.
        words: The sentence, masked, without order numbers.
        at: When it was found.
        alike: How many answers this stands for.
    """

    finding_id: int
    feedback_id: int
    case_id: int | None
    shop_id: str | None
    kind: str
    mark: str
    why: str
    words: str
    at: datetime
    alike: int


@dataclass(frozen=True)
class Quality:
    """The list.

    Attributes:
        answered: Feedbacks of the span with a public answer.
        count: Answers to change, each once whatever is wrong with it.
        kinds: Open findings since the span began, by kind, the gravest kind first; silence left out.
        unanswered: Bad reviews that nobody answered in public, of all that are open.
        older: Findings from before that are still open, silence left out.
        flaws: At most five to begin with.
    """

    answered: int
    count: int
    kinds: dict[str, int]
    unanswered: int
    older: int
    flaws: list[Flaw]


def quality(session: Session, period: Period) -> Quality:
    """What is open of what was found since the span began."""
    named = {
        "finding_id": A.id,
        "feedback_id": A.feedback_id,
        "case_id": F.case_id,
        "shop_id": A.shop_id,
        "at": A.found_at,
    }
    named |= {"kind": A.kind, "mark": A.mark, "why": A.why, "words": A.words}
    found = (
        select(*(column.label(name) for name, column in named.items()))
        .select_from(table(AnswerFinding))
        .join(feedback, F.id == A.feedback_id)
        .where(A.state == "open", A.kind != _SILENT, A.found_at >= period.start)
        .order_by(A.found_at.desc(), A.id.desc())
    )
    rows = session.execute(found).mappings().all()
    counted = Counter(row["kind"] for row in rows)
    still_open = select(A.kind, func.count()).where(A.state == "open").group_by(A.kind)
    everything = {row[0]: row[1] for row in session.execute(still_open)}
    silent = everything.pop(_SILENT, 0)
    answered = select(func.count()).where(within(F.happened_at, period.start, period.end), F.reply != "")
    return Quality(
        session.execute(answered).scalar_one(),
        len({row["feedback_id"] for row in rows}),
        {kind: counted[kind] for kind in KINDS if kind in counted},
        silent,
        sum(everything.values()) - len(rows),
        [replace(flaw, words=hide_orders(flaw.words)) for flaw in _balanced([Flaw(**row, alike=1) for row in rows])],
    )


def _balanced(flaws: Sequence[Flaw]) -> list[Flaw]:
    """One of each kind in turn, the gravest first; what is the same answer, or of the same feedback, once."""
    by_kind: dict[str, list[Flaw]] = defaultdict(list)
    for flaw in flaws:
        by_kind[flaw.kind].append(flaw)
    turns = zip_longest(*(_alike(by_kind[kind]) for kind in KINDS if kind in by_kind))
    chosen: dict[int, Flaw] = {}
    for flaw in (flaw for turn in turns for flaw in turn if flaw is not None):
        chosen.setdefault(flaw.feedback_id, flaw)
    return list(chosen.values())[:_SHOWN]


def _alike(flaws: Sequence[Flaw]) -> list[Flaw]:
    same: dict[tuple[str | None, str, str], list[Flaw]] = defaultdict(list)
    for flaw in flaws:
        same[flaw.shop_id, flaw.why if flaw.kind == "copied" else flaw.mark, flaw.words].append(flaw)
    return [replace(first, alike=1 + len(others)) for first, *others in same.values()]

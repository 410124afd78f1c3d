"""What chooses the feedbacks behind a number where it takes more than a column: of days, of cases, of words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import String, bindparam, case, false, literal, not_, type_coerce, union
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, func, or_, select

from alerts.desk.asked import MOST_COUNTED, Days, ends, midnight
from monitor import clearance, counted, first_contact, history, scope, vocabulary
from monitor.core import Core
from monitor.indicators import SERVED
from monitor.models import Case, Correction, Feedback, Indicator, Person, Score


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to just before another; None where it has no end there."""

    start: datetime | None
    end: datetime | None

    def holds(self, at: Any) -> list[Any]:
        """Whether a column's moment lies in it."""
        return self.before(at) + ([at < self.end] if self.end else [])

    def before(self, at: Any) -> list[Any]:
        """Whether it began before a column's moment."""
        return [at >= self.start] if self.start else []


@dataclass(frozen=True, slots=True)
class Part:
    """Some of what is chosen; no feedback belongs to two parts.

    Attributes:
        where: Conditions on columns of feedback, score and case.
        order: The newest first, by columns of the index that finds them.
    """

    where: list[Any]
    order: tuple[Any, ...] = (counted.F.happened_at.desc(), counted.F.id.desc())

    def when(self, *where: Any) -> "Part":
        """Those of them for which this is true as well."""
        return replace(self, where=[*self.where, *where])


def newest(session: Session, columns: Sequence[Any], parts: Sequence[Part], most: int) -> list[Any]:
    """When written, as the database has it, id and further columns of the newest of all parts, the newest first."""
    written = type_coerce(counted.F.happened_at, String)  # ten thousand moments would be made for nothing
    told = (written, col(Feedback.id), *columns)
    plain = session.connection()  # not as the ORM's, for which ten thousand rows are work
    found = [plain.execute(chosen(*told, part=part).order_by(*part.order).limit(most)).all() for part in parts]
    if len(found) == 1:
        return list(found[0])
    return sorted(chain(*found), key=itemgetter(0, 1), reverse=True)[:most]


def chosen(*columns: Any, part: Part) -> Any:
    """Columns of the feedbacks, scores and cases of a part."""
    joined = select(*columns).select_from(Feedback).join(Score, isouter=True)
    return joined.join(Case, col(Case.id) == Feedback.case_id, isouter=True).where(*part.where)


def settled(core: Core, days: Days, which: str) -> list[Any]:
    """The first feedback of each case that was settled on such days: of ``all``, with ``once`` or ``again``."""
    span = ends(core, days)
    where, well = [first_contact.settled(*span), _first_of_case()], first_contact.once(*span)
    return where if which == "all" else [*where, well if which == "once" else not_(well)]


def followed(
    core: Core, session: Session, days: Days, shop: str, seen: datetime | None, *, only_again: bool
) -> list[Any]:
    """The first feedback of the case of each author contacted on such days, or only of those who wrote again."""
    span = ends(core, days)
    found = clearance.contacted(session, *span, shop or None, seen)
    cases = [case_id for case_id, again in found.items() if again or not only_again]
    return [col(Feedback.case_id).in_(sorted(cases, reverse=True)[: MOST_COUNTED + 1]), _first_of_case()]


def _first_of_case() -> Any:
    mine = aliased(Feedback)
    return col(Feedback.id) == select(func.min(col(mine.id))).where(mine.case_id == Feedback.case_id).scalar_subquery()


def cleared(core: Core, days: Days, seen: datetime | None) -> Any:
    """Dealt with on the local day on which it was written."""
    at, following = counted.F.happened_at, days[0]
    known: list[tuple[Any, Any]] = []
    while following <= days[1]:
        following += timedelta(1)
        end = midnight(core, following)
        known.append((at < end, literal(end, at.type)))
    return clearance.dealt(case(*known), seen)


def complaints(span: Span, where: list[Any], seen: datetime | None, *, alarms: bool) -> list[Part]:
    """What may be a complaint of a span, by the indexes that find such without looking at all else.

    It is judged one now, or was corrected since it was counted; with ``alarms`` also what belongs to a false alarm.

    Args:
        span: When they were written.
        where: Further conditions, which tell those that are one.
        seen: When they were counted; now, where absent.
        alarms: Whether staff's 误报 count.
    """
    others: list[Any] = [select(Correction.feedback_id).where(Correction.at > seen)] if seen else []
    if alarms:
        mine = aliased(Feedback)
        # a case was updated when its feedback came to it, which is after it was written
        called = [[Case.state == "false_alarm", *span.before(col(Case.updated_at))]]
        called += [[Case.updated_at > seen, Case.opened_at <= seen]] if seen else []
        of_case = select(mine.id).join(Case, col(Case.id) == mine.case_id)
        others += [of_case.where(*span.holds(mine.happened_at), *which) for which in called]
    judged = counted.S.happened_at.desc(), counted.S.feedback_id.desc()
    now = Part([col(Score.negative), *span.holds(counted.S.happened_at), *where], judged)
    if not others:
        return [now]
    harmless = func.coalesce(counted.S.negative, false()).is_(false())
    among = col(Feedback.id).in_(union(*others))
    return [now, Part([harmless, among, *span.holds(counted.F.happened_at), *where])]


def said(session: Session, parts: list[Part], word: str) -> Any:
    """Those that hold a word, of the complaints whose words a report counts."""
    holds = func.lower(Feedback.text).contains(word, autoescape=True)
    text = case((holds, Feedback.text), else_="").label("text")  # of the others there is nothing to send
    read = newest(session, (text,), [part.when(Feedback.text != "") for part in parts], vocabulary.NEWEST)
    holding = {text for text in {row.text for row in read} if text and vocabulary.holds(text, word)}  # copies once
    return _among(row.id for row in read if row.text in holding)


def telling(session: Session, parts: list[Part], tells: str) -> Any:
    """Those that tell something, ``field:value``, of the newest that a report asks why."""
    field, _, value = tells.partition(":")
    columns: Any = (Feedback.product, Feedback.platform, Feedback.extra, Feedback.text, Score.evidence)
    found = newest(session, columns, parts, scope.READ)
    return _among(row.id for row in found if (field, value) in scope.told(row))


def _among(ids: Iterable[int]) -> Any:
    # numbers in the statement itself: thousands of parameters take longer to count than to look up
    return col(Feedback.id).in_(bindparam("ids", list(ids), expanding=True, literal_execute=True, unique=True))


def held(person: str, seen: datetime | None) -> Any:
    """Of cases that a person looked after; "" for nobody."""
    holder = counted.C.assignee_id if seen is None else history.value_at("assignee_id", seen)
    mine = select(Person.id).where(Person.name == person).scalar_subquery()
    return holder == mine if person else holder.is_(None)


def served(core: Core, session: Session, days: Days) -> Any:
    """On days of which a shop's customers are known; days that follow each other as one span."""
    known = select(col(Indicator.shop_id), col(Indicator.day)).where(Indicator.name == SERVED)
    known = known.where(col(Indicator.day).between(*days))
    spans: list[tuple[str, date, date]] = []
    for shop_id, day in session.exec(known.order_by(col(Indicator.shop_id), col(Indicator.day))):
        goes_on = spans and spans[-1][0] == shop_id and spans[-1][2] == day
        first = spans.pop()[1] if goes_on else day
        spans.append((shop_id, first, day + timedelta(1)))
    at = col(Feedback.happened_at)
    edges = [(shop_id, midnight(core, first), midnight(core, after)) for shop_id, first, after in spans]
    return or_(false(), *(and_(Feedback.shop_id == one, at >= start, at < end) for one, start, end in edges))

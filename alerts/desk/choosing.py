"""What chooses the feedbacks behind a number where it takes more than a column: of days, of cases, of words."""

from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import case, false, literal, not_
from sqlalchemy.orm import aliased
from sqlmodel import Session, and_, col, func, or_, select

from monitor import clearance, counted, first_contact, history, scope
from monitor.core import Core
from monitor.indicators import SERVED
from monitor.models import Case, Correction, Feedback, Indicator, Person, Score
from monitor.vocabulary import NEWEST, tokens

MOST = 10_000
"""More than so many are not counted."""
_FEW = 1000  # feedbacks that are named one by one
Days = tuple[date, date]
"""The first and the last day."""


def chosen(*columns: Any, where: list[Any]) -> Any:
    """Columns of feedbacks, scores and cases under such conditions."""
    joined = select(*columns).select_from(Feedback).join(Score, isouter=True)
    return joined.join(Case, col(Case.id) == Feedback.case_id, isouter=True).where(*where)


def midnight(core: Core, day: date) -> datetime:
    """When a local day begins."""
    return datetime.combine(day, time(), core.settings.zone)


def settled(core: Core, days: Days, which: str) -> list[Any]:
    """The first feedback of each case that was settled on such days: of ``all``, with ``once`` or ``again``."""
    span = (midnight(core, days[0]), midnight(core, days[1] + timedelta(1)))
    where, well = [first_contact.settled(*span), _first_of_case()], first_contact.once(*span)
    return where if which == "all" else [*where, well if which == "once" else not_(well)]


def followed(
    core: Core, session: Session, days: Days, shop: str, seen: datetime | None, *, only_again: bool
) -> list[Any]:
    """The first feedback of the case of each author contacted on such days, or only of those who wrote again."""
    span = (midnight(core, days[0]), midnight(core, days[1] + timedelta(1)))
    found = clearance.contacted(session, *span, shop or None, seen)
    cases = [case_id for case_id, again in found.items() if again or not only_again]
    return [col(Feedback.case_id).in_(sorted(cases, reverse=True)[: MOST + 1]), _first_of_case()]


def _first_of_case() -> Any:
    mine = aliased(Feedback)
    return col(Feedback.id) == select(func.min(col(mine.id))).where(mine.case_id == Feedback.case_id).scalar_subquery()


def cleared(core: Core, days: Days, seen: datetime | None) -> list[Any]:
    """Complaints that were dealt with on the local day on which they were written."""
    at, following = counted.F.happened_at, days[0]
    ends: list[tuple[Any, Any]] = []
    while following <= days[1]:
        following += timedelta(1)
        end = midnight(core, following)
        ends.append((at < end, literal(end, at.type)))
    return [counted.suspected(seen), clearance.dealt(case(*ends), seen)]


def negative(session: Session, where: list[Any], seen: datetime | None) -> list[Any]:
    """Complaints under such conditions.

    What was one is one still, or was corrected since: told so, the store finds them by an index, and looks at the cases
    of no others.
    """
    corrected = select(Correction.feedback_id).join(Feedback).where(Correction.at > seen, *where) if seen else None
    ids = session.exec(corrected.distinct().limit(_FEW + 1)).all() if corrected is not None else []
    mine = aliased(Score)
    among = or_(mine.negative, col(mine.feedback_id).in_(ids)) if ids else mine.negative
    now = select(mine.feedback_id).where(mine.feedback_id == Feedback.id, among).exists()
    return [*([now] if len(ids) <= _FEW else []), counted.negative(seen)]


def said(session: Session, where: list[Any], word: str, seen: datetime | None) -> Any:
    """Complaints that hold a word, of those whose words a report counts under such conditions."""
    told = [*where, *negative(session, where, seen), Feedback.text != ""]
    newest = chosen(col(Feedback.id), col(Feedback.text), where=told)
    read = newest.order_by(col(Feedback.happened_at).desc(), col(Feedback.id)).limit(NEWEST).subquery()
    holding = select(read.c.id, read.c.text).where(func.lower(read.c.text).contains(word, autoescape=True))
    return col(Feedback.id).in_([n for n, text in session.execute(holding) if word in tokens(text)])


def telling(session: Session, where: list[Any], tells: str) -> Any:
    """Those that tell something, ``field:value``, of the newest under such conditions that a report asks why."""
    field, _, value = tells.partition(":")
    columns: Any = (Feedback.id, Feedback.product, Feedback.platform, Feedback.extra, Feedback.text, Score.evidence)
    newest = chosen(*columns, where=where).order_by(col(Feedback.happened_at).desc(), col(Feedback.id).desc())
    found = session.execute(newest.limit(scope.READ))
    return col(Feedback.id).in_([row.id for row in found if (field, value) in scope.told(row)])


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
    edges = [(shop_id, *(midnight(core, day) for day in ends)) for shop_id, *ends in spans]
    return or_(false(), *(and_(Feedback.shop_id == one, at >= start, at < end) for one, start, end in edges))

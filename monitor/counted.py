"""What reports count a feedback as; conditions on columns of ``feedback``, ``score`` and ``case`` joined to it.

As things stand now or, with ``seen``, as they stood at that moment: so that a number can be opened when they have
changed.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, false, func, not_, or_

from monitor.bulk import table
from monitor.history import value_at, verdict_at
from monitor.models import Case, Feedback, Score

_HAPPY = 4  # stars from which a buyer counts as satisfied

F, S, C = (table(model).c for model in (Feedback, Score, Case))

wordless: ColumnElement[bool] = and_(F.text == "", F.cleared == "")
"""Never had words; those of one that was cleared are gone."""
unscored: ColumnElement[bool] = S.feedback_id.is_(None)
"""Was not judged."""


def false_alarm(seen: datetime | None = None) -> ColumnElement[bool]:
    """Staff said 误报 of it."""
    return _state(seen) == "false_alarm"


def suspected(seen: datetime | None = None) -> ColumnElement[bool]:
    """Was taken for negative, whether or not staff said 误报 afterwards."""
    return or_(_unhappy(seen), false_alarm(seen))


def negative(seen: datetime | None = None) -> ColumnElement[bool]:
    """Is negative: judged so, and not taken back by staff."""
    return and_(_unhappy(seen), not_(false_alarm(seen)))


def satisfied(seen: datetime | None = None) -> ColumnElement[bool]:
    """Four stars and more, and not negative."""
    return and_(F.stars >= _HAPPY, not_(negative(seen)))


def place(seen: datetime | None = None) -> ColumnElement[str]:
    """What became of one that was `suspected`: a field of `reports.ledger.Ledger`."""
    return case(
        {"false_alarm": "false_alarm", "resolved": "resolved", "closed": "resolved"}
        | {"contacted": "answered", "answered": "answered"},
        value=_state(seen),
        else_="waiting",
    )


def _state(seen: datetime | None) -> ColumnElement[str]:
    return func.coalesce(C.state if seen is None else value_at("state", seen), "")


def _unhappy(seen: datetime | None) -> ColumnElement[bool]:
    # not the bare column: SQLite would look through all negatives there ever were instead of the span's rows
    return func.coalesce(S.negative if seen is None else verdict_at("negative", seen), false())

"""A few of the worst feedbacks in the buyers' own (masked) words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import case, exists, select
from sqlmodel import Session

from monitor.elapsed import seconds
from monitor.order_numbers import hide_orders
from monitor.states import SEVERITIES
from reports.period import Period
from reports.store import C, F, S, judged, negative, settled, still_open, timer, within

T = timer.c
_COLUMNS = (
    *(F.id, F.case_id, C.state, S.severity, S.categories, F.shop_id, F.product, F.stars),
    *(F.happened_at, F.text),
)
_LOOKED_AT = 10  # times as many rows as wanted: copies and second feedbacks of a case are passed over


@dataclass(frozen=True)
class Quote:
    """One feedback.

    Attributes:
        feedback_id: Its id.
        case_id: Its case.
        state: The case's state.
        severity: Its severity.
        categories: What it complains of.
        shop_id: The shop.
        product: The product.
        stars: Its stars.
        at: When it was written.
        text: The masked text, whole, without order numbers.
        answered: How long after its case was opened the buyer was answered; None where nobody did, or it is not asked.
    """

    feedback_id: int
    case_id: int | None
    state: str
    severity: str
    categories: list[str]
    shop_id: str | None
    product: str
    stars: float | None
    at: datetime
    text: str
    answered: timedelta | None = None


def best(session: Session, period: Period, most: int) -> list[Quote]:
    """Severe complaints that were answered soonest, within their clock, and settled."""
    grave = S.severity.in_(("high", "critical"))
    here = within(F.happened_at, period.start, period.end)
    asked = seconds(session, C.opened_at, C.answered_at)
    late = exists().where(T.case_id == C.id, T.stage == "respond", T.step == "deadline", T.due_at < C.answered_at)
    found = (
        select(*_COLUMNS, C.opened_at, C.answered_at, F.text_key)
        .select_from(judged)
        .where(here, negative, grave, settled, F.text != "", C.answered_at >= C.opened_at, ~late)
        .order_by(asked, F.id)
        .limit(most * _LOOKED_AT)
    )
    rows = ((*told, answered - opened, text_key) for *told, opened, answered, text_key in session.execute(found))
    return _different(list(rows), most)


def worst(
    session: Session, period: Period, most: int, *, only_open: bool = False, but: Sequence[Quote] = ()
) -> list[Quote]:
    """The most severe negatives with text, one for each case and text; none of ``but``."""
    rank = case({name: n for n, name in enumerate(SEVERITIES)}, value=S.severity, else_=-1)
    found = (
        select(*_COLUMNS, F.text_key)
        .select_from(judged)
        .where(
            within(F.happened_at, period.start, period.end),
            negative,
            F.text != "",
            F.id.not_in([quote.feedback_id for quote in but]),
            *([still_open] if only_open else []),
        )
        .order_by(rank.desc(), S.p_negative.desc(), F.id)
        .limit(most * _LOOKED_AT)
    )
    return _different(session.execute(found).all(), most)


def _different(rows: Sequence[tuple[object, ...]], most: int) -> list[Quote]:
    seen: set[tuple[str, object]] = set()
    quotes: list[Quote] = []
    for *fields, text_key in rows:
        quote = Quote(*fields)  # type: ignore[arg-type]
        keys = {("case", quote.case_id or -quote.feedback_id), ("text", text_key or quote.text)}
        if not keys & seen and len(quotes) < most:
            quotes.append(replace(quote, text=hide_orders(quote.text)))
        seen |= keys
    return quotes

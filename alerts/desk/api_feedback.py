"""``/feedback`` and ``/mentions``: what people said, searched and in full."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import AwareDatetime, StringConstraints
from sqlalchemy import String, cast
from sqlmodel import Session, col, select

from alerts.desk.api_access import Access, Caller
from alerts.desk.api_models import Page, Said, SaidInFull, Version
from alerts.desk.api_problems import answers
from monitor import db, queries, search
from monitor.core import Core
from monitor.models import CrisisFeedback, Feedback, FeedbackVersion, Score, Source

Number = Annotated[int, Path(ge=1, lt=10**9)]
"""Of a row."""
Some = Annotated[int | None, Query(ge=1, lt=10**9)]
"""A row's number to choose by."""
Word = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]*$")]
"""What a person types to find something; PostgreSQL takes no NUL."""
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,8})?$")]
"""The ``next`` of the page before; empty for the first."""
Since = Annotated[AwareDatetime | None, Query()]
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Severity = Literal["", "low", "medium", "high", "critical"]
_SCORE = ("negative", "p_negative", "categories", "severity", "flags", "evidence", "model")


def moment(at: datetime) -> datetime:
    """A time that every database can compare with."""
    return min(max(at, _FIRST), _LAST).astimezone(UTC)


def router(core: Core, access: Access) -> APIRouter:
    """``/feedback``, ``/feedback/{number}``, ``/mentions``."""
    routes = APIRouter(tags=["feedback"])
    reader = access.may("read")

    @routes.get("/feedback", summary="搜评价和帖子，最新入库的在前", responses=answers())
    def found(
        caller: Annotated[Caller, reader],
        q: Word = "",
        shop: Word = "",
        source: Word = "",
        kind: Literal["", "review", "mention"] = "",
        negative: bool | None = None,
        category: Word = "",
        severity: Severity = "",
        case: Some = None,
        crisis: Some = None,
        since: Since = None,
        after: After = "",
        limit: Limit = 50,
    ) -> Page[Said]:
        where = caller.viewer.sees(Feedback.shop_id)
        where += [Feedback.shop_id == shop] if shop else []
        where += [Source.name == source] if source else []
        where += [Feedback.kind == kind] if kind else []
        where += [Feedback.case_id == case] if case else []
        where += [col(Score.negative) == negative] if negative is not None else []
        where += [Score.severity == severity] if severity else []
        where += [cast(col(Score.categories), String).contains(f'"{category}"', autoescape=True)] if category else []
        where += [Feedback.first_seen_at >= moment(since)] if since else []
        if crisis:
            where.append(col(Feedback.id).in_(_about(crisis)))
        with db.reading(core.engine) as session:
            items, following = page(session, [*where, *_says(session, q)], after, limit)
            return Page[Said](items=items, next=following)

    @routes.get("/feedback/{number}", summary="一条评价或帖子", responses=answers(404))
    def one(caller: Annotated[Caller, reader], number: Number) -> SaidInFull:
        with db.reading(core.engine) as session:
            found = in_full(session, [Feedback.id == number, *caller.viewer.sees(Feedback.shop_id)], 1)
        if not found:
            raise HTTPException(404, "找不到这条反馈。")
        return found[0]

    @routes.get("/mentions", summary="网上的帖子和它们的传播", responses=answers())
    def mentions(
        caller: Annotated[Caller, reader],
        only: Literal["bad", "all"] = "bad",
        q: Word = "",
        after: After = "",
        limit: Limit = 50,
    ) -> Page[SaidInFull]:
        where = [Feedback.kind == "mention", *caller.viewer.sees(Feedback.shop_id)]
        where += [col(Score.negative)] if only == "bad" else []
        with db.reading(core.engine) as session:
            where += _says(session, q, "mention")
            rows, following = _rows(session, where, after, limit)
            return Page[SaidInFull](items=_in_full(session, rows), next=following)

    return routes


def page(session: Session, where: Sequence[Any], after: str, limit: int) -> tuple[list[Said], str | None]:
    """Some feedbacks, the newest stored first, and what to ask for ``after`` these."""
    rows, following = _rows(session, where, after, limit)
    return [Said.model_validate(_told(*row)) for row in rows], following


def in_full(session: Session, where: Sequence[Any], limit: int) -> list[SaidInFull]:
    """The newest feedbacks of some, with their earlier versions and how they spread."""
    return _in_full(session, _rows(session, where, "", limit)[0])


def of_crisis(crisis_id: int) -> Any:
    """The condition that a feedback belongs to a crisis."""
    return col(Feedback.id).in_(_about(crisis_id))


def _about(crisis_id: int) -> Any:
    return select(CrisisFeedback.feedback_id).where(CrisisFeedback.crisis_id == crisis_id)


def _says(session: Session, query: str, pool: search.Pool = "all") -> list[Any]:
    if not query.strip():
        return []
    found = search.find(session, query, pool)
    return [found.says if found.ids is None else col(Feedback.id).in_(found.ids)]


_Row = tuple[Feedback, Score | None, str]


def _rows(session: Session, where: Sequence[Any], after: str, limit: int) -> tuple[list[_Row], str | None]:
    wanted = (
        select(Feedback, Score, Source.name)
        .join(Score, isouter=True)
        .join(Source, col(Source.id) == Feedback.source_id)
        .where(*where)
        .order_by(col(Feedback.id).desc())
        .limit(limit + 1)
    )
    if after:
        wanted = wanted.where(col(Feedback.id) < int(after))
    rows: list[_Row] = list(session.exec(wanted))
    return rows[:limit], str(rows[limit - 1][0].id) if len(rows) > limit else None


def _in_full(session: Session, rows: Sequence[_Row]) -> list[SaidInFull]:
    spreads = queries.spreads(session, [row for row, _, _ in rows])
    versions: dict[int, list[Version]] = defaultdict(list)
    earlier = select(FeedbackVersion).where(col(FeedbackVersion.feedback_id).in_([row.id for row, _, _ in rows]))
    for one in session.exec(earlier.order_by(col(FeedbackVersion.version).desc())):
        versions[one.feedback_id].append(Version.model_validate(one))
    return [
        SaidInFull.model_validate(
            _told(*row) | {"versions": versions[row[0].id or 0], "spread": spreads.get(row[0].id or 0, [])},
            from_attributes=True,
        )
        for row in rows
    ]


def _told(row: Feedback, score: Score | None, source: str) -> dict[str, Any]:
    judged = {name: getattr(score, name) for name in _SCORE} if score else dict.fromkeys(_SCORE)
    if score is None:
        judged |= {"categories": [], "flags": [], "evidence": []}
    return {**row.model_dump(), **judged, "shop": row.shop_id, "source": source}

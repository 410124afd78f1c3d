"""The feedbacks behind a number of a report: chosen as the report counts them, so that there are exactly as many."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from pydantic import Field, model_validator
from sqlalchemy import String, cast
from sqlmodel import Session, and_, col, or_, select

from alerts.desk import choosing, subjects
from alerts.desk.asked import LATEST_SECOND, MOST_COUNTED, Asked, Word, ends
from alerts.desk.choosing import Part, Span
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor import counted as counts
from monitor import db, history
from monitor.categories import complaints
from monitor.core import Core
from monitor.models import Case, Feedback, Score

_MOST_DAYS = 366  # whose ends are told one by one
Second = Annotated[float, Field(ge=0, le=LATEST_SECOND, allow_inf_nan=False)]
"""Since 1970, with decimals; 0 for none."""


class Wanted(Asked):
    """Which feedbacks.

    Attributes:
        begin: First moment.
        end: First moment after it.
        settled: The first feedback of each case that was settled from ``since`` to ``until``: of all of them, of those
            that took one contact, or of those that took more.
        followup: The first feedback of the case of each author who was contacted from ``since`` to ``until``: of all
            of them, or of those who then wrote again.
        became: What was taken for negative: all of it, or what is resolved, answered, waiting, or was a false alarm.
        cleared: What was taken for negative and dealt with on the local day on which it was written.
        served: Only on days of which is known how many customers the shop served.
        bad: Only negatives that nobody called a false alarm.
        word: Only such negatives whose text holds this word, as the report cuts texts into words.
        stars: Only those with stars, or those with four and more that are not negative.
        textless: Only what never had words.
        unscored: Only what was not judged.
        person: With ``settled``: of the cases that this person looked after.
        nobody: Likewise: that nobody looked after.
        category: Code of one of their categories.
        tells: Only those that tell this, ``field:value``, as the report asks complaints why.
    """

    begin: Second = 0
    end: Second = 0
    settled: Literal["", "all", "once", "again"] = ""
    followup: Literal["", "all", "again"] = ""
    became: Literal["", "received", "resolved", "answered", "waiting", "false_alarm"] = ""
    cleared: bool = False
    served: bool = False
    bad: bool = False
    word: Word = ""
    stars: Literal["", "given", "good"] = ""
    textless: bool = False
    unscored: bool = False
    kind: Literal["", "review", "mention"] = ""
    person: Word = ""
    nobody: bool = False
    category: Word = ""
    tells: Word = ""
    shop: Word = ""
    platform: Word = ""
    product: Word = ""
    sku: Word = ""
    warehouse: Word = ""
    courier: Word = ""

    @model_validator(mode="after")
    def _of_some_days(self) -> Self:
        if self.cleared and not (self.since and self.until and 0 <= (self.until - self.since).days < _MOST_DAYS):
            raise ValueError(f"cleared needs since and until, {_MOST_DAYS} days at most")
        return self

    @property
    def span(self) -> tuple[datetime | None, datetime | None]:
        """``begin`` and ``end`` as moments."""
        begin, end = (datetime.fromtimestamp(second, UTC) if second else None for second in (self.begin, self.end))
        return begin, end

    @property
    def of_cases(self) -> bool:
        """Whether cases are listed, each by its first feedback; the days are those on which people acted."""
        return bool(self.settled or self.followup)

    @property
    def suspected(self) -> bool:
        """Whether only what was taken for negative is listed, whatever staff said of it afterwards."""
        return bool(self.became) or self.cleared

    @property
    def negative(self) -> bool:
        """Whether only negatives are listed; a category is a negative's or, where cases are listed, theirs."""
        return self.bad or bool(self.category and not self.of_cases)


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/feedback``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/feedback", summary="报告里一个数背后的评价")
    def listing(
        viewer: Annotated[Viewer, known],
        wanted: Annotated[Wanted, Query()],
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> HTMLResponse:
        with db.reading(core.engine, lookups=True) as session:
            told = shown(core, session, viewer, wanted, page)
            told["shown"] = subjects.shown(session, told["shown"], (wanted.word,) if wanted.word else ())
        return pages.render("feedback", viewer=viewer, **told)

    return routes


def shown(core: Core, session: Session, viewer: Viewer | None, wanted: Wanted, page: int) -> dict[str, Any]:
    """What a page of them shows, whoever looks; ``shown`` are feedbacks with their scores."""
    ids = found(session, parts(core, session, viewer, wanted))
    return {
        "wanted": wanted,
        "shown": _rows(session, ids, page),
        "count": len(ids),
        "most": MOST_COUNTED,
        "category": complaints().get(wanted.category, wanted.category),
        "page": page,
        "more": page * subjects.PAGE < len(ids),
    }


def parts(core: Core, session: Session, viewer: Viewer | None, wanted: Wanted) -> list[Part]:
    """What chooses them, of the viewer's shops; of all where a link says what may be seen."""
    seen, days = wanted.counted_at, wanted.days
    where: list[Any] = [col(Feedback.first_seen_at) <= seen] if seen else []
    where += [Feedback.kind == wanted.kind] if wanted.kind else []
    if wanted.word:
        told = choosing.complaints(_span(core, wanted), [*where, counts.negative(seen)], seen, alarms=False)
        where.append(choosing.said(session, told, wanted.word.lower()))
    if wanted.settled:
        where += choosing.settled(core, days, wanted.settled)
        where += [choosing.held(wanted.person, seen)] if wanted.person or wanted.nobody else []
    if wanted.followup:
        where += choosing.followed(core, session, days, wanted.shop, seen, only_again=wanted.followup == "again")
    if wanted.served:
        where.append(choosing.served(core, session, days))
    where += [*_about(core, wanted), *_judged(core, wanted)]
    where += viewer.sees(Feedback.shop_id) if viewer else []
    chosen = _parts(core, wanted, where)
    return [Part([choosing.telling(session, chosen, wanted.tells)])] if wanted.tells else chosen


def _parts(core: Core, wanted: Wanted, where: list[Any]) -> list[Part]:
    """Where to look for what fulfils such conditions."""
    span, seen = _span(core, wanted), wanted.counted_at
    if wanted.suspected or wanted.negative:
        alarms = wanted.cleared or wanted.became in ("received", "false_alarm")
        return choosing.complaints(span, where, seen, alarms=alarms)
    return [Part([*span.holds(col(Feedback.happened_at)), *where])]


def _span(core: Core, wanted: Wanted) -> Span:
    """When they were written; of cases the days are others."""
    (start, end), (first, last) = wanted.span, ends(core, wanted.days)
    told = not wanted.of_cases
    starts, stops = [start, first if told and wanted.since else None], [end, last if told and wanted.until else None]
    return Span(max(filter(None, starts), default=None), min(filter(None, stops), default=None))


def _about(core: Core, wanted: Wanted) -> list[Any]:
    """Where it was written and of what."""
    same = {"product": wanted.product, "shop_id": wanted.shop}
    where: list[Any] = [getattr(Feedback, name) == said for name, said in same.items() if said]
    told = {"sku": wanted.sku, "warehouse": wanted.warehouse, "courier": wanted.courier}
    extra: Any = col(Feedback.extra)
    where += [cast(extra[name].as_string(), String) == said for name, said in told.items() if said]
    if wanted.platform:  # what names none was written where its shop is
        homes = [shop.id for shop in core.settings.shops if shop.platform == wanted.platform]
        unnamed = and_(col(Feedback.platform) == "", col(Feedback.shop_id).in_(homes))
        where.append(or_(col(Feedback.platform) == wanted.platform, unnamed))
    return where


def _judged(core: Core, wanted: Wanted) -> list[Any]:
    """What it is taken for and what became of it."""
    seen = wanted.counted_at
    where: list[Any] = [counts.suspected(seen)] if wanted.suspected else []
    where += [counts.place(seen) == wanted.became] if wanted.became not in ("", "received") else []
    where += [choosing.cleared(core, wanted.days, seen)] if wanted.cleared else []
    where += [counts.negative(seen)] if wanted.negative else []
    where += [col(Feedback.stars).is_not(None)] if wanted.stars == "given" else []
    where += [counts.satisfied(seen)] if wanted.stars == "good" else []
    where += [counts.wordless] if wanted.textless else []
    where += [counts.unscored] if wanted.unscored else []
    if wanted.category:  # codes are fixed words, so the JSON list can be searched as text on every database
        named: Any = cast(col(Case.categories if wanted.of_cases else Score.categories), String)
        if seen and not wanted.of_cases:
            named = history.verdict_at("categories", seen)
        where.append(named.contains(f'"{wanted.category}"', autoescape=True))
    return where


def found(session: Session, parts: Sequence[Part]) -> list[int]:
    """Their ids, the newest first; no more than one above `MOST_COUNTED`."""
    return [row.id for row in choosing.newest(session, (), parts, MOST_COUNTED + 1)]


def _rows(session: Session, ids: Sequence[int], page: int) -> list[tuple[Feedback, Score | None]]:
    """A page of them with their scores; pages count from 1."""
    here = ids[(page - 1) * subjects.PAGE : page * subjects.PAGE]
    told = select(Feedback, Score).join(Score, isouter=True).where(col(Feedback.id).in_(here))
    by_id = {row.id: (row, score) for row, score in session.exec(told)}
    return [by_id[n] for n in here if n in by_id]  # what went meanwhile is left out

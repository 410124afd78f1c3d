"""The page of the deadlines behind a number of a report, and what its heading says."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from alerts.desk import labels, subjects
from alerts.desk.asked import MOST_COUNTED
from alerts.desk.deadline_rows import Deadlines, Wanted
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper, Viewer
from monitor import db
from monitor.core import Core
from monitor.states import STAGE_LABELS

_ENDS = {
    "": "到期的时限",
    "met": "办到的时限",
    "on_time": "按时办到的时限",
    "late": "迟办的时限",
    "missed": "未办的时限",
    "overdue": "超时未办的时限",
}
_ANSWERS = {"met": "已经答复", "on_time": "按时答复", "late": "答复晚了", "missed": "还没有答复"}
_HOUR = 60


def router(core: Core, pages: Pages, door: Doorkeeper) -> APIRouter:
    """``/deadlines``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    known = Depends(door.viewer)

    @routes.get("/deadlines", summary="报告里一个数背后的时限")
    def listing(
        viewer: Annotated[Viewer, known],
        wanted: Annotated[Wanted, Query()],
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> HTMLResponse:
        with db.reading(core.engine) as session:
            return pages.render(
                "deadlines", viewer=viewer, address=wanted.address, **shown(core, session, viewer, wanted, page)
            )

    return routes


def shown(core: Core, session: Session, viewer: Viewer | None, wanted: Wanted, page: int) -> dict[str, Any]:
    """What a page of them shows, whoever looks."""
    found = Deadlines(core, session, viewer, wanted)
    count = found.count()
    return {
        "wanted": wanted,
        "title": title(wanted),
        "parts": list(parts(wanted)),
        "shown": found.rows(subjects.PAGE, (page - 1) * subjects.PAGE),
        "count": count,
        "most": MOST_COUNTED,
        "seen": wanted.counted_at or core.clock.now(),
        "forgotten": found.forgotten(),
        "page": page,
        "more": page * subjects.PAGE < count,
    }


def title(wanted: Wanted) -> str:
    """What they are, as in ``首次回复`` or ``迟办的时限``."""
    return "首次回复" if wanted.first and wanted.result != "overdue" else _ENDS[wanted.result]


def parts(wanted: Wanted) -> Iterator[str]:
    """Which of them: how long they took, how they ended, of which stage."""
    if wanted.first and wanted.result != "overdue":
        if wanted.over or wanted.within:
            yield _span(wanted.over, wanted.within)
        if wanted.result:
            yield _ANSWERS[wanted.result]
    if wanted.stage:
        subject, _, stage = wanted.stage.partition(".")
        label = STAGE_LABELS.get(subject, {}).get(stage)
        yield labels.SUBJECTS[subject] + label if label else wanted.stage


def _span(over: int, within: int) -> str:
    """``30 分钟内``, ``30 分钟到 1 小时``, ``1 到 2 小时``, ``超过 24 小时``."""
    if not within:
        return f"超过 {_told(over)}"
    if not over:
        return f"{_told(within)}内"
    low, high = _told(over), _told(within)
    unit = low.partition(" ")[2]
    return f"{low.removesuffix(unit) if high.endswith(unit) else low}到 {high}"


def _told(minutes: int) -> str:
    return f"{minutes // _HOUR} 小时" if minutes % _HOUR == 0 else f"{minutes} 分钟"

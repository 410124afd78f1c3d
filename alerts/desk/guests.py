"""What is behind a number for readers who cannot log in: by a signed link, for a while, to look at only."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from sqlmodel import Session

from alerts.desk import behind, deadline_rows, deadlines, subjects
from alerts.desk.asked import MOST_COUNTED, Asked
from alerts.desk.pages import Pages
from alerts.links import Expired, Forged, Links
from alerts.pace import bucket
from monitor import db
from monitor.core import Core
from monitor.models import Feedback, Score
from monitor.order_numbers import hide_orders

_RATE = "60/1m"  # pages of one link, of each process
_COUNTED = 10_000  # links whose rate is remembered
_LAST_PAGE = MOST_COUNTED // subjects.PAGE
_LONGEST = 1000  # characters of a text
_PLAIN = {"page", "lang"}
_FORGED = "这个链接不是评哨发出的，或者在转发时被截断、改动了。请回到原来的邮件里再点一次。"
_EXPIRED = "这个链接已经过期了。请打开最近的报告，用里面的链接。"
_WIDENED = "这个链接只能看它那一个数背后的内容，不能改条件。请回到原来的邮件里再点一次。"
_SHUT = "免登录的链接已经停用了。"
_NO_PAGE = "没有这一页。"
_TOO_FAST = "翻得太快了，请过一会儿再看。"


@dataclass(frozen=True, slots=True)
class Item:
    """A feedback as a guest sees it: nothing of who wrote it or what was done about it is shown.

    Attributes:
        title: Its title; order numbers are hidden in it and in its text.
        parts: The beginning of its text cut up, each with what it is evidence of, or "".
        cut: Whether the text goes on.
    """

    row: Feedback
    score: Score | None
    title: str
    parts: Sequence[tuple[str, str]]
    cut: bool


class _List(NamedTuple):
    """How one of the desk's lists is shown to a guest: its words, what a page of it shows, and the template."""

    wanted: type[Asked]
    shown: Callable[[Core, Session, None, Any, int], dict[str, Any]]
    page: str


class _Refused(Exception):
    """The link does not open, for this reason."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class _Turnstile:
    """How much each link was asked of late, by this process."""

    def __init__(self) -> None:
        self._size = bucket(_RATE)
        self._next: OrderedDict[str, datetime] = OrderedDict()

    def wait(self, token: str, now: datetime) -> timedelta:
        """How long it has to rest before it opens again; nothing, and it is counted, where it opens."""
        due = max(self._next.pop(token, now), now)
        over = due - now - self._size.ahead
        self._next[token] = due if over > timedelta() else due + self._size.every
        if len(self._next) > _COUNTED:
            self._next.popitem(last=False)
        return max(over, timedelta())


def router(core: Core, links: Links, pages: Pages) -> APIRouter:
    """``/n/<token>``."""
    routes = APIRouter(default_response_class=HTMLResponse)
    turnstile = _Turnstile()

    @routes.get("/n/{token}", summary="报告里一个数背后的评价或时限，免登录，只读")
    def listing(request: Request, token: str) -> HTMLResponse:
        try:
            (of, wanted), page = _opened(core, links, token), _page(request.query_params)
        except _Refused as refused:
            return pages.render("guest_out", refused.status, why=refused.why)
        if rest := turnstile.wait(token, core.clock.now()):
            answer = pages.render("guest_out", 429, why=_TOO_FAST)
            answer.headers["Retry-After"] = str(-(-rest // timedelta(seconds=1)))
            return answer
        with db.reading(core.engine, lookups=True) as session:
            shown = _LISTS[of].shown(core, session, None, wanted, page)
        shown |= {"more": shown["more"] and page < _LAST_PAGE, "address": "page={}".format}
        return pages.render(_LISTS[of].page, **shown)

    return routes


def _opened(core: Core, links: Links, token: str) -> tuple[str, Any]:
    """What is listed, and which of it."""
    if not core.settings.summaries.guest_links:
        raise _Refused(403, _SHUT)
    try:
        told = links.read_listing(token)
        return told.of, _LISTS[told.of].wanted.model_validate(dict(told.wanted))
    except Expired:
        raise _Refused(410, _EXPIRED) from None
    except (Forged, KeyError, ValidationError):  # or made by a program that knew other words
        raise _Refused(403, _FORGED) from None


def _page(asked: Mapping[str, str]) -> int:
    if set(asked) - _PLAIN:
        raise _Refused(403, _WIDENED)
    number = asked.get("page", "1")
    if not re.fullmatch("[1-9][0-9]{0,3}", number) or int(number) > _LAST_PAGE:
        raise _Refused(404, _NO_PAGE)
    return int(number)


def _feedbacks(core: Core, session: Session, viewer: None, wanted: behind.Wanted, page: int) -> dict[str, Any]:
    told = behind.shown(core, session, viewer, wanted, page)
    return told | {"shown": [_item(row, score) for row, score in told["shown"]]}


def _item(row: Feedback, score: Score | None) -> Item:
    text = hide_orders(row.text)[:_LONGEST]
    parts = subjects.marked(text, score.evidence if score else [])
    return Item(row, score, hide_orders(row.title), parts, len(row.text) > _LONGEST)


_LISTS = {
    "feedback": _List(behind.Wanted, _feedbacks, "guest"),
    "deadlines": _List(deadline_rows.Wanted, deadlines.shown, "deadlines"),
}

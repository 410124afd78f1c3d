"""Numbers of a report that open what they count."""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import urlencode

from markupsafe import Markup

from monitor.settings import Settings
from reports.figures import Review, Summary
from reports.labels import percent
from reports.period import Period
from reports.shares import Share

Rows = Literal["feedback", "deadlines"]
"""What a number counts; the desk's page of them is named so too."""
Opens = Callable[[Rows, Mapping[str, str]], str]
"""Makes the address of the rows that are wanted, by the words of the desk's page of them."""
_LONGEST = 60  # letters of a value in an address: each takes nine there, and mails have their limit


def at_the_desk(settings: Settings) -> Opens:
    """Addresses of the desk's own pages, for people who log in."""
    return lambda rows, wanted: f"{room(settings, rows)}?{urlencode(wanted)}"


def room(settings: Settings, name: str) -> str:
    """The address of a page of the desk."""
    return f"{settings.service.public_url.rstrip('/')}/{name}"


def numbers(figures: Summary | Review, opens: Opens) -> dict[str, Callable[..., Markup]]:
    """What makes links of numbers, by what they count: ``behind(12, category="logistics")``, ``deadlines(3)``.

    And of shares of feedback: ``told(share, {"bad": True}, kind="review")``, what makes out the part, and the whole.
    """
    link = partial(_link, figures, opens)
    behind = partial(link, "feedback")
    return {"behind": behind, "deadlines": partial(link, "deadlines"), "told": partial(_share, behind)}


def _link(
    figures: Summary | Review,
    opens: Opens,
    rows: Rows,
    count: int,
    period: Period | Literal["ever", ""] = "",
    **wanted: str | int | datetime,
) -> Markup:
    """A number as a link to its rows: of the reported span, of another, or of whatever ``wanted`` says.

    Plain where there are none, and where what they share has an endless name.
    """
    text = f"{count:,}"
    told = {name: _word(value) for name, value in wanted.items() if value}
    if not count or any(len(value) > _LONGEST for value in told.values()):
        return Markup.escape(text)
    span = figures.windows.now if period == "" else period
    days = {} if span == "ever" else {"since": span.first.isoformat(), "until": span.last.isoformat()}
    seen = {"seen": str(math.ceil(figures.now.timestamp()))}  # what came in later was not counted
    return Markup('<a href="{}">{}</a>').format(opens(rows, days | seen | told), text)


def _share(behind: Callable[..., Markup], value: Share, bad: Mapping[str, Any], *period: Any, **whole: Any) -> Markup:
    """As `labels.share`."""
    if not value.whole:
        return Markup("—")
    links = {"part": behind(value.part, *period, **whole, **bad), "whole": behind(value.whole, *period, **whole)}
    if value.few:
        return Markup("{whole} 条中 {part} 条").format(**links)
    return Markup("{rate}（{part}/{whole}）").format(rate=percent(value.rate), **links)


def _word(value: str | int | datetime) -> str:
    if isinstance(value, datetime):
        return f"{value.timestamp():.6f}".rstrip("0").rstrip(".")
    return str(int(value)) if isinstance(value, int) else value

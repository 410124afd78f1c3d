"""Numbers of a report that open the feedbacks they count."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlencode

from markupsafe import Markup

from monitor.settings import Settings
from reports.figures import Review, Summary

Opens = Callable[[Mapping[str, str]], str]
"""Makes the address of the feedbacks that are wanted, by the words of the desk's ``/feedback``."""
_LONGEST = 20  # letters of a value in an address: each takes nine there, and mails have their limit


def at_the_desk(settings: Settings) -> Opens:
    """Addresses of the desk's own page, for people who log in."""
    page = room(settings, "feedback")
    return lambda wanted: f"{page}?{urlencode(wanted)}"


def room(settings: Settings, name: str) -> str:
    """The address of a page of the desk."""
    return f"{settings.service.public_url.rstrip('/')}/{name}"


def behind(figures: Summary | Review, opens: Opens) -> Callable[..., Markup]:
    """Makes links of numbers: ``behind("12", category="logistics")``."""
    return partial(_behind, figures, opens)


def _behind(figures: Summary | Review, opens: Opens, text: str, **wanted: str | bool) -> Markup:
    """A number as a link; plain where what its feedbacks share has an endless name."""
    if any(isinstance(value, str) and len(value) > _LONGEST for value in wanted.values()):
        return Markup.escape(text)
    span, seen = figures.windows.now, math.ceil(figures.now.timestamp())  # what came in later was not counted
    told = {"since": span.first.isoformat(), "until": span.last.isoformat(), "seen": str(seen)} | {
        name: value if isinstance(value, str) else "1" for name, value in wanted.items() if value
    }
    return Markup('<a href="{}">{}</a>').format(opens(told), text)

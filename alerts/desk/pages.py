"""Rendering: templates with autoescape, words and times in the house's manner, headers that keep a page shut."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse, Response
from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined

from alerts import crisis_lines, notices, words
from alerts.desk import labels, language
from monitor.core import Core
from monitor.models import Timer
from monitor.privacy import mask
from monitor.states import STATE_LABELS
from monitor.transitions import ACTIONS

OURSELVES = "评哨"
"""Who acts in events where nobody does."""
HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self';"
    " img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # links carry their token in the address
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}


class Pages:
    """The desk's templates.

    Args:
        core: Settings for zone and shop names, and the clock.
    """

    def __init__(self, core: Core) -> None:
        self._core, self._zone = core, core.settings.zone
        self.root = urlsplit(core.settings.service.public_url).path.rstrip("/")
        self._envs = {
            "zh": self._environment("zh", FileSystemLoader(HERE / "templates"), lambda value: value),
            "en": self._environment("en", language.Loader(HERE / "templates"), language.speak),
        }

    def _environment(self, name: str, loader: BaseLoader, say: Callable[[Any], Any]) -> Environment:
        core = self._core
        env = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        env.globals |= {
            "language": name,
            "root": self.root,
            "zone": core.settings.service.timezone,
            "labels": labels,
            "words": words,
            "STATES": STATE_LABELS,
            "ACTIONS": ACTIONS,
        }
        env.filters |= {
            "t": say,
            "actor": lambda name: say(name) if name == OURSELVES else name,
            "when": self._when,
            "clock": self._clock,
            "category": words.code,
            "trouble": words.trouble,
            "event": labels.event,
            "shop": core.settings.shop_name,
            "shared": lambda crisis, count: (
                crisis_lines.shared(crisis, count, core.clock.now(), core.settings.zone).text
            ),
            "notices": lambda crisis: notices.texts(crisis, core.settings.shop_name(crisis.shop_id)),
            "hide": lambda text: mask(text).text,
        }
        return env

    def render(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page as a response that no browser runs, frames, stores or leaks the address of."""
        shown = {"viewer": None, "now": self._core.clock.now(), **values}
        text = self._envs[language.current()].get_template(f"{name}.html").render(shown)
        return HTMLResponse(text, status, _HEADERS)

    def file(self, content: bytes, kind: str, name: str) -> Response:
        """A file to take away, with the headers of a page."""
        return Response(
            content, media_type=kind, headers=_HEADERS | {"Content-Disposition": f'attachment; filename="{name}"'}
        )

    def problem(self, status: int, message: str) -> HTMLResponse:
        """A page with one sentence that says what is wrong."""
        return self.render("message", status, title="没有办成", text=message, good=False, view="")

    def _when(self, at: datetime | None) -> str:
        return labels.when(at, self._zone)

    def _clock(self, timer: Timer) -> tuple[str, str]:
        return labels.clock(timer, self._core.clock.now(), self._zone)

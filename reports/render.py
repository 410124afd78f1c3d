"""Figures into HTML for mail and into plain text; the words and shapes are in ``templates/``."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from markupsafe import Markup

from monitor.core import Core
from monitor.settings import Settings
from reports import cards, labels
from reports.archive import Edition
from reports.charts import WIDTH, Chart
from reports.figures import Review, Summary
from reports.headline import NOUN, SPAN, headline

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).with_name("templates")
_NAMES = {"daily": "差评早报", "evening": "晚间小结", "weekly": "评价周报", "monthly": "评价月报"}
_LINES = 8  # of a card
_LONGEST = 20  # letters of a value in an address: each takes nine there, and mails have their limit
_PICTURES = ("trend", "categories", "words")
_FILTERS = (
    *("category", "platform", "stage", "happening", "state", "percent", "share", "ratio", "number", "duration"),
    *("day", "weekday", "days", "who", "short"),
)


@dataclass(frozen=True)
class Page:
    """What a template is given besides the figures.

    Attributes:
        title: Subject and heading.
        preview: What a mailbox shows beside the subject.
        lines: The card's lines.
        edition: Which version it is.
    """

    title: str
    preview: str
    lines: list[str]
    edition: Edition


def page(core: Core, figures: Summary | Review, edition: Edition) -> Page:
    """Title, preview and card of a report."""
    span = figures.windows.now
    if isinstance(figures, Review):
        lines, last = cards.review_lines(figures), span.last
        when = (
            f"{span.first.year}年{span.first.month}月" if figures.kind == "monthly" else labels.days(span.first, last)
        )
    else:
        lines = cards.summary_lines(figures, core.settings.zone)
        when = f"{labels.day(span.first)} {labels.weekday(span.first)}"
        if figures.kind == "evening":
            when += f"（截至 {min(figures.now, span.end).astimezone(core.settings.zone):%H:%M}）"
    title = f"{_NAMES[figures.kind]} {when}"
    if edition.changes:
        title += f"（更正，第 {edition.version} 版）"
        lines = [f"与上一版相比：{'；'.join(edition.changes)}", *lines]
    return Page(title, lines[0], lines[:_LINES], edition)


def html(core: Core, figures: Summary | Review, shown: Page, images: Mapping[str, Chart]) -> str:
    """The report as HTML with its styles inlined; pictures as ``cid:NAME@pingshao``."""
    import css_inline

    inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
    context = _context(core, figures, shown)
    context["images"] = dict.fromkeys(_PICTURES) | dict(images)
    page: str = _template(figures, "html").render(context)
    return inliner.inline(page)


def text(core: Core, figures: Summary | Review, shown: Page) -> str:
    """The report as plain text."""
    return str(_template(figures, "txt").render(_context(core, figures, shown)))


def _behind(settings: Settings, figures: Summary | Review, text: str, **wanted: str | bool) -> Markup:
    """A number that opens the feedbacks it counts, on the desk; plain where what they share has an endless name."""
    if any(isinstance(value, str) and len(value) > _LONGEST for value in wanted.values()):
        return Markup.escape(text)
    span = figures.windows.now
    told = {"since": span.first.isoformat(), "until": span.last.isoformat()} | {
        name: value if isinstance(value, str) else "1" for name, value in wanted.items() if value
    }
    address = f"{settings.service.public_url.rstrip('/')}/feedback?{urlencode(told)}"
    return Markup('<a href="{}">{}</a>').format(address, text)


def _template(figures: Summary | Review, kind: str) -> Any:
    return _environment().get_template(f"{'review' if isinstance(figures, Review) else 'summary'}.{kind}.j2")


def _context(core: Core, figures: Summary | Review, shown: Page) -> dict[str, Any]:
    settings = core.settings
    context: dict[str, Any] = {
        "f": figures,
        "page": shown,
        "when": SPAN[figures.kind],
        "width": WIDTH,
        "shop": settings.shop_name,
        "link": core.view,
        "moment": partial(labels.moment, zone=settings.zone),
        "labels": labels,
        "shop_ids": {settings.shop_name(shop.id): shop.id for shop in settings.shops},
        "behind": partial(_behind, settings, figures),
    }
    if isinstance(figures, Review):
        noun, bad, rate = NOUN[figures.subject]
        context |= {"noun": noun, "bad": bad, "rate": rate, "headline": headline(figures)}
        context["on_time"] = cards.on_time(figures)
    return context


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters |= {name: getattr(labels, name) for name in _FILTERS}
    return environment


def _harmless(value: Any) -> Any:
    """Every piece of text that enters a page, whoever wrote it, in one line and without hidden characters."""
    return labels.plain(value) if type(value) is str else value

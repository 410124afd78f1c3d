"""Figures into HTML for mail and into plain text; the words and shapes are in ``templates/``."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor import scope
from monitor.core import Core
from reports import cards, labels, links, spread_words, target_words, weekdays
from reports.archive import Edition
from reports.charts import WIDTH, Chart
from reports.figures import Review, Summary
from reports.headline import NOUN, SPAN, headline
from reports.improvements import BEFORE, ending
from reports.responses import minutes
from reports.targets import targets

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).with_name("templates")
_NAMES = {"daily": "差评早报", "evening": "晚间小结", "weekly": "评价周报", "monthly": "评价月报"}
_LINES = 8  # of a card
_ROWS = (8, 5, 3)  # of a table: fewer where the page would grow too large
_BYTES = 100_000  # Gmail cuts a longer mail
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


def html(
    core: Core, figures: Summary | Review, shown: Page, images: Mapping[str, Chart], opens: links.Opens | None = None
) -> str:
    """The report as HTML with its styles inlined; pictures as ``cid:NAME@pingshao``, numbers open at the desk or so."""
    import css_inline

    inliner = css_inline.CSSInliner(keep_at_rules=True, minify_css=True, load_remote_stylesheets=False)
    context = _context(core, figures, shown)
    context |= links.numbers(figures, opens or links.at_the_desk(core.settings))
    context["room"] = None if opens else partial(links.room, core.settings)
    context["images"] = dict.fromkeys(_PICTURES) | dict(images)
    for most in _ROWS:
        page = inliner.inline(_template(figures, "html").render(context, most=most))
        if len(page.encode()) <= _BYTES:
            break
    return page


def text(core: Core, figures: Summary | Review, shown: Page) -> str:
    """The report as plain text."""
    return str(_template(figures, "txt").render(_context(core, figures, shown)))


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
        "labels_spread": spread_words,
        "course": partial(spread_words.course, zone=settings.zone),
        "shop_ids": {settings.shop_name(shop.id): shop.id for shop in settings.shops},
    }
    if isinstance(figures, Review):
        noun, bad, rate = NOUN[figures.subject]
        context |= {"noun": noun, "bad": bad, "rate": rate, "headline": headline(figures)}
        context |= {"on_time": cards.on_time(figures), "weeks": labels.weeks(figures.windows.weeks)}
        context |= {"targets": targets(figures), "labels_target": target_words}
        context["worse"] = weekdays.worse(figures.days, figures.windows)
        context |= {
            "minutes": minutes,
            "four_weeks": BEFORE,
            "read": scope.READ,
            "ending": partial(ending, until=figures.windows.now.end),
        }
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

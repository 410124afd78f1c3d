"""A report from start to end: figures, pictures, pages, mail, files."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from monitor import db
from monitor.core import Core
from reports import archive, figures, mail, render
from reports.archive import Edition, Figures
from reports.links import Opens
from reports.period import Kind, windows

if TYPE_CHECKING:
    from reports.charts import Chart


@dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
        kind: daily, evening, weekly or monthly.
        key: Names it for good, e.g. ``weekly:2026-11-16``: the day on which it is due.
        title: Subject of its mail.
        html: The page, with pictures as ``cid:NAME@pingshao``.
        text: The same as plain text.
        images: PNGs by name, as in the page.
        eml: The mail, without recipients.
        lines: At most nine short lines of plain text for chat channels.
        figures: All its figures as JSON.
        made: The same as they are.
        edition: Which version it is.
        guest_eml: The mail for readers who cannot log in; empty where nobody asked for it.
    """

    kind: Kind
    key: str
    title: str
    html: str
    text: str
    images: dict[str, bytes]
    eml: bytes
    lines: tuple[str, ...]
    figures: str
    made: Figures
    edition: Edition
    guest_eml: bytes = b""

    @property
    def name(self) -> str:
        """What its files begin with, e.g. ``weekly-2026-11-16``; ``weekly-2026-11-16-2`` for the second version."""
        return archive.name(self.key, self.edition.version).replace(":", "-")


def build(core: Core, kind: Kind, day: date, *, anew: bool = True, guests: Opens | None = None) -> Report:
    """Make the report of a kind that is due on a day of the service's zone.

    Args:
        core: Settings, store and clock.
        kind: ``daily`` (about the day before), ``evening`` (the day until now), ``weekly`` (the last full week before
            the day), ``monthly`` (the calendar month before it).
        day: The day.
        anew: With the figures of now; else, where it was sent, with those that it was sent with.
        guests: Makes the addresses behind numbers for readers who cannot log in; makes a mail for them too.
    """
    key = f"{kind}:{windows(kind, day, core.settings.zone).issued.isoformat()}"
    return remade(core, key, *_made(core, kind, day, key, anew=anew), guests)


def remade(core: Core, key: str, made: Figures, edition: Edition, guests: Opens | None = None) -> Report:
    """The report of that key from its figures."""
    shown = render.page(core, made, edition)
    name = archive.name(key, edition.version)
    pictures = _pictures(made, name.replace(":", "-")) if isinstance(made, figures.Review) else {}
    page, text = render.html(core, made, shown, pictures), render.text(core, made, shown)
    images = {chart.file: chart.png for chart in pictures.values()}
    sender = core.settings.smtp.sender if core.settings.smtp else ""
    pages = [page, render.html(core, made, shown, pictures, guests)] if guests else [page]
    eml, *others = (mail.compose(name, shown.title, sender, core.clock.now(), text, one, images) for one in pages)
    dump = TypeAdapter(type(made)).dump_json(made, indent=1).decode()
    lines, guest_eml = tuple(shown.lines), others[0] if others else b""
    return Report(made.kind, key, shown.title, page, text, images, eml, lines, dump, made, edition, guest_eml)


def _made(core: Core, kind: Kind, day: date, key: str, *, anew: bool) -> tuple[Figures, Edition]:
    if not anew:
        with db.reading(core.engine, long=True) as session:
            found = archive.newest(session, key)
        if found is not None:
            return found
    made = figures.summary(core, kind, day) if kind in {"daily", "evening"} else figures.review(core, kind, day)
    with db.reading(core.engine, long=True) as session:
        return made, archive.edition(session, key, made)


def standing_alone(report: Report, prefix: str = "") -> str:
    """The page for a folder or a web address: pictures by name, after ``prefix``, instead of by cid."""
    page = report.html
    for file in report.images:
        page = page.replace(f'"cid:{file}@pingshao"', f'"{prefix}{file}"')
    return page


def write(report: Report, folder: Path) -> list[Path]:
    """Write the page, its pictures, the mails and the figures into a folder, made if absent.

    Returns:
        The files, the page first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{report.name}.html": standing_alone(report).encode(), **report.images}
    files |= {f"{report.name}.eml": report.eml, f"{report.name}.json": report.figures.encode()}
    files |= {guest_mail(report): report.guest_eml} if report.guest_eml else {}
    for name, content in files.items():
        part = folder / f".{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)
    return [folder / name for name in files]


def guest_mail(report: Report) -> str:
    """The name of the file with the mail for readers who cannot log in."""
    return f"{report.name}-guest.eml"


def _pictures(made: figures.Review, name: str) -> "dict[str, Chart]":
    """The pictures that have something to show, by their place in the page."""
    from reports import charts
    from reports.headline import SPAN

    shown: dict[str, Chart | None] = {}
    if made.totals.now.n:
        shown["trend"] = charts.trend(made, f"{name}-trend.png")
    if rows := [row for row in made.categories if row.now or row.expected >= 1]:
        shown["categories"] = charts.categories(rows, SPAN[made.kind], f"{name}-categories.png")
    shown["words"] = charts.cloud(made.words, f"{name}-words.png")
    return {place: chart for place, chart in shown.items() if chart}

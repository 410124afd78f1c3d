"""The pictures of a report: PNG of few colours, drawn for 600 CSS pixels at double density, in a font of the house.

Text in them is never read as markup (``$`` is a dollar sign), and what the font cannot show is left out.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.counts import Category, Counts
from reports.headline import NOUN, SPAN
from reports.labels import category, number, percent, weekday
from reports.shares import Share
from reports.words import Words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from reports.figures import Review

WIDTH = 600  # CSS pixels
_DPI = 200
_COLOURS = 24
_INK, _MUTED, _RULE = "#1f2933", "#667085", "#e4e7ec"
_BAD, _GOOD, _BEFORE = "#c2410c", "#0f766e", "#b3bac5"
_BARS = 8
_WEEK = 7


@dataclass(frozen=True)
class Chart:
    """A picture.

    Attributes:
        file: Its file name.
        png: The file.
        height: CSS pixels at `WIDTH`.
        alt: What it shows, for those who cannot see it.
    """

    file: str
    png: bytes
    height: int
    alt: str


def trend(figures: "Review", file: str) -> Chart:
    """Share of negatives and of satisfied buyers by day of a span that has any, with the spans before."""
    _, _, rate = NOUN[figures.subject]
    stars = any(figures.days[day].starred for day in figures.windows.now.days)
    with _canvas(4.4 if stars else 2.6) as figure:
        panels = figure.subplots(2 if stars else 1, 1, sharex=True, squeeze=False)[:, 0]
        _panel(panels[0], figures, rate, "negative", "n", _BAD)
        if stars:
            _panel(panels[1], figures, "满意率", "satisfied", "starred", _GOOD)
        _days(panels[-1], figures.windows.now.days)
        panels[0].legend(
            loc="lower right", bbox_to_anchor=(1.01, 0.99), ncols=3, frameon=False, fontsize=13, borderaxespad=0
        )
        figure.align_ylabels(panels)
        return _chart(figure, file, f"每日{rate}{'与满意率' if stars else ''}折线图，并列前一期和往常同一星期几的平均")


def categories(rows: Sequence[Category], when: str, file: str) -> Chart:
    """The most frequent categories beside what the norm's share would give."""
    rows = rows[:_BARS]
    with _canvas(0.55 + 0.46 * len(rows)) as figure:
        axes = figure.subplots()
        places = range(len(rows))
        bars = axes.barh([y - 0.16 for y in places], [row.now for row in rows], 0.34, color=_BAD, label=when)
        axes.bar_label(bars, [f"{row.now:,}" for row in rows], padding=4, fontsize=14)
        expected = [row.expected for row in rows]
        if rows[0].n[2]:
            bars = axes.barh([y + 0.2 for y in places], expected, 0.2, color=_BEFORE, label="按往常比例")
            axes.bar_label(bars, [number(n) for n in expected], padding=4, fontsize=11.5, color=_MUTED)
        most = max(*expected, *(row.now for row in rows))
        axes.set(xlim=(0, most * 1.12), ylim=(len(rows) - 0.5, -0.5), yticks=list(places), xticks=[])
        axes.set_yticklabels([drawable(category(row.code)) for row in rows], fontsize=14)
        axes.spines["bottom"].set_visible(False)
        axes.legend(loc="lower right", bbox_to_anchor=(1.01, 1.0), ncols=2, frameon=False, fontsize=13, borderaxespad=0)
        counted = "、".join(f"{category(row.code)} {row.now}" for row in rows)
        return _chart(figure, file, f"各类问题的条数，并列按往常比例应有的条数：{counted}")


def cloud(words: Words, file: str) -> Chart | None:
    """The most frequent words, those unusually frequent in colour; None without words."""
    from wordcloud import WordCloud

    striking = {word.text for word in words.key}
    sizes = {word: count for word, count in words.cloud.items() if drawable(word) == word}
    if not sizes:
        return None

    def colour(word: str, **_layout: Any) -> str:
        return _BAD if word in striking else "#475467"

    picture = WordCloud(
        font_path=str(font_file()),
        width=2 * WIDTH,
        height=2 * 230,
        background_color="white",
        prefer_horizontal=1.0,
        relative_scaling=0.4,
        min_font_size=20,
        max_font_size=130,
        margin=8,
        random_state=7,
        color_func=colour,
    ).generate_from_frequencies(sizes)
    top = "、".join(f"{word} {count}" for word, count in list(words.cloud.items())[:8])
    return Chart(file, _png(picture.to_image()), 230, f"词云，最多的词：{top}")


def drawable(text: str) -> str:
    """Text without the characters the font has no glyph for."""
    return "".join(ch for ch in text if ord(ch) in _glyphs())


@cache
def font_file() -> Path:
    """The Chinese font that comes with us."""
    import pylopdf_fonts_zh_cn

    return pylopdf_fonts_zh_cn.sans_path()


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(str(font_file())).get_charmap())


@cache
def font_name() -> str:
    """The family name of the font that comes with the package; charts are drawn in it.

    Raises:
        OSError: the font's file is gone.
    """
    from matplotlib.font_manager import FontProperties, fontManager

    fontManager.addfont(str(font_file()))
    return FontProperties(fname=str(font_file())).get_name()


@contextmanager
def _canvas(inches: float) -> "Iterator[Figure]":
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.family": font_name(),
        "font.size": 13,
        "text.parse_math": False,
        "text.color": _INK,
        "axes.edgecolor": _RULE,
        **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.spines.left"), False),
        **dict.fromkeys(("xtick.color", "ytick.color"), _MUTED),
        **dict.fromkeys(("xtick.major.size", "ytick.major.size"), 0),
    }
    with mpl.rc_context(style):
        yield Figure(figsize=(WIDTH / 100, inches), dpi=_DPI, layout="constrained")


def _panel(axes: "Axes", figures: "Review", title: str, part: str, whole: str, colour: str) -> None:
    def shares(days: Sequence[date]) -> list[Share]:
        return [_share([figures.days[day]], part, whole) for day in days]

    spans = figures.windows
    now = shares(spans.now.days)
    norm = [_share([figures.days[d] for d in spans.norm.days if d.weekday() == n], part, whole) for n in range(_WEEK)]
    before = "前一周" if figures.kind == "weekly" else "前一月"
    xs = range(len(now))
    usual = [norm[day.weekday()] for day in spans.now.days]
    earlier = shares(spans.prior.days)[: len(now)]
    if any(share.whole for share in usual):
        axes.plot(xs, _rates(usual), "--", color=_MUTED, lw=1.3, label="往常同星期平均")
    if any(share.whole for share in earlier):
        axes.plot(xs, _rates(earlier, len(now)), color=_BEFORE, lw=1.6, label=before)
    axes.plot(xs, _rates(now), color=colour, lw=2.4, label=SPAN[figures.kind])
    for few, face in ((False, colour), (True, "white")):
        points = [(x, share.rate) for x, share in enumerate(now) if share.whole and share.few == few]
        axes.plot(*zip(*points, strict=True) if points else ([], []), "o", ms=5, mfc=face, mec=colour, mew=1.5)
    axes.set_title(title, loc="left", fontsize=14.5, color=_INK)
    axes.grid(axis="y", color=_RULE, lw=0.8)
    axes.margins(x=0.05, y=0.36)
    axes.yaxis.set_major_formatter(lambda value, _place: f"{100 * value:g}%")
    axes.locator_params(axis="y", nbins=4)
    _frame(axes, now, worst=max if part == "negative" else min)


def _frame(axes: "Axes", now: Sequence[Share], worst: Any) -> None:
    """Keep the scale within what a share can be, and name the worst day."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(0.0, low), min(max(high, 0.01), 1.1))
    seen = [(share.rate, -x) for x, share in enumerate(now) if share.whole]
    rate, x = worst(seen)
    place: dict[str, Any] = {"xytext": (0, 7), "va": "bottom"} if worst is max else {"xytext": (0, -8), "va": "top"}
    axes.annotate(percent(rate), (-x, rate), textcoords="offset points", ha="center", color=_INK, **place)


def _share(days: Sequence[Counts], part: str, whole: str) -> Share:
    return Share(sum(getattr(day, part) for day in days), sum(getattr(day, whole) for day in days))


def _rates(shares: Sequence[Share], length: int = 0) -> list[float]:
    rates = [share.rate if share.whole else float("nan") for share in shares]
    return rates + [float("nan")] * (length - len(rates))


def _days(axes: "Axes", days: Sequence[date]) -> None:
    if len(days) == _WEEK:
        axes.set_xticks(range(_WEEK), [f"{weekday(day)}\n{day.month}/{day.day}" for day in days])
        return
    shown = [n for n, day in enumerate(days) if day.day % 5 == 1 and day + timedelta(2) <= days[-1]]
    axes.set_xticks(shown, [f"{days[n].month}/{days[n].day}" for n in shown])


def _chart(figure: "Figure", file: str, alt: str) -> Chart:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    image = Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba()))  # type: ignore[no-untyped-call]
    return Chart(file, _png(image), round(figure.get_figheight() * 100), alt)


def _png(image: "Image") -> bytes:
    """The image with 24 colours: a fifth of the bytes, no visible difference in flat drawings."""
    from PIL.Image import Dither

    packed = io.BytesIO()
    image.convert("RGB").quantize(_COLOURS, dither=Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()

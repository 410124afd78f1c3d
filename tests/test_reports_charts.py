"""Charts: small, of few colours, in the house's font, with outside text drawn as it is."""

import io
from datetime import date, timedelta

import pytest
from factories import NOW, make_core
from factories_reports import Record, store
from PIL import Image
from sqlalchemy import Engine

from monitor import db, directory
from reports import charts
from reports.counts import Category
from reports.figures import review
from reports.words import Words


def _image(chart: charts.Chart) -> Image.Image:
    return Image.open(io.BytesIO(chart.png))


def test_bars_take_any_name() -> None:
    """Mathtext, emoji and characters without a glyph neither fail nor become formulas; the file stays small."""
    rows = [
        Category(code, 9 - n, 1, 2, (100, 100, 100))
        for n, code in enumerate(("$\\frac$", "😀", "\U0003134a", "quality"))
    ]
    chart = charts.categories(rows, "上周", "a.png")
    image = _image(chart)
    assert image.size == (2 * charts.WIDTH, 2 * chart.height)
    assert image.mode == "P"
    assert len(image.getcolors() or []) <= 64
    assert len(chart.png) < 40_000
    assert "质量问题 6" in chart.alt


def test_font_draws_chinese_and_drops_what_it_cannot() -> None:
    """The font that comes with the package has Chinese; what it lacks is left out instead of drawn as a box."""
    assert charts.font_name() == "Noto Sans SC"
    assert charts.drawable("差评率，ABC $") == "差评率，ABC $"
    assert charts.drawable("破😀损") == "破损"


def test_cloud_of_nothing_is_no_picture() -> None:
    """No words, or none that can be drawn, give no cloud; the same words give the same bytes."""
    assert charts.cloud(Words(), "a.png") is None
    assert charts.cloud(Words(1, 0, {"😀": 3}), "a.png") is None
    words = Words(9, 9, {"破损": 5, "漏水": 3})
    assert charts.cloud(words, "a.png") == charts.cloud(words, "a.png")


@pytest.mark.parametrize(("stars", "height"), [(None, 260), (1.0, 440)])
def test_trend_without_stars_has_one_panel(sqlite: Engine, stars: float | None, height: int) -> None:
    """Satisfaction is drawn where buyers gave stars, and left out where none did."""
    core = make_core(sqlite)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    store(sqlite, [Record(NOW - timedelta(days=6), stars=stars)] * 3, NOW)
    chart = charts.trend(review(core, "weekly", date(2026, 11, 16)), "a.png")
    assert chart.height == height
    assert ("满意率" in chart.alt) is (stars is not None)

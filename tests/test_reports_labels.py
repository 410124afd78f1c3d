"""Words for figures and codes, as people read them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import labels
from reports.shares import Share


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0, "0%"), (0.00001, "<0.1%"), (0.031, "3.1%"), (0.9999, ">99.9%"), (1, "100%")],
)
def test_percent_never_says_none_or_all_wrongly(rate: float, words: str) -> None:
    """A trace is not nothing, nearly all is not all."""
    assert labels.percent(rate) == words


@pytest.mark.parametrize(
    ("share", "long", "cell"),
    [(Share(0, 0), "—", "—"), (Share(1, 3), "3 条中 1 条", "1/3"), (Share(58, 1871), "3.1%（58/1,871）", "3.1%")],
)
def test_few_are_told_as_counts(share: Share, long: str, cell: str) -> None:
    """A percentage stands beside its counts, and never for a handful."""
    assert (labels.share(share), labels.ratio(share)) == (long, cell)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59, "不到 1 分钟"),
        (1500, "25 分钟"),
        (7200, "2 小时"),
        (12000, "3 小时 20 分"),
        (172800, "2 天"),
        (190800, "2 天 5 小时"),
    ],
)
def test_durations(seconds: int, words: str) -> None:
    """Two units are enough."""
    assert labels.duration(timedelta(seconds=seconds)) == words


def test_days_and_numbers() -> None:
    """Spans within and across months; means with a decimal, counts without."""
    assert labels.days(date(2026, 11, 9), date(2026, 11, 15)) == "11月9日–15日"
    assert labels.days(date(2026, 10, 26), date(2026, 11, 1)) == "10月26日–11月1日"
    assert labels.days(date(2026, 11, 9), date(2026, 11, 9)) == "11月9日"
    assert [labels.number(n) for n in (0, 0.01, 8.5, 12, 1234.6)] == ["0", "<0.1", "8.5", "12", "1,235"]


@given(st.text())
def test_plain_text_is_one_visible_line(text: str) -> None:
    """No break, control, turning mark or surrogate survives, and doing it twice changes nothing."""
    shown = labels.plain(text)
    assert shown == labels.plain(shown)
    assert len(shown.splitlines()) <= 1
    assert not set("\u202e\u200b\x00\x1b\ud800") & set(shown)
    assert len(labels.short(text, 10)) <= 10

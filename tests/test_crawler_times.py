"""crawler.times: every way of saying when; nothing guessed."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from crawler_factories import NOW, ZONE
from hypothesis import given
from hypothesis import strategies as st

from crawler.parsing import is_relative, parse_time

NOV_1 = datetime(2026, 11, 1, 8, 3, tzinfo=ZONE)


@pytest.mark.parametrize(
    "said",
    [
        "2026-11-01 08:03",
        "2026-11-01T08:03:00",
        "2026-11-01T08:03:00+08:00",
        "2026-11-01T08:03:00+0800",
        "2026-11-01T00:03:00Z",
        "2026-11-01T00:03:00.000Z",
        "2026-11-01 08:03:00,000",
        "2026-11-01 08:03:00 GMT+8",
        "2026/11/1 8:03",
        "2026.11.1 08:03:00",
        "2026年11月1日 08:03",
        "2026年11月01日08时03分",
        "26年11月1日 8:03",
        "２０２６年１１月１日　０８：０３",
        "李**明在2026年11月1日 08:03评论了",
        "发表于2026-11-01 08:03 来自 iPhone，3天前看过",
        "2026年11月1日（星期日） 上午8:03",
        "Sun, 01 Nov 2026 08:03:00 +0800",
        "Sun, 01 Nov 2026 00:03:00 GMT",
        "Sun Nov 01 08:03:00 +0800 2026",
        "Sun Nov 01 08:03:00 CST 2026",
        "Nov 1, 2026 8:03 AM",
        "1st November 2026, 08:03",
        "11-01 08:03",
        "11月1日 08:03",
        "(11/1 8:03)",
        "20261101080300",
        "202611010803",
        1793491380,
        1793491380000,
        "1793491380",
        "1793491380000",
        1793491380.0,
    ],
)
def test_one_moment_said_in_many_ways(said: object) -> None:
    """Each is 2026-11-01 08:03 in Shanghai."""
    assert parse_time(said, ZONE, NOW) == NOV_1


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("刚刚", timedelta()),
        ("just now", timedelta()),
        ("3分钟前", timedelta(minutes=3)),
        ("３分钟前", timedelta(minutes=3)),
        ("30秒前", timedelta(seconds=30)),
        ("半小时前", timedelta(minutes=30)),
        ("两个小时前发布", timedelta(hours=2)),
        ("3天前", timedelta(days=3)),
        ("一周前", timedelta(weeks=1)),
        ("an hour ago", timedelta(hours=1)),
        ("5 minutes ago", timedelta(minutes=5)),
    ],
)
def test_how_long_ago(said: str, back: timedelta) -> None:
    """Relative times count from now and are known to be relative."""
    assert parse_time(said, ZONE, NOW) == NOW - back
    assert is_relative(said)


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("今天 08:00", datetime(2026, 11, 22, 8, 0, tzinfo=ZONE)),
        ("昨天 12:30", datetime(2026, 11, 21, 12, 30, tzinfo=ZONE)),
        ("昨天", datetime(2026, 11, 21, tzinfo=ZONE)),
        ("前天 23:59", datetime(2026, 11, 20, 23, 59, tzinfo=ZONE)),
        ("Yesterday at 5:00 pm", datetime(2026, 11, 21, 17, 0, tzinfo=ZONE)),
        ("2个月前", datetime(2026, 9, 22, 9, 30, tzinfo=ZONE)),
        ("1年前", datetime(2025, 11, 22, 9, 30, tzinfo=ZONE)),
        ("2026-11-01 下午3点5分", datetime(2026, 11, 1, 15, 5, tzinfo=ZONE)),
        ("2026-11-01 中午1点", datetime(2026, 11, 1, 13, 0, tzinfo=ZONE)),
        ("2026-11-01 中午12:10", datetime(2026, 11, 1, 12, 10, tzinfo=ZONE)),
        ("2026-11-01 凌晨12:10", datetime(2026, 11, 1, 0, 10, tzinfo=ZONE)),
        ("2026-11-01 12:10 PM", datetime(2026, 11, 1, 12, 10, tzinfo=ZONE)),
        ("2026-11-01 08:03:04.5678", datetime(2026, 11, 1, 8, 3, 4, 567800, tzinfo=ZONE)),
        ("2026年11月1日", datetime(2026, 11, 1, tzinfo=ZONE)),
        ("20261101", datetime(2026, 11, 1, tzinfo=ZONE)),
        ("Sun, 01 Nov 2026 08:03 EST", datetime(2026, 11, 1, 8, 3, tzinfo=timezone(timedelta(hours=-5)))),
        ("2026年11月1日 08:03 -05:30", datetime(2026, 11, 1, 8, 3, tzinfo=timezone(-timedelta(hours=5, minutes=30)))),
        ("2026-11-01 08:03 UTC+5:30", datetime(2026, 11, 1, 8, 3, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        ("2026-11-01 08:03 VIP", datetime(2026, 11, 1, 8, 3, tzinfo=ZONE)),
        (date(2026, 11, 1), datetime(2026, 11, 1, tzinfo=ZONE)),
        (datetime(2026, 11, 1), datetime(2026, 11, 1, tzinfo=ZONE)),  # noqa: DTZ001 — what spreadsheets give
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_other_forms(said: object, when: datetime) -> None:
    """Days, halves of the day, fractions, zones by name and by offset."""
    assert parse_time(said, ZONE, NOW) == when
    assert not is_relative(said) or "前" in str(said)


@pytest.mark.parametrize(
    ("said", "year"),
    [("11-22 09:30", 2026), ("11-22 09:31", 2025), ("12-31 23:00", 2025), ("02-29", 2024), ("5-6", 2026)],
)
def test_a_date_without_a_year_is_the_latest_not_in_the_future(said: str, year: int) -> None:
    """A minute too late means last year; 29 February means the last leap year."""
    found = parse_time(said, ZONE, NOW)
    assert found is not None
    assert found.year == year


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "好评",
        "用了5-6天",
        "4.5",
        "01/11/2026",
        "2026-13-45",
        "2026-11-01 25:00",
        "02-30",
        True,
        0,
        -5,
        20261101,
        float("nan"),
        float("inf"),
        10**30,
        "9" * 5000,
        "99999999999999",
        "9999年前",
        "13800138000",
        b"2026-11-01",
        ["2026-11-01"],
    ],
)
def test_what_is_no_time_is_none(said: object) -> None:
    """No guess: ambiguous, impossible and unrelated values give None."""
    assert parse_time(said, ZONE, NOW) is None


def test_an_absolute_time_beside_a_relative_one_is_not_relative() -> None:
    """The exact one is what counts."""
    assert not is_relative("2026-11-01 08:03（3天前）")
    assert not is_relative("目前还没有")
    assert not is_relative(5)


def test_the_zone_is_the_services_where_none_is_named() -> None:
    """The same words in another zone are another moment."""
    york = ZoneInfo("America/New_York")
    assert parse_time("2026-11-01 08:03", york, NOW) == datetime(2026, 11, 1, 8, 3, tzinfo=york)
    assert parse_time("Sun Nov 01 08:03:00 CST 2026", york, NOW) == datetime(2026, 11, 1, 14, 3, tzinfo=UTC)


@given(
    st.one_of(
        st.text(max_size=80), st.floats(), st.integers(), st.from_regex(r"\d{1,4}[-/年]\d{1,3}[-/月 ]\d{1,3} ?\d?")
    )
)
def test_anything_gives_an_aware_time_or_none(said: Any) -> None:
    """Never an exception, never a naive time."""
    found = parse_time(said, ZONE, NOW)
    assert found is None or found.tzinfo is not None
    assert is_relative(said) in {True, False}


@pytest.mark.parametrize(
    "said", ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59Z", "1899-12-31", datetime(1, 1, 1, tzinfo=UTC), date.max]
)
def test_years_that_nothing_is_dated_in(said: object) -> None:
    """A placeholder of some system says nothing, and no zone could be put on it; the text is stored all the same."""
    assert parse_time(said, ZONE, NOW) is None

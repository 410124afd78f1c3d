"""Rotas: shifts, turns, shops, swaps, and the days to come."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from factories import make_core, make_settings
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from test_monitor_edits import rows

import scheduler
from monitor import db, directory, printing, rota
from monitor.clock import HandClock
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Event, Swap
from monitor.rota import Duty
from monitor.settings import Settings

ZONE = ZoneInfo("Asia/Shanghai")
NAMES = ("甲", "乙", "丙")
SHOPS = [{"id": "demo", "name": "示例旗舰店"}, {"id": "jd", "name": "示例京东店"}]


def at(text: str) -> datetime:
    """``11-20 08:00`` in Shanghai, in UTC."""
    return datetime.strptime(f"2026-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=ZONE).astimezone(UTC)


def config(*rotas: dict[str, Any], **overrides: Any) -> Settings:
    return make_settings(
        **({"people": [{"name": name} for name in NAMES], "shops": SHOPS, "rotas": list(rotas)} | overrides)
    )


def make(engine: Engine, *rotas: dict[str, Any]) -> Core:
    core = make_core(engine, config(*rotas), HandClock(at("11-20 12:00")))
    with db.writing(core.engine) as session:
        directory.sync(session, core.settings)
    return core


def on(settings: Settings, moment: str, shop: str | None = "demo") -> str:
    return "".join(rota.on_duty_by(settings, [], shop, at(moment)))


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        ("11-20 07:59", ""),
        ("11-20 08:00", "甲"),
        ("11-20 17:59", "甲"),
        ("11-20 18:00", "乙"),
        ("11-21 01:59", "乙"),
        ("11-21 02:00", ""),
        ("11-21 09:00", ""),
        ("11-21 22:00", ""),
    ],
)
def test_a_shift_belongs_to_the_day_on_which_it_begins(moment: str, who: str) -> None:
    """Friday's night shift ends on Saturday, which has none of its own."""
    weekdays = ["mon", "tue", "wed", "thu", "fri"]
    day = {"people": ["甲"], "shift": "08:00-18:00", "days": weekdays}
    assert on(config(day, {"people": ["乙"], "shift": "18:00-02:00", "days": weekdays}), moment) == who


def test_turns_go_round_by_day_and_by_week() -> None:
    """The first begins on the day that is named; before it the order runs backwards; weeks change on Mondays."""
    daily = config({"people": list(NAMES), "turn": "day", "since": date(2026, 11, 20), "shift": "22:00-06:00"})
    assert [on(daily, f"11-{day} 23:00") for day in (19, 20, 21, 22, 23)] == ["丙", "甲", "乙", "丙", "甲"]
    assert on(daily, "11-21 05:00") == "甲"
    weekly = config({"people": ["甲", "乙"], "turn": "week", "since": date(2026, 11, 18)})
    assert [on(weekly, f"11-{day} 12:00") for day in (15, 16, 22, 23, 30)] == ["乙", "甲", "甲", "乙", "甲"]


def test_rotas_of_several_shops_add_up() -> None:
    """One without shops is for all and for the brand; nobody is named twice."""
    settings = config({"people": ["甲", "乙"]}, {"people": ["乙", "丙"], "shops": ["jd"]})
    assert [on(settings, "11-20 12:00", shop) for shop in ("demo", "jd", None)] == ["甲乙", "甲乙丙", "甲乙"]
    only = config({"people": ["甲"], "shops": ["jd"]})
    assert [rota.covers(only, shop) for shop in ("demo", "jd", None)] == [False, True, False]


def test_a_night_on_which_clocks_change_has_its_real_hours() -> None:
    """A shift ends at its time of day, whatever happened to the clock meanwhile."""
    settings = config({"people": ["甲"], "shift": "22:00-06:00"}, service={"timezone": "Europe/Berlin"})
    spring = datetime(2026, 3, 29, 3, 59, tzinfo=UTC)  # 05:59 after the leap from 02:00 to 03:00
    assert rota.on_duty_by(settings, [], "demo", spring) == ["甲"]
    assert rota.on_duty_by(settings, [], "demo", spring + timedelta(minutes=1)) == []


def test_somebody_stands_in(engine: Engine) -> None:
    """From the first moment to the last; a day is meant whole; it is written down who arranged it."""
    core = make(engine, {"people": ["甲", "乙"], "shift": "00:00-24:00"})
    rota.swap(core, "丙", "甲", "2026-11-21", "2026-11-22", "主管")

    def duty(moment: str) -> str:
        with db.reading(core.engine) as session:
            return "".join(rota.on_duty(core.settings, session, "demo", at(moment)))

    assert [duty(m) for m in ("11-20 23:59", "11-21 00:00", "11-22 23:59", "11-23 00:00")] == [
        "甲乙",
        "丙乙",
        "丙乙",
        "甲乙",
    ]
    rota.swap(core, "乙", "丙", "2026-11-22T08:00", "2026-11-22T12:00+08:00", "主管")
    assert duty("11-22 09:00") == "乙"
    rota.swap(core, "甲", "乙", "2026-11-25", "2026-11-25", "主管")
    rota.swap(core, "乙", "甲", "2026-11-25", "2026-11-25", "主管")
    assert duty("11-25 09:00") == "乙甲"
    (event, *_) = rows(core, Event)
    assert (event.subject, event.what, event.actor, event.door) == ("rota", "swapped", "主管", "cli")
    assert event.after["who"] == "丙"


def test_a_stand_in_who_left_stands_for_nobody(engine: Engine) -> None:
    """The rota counts again."""
    core = make(engine, {"people": ["甲"]})
    rota.swap(core, "丙", "甲", "2026-11-20", "2026-11-22", "主管")
    fewer = make_settings(people=[{"name": "甲"}], rotas=[{"people": ["甲"]}])
    with db.writing(core.engine) as session:
        directory.sync(session, fewer)
        assert rota.on_duty(fewer, session, "demo", at("11-21 12:00")) == ["甲"]


@pytest.mark.parametrize(
    ("who", "absent", "start", "end", "said"),
    [
        ("丁", "甲", "2026-11-21", "2026-11-22", "没有叫 '丁' 的人"),
        ("乙", "申", "2026-11-21", "2026-11-22", "没有叫 '申' 的人"),
        ("甲", "甲", "2026-11-21", "2026-11-22", "不能替自己"),
        ("乙", "甲", "2026-11-22", "2026-11-21", "从早到晚"),
        ("乙", "甲", "2026-11-18", "2026-11-19", "在将来结束"),
        ("乙", "甲", "明天", "2026-11-22", "应为日期或时间"),
    ],
)
def test_a_swap_that_makes_no_sense_is_refused(
    engine: Engine, who: str, absent: str, start: str, end: str, said: str
) -> None:
    """In one line that says what was expected; nothing is stored."""
    core = make(engine, {"people": ["甲"]})
    with pytest.raises(WrongCall, match=said):
        rota.swap(core, who, absent, start, end, "主管")
    assert rows(core, Swap) == []


def test_the_days_to_come_are_told_by_shop(engine: Engine) -> None:
    """Shops with the same rotas are one; a span ends where the people change, and no earlier."""
    core = make(engine, {"people": ["甲"], "shift": "08:00-18:00"}, {"people": ["乙"], "shops": ["jd"]})
    rota.swap(core, "丙", "甲", "2026-11-21T12:00", "2026-11-21T13:00", "主管")
    with db.reading(core.engine) as session:
        found = rota.duties(core.settings, session, at("11-20 12:00"), at("11-21 20:00"))
    assert [(one.shops, one.start, one.people) for one in found] == [
        (("demo", None), at("11-20 12:00"), ("甲",)),
        (("demo", None), at("11-20 18:00"), ()),
        (("demo", None), at("11-21 08:00"), ("甲",)),
        (("demo", None), at("11-21 12:00"), ("丙",)),
        (("demo", None), at("11-21 13:00"), ("甲",)),
        (("demo", None), at("11-21 18:00"), ()),
        (("jd",), at("11-20 12:00"), ("甲", "乙")),
        (("jd",), at("11-20 18:00"), ("乙",)),
        (("jd",), at("11-21 08:00"), ("甲", "乙")),
        (("jd",), at("11-21 12:00"), ("丙", "乙")),
        (("jd",), at("11-21 13:00"), ("甲", "乙")),
        (("jd",), at("11-21 18:00"), ("乙",)),
    ]


_times = st.integers(0, 95).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")


@given(
    shifts=st.lists(st.tuples(_times, _times).filter(lambda t: t[0] != t[1]), min_size=1, max_size=3),
    minute=st.integers(0, 3 * 24 * 60 - 1),
)
def test_between_two_changes_nobodys_duty_changes(shifts: list[tuple[str, str]], minute: int) -> None:
    """Whatever the shifts: the moments of change are all there are."""
    settings = config(*({"people": [NAMES[n]], "shift": "-".join(span)} for n, span in enumerate(shifts)))
    start, end = at("11-20 00:00"), at("11-23 00:00")
    moment = start + timedelta(minutes=minute)
    last = max(one for one in [start, *rota.changes(settings, [], start, end)] if one <= moment)
    assert rota.on_duty_by(settings, [], "demo", moment) == rota.on_duty_by(settings, [], "demo", last)


def config_file(folder: Path, more: str = "") -> list[str]:
    """A config with two people, one of whom is always on duty; gives the arguments that name it."""
    file = folder / "pingshao.toml"
    people = '[[people]]\nname = "客服一号"\n[[people]]\nname = "客服二号"\n'
    file.write_text(f'[[shops]]\nid = "demo"\nname = "示例旗舰店"\n{people}{more}', encoding="utf-8")
    return ["--config", str(file)]


def test_the_command_tells_who_is_on_duty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table that begins with now, or one JSON object; a swap shows at once."""
    call = config_file(tmp_path, '[[rotas]]\npeople = ["客服一号"]\n')
    assert scheduler.run([*call, "rota"]) == 0
    assert re.search(r"示例旗舰店、品牌 +现在 +\d\d-\d\d \d\d:\d\d +客服一号", capsys.readouterr().out)
    assert scheduler.run([*call, "rota", "swap", "客服二号", "客服一号", "2020-01-01", "2999-01-01"]) == 0
    assert capsys.readouterr().out == "2020-01-01 00:00 到 2999-01-02 00:00，客服二号 替 客服一号 值班\n"
    assert scheduler.run([*call, "rota", "--json"]) == 0
    (duty,) = json.loads(capsys.readouterr().out)["duties"]
    assert (duty["shops"], duty["people"]) == (["demo", None], ["客服二号"])
    assert duty["start"].endswith("+08:00")


def test_the_table_leaves_out_when_nobody_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """But says so of now; and what to write where there is no rota at all."""
    settings = config({"people": ["甲"]}, shops=[{"id": "demo", "name": "示例[旗舰]店"}])
    spans = [("11-20 12:00", "11-20 18:00", ()), ("11-20 18:00", "11-21 08:00", ("甲",))]
    found = [Duty(("demo",), at(start), at(end), people) for start, end, people in spans]
    printing.duties([*found, Duty(("demo",), at("11-21 08:00"), at("11-22 08:00"), ())], settings, as_json_too=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [["示例[旗舰]店", "现在", "11-20", "18:00", "—"], ["11-20", "18:00", "11-21", "08:00", "甲"]]
    printing.duties([], settings, as_json_too=False)
    assert "[[rotas]]" in capsys.readouterr().out


def test_a_wrong_swap_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, the nearest name, no traceback."""
    call = config_file(tmp_path)
    assert scheduler.run([*call, "rota", "swap", "客服三", "客服一号", "2999-01-01", "2999-01-02"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("pingshao: 没有叫 '客服三' 的人，是不是")

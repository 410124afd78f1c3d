"""Zones: the same deadlines whatever the clocks people see, and an error at the start where their data is missing."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from factories import make_core, make_item, make_settings
from sqlalchemy import Engine
from sqlmodel import col, select

from crawler.times import parse_time
from monitor import db, directory, exports, intake, timers
from monitor.clock import HandClock
from monitor.incoming import Origin
from monitor.models import Timer

ZONES = ["Asia/Shanghai", "UTC", "America/New_York"]
MOMENTS = [
    datetime(2026, 3, 8, 6, 30, tzinfo=UTC),  # New York, 01:30: half an hour before the gap
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),  # New York, the first 01:30 of the fold
    datetime(2026, 11, 1, 6, 30, tzinfo=UTC),  # and the second
    datetime(1986, 5, 3, 17, 30, tzinfo=UTC),  # Shanghai, 01:30: half an hour before the gap of its first summer
    datetime(1986, 9, 13, 15, 30, tzinfo=UTC),  # Shanghai, around the fold at its end
    datetime(1991, 9, 14, 16, 30, tzinfo=UTC),  # and at the end of its last summer
]
SPANS = {"respond": timedelta(hours=1), "notice": timedelta(hours=3), "follow_up": timedelta(hours=24)}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment:%Y-%m-%dT%H%M}")
def test_fault_32_deadlines_are_the_same_moments_in_every_zone(engine: Engine, moment: datetime, zone: str) -> None:
    """Gap or fold: an hour is an hour, in the store, in what fires and in what is exported."""
    clock = HandClock(moment)
    settings = make_settings(service={"timezone": zone})
    core = make_core(engine, settings, clock)
    with db.writing(engine) as session:
        directory.sync(session, settings)
        source = directory.ensure_source(session, "site", "html", "demo")
        assert source.id is not None
    written = moment.astimezone(ZoneInfo(zone))  # with the fold that a local clock shows
    item = make_item(text="充电时突然起火，手被烧伤，已经去了医院", created_at=written)
    assert intake.store(core, Origin(source.id, "demo", "tmall", "review", True), [item]).crises_opened == 1
    with db.reading(engine) as session:
        deadlines = select(Timer.stage, Timer.due_at).where(col(Timer.crisis_id).is_not(None), Timer.step == "deadline")
        assert dict(session.exec(deadlines).all()) == {stage: moment + span for stage, span in SPANS.items()}
        [crisis] = exports.export(session, "crises", None, settings.zone)
    for stage, span in SPANS.items():
        assert datetime.fromisoformat(crisis["deadlines"][stage]["due_at"]) == moment + span
    clock.move(timedelta(minutes=59, seconds=59))
    timers.sweep(core)
    assert breached(engine) == []
    clock.move(timedelta(seconds=1))
    timers.sweep(core)
    assert breached(engine) == ["respond"]


def breached(engine: Engine) -> list[str]:
    with db.reading(engine) as session:
        wanted = select(Timer.stage).where(Timer.state == "breached", col(Timer.crisis_id).is_not(None))
        return list(session.exec(wanted))


@pytest.mark.parametrize(
    ("text", "zone", "moment"),
    [
        ("2026-03-08 01:30", "America/New_York", MOMENTS[0]),
        ("2026-11-01 01:30", "America/New_York", MOMENTS[1]),
        ("1986-05-04 01:30", "Asia/Shanghai", MOMENTS[3]),
        ("1991-09-14 12:00", "Asia/Shanghai", datetime(1991, 9, 14, 3, tzinfo=UTC)),  # summer: nine hours ahead
        ("1991-09-16 12:00", "Asia/Shanghai", datetime(1991, 9, 16, 4, tzinfo=UTC)),
    ],
)
def test_fault_32_local_times_of_pages_are_read_with_the_zones_own_rules(
    text: str, zone: str, moment: datetime
) -> None:
    """What a page says in local time is the moment that zone's clocks showed it."""
    read = parse_time(text, ZoneInfo(zone), moment + timedelta(days=1))
    assert read is not None
    assert read.astimezone(UTC) == moment


_RUN = """
import sys, zoneinfo
sys.modules["tzdata"] = None
zoneinfo.reset_tzpath(sys.argv[1:2])
from scheduler import run
sys.exit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("config", "command", "said"),
    [
        ("", ["once"], "service.timezone: 读不到时区 Asia/Shanghai 的数据"),
        ('[service]\ntimezone = "America/New_York"\n', ["serve"], "service.timezone: 应为时区名"),
        ("", ["demo"], "本机没有时区数据"),
    ],
)
@pytest.mark.parametrize("broken", [False, True])
def test_fault_33_missing_zone_data_is_an_error_at_the_start(
    tmp_path: Path, config: str, command: list[str], said: str, broken: bool
) -> None:
    """No data, or a file that is none: one line that says what to install, status 2, and nothing was begun."""
    folder = tmp_path / "zones"
    if broken and "demo" not in command:
        for name in ("Asia/Shanghai", "America/New_York"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"half a file")
    (tmp_path / "pingshao.toml").write_text(config, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, str(folder), *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONIOENCODING": "utf-8"},
        timeout=60,
    )
    assert ended.returncode == 2, ended.stderr
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, json.dumps(ended.stderr)
    assert not (tmp_path / "var").exists()

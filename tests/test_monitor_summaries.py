"""When summaries are due: neither skipped by a restart nor repeated by a second service."""

from datetime import UTC, datetime, timedelta

import pytest
from factories import NOW, make_settings

from monitor import db, directory, summaries
from monitor.core import Core
from monitor.models import Run
from monitor.summaries import latest


@pytest.mark.parametrize(
    ("kind", "now", "day"),
    [
        ("daily", "2026-11-20T01:59:59", "2026-11-19"),  # 09:59:59 in Shanghai
        ("daily", "2026-11-20T02:00:00", "2026-11-20"),
        ("evening", "2026-11-20T09:59:00", "2026-11-19"),
        ("evening", "2026-11-20T10:00:00", "2026-11-20"),
        ("weekly", "2026-11-20T02:00:00", "2026-11-16"),
        ("weekly", "2026-11-16T00:59:00", "2026-11-09"),
        ("monthly", "2026-11-20T02:00:00", "2026-11-01"),
        ("monthly", "2026-11-01T00:59:00", "2026-10-01"),
    ],
)
def test_the_last_moment_is_told_on_the_local_clock(kind: str, now: str, day: str) -> None:
    """Ten o'clock is ten o'clock in the configured zone, whatever the host's."""
    found = latest(kind, make_settings(), datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert (found.day.isoformat(), found.key) == (day, f"{kind}:{day}")


def first_run(core: Core, at: datetime) -> None:
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, "site", "html", "demo")
        session.add(Run(source_id=source.id, started_at=at, lease_until=at, status="ok"))


def due(core: Core) -> list[str]:
    with db.reading(core.engine) as session:
        return [summary.kind for summary in summaries.due(session, core.settings, core.clock.now())]


def test_a_summary_is_due_until_it_is_recorded_once(core: Core) -> None:
    """After a restart within the catch-up time it is still due; once recorded it is not, for anybody."""
    first_run(core, NOW - timedelta(days=40))
    core.clock.move(datetime(2026, 11, 20, 3, 30, tzinfo=UTC) - NOW)
    assert due(core) == ["daily"]
    summary = latest("daily", core.settings, core.clock.now())
    with db.writing(core.engine) as session:
        assert summaries.record(session, summary, core.clock.now())
        assert not summaries.record(session, summary, core.clock.now())
    assert due(core) == []


def test_nothing_is_sent_for_the_time_before_the_first_run(core: Core) -> None:
    """A house set up at noon does not send the ten o'clock mail, nor does an empty one."""
    assert due(core) == []
    first_run(core, NOW)
    core.clock.move(timedelta(minutes=5))
    assert due(core) == []


def test_a_summary_missed_for_long_is_left_to_the_next(core: Core) -> None:
    """The morning check of a machine that comes back at night is not sent."""
    first_run(core, NOW - timedelta(days=40))
    core.clock.move(datetime(2026, 11, 20, 9, 30, tzinfo=UTC) - NOW)
    assert due(core) == []
    core.clock.move(datetime(2026, 11, 18, 9, 30, tzinfo=UTC) - core.clock.now())
    assert due(core) == ["weekly"]

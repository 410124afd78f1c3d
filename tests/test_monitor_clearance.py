"""Daily clearance and follow-up reviews, counted by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from factories import make_item
from test_monitor_edits import BAD, house, origin, rows
from test_monitor_lifecycle import AGENT, do

from monitor import db
from monitor.clearance import Share, cleared_on_the_day, followed_up
from monitor.core import Core
from monitor.intake import store
from monitor.models import Case

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 11, 20)

__all__ = ["house"]  # a fixture


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


def say(core: Core, number: int, at: datetime, text: str = BAD, **values: Any) -> None:
    core.clock.move(max(at - core.clock.now(), timedelta()))
    shop = values.pop("shop_id", "demo")
    where = origin(core, f"site {shop}", shop_id=shop)
    store(core, where, [make_item(str(number), text, created_at=at, **values)])


def act(core: Core, at: datetime, what: str, case: int) -> None:
    core.clock.move(at - core.clock.now())
    do(core, what, "case", case, AGENT)


def share(core: Core, day: date = TODAY, **values: Any) -> Share:
    with db.reading(core.engine) as session:
        return cleared_on_the_day(session, day, ZONE, **values)


def test_what_was_dealt_with_on_its_day(house: Core) -> None:
    """Answered, resolved or found to be none before the local midnight; contacted is not enough, nor is tomorrow."""
    for number in range(1, 8):
        say(house, number, local(20, 14, number))
    say(house, 8, local(20, 15), "很好，谢谢")
    say(house, 9, local(20, 15), reply="已联系您")
    act(house, local(20, 16), "answered", 1)
    act(house, local(20, 16), "resolved", 2)
    act(house, local(20, 16), "contacted", 3)
    act(house, local(20, 23, 59), "false_alarm", 4)
    act(house, local(21, 0, 1), "answered", 5)
    act(house, local(21, 0, 1), "false_alarm", 6)
    assert share(house) == Share(4, 8)
    assert share(house, date(2026, 11, 21)) == Share(0, 0)


def test_one_shop_and_all(house: Core) -> None:
    """A shop's own figure leaves the others out."""
    with db.writing(house.engine) as session:
        from monitor.models import Shop

        session.add(Shop(id="jd", name="京东店", platform="jd"))
    say(house, 1, local(20, 14))
    say(house, 2, local(20, 14), shop_id="jd")
    act(house, local(20, 15), "answered", 2)
    assert share(house) == Share(1, 2)
    assert share(house, shop="demo") == Share(0, 1)
    assert share(house, shop="jd") == Share(1, 1)


def test_who_was_contacted_and_wrote_again(house: Core) -> None:
    """An author counts once; a follow-up before the contact, or of somebody who was left alone, does not."""
    say(house, 1, local(20, 14), author="小红红")
    say(house, 2, local(20, 14), author="小明明")
    say(house, 3, local(20, 14), author="小刚刚", product="杯")
    say(house, 4, local(20, 14), author="小刚刚", product="壶")
    say(house, 5, local(20, 14), author="匿名用户")
    say(house, 6, local(20, 14), author="小兰兰")
    say(house, 2, local(20, 15), author="小明明", followup="一周了还是差")
    assert len(rows(house, Case)) == 6
    for case in (1, 2, 3, 4, 5):
        act(house, local(20, 16), "contacted" if case != 5 else "answered", case)
    act(house, local(20, 17), "resolved", 1)
    say(house, 1, local(21, 9), author="小红红", followup="换来的又漏了")
    say(house, 3, local(21, 9), author="小刚刚", product="杯", followup="客服态度好，改了")
    say(house, 6, local(21, 9), author="小兰兰", followup="没人理我，差")
    with db.reading(house.engine) as session:
        assert followed_up(session, local(20, 0), local(21, 0)) == Share(2, 4)
        assert followed_up(session, local(20, 0), local(21, 0), "demo") == Share(2, 4)
        assert followed_up(session, local(20, 0), local(21, 0), "jd") == Share(0, 0)
        assert followed_up(session, local(21, 0), local(22, 0)) == Share(0, 0)

"""Cases settled with one contact, by what the house really writes down when people act and buyers come back."""

from datetime import datetime

from sqlalchemy import select
from test_monitor_clearance import local, say
from test_monitor_edits import house
from test_monitor_lifecycle import do

from monitor import db
from monitor.core import Core
from monitor.first_contact import C, once, settled

__all__ = ["house"]  # a fixture
WEEK = (local(16, 0), local(23, 0))


def act(core: Core, at: datetime, what: str, case: int, note: str = "说明") -> None:
    core.clock.move(at - core.clock.now())
    do(core, what, "case", case, note=note)


def found(core: Core, start: datetime = WEEK[0], end: datetime = WEEK[1]) -> dict[int, bool]:
    """Case → whether one contact was enough."""
    with db.reading(core.engine) as session:
        rows = session.execute(select(C.id, once(start, end)).where(settled(start, end)))
        return {case_id: bool(well) for case_id, well in rows}


def test_one_contact_by_whatever_way(house: Core) -> None:
    """A call, an answer after a call, the shop's public reply before or after, or 已解决 at once; filed away or not."""
    for number in range(1, 7):
        say(house, number, local(20, 14, number))
    say(house, 7, local(20, 15), reply="已联系您")
    act(house, local(20, 16), "contacted", 1)
    act(house, local(20, 16, 5), "answered", 1)
    act(house, local(20, 16, 6), "contacted", 2)
    say(house, 3, local(20, 16, 7), reply="很抱歉，已为您补发")
    say(house, 2, local(20, 17), reply="很抱歉，已为您补发")
    for case in (1, 2, 3, 4, 6, 7):
        act(house, local(20, 18), "resolved", case)
    act(house, local(20, 19), "close", 1)
    act(house, local(20, 19), "false_alarm", 5)
    act(house, local(23, 1), "reopen", 6)
    assert found(house) == {1: True, 2: True, 3: True, 4: True, 6: True, 7: True}
    act(house, local(24, 1), "resolved", 6)
    assert found(house, local(23, 0), local(30, 0)) == {6: False}
    assert found(house) == {1: True, 2: True, 3: True, 4: True, 6: True, 7: True}


def test_the_buyer_came_back(house: Core) -> None:
    """By a further complaint, an edit, a follow-up that is none too happy; content ones and later ones do not count."""
    for number in range(1, 6):
        say(house, number, local(20, 14, number), author=f"买家{number}号", product="杯")
        act(house, local(20, 15), "contacted", number)
    say(house, 11, local(20, 16), author="买家1号", product="杯")
    say(house, 2, local(20, 16), "漏得更厉害了", author="买家2号", product="杯")
    say(house, 3, local(20, 16), author="买家3号", product="杯", followup="还是差")
    say(house, 14, local(20, 16), "很好", author="买家4号", product="杯")
    for case in range(1, 6):
        act(house, local(20, 18), "resolved", case)
    assert found(house) == {1: False, 2: False, 3: False, 4: True, 5: True}
    say(house, 25, local(22, 9), author="买家5号", product="杯")
    act(house, local(22, 10), "resolved", 6)
    assert found(house)[6] is False
    assert found(house)[5] is True


def test_what_came_before_the_contact_is_no_return(house: Core) -> None:
    """Two complaints of one order, and a false alarm that was taken back, need one contact all the same."""
    say(house, 1, local(20, 14), order_ref="20261120001")
    say(house, 2, local(20, 15), order_ref="20261120001")
    say(house, 3, local(20, 15))
    act(house, local(20, 16), "false_alarm", 2)
    act(house, local(20, 17), "reopen", 2)
    for case in (1, 2):
        act(house, local(20, 18), "contacted", case)
        act(house, local(20, 18), "resolved", case)
    assert found(house) == {1: True, 2: True}


def test_answered_twice(house: Core) -> None:
    """A case that was suspected after its answer and is answered once more took two contacts."""
    say(house, 1, local(20, 14))
    act(house, local(20, 15), "answered", 1)
    for minute, what in enumerate(("extortion", "claim", "answered", "resolved")):
        act(house, local(20, 16, minute), what, 1)
    assert found(house) == {1: False}


def test_settled_and_opened_again_is_counted_where_it_is_settled(house: Core) -> None:
    """What stands open at the end of a span is not in it; each settlement lies in one span, its own."""
    say(house, 1, local(20, 14))
    act(house, local(20, 15), "resolved", 1)
    assert found(house) == {1: True}
    say(house, 1, local(21, 9), "越用越漏")
    assert found(house) == {}
    assert found(house, WEEK[0], local(21, 0)) == {1: True}
    act(house, local(21, 10), "resolved", 1)
    assert found(house) == {1: False}
    assert found(house, WEEK[0], local(21, 0)) == {1: True}
    assert found(house, local(22, 0), local(23, 0)) == {}

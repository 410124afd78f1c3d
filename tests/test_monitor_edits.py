"""What becomes of a review after it was written: every change is a version, and its case hears of it."""

from datetime import timedelta
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_item
from sqlmodel import select
from test_monitor_lifecycle import do

from crawler.items import FeedbackItem
from monitor import db, directory, queries
from monitor.core import Core
from monitor.incoming import Origin
from monitor.intake import Counts, store
from monitor.models import Case, Event, Feedback, FeedbackVersion, Score, Timer

BAD = "杯子漏水，太差了"


@pytest.fixture
def house(core: Core) -> Core:
    core.__dict__["judge"] = Blunt()
    return core


def origin(core: Core, name: str = "site", **values: Any) -> Origin:
    with db.writing(core.engine) as session:
        source = directory.ensure_source(session, name, "html", "demo")
        assert source.id is not None
        known = {"source_id": source.id, "shop_id": "demo", "platform": "tmall", "kind": "review", "watched": True}
        return Origin(**(known | values))


def see(core: Core, text: str = BAD, **values: Any) -> Counts:
    core.clock.move(timedelta(hours=1))
    return store(core, origin(core), [make_item("1", text, **values)])


def rows(core: Core, model: type) -> list[Any]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(model)))


def case(core: Core) -> Case:
    (only,) = rows(core, Case)
    assert isinstance(only, Case)
    return only


def happened(core: Core) -> list[str]:
    return [event.what for event in rows(core, Event) if event.subject == "case"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"text": BAD + "，真差"}, "feedback.changed"),
        ({"stars": 1.0}, "feedback.changed"),
        ({"followup": "换来的还是漏"}, "feedback.followup"),
        ({"followup": "换来的很好", "reply": "谢谢"}, "feedback.followup"),
        ({"reply": "很抱歉，已为您补发"}, "feedback.replied"),
        ({"deleted": True}, "feedback.deleted"),
    ],
)
def test_every_change_is_a_version_and_reaches_the_case(house: Core, change: dict[str, Any], what: str) -> None:
    """Edited, added to, answered, taken down: what it said is kept, its case notes it, its card is renewed."""
    see(house)
    assert see(house, **change).changed == 1
    (feedback,) = rows(house, Feedback)
    (version,) = rows(house, FeedbackVersion)
    (score,) = rows(house, Score)
    assert (feedback.version, version.version, version.text, version.reply) == (2, 1, BAD, "")
    assert score.happened_at == feedback.happened_at
    assert happened(house) == ["opened", what]
    assert house.notify.kinds() == ["case.opened", "case.updated"]
    assert see(house, **change).duplicates == 1


def test_a_hidden_review_that_comes_back_is_noted(house: Core) -> None:
    """Both ways, without a new case and without opening the old one again."""
    see(house)
    do(house, "resolved", "case", case(house).id)
    see(house, deleted=True)
    see(house)
    assert happened(house) == ["opened", "resolved", "feedback.deleted", "feedback.restored"]
    assert case(house).state == "resolved"
    assert [version.deleted for version in rows(house, FeedbackVersion)] == [False, True]


def test_a_review_first_seen_hidden_opens_its_case_when_it_is_shown(house: Core) -> None:
    """While nobody can read it nobody has to answer it."""
    see(house, deleted=True)
    assert rows(house, Case) == []
    assert see(house).cases_opened == 1


@pytest.mark.parametrize("change", [{"followup": "换来的还是漏"}, {"text": "漏得更厉害了，差"}])
def test_new_words_of_the_buyer_call_people_back(house: Core, change: dict[str, Any]) -> None:
    """A settled case is open again with new clocks, and people get a new card, once."""
    see(house)
    do(house, "resolved", "case", case(house).id)
    house.notify.clear()
    see(house, **change)
    see(house, **change)
    assert case(house).state == "received"
    assert house.notify.kinds() == ["case.opened"]
    assert house.notify[0].key.endswith(":opened:1")
    clocks = [timer for timer in rows(house, Timer) if timer.stage != "progress"]
    assert {timer.generation for timer in clocks if timer.state == "armed"} == {1}
    reopened = next(event for event in rows(house, Event) if event.what == "reopened")
    assert reopened.after["change"] == ("followup" if "followup" in change else "edited")


def test_the_shops_own_answer_opens_nothing_again(house: Core) -> None:
    """A reply under a settled complaint is noted, and that is all."""
    see(house)
    do(house, "resolved", "case", case(house).id)
    house.notify.clear()
    see(house, reply="已为您补发，抱歉")
    assert case(house).state == "resolved"
    assert house.notify.kinds() == ["case.updated"]


def test_copies_on_other_platforms_are_linked(house: Core) -> None:
    """The same words in other sources are told with where and when; copies within one source are not elsewhere."""
    text = "这家店的杯子全都漏水，千万别买，买了后悔"

    def say(name: str, external_id: str, hours: int, **values: Any) -> None:
        item = FeedbackItem(
            external_id, text + "！" * hours, NOW - timedelta(hours=9 - hours), url=f"https://{name}.example"
        )
        store(house, origin(house, name, **values), [item])

    say("weibo", "1", 1, shop_id=None, platform="weibo", kind="mention")
    say("tieba", "1", 2, shop_id=None, platform="tieba", kind="mention")
    say("weibo", "2", 3, shop_id=None, platform="weibo", kind="mention")
    store(house, origin(house, "weibo"), [make_item("9", "短")])
    found = rows(house, Feedback)
    assert [row.duplicate_of for row in found] == [None, 1, 1, None]
    with db.reading(house.engine) as session:
        elsewhere = queries.also_on(session, found)
    assert {n: [(copy.feedback_id, copy.source) for copy in copies] for n, copies in elsewhere.items()} == {
        1: [(2, "tieba")],
        2: [(1, "weibo"), (3, "weibo")],
        3: [(2, "tieba")],
    }
    assert elsewhere[1][0].url == "https://tieba.example"

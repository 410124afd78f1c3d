"""Spread: counts of known mentions, taken again at growing intervals, never as a new version."""

from datetime import timedelta
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_item
from sqlmodel import select

from crawler.items import FeedbackItem
from monitor import crawling, db, queries, runs, spread
from monitor.core import Core
from monitor.incoming import Origin
from monitor.intake import Counts, store
from monitor.models import Feedback, FeedbackVersion
from monitor.settings import Source as Config

URL = "https://forum.example/t/1"


@pytest.fixture
def started(core: Core) -> runs.Started:
    core.__dict__["judge"] = Blunt()
    started = runs.start(core, "forum", "html", None, mention=True)
    assert started is not None
    return started


def post(likes: int | None = 0, external_id: str = "1", **values: Any) -> FeedbackItem:
    counts = {} if likes is None else {"likes": likes, "comments": 2}
    return make_item(external_id, f"第{external_id}个示例杯子漏水", url=URL, extra={"parent": "9", **counts}, **values)


def see(core: Core, origin: Origin, after: timedelta, item: FeedbackItem) -> Counts:
    core.clock.move(NOW + after - core.clock.now())
    return store(core, origin, [item])


def row(core: Core) -> Feedback:
    with db.reading(core.engine) as session:
        return session.exec(select(Feedback)).one()


def points(core: Core) -> list[tuple[int, int | None]]:
    with db.reading(core.engine) as session:
        return [(point.step, point.likes) for point in queries.spreads(session, [row(core)]).get(1, [])]


@pytest.mark.slow
def test_counts_are_taken_on_a_decaying_schedule(core: Core, started: runs.Started) -> None:
    """One point each at 10 min, 1 h, 6 h, 24 h and 72 h however often it is seen; the newest counts are always kept."""
    store(core, started.origin, [post(1)])
    for minutes in range(10, 80 * 60, 10):
        counts = see(core, started.origin, timedelta(minutes=minutes), post(minutes))
        assert (counts.new, counts.changed, counts.duplicates) == (0, 0, 1)
    assert points(core) == [(0, 1), (1, 10), (2, 60), (3, 360), (4, 1440), (5, 4320)]
    assert (row(core).extra, row(core).version) == ({"parent": "9", "likes": 4790, "comments": 2}, 1)
    with db.reading(core.engine) as session:
        assert session.exec(select(FeedbackVersion)).all() == []


def test_a_mention_that_stands_still_has_its_points_too(core: Core, started: runs.Started) -> None:
    """No growth is an answer as well."""
    store(core, started.origin, [post(7)])
    see(core, started.origin, timedelta(hours=2), post(7))
    assert points(core) == [(0, 7), (2, 7)]


def test_reviews_and_posts_without_counts_cost_nothing(core: Core, started: runs.Started) -> None:
    """A review read again as it was writes no row; what has no counts has no spread."""
    store(core, started.origin, [post(None)])
    see(core, started.origin, timedelta(hours=2), post(None))
    assert points(core) == []
    review = runs.start(core, "shop", "html", "demo")
    assert review is not None
    store(core, review.origin, [post(3)])
    see(core, review.origin, timedelta(hours=4), post(3))
    with db.reading(core.engine) as session:
        assert queries.spreads(session, session.exec(select(Feedback)).all()) == {}
    see(core, review.origin, timedelta(hours=5), post(4))
    with db.reading(core.engine) as session:
        grown = queries.spreads(session, session.exec(select(Feedback)).all())
    assert [[point.likes for point in of] for of in grown.values()] == [[3, 4]]


def test_an_edit_keeps_what_was_known_and_takes_the_counts(core: Core, started: runs.Started) -> None:
    """A new version with other counts is both."""
    store(core, started.origin, [post(1)])
    item = FeedbackItem("1", "改了：还是漏水，差评", created_at=NOW, extra={"likes": 9})
    assert see(core, started.origin, timedelta(hours=1), item).changed == 1
    assert points(core) == [(0, 1), (2, 9)]
    assert row(core).extra == {"parent": "9", "likes": 9, "comments": 2}


def test_mentions_are_asked_for_again_once_a_step(core: Core, started: runs.Started) -> None:
    """An address is due after each step until its last; what the page then says fills the point that was booked."""

    def due(after: timedelta) -> list[dict[str, str]]:
        core.clock.move(NOW + after - core.clock.now())
        with db.writing(core.engine) as session:
            return spread.book(session, started.origin.source_id, core.clock.now(), 20)

    store(core, started.origin, [post(1), make_item("2", "没有数的帖子", url=URL + "2"), post(1, "3", deleted=True)])
    assert due(timedelta(minutes=9)) == []
    one = {"id": "1", "url": URL, "thread": ""}
    assert due(timedelta(minutes=11)) == [one]
    assert due(timedelta(minutes=12)) == []
    see(core, started.origin, timedelta(minutes=13), post(5))
    with db.reading(core.engine) as session:
        grown = queries.spreads(session, session.exec(select(Feedback).where(Feedback.external_id == "1")).all())
    assert [(point.step, point.likes) for point in grown[1]] == [(0, 1), (1, 5)]
    assert [due(timedelta(hours=n)) for n in (1, 2, 6, 24, 72, 80)] == [[one], [], [one], [one], [one], []]
    assert due(timedelta(days=30)) == []


def test_only_connectors_that_can_are_asked(core: Core, started: runs.Started) -> None:
    """Those with ``recount``, up to so many; a feed shows no post by itself, and reviews are not asked for."""
    store(core, started.origin, [post(1)])
    core.clock.move(timedelta(hours=1))
    page = {"start": [URL], "item": "li", "fields": {"text": "p", "id": "@id"}}
    forum: dict[str, Any] = {"name": "forum", "brand": ["示例"], **page}
    bare = forum | {"fields": {"text": "p", "url": "a@href"}}
    feed = {"name": "forum", "brand": ["示例"], "urls": [URL]}
    none = [
        Config(kind="feed", **feed),
        Config(name="forum", kind="html", shop="demo", **page),
        Config(kind="html", recount=0, **forum),
        Config(kind="html", **bare),
        Config(kind="json", recount_url="/p/{id}", fields={"text": "t"}, **feed),
        Config(kind="json", fields={"text": "t", "id": "i"}, **feed),
    ]
    assert [crawling._recount(core, source, started) for source in none] == [[]] * 6
    store(core, started.origin, [post(1, str(number)) for number in range(2, 30)])
    core.clock.move(timedelta(hours=1))
    asked = [crawling._recount(core, Config(kind="html", **forum), started) for _ in range(3)]
    assert [[int(one["id"]) for one in some] for some in asked] == [[*range(29, 9, -1)], [*range(9, 0, -1)], []]


def test_absurd_counts_break_nothing(core: Core, started: runs.Started) -> None:
    """A count beyond any column is stored as the largest that fits."""
    store(core, started.origin, [post(10**12)])
    see(core, started.origin, timedelta(hours=1), post(10**15))
    assert points(core) == [(0, 2**31 - 1), (2, 2**31 - 1)]

"""How the databases do what is done all the time: no statement of a hot path looks at a large table from end to end.

Every statement is caught as it is sent and explained on the spot. What is listed in `MAY` is looked at whole knowingly.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from asides import fresh_postgresql
from factories import make_item
from large_store import FEEDBACKS, HOME, NOW, PASSWORD, house, make
from plans import Watch, believe_large
from sqlalchemy import text

from alerts import claims
from alerts.desk.app import create_app
from alerts.links import Links
from alerts.pace import Bucket
from monitor import answers_scan, checkup, db, erasing, exports, intake, journal, overrides, retention, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.incoming import Origin
from monitor.limits import Limits
from reports import daycounts, figures

YESTERDAY, LAST_WEEK = date(2026, 11, 19), date(2026, 11, 16)
MAY = {
    # twice a day, for the list of answers: what was edited since
    "SELECT feedback.source_id FROM feedback JOIN feedback_version",
    # once a local day, when nothing else is due: what was edited of what had aged already
    "SELECT DISTINCT feedback.id FROM feedback JOIN feedback_version",
    # once, and again in another zone: every hour there is
    "INSERT INTO day_change (hour) SELECT DISTINCT",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    """A house on a filled store; on PostgreSQL with one connection, so that work that wants two would show."""
    if request.param == "sqlite":
        engine = db.connect(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'store.db'}")
        db.migrate(engine)
        yield make(engine)
        engine.dispose()
        return
    with fresh_postgresql(request.getfixturevalue("postgres")) as first:
        db.migrate(first)
        make(first)
        believe_large(first)
        url = first.url.render_as_string(hide_password=False)
        engine = db.connect(url, limits=Limits(pool=1, timeout=timedelta(seconds=20)))
        yield house(engine)
        engine.dispose()


def whole(core: Core, work: Callable[[], Any]) -> list[str]:
    """What is looked at from end to end while something is done, and is not known to be."""
    with Watch(core.engine).watching() as watch:
        work()
    assert watch.scans
    return [line for line in watch.found if not known(line)]


def known(line: str) -> bool:
    return line.partition(" — ")[2].startswith(tuple(MAY))


PLACE = Origin(1, "tmall-main", "tmall", "review", watched=True)
SIZES = {f"channel-{n}": Bucket() for n in range(3)}


def sweep(core: Core) -> None:
    """What falls due in the next days, with all that hangs on it."""
    ahead = Core(core.settings, core.engine, HandClock(NOW + timedelta(days=2)), core.secret, core.notify, core.view)
    assert timers.sweep(ahead) > 0


def send(core: Core) -> None:
    """A look, a claim and its lease; none that ran out."""
    claims.expire(core)
    assert claims.anything_due(core, SIZES)
    claims.next_slot(core, SIZES)
    mine = claims.claim(core, SIZES, "sender")
    assert mine is not None
    assert claims.renew(core, mine)


def take_in(core: Core) -> None:
    """A batch of which some is known, some was edited, some is new, some a copy and some of one buyer."""
    edited = [make_item(f"r{n}", f"改过：杯子漏水，退款 {n}", author=f"李{n}明") for n in range(9, 900, 18) if n % 33]
    copies = "刚收到就漏水，桌子都泡坏了，客服一直不回，大家别买"
    new = [make_item(f"n{n}", copies if n % 2 else f"漏水，很失望 {n}", author="王小明") for n in range(60)]
    new += [make_item(f"o{n}", "又漏水了", order_ref=f"26{20 * n + 10:011d}") for n in range(9)]
    assert intake.store(core, PLACE, edited + new).new == 69
    assert intake.store(core, PLACE, edited + new).new == 0


def forget_buyer(core: Core) -> None:
    with db.reading(core.engine) as session:
        assert erasing.find(core, session, "", "2600000000001") == [2]
        erasing.find(core, session, "李小明", "2600000000001")


def hand_out(core: Core) -> None:
    """The buyers of a crisis, as a file."""
    with db.reading(core.engine) as session:
        assert list(exports.buyers(session, 20, core.settings.zone))


ROUNDS: dict[str, Callable[[Core], Any]] = {
    "sweep": sweep,
    "send": send,
    "intake": take_in,
    "check-up": checkup.examine,
    "journal": lambda core: journal.Journal(core).write(),
    "settings of the desk": overrides.refresh,
    "answers": answers_scan.scan,
    "retention": retention.keep,
    "erasing": forget_buyer,
    "buyers of a crisis": hand_out,
    "counts by day": daycounts.keep,
    "daily report": lambda core: figures.summary(core, "daily", YESTERDAY),
    "evening report": lambda core: figures.summary(core, "evening", YESTERDAY),
    "weekly report": lambda core: figures.review(core, "weekly", LAST_WEEK),
}
PAGES = {
    "status": "/",
    **{f"inbox, {which}": f"/cases?which={which}" for which in ("open", "mine", "free", "late", "done", "all")},
    "inbox, a shop": "/cases?shop=jd-main",
    "inbox, page 3": "/cases?which=all&page=3",
    "search, frequent": "/cases?which=all&q=漏水",
    "search, rare": "/cases?which=all&q=紫檀木盒",
    "search, none": "/cases?q=不存在的词",
    "order number": f"/cases?which=all&q=26{FEEDBACKS // 2 + 10:011d}",
    "case": f"/cases/{FEEDBACKS // 20 - 1}",
    "crises": "/crises",
    "crisis": "/crises/20",
    "mentions": "/mentions",
    "mentions, a word": "/mentions?only=all&q=漏水",
    "messages": "/outbox",
    "audit": "/audit",
    "audit, one person": "/audit?who=客服3号",
    **{
        f"feedback of a week, {name}": f"/feedback?since=2026-11-09&until=2026-11-15&seen={seen}&{which}"
        for seen in (1794895200, 1794300000)
        for name, which in {
            "bad": "bad=1",
            "a category": "bad=1&kind=review&category=logistics",
            "a shop": "bad=1&shop=jd-main",
            "a word": "word=漏水",
            "negative": "became=received",
            "waiting": "became=waiting",
            "false alarms": "became=false_alarm",
            "same day": "cleared=1",
            "stars": "stars=good",
            "textless": "textless=1",
            "settled": "settled=once",
            "wrote again": "followup=again",
        }.items()
    },
    "deadlines of a week": "/deadlines?since=2026-11-09&until=2026-11-15&result=missed&person=客服3号&seen=1794895200",
    "first answers": "/deadlines?since=2026-11-09&until=2026-11-15&seen=1794895200&first=1&over=30&within=60",
    "overdue then": "/deadlines?result=overdue&seen=1794895200",
    "API: deadlines": "/api/v1/deadlines?since=2026-11-09&until=2026-11-15&seen=1794895200&after=500",
    **{
        f"API: {name}": f"/api/v1/{name}"
        for name in ("cases", "crises", "feedback", "mentions", "outbox", "audit", "corrections", "answers", "sources")
    },
}


@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_looks_at_no_large_table_as_a_whole(core: Core, name: str) -> None:
    """What a service does again and again, and what it does for a report."""
    found = whole(core, lambda: ROUNDS[name](core))
    # what a week's feedback belongs to: a hundredth of all feedback against all cases, which are a twentieth of it
    may = "case: Seq Scan — SELECT" if name == "weekly report" else "-"
    assert [line for line in found if not line.startswith(may)] == []


async def test_a_page_looks_at_no_large_table_as_a_whole(core: Core) -> None:
    """Every room of the desk, the search, and the lists of the API."""
    app = create_app(core, Links(core.secret, HOME, core.clock))
    slow: dict[str, list[str]] = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOME) as client:
        entered = await client.post("/login", data={"name": "主管", "password": PASSWORD})
        assert entered.status_code in (200, 303)
        for name, address in PAGES.items():
            with Watch(core.engine).watching() as watch:
                page = await client.get(address)
            assert page.status_code == 200, address
            assert watch.scans, address
            if found := [one for one in watch.found if not known(one)]:
                slow[name] = found
    assert slow == {}


def test_what_looks_at_everything_is_found(core: Core) -> None:
    """The watch itself: it must see a scan where there is one."""
    with db.reading(core.engine) as session:
        found = whole(core, lambda: session.execute(text("SELECT count(*) FROM feedback WHERE text = 'x'")))
    assert [line.partition(" — ")[2] for line in found] == ["SELECT count(*) FROM feedback WHERE text = 'x'"]

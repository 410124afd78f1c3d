"""Search: what it finds is what a plain look at every text finds, on both databases, whatever is typed."""

from concurrent.futures import ThreadPoolExecutor
from time import sleep
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from alembic import command
from factories import NOW, make_core, make_item, make_settings
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import browse
from sqlalchemy import delete, text, update
from sqlmodel import Session, col, select
from subjects import add_feedbacks, open_case

from alerts.desk import inbox
from alerts.desk.app import create_app
from alerts.desk.inbox import Filters
from alerts.desk.sessions import Viewer
from alerts.links import Links
from monitor import db, directory, intake, known, pairs, search
from monitor.core import Core
from monitor.incoming import Origin
from monitor.models import Feedback, Known, Source

VIEWER = Viewer("主管", "lead", (), "key", None)
SOUP = st.text(st.sampled_from("漏水客服没人理aB9 é😀，\"*#()-'%_\\"), max_size=8)
HOSTILE = ['"', '""', "a OR b", "NEAR(漏水 客服)", "漏水*", "^漏水", "漏水 -客服", "feedback_search:漏水", "😀"]
HOSTILE += ["'; DROP TABLE x", "\\", "%_", "\x00", "\ud800", "(" * 10_000, "a " * 5000, "😀" * 60]


def take_in(core: Core, *texts: str, **values: Any) -> None:
    """Reviews with ids 0, 1, 2 …, by the way they come."""
    with db.writing(core.engine) as session:
        source = session.exec(select(Source).where(Source.name == "s")).first() or Source(name="s", kind="file")
        session.add(source)
        session.flush()
        assert source.id is not None
        origin = Origin(source.id, "demo", "tmall", values.pop("kind", "review"), watched=True)
    intake.store(core, origin, [make_item(str(n), said, **values) for n, said in enumerate(texts)])


def found(core: Core, query: str, pool: search.Pool = "all") -> set[str]:
    """External ids of what a query finds, and that both ways of reading the answer agree."""
    with db.reading(core.engine) as session:
        answer = search.find(session, query, pool)
        looked = set(session.exec(select(Feedback.external_id).where(answer.says)))
        if answer.ids is None:
            return looked
        near = set(session.exec(select(Feedback.external_id).where(col(Feedback.id).in_(answer.ids))))
        if pool == "all":
            assert near == looked
        return near


def plainly(session: Session, query: str) -> set[str]:
    """What has every word of the query in title, text or product, or is of that number."""
    hits = set()
    for row in session.exec(select(Feedback)):
        texts = [pairs.small(part) for part in (row.title, row.text, row.product)]
        refs = [pairs.small(row.order_ref), pairs.small(row.external_id)]
        tail = refs[0][-4:]
        if all(
            any(word in part for part in texts) or (pairs.is_ref(word) and (word in refs or word == tail))
            for word in search.words(query)
        ):
            hits.add(row.external_id)
    return hits if search.words(query) else set()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(SOUP, min_size=3, max_size=3),
    after=st.lists(SOUP, min_size=3, max_size=3),
    gone=st.integers(0, 2),
    query=SOUP,
)
def test_search_finds_what_a_plain_look_finds(
    core: Core, before: list[str], after: list[str], gone: int, query: str
) -> None:
    """After what came in, was edited and was deleted, the index leads to exactly the texts that have the words."""
    asked = {query, *(said[1:3] for said in (*before, *after)), after[0]}
    for texts in (before, after):
        take_in(core, *texts, product="保温杯", order_ref="26000008841")
        for words in asked:
            with db.reading(core.engine) as session:
                expected = plainly(session, words)
            assert found(core, words) == expected
    with db.writing(core.engine) as session:
        (row,) = session.exec(select(Feedback.id).where(Feedback.external_id == str(gone)))
        search.drop(session, [row or 0])
        session.execute(text("DELETE FROM feedback_version"))
        session.execute(text("DELETE FROM score"))
        session.execute(text("UPDATE feedback SET duplicate_of = NULL"))
        session.execute(delete(Feedback).where(col(Feedback.id) == row))
    for words in asked:
        assert str(gone) not in found(core, words)
    assert rows_indexed(core) == 2
    with db.writing(core.engine) as session:  # for the next example
        search.drop(session, [n for n in session.exec(select(Feedback.id)) if n])
        session.execute(delete(Feedback))
    assert rows_indexed(core) == 0


def rows_indexed(core: Core) -> int:
    """How many feedbacks the index knows anything of: each has its product's 保温."""
    with db.reading(core.engine) as session:
        if core.engine.dialect.name == "postgresql":
            return int(session.execute(text("SELECT count(*) FROM feedback_search")).scalar_one())
        pair = pairs.line(pairs.pairs("保温"))
        match = "SELECT count(*) FROM feedback_search WHERE feedback_search MATCH :pair"
        return int(session.execute(text(match), {"pair": pair}).scalar_one())


TYPED = [
    ("漏水", True),
    ("漏", True),
    ("水，", True),
    ("漏水 客服", True),
    ("漏水 快递", False),
    ('"漏水，客服"', True),
    ('"not good"', True),
    ('"good not"', False),
    ("NOT GOOD", True),
    ("ｎｏｔ", True),
    ("保温杯", True),
    ("【追评】还是漏", True),
    ("26112200018841", True),
    ("8841", True),
    ("1884", False),
    ("R-77", True),
    ("不存在", False),
    ("水漏", False),
    ("", False),
    (" \u200b\n", False),
    ("<b></b>", False),
    ("漏水" * 5000, False),
]


def test_what_is_typed_is_what_is_found(core: Core) -> None:
    """Words of two letters, marks, phrases, any case and width, products, later words, numbers and their ends."""
    with db.writing(core.engine) as session:
        session.add(Source(name="s", kind="file"))
    item = {"followup": "还是漏", "product": "保温杯", "order_ref": "26112200018841"}
    origin = Origin(1, "demo", "tmall", "review", watched=True)
    intake.store(core, origin, [make_item("R-77", "漏水，客服没人理。not good", **item), make_item("x", "很好")])
    for query, hit in TYPED:
        assert found(core, query) == ({"R-77"} if hit else set()), query


def test_nothing_typed_is_an_error(core: Core) -> None:
    """Operators of either database are only letters."""
    take_in(core, "漏水，客服没人理", "a OR b")
    for query in HOSTILE:
        with db.reading(core.engine) as session:
            expected = plainly(session, query)
        assert found(core, query) == expected, query
        with db.reading(core.engine) as session:
            inbox.read(session, VIEWER, Filters("all", words=query), 1)


def test_pools_hold_cases_and_mentions(core: Core) -> None:
    """A search within cases leaves out what nobody complains of; one within mentions leaves out reviews."""
    take_in(core, "杯子漏水，很失望，要求退货", "漏水？没有的事，很好用")
    with db.reading(core.engine) as session:
        cases = set(session.exec(select(Feedback.external_id).where(col(Feedback.case_id).is_not(None))))
    assert cases == {"0"}
    assert found(core, "漏水") == {"0", "1"}
    assert found(core, "漏水", "case") == {"0"}
    assert found(core, "漏水", "mention") == set()


def test_a_review_that_turns_bad_is_found_among_cases(core: Core) -> None:
    """The index follows a feedback into the case that its edit opened."""
    take_in(core, "很好用，家里人都喜欢")
    assert found(core, "漏水", "case") == set()
    take_in(core, "用了三天就漏水，客服没人理，要求退货")
    assert found(core, "漏水", "case") == {"0"}
    assert found(core, "喜欢") == set()


def test_frequent_words_are_looked_for_as_the_reader_goes(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound there are no ids, only the condition, and the inbox is the same."""
    take_in(core, *(f"杯子漏水，很失望，要求退货 {n}" for n in range(5)))
    with db.reading(core.engine) as session:
        few = inbox.read(session, VIEWER, Filters(words="漏水"), 1)
        monkeypatch.setattr(search, "MOST", 3)
        assert search.find(session, "漏水", "case").ids is None
        many = inbox.read(session, VIEWER, Filters(words="漏水"), 1)
        assert [line.case.id for line in few[0]] == [line.case.id for line in many[0]] != []


def test_an_older_store_is_filled_step_by_step(core: Core) -> None:
    """The newest are found first; a step can be the last before a stop; edits meanwhile are not lost."""
    take_in(core, *(f"杯子漏水 {n}" for n in range(7)))
    with db.writing(core.engine) as session:
        ids = [n for n in session.exec(select(Feedback.id)) if n is not None]
        search.drop(session, ids)
        mark = known.hold(session, search.FILLED, NOW)
        mark.value = {"below": max(ids) + 1}
        session.add(mark)
    assert found_ids(core, "漏水") == set()
    assert search.fill(core.engine, core.clock, 3) == 3
    assert found_ids(core, "漏水") == set(sorted(ids)[-3:])
    take_in(core, "杯子掉漆 0", *(f"杯子漏水 {n}" for n in range(1, 6)), "杯子掉漆 6")
    assert found_ids(core, "掉漆") == {ids[6]}
    with db.reading(core.engine) as session:
        assert search.filling(session)
    assert search.keep_filling(core.engine, core.clock) == 4
    assert search.fill(core.engine, core.clock) == 0
    assert found_ids(core, "掉漆") == {ids[0], ids[6]}
    assert found_ids(core, "漏水") == set(ids[1:6])
    with db.reading(core.engine) as session:
        assert session.get(Known, search.FILLED) is None


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("a_second", "largest"), [(100, 25), (10_000, 500)])
def test_batches_are_as_large_as_there_is_time_for(
    core: Core, monkeypatch: pytest.MonkeyPatch, a_second: int, largest: int
) -> None:
    """A slow store gets small batches, a quick one larger ones; between two of them others have as long."""
    clock, sizes, breaks = [0.0], [], []

    def fill(_engine: Any, _clock: Any, most: int) -> int:
        sizes.append(most)
        clock[0] += most / a_second
        return most

    def pause(seconds: float) -> None:
        breaks.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(search, "fill", fill)
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=pause))
    assert search.keep_filling(core.engine, core.clock) == sum(sizes)
    assert max(sizes[1:]) == largest
    assert all(pause >= size / a_second - 1e-9 for size, pause in zip(sizes, breaks, strict=True))
    assert min(breaks) > 0.1


def found_ids(core: Core, query: str) -> set[int]:
    with db.reading(core.engine) as session:
        ids = search.find(session, query).ids
    assert ids is not None
    return set(ids)


def test_the_inbox_shows_the_words(core: Core) -> None:
    """The line quotes the feedback that has the words, around them, and marks them."""
    case = open_case(core, ["开头" * 80 + "，杯盖盖不紧，" + "结尾" * 80, "第二条什么也没说"])
    with db.reading(core.engine) as session:
        ((line,), more) = inbox.read(session, VIEWER, Filters(words="盖不紧"), 1)
    assert not more
    assert line.case.id == case
    assert ("盖不紧", True) in line.parts
    assert len(line.quote) < 130
    assert line.quote.startswith("……")


def test_a_case_by_its_number(core: Core) -> None:
    """#12 and 12 find case 12, whatever it says; a number too large for any row finds nothing."""
    first, second = open_case(core, ["一"]), open_case(core, ["二"])
    with db.reading(core.engine) as session:
        for query in (f"#{second}", str(second)):
            lines, _ = inbox.read(session, VIEWER, Filters("all", words=query), 1)
            assert [line.case.id for line in lines] == [second] != [first]
        assert inbox.read(session, VIEWER, Filters("all", words="#" + "9" * 30), 1) == ([], False)


def test_pages_take_any_query(core: Core) -> None:
    """Inbox and posts answer whatever is typed, mark what was found, and say where the index is not complete."""
    open_case(core, ["杯盖盖不紧，<b>漏水</b>"])
    with db.writing(core.engine) as session:
        add_feedbacks(core, session, ["有人说杯盖漏水，看图"], kind="mention")
    with browse(desk_of(core)) as client:
        for room in ("/cases?which=all", "/mentions?only=all"):
            for query in HOSTILE:
                typed = quote(query, errors="surrogatepass")
                assert client.get(f"{room}&q={typed}").status_code == 200
            shown = client.get(f"{room}&q=漏水").text
            assert ">漏水</mark>" in shown
            assert "建索引" not in shown
        assert "没有找到" in client.get("/mentions?only=all&q=掉漆").text
        with db.writing(core.engine) as session:
            known.hold(session, search.FILLED, NOW).value = {"below": 0}
        assert "建索引" in client.get("/cases?q=漏水").text
        assert "建索引" in client.get("/mentions?q=漏水").text
        assert client.get("/cases?shop=%00").status_code == 400


def desk_of(core: Core) -> FastAPI:
    """The desk, opened by a proxy's word for everybody who comes."""
    people = [{"name": "boss", "role": "lead"}]
    house = make_core(core.engine, make_settings(people=people, desk={"user_header": "X-User"}))
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
    app = create_app(house, Links(house.secret, "http://127.0.0.1:8000", house.clock))

    @app.middleware("http")
    async def boss(request: Request, call_next: Any) -> Any:
        request.scope["headers"] = [*request.scope["headers"], (b"x-user", b"boss")]
        return await call_next(request)

    return app


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_an_edit_while_the_index_is_filled(core: Core) -> None:
    """Whoever comes second waits: what the review says now is found, what it said is not."""
    take_in(core, "杯子漏水")
    with db.writing(core.engine) as session:
        ids = [n for n in session.exec(select(Feedback.id)) if n is not None]
        search.drop(session, ids)
        known.hold(session, search.FILLED, NOW).value = {"below": ids[0] + 1}
    with ThreadPoolExecutor(1) as pool:
        with db.writing(core.engine) as session:
            search.drop(session, ids)
            session.execute(update(Feedback).values(text="杯子掉漆"))
            filled = pool.submit(search.fill, core.engine, core.clock)
            sleep(0.3)
            assert not filled.done()
            search.add(session, ids)
        assert filled.result(10) == 1
    assert found_ids(core, "掉漆") == set(ids)
    assert found_ids(core, "漏水") == set()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_store_from_before_is_marked_to_be_filled(core: Core) -> None:
    """The migration leaves the work to the service, and there is none in an empty store."""
    take_in(core, "杯子漏水")
    config = db._alembic()
    with core.engine.execution_options(writing=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
        command.upgrade(config, "head")
    with db.reading(core.engine) as session:
        assert search.filling(session)
    assert found_ids(core, "漏水") == set()
    assert search.fill(core.engine, core.clock) == 1
    assert len(found_ids(core, "漏水")) == 1
    with db.reading(core.engine) as session:
        assert not search.filling(session)


@pytest.mark.parametrize(
    ("shown", "wanted", "parts"),
    [
        ("", (), []),
        ("漏水", (), [("漏水", False)]),
        ("杯子漏水了", ("漏水",), [("杯子", False), ("漏水", True), ("了", False)]),
        ("Not GOOD.", ("good",), [("Not ", False), ("GOOD", True), (".", False)]),
        ("a.c abc", ("a.c",), [("a.c", True), (" abc", False)]),
        ("漏水漏", ("漏", "漏水"), [("漏水", True), ("漏", True)]),
    ],
)
def test_words_are_marked(shown: str, wanted: tuple[str, ...], parts: list[tuple[str, bool]]) -> None:
    """Text is cut at the words, the longest first; together the parts are the text."""
    assert search.cut(shown, wanted) == parts


@given(st.text(max_size=30))
def test_pairs_are_complete(said: str) -> None:
    """Every part of a text has its pairs among those of the text."""
    whole = set(pairs.line(pairs.pairs(said)).split())
    for start in range(len(said)):
        assert set(pairs.line(pairs.pairs(said[start : start + 3])).split()) <= whole

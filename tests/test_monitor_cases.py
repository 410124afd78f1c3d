"""Cases: how long they may take, what people do to them, what staff's word does to the figures, questions, replies."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from blunt import Blunt
from factories import NOW, make_core, make_item, make_settings
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select
from test_monitor_edits import BAD, case, happened, origin, rows, see
from test_monitor_lifecycle import AGENT, LEAD, do

from monitor import case_clocks, crawling, db, directory, pushes
from monitor.audit import Refused
from monitor.clock import HandClock
from monitor.complaints import Evidence
from monitor.core import Core
from monitor.intake import store
from monitor.judge import Judgement, Text
from monitor.models import Case, Correction, Event, Score, Timer
from monitor.policies import CasePolicy
from monitor.rescoring import rescore

HOUR = 3600.0
NAG = ("stalled", "armed")
POLICY = CasePolicy()


class Telling(Blunt):
    """Says of every text that it complains of late parcels and threatens, with the places."""

    model = "telling-1"
    models = ("telling-1",)

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        return [
            Judgement(
                True,
                0.8,
                ("logistics",),
                "high",
                ("extortion",),
                (Evidence("logistics", 0, 2, one.text[:2]), Evidence("extortion", 2, 4, one.text[2:4])),
                self.model,
            )
            for one in texts
        ]


@pytest.fixture
def house(core: Core) -> Core:
    core.__dict__["judge"] = Blunt()
    return core


@pytest.fixture
def telling(core: Core) -> Core:
    core.__dict__["judge"] = Telling()
    return core


def score(core: Core) -> Score:
    (only,) = rows(core, Score)
    assert isinstance(only, Score)
    return only


def clocks(core: Core, **where: Any) -> dict[str, Timer]:
    """The newest deadline of each stage."""
    found = [t for t in rows(core, Timer) if t.step == "deadline" and all(getattr(t, k) == v for k, v in where.items())]
    return {t.stage: t for t in sorted(found, key=lambda t: t.generation)}


@pytest.mark.parametrize(
    ("kind", "severity", "codes", "respond", "solve"),
    [
        ("review", "high", ["quality"], 2, 7 * 24),
        ("review", "high", ["logistics"], 2, 48),
        ("review", "high", ["logistics", "aftersales"], 2, 24),
        ("review", "medium", ["aftersales"], 24, 24),
        ("review", "critical", ["logistics"], 1, 24),
        ("mention", "high", ["aftersales"], 1, 24),
        ("question", "low", [], 3, 24),
        ("question", "critical", ["safety"], 1, 24),
    ],
)
def test_the_strictest_clock_counts(kind: str, severity: str, codes: list[str], respond: int, solve: int) -> None:
    """Severity, then a review's categories; posts have their own clock; a grave question the severity's."""
    found = case_clocks.snapshot(POLICY, kind, severity, codes)
    assert (found["respond"], found["solve"]) == (respond * HOUR, solve * HOUR)
    assert (found["remind_before"], found["stalled"], found["hours"]) == (900.0, 4 * HOUR, "wall")


def test_the_rule_says_where_each_clock_comes_from() -> None:
    """Words for the event; spans in the unit people use."""
    rule = case_clocks.snapshot(POLICY, "review", "high", ["logistics"])["rule"]
    assert rule == "首次回复 2 小时（严重），解决 48 小时（物流配送）"
    odd = CasePolicy(low={"respond": "45s", "solve": "7d"}, categories={})
    assert case_clocks.snapshot(odd, "review", "low", [])["rule"] == "首次回复 45 秒（轻微），解决 7 天（轻微）"
    assert case_clocks.snapshot(POLICY, "question", "low", [])["rule"].startswith("首次回复 3 小时（买家提问）")


_codes = st.lists(st.sampled_from(["logistics", "aftersales", "quality"]), max_size=3)
_severities = st.sampled_from(["low", "medium", "high", "critical"])


@given(steps=st.lists(st.tuples(_severities, _codes), min_size=2, max_size=6))
def test_clocks_only_ever_tighten(steps: list[tuple[str, list[str]]]) -> None:
    """Whatever is asked next, no clock of a running case grows longer."""
    policy = case_clocks.snapshot(POLICY, "review", *steps[0])
    for severity, codes in steps[1:]:
        after = case_clocks.tightened(policy, case_clocks.snapshot(POLICY, "review", severity, codes))
        assert after["respond"] <= policy["respond"]
        assert after["solve"] <= policy["solve"]
        assert (after is policy) == (after == policy)
        policy = after


def test_a_suspicion_keeps_the_evidence_and_accuses_nobody(telling: Core) -> None:
    """The event holds the feedback as it stood; first answer met, solution still due; claiming leads back."""
    see(telling, stars=1.0, url="https://shop.example/r/1")
    said = do(telling, "extortion", "case", case(telling).id or 0, AGENT, note="说不退款就给差评")
    assert said == "记为疑似恶意，证据已保存；解决时限照走"
    assert (case(telling).state, case(telling).assignee_id) == ("suspected", 1)
    assert {stage: timer.state for stage, timer in clocks(telling).items()} == {"respond": "met", "solve": "armed"}
    told = rows(telling, Event)[-1].after
    assert told["note"] == "疑似，依据：说不退款就给差评"
    (kept,) = told["evidence"]
    assert (kept["version"], kept["text"], kept["stars"], kept["flags"]) == (1, BAD, 1.0, ["extortion"])
    assert kept["spans"] == [{"code": "extortion", "start": 2, "end": 4, "text": BAD[2:4]}]
    assert kept["created_at"] == NOW.isoformat()
    see(telling, "改成好评了", stars=5.0)
    assert rows(telling, Event)[1].after["evidence"][0]["text"] == BAD
    assert case(telling).state == "suspected"
    with pytest.raises(Refused, match="还缺内容"):
        do(telling, "extortion", "case", 1, AGENT, note=" ")
    assert do(telling, "claim", "case", 1, AGENT) == "客服一号负责"
    assert case(telling).state == "assigned"
    with pytest.raises(Refused, match="您已经认领了"):
        do(telling, "claim", "case", 1, AGENT)


def test_anothers_suspicion_is_not_claimed_away(telling: Core) -> None:
    """Who holds the case leads it back, or a lead gives it to somebody else."""
    see(telling)
    do(telling, "extortion", "case", 1, AGENT, note="疑点")
    with pytest.raises(Refused, match="客服一号已经认领了"):
        do(telling, "claim", "case", 1, LEAD)
    do(telling, "assign", "case", 1, LEAD, to="主管")
    assert case(telling).state == "assigned"


def test_a_flag_alone_moves_nothing(telling: Core) -> None:
    """What the scorer suspects is a word on the card; people decide."""
    see(telling)
    assert (case(telling).state, score(telling).flags) == ("received", ["extortion"])


def test_refiling_corrects_case_score_and_labels(telling: Core) -> None:
    """By code or Chinese name; figures see it at once, the next training too, and the clocks tighten."""
    see(telling)
    assert do(telling, "refile", "case", 1, AGENT, to="售后退换， service") == "类别改为售后退换、客服态度"
    assert case(telling).categories == ["aftersales", "service"]
    assert (score(telling).categories, score(telling).model) == (["aftersales", "service"], "telling-1")
    assert [place["code"] for place in score(telling).evidence] == ["extortion"]
    (label,) = rows(telling, Correction)
    assert label.after == {"negative": True, "categories": ["aftersales", "service"]}
    assert label.before["categories"] == ["logistics"]
    told = rows(telling, Event)[-1].after
    assert told["rule"] == "首次回复 2 小时（严重），解决 24 小时（售后退换）"
    assert (told["note"], told["categories"]) == ("售后退换、客服态度", ["aftersales", "service"])
    assert clocks(telling)["solve"].due_at == telling.clock.now() + timedelta(hours=24)
    do(telling, "refile", "case", 1, AGENT, to="quality")
    assert clocks(telling)["solve"].due_at == telling.clock.now() + timedelta(hours=24)
    assert "rule" not in rows(telling, Event)[-1].after


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("logistic", '没有“logistic”这个类别，是不是 "logistics"？'),
        ("物流配", '没有“物流配”这个类别，是不是 "物流配送"？'),
        ("extortion", "没有“extortion”这个类别"),
        ("物流配送", "类别本来就是这些"),
        ("，", "还缺对象"),
    ],
)
def test_a_refiling_that_makes_no_sense_is_refused(telling: Core, to: str, said: str) -> None:
    """An unknown code names the nearest; nothing is written."""
    see(telling)
    with pytest.raises(Refused, match=said):
        do(telling, "refile", "case", 1, AGENT, to=to)
    assert rows(telling, Correction) == []
    assert case(telling).categories == ["logistics"]


def test_a_false_alarm_is_one_for_the_figures_at_once(telling: Core) -> None:
    """The score says so before any rescoring, and a model that comes later does not change it back."""
    see(telling)
    do(telling, "false_alarm", "case", 1, AGENT)
    found = score(telling)
    assert (found.negative, found.p_negative, found.categories, found.severity, found.flags, found.evidence) == (
        False,
        0.0,
        [],
        None,
        [],
        [],
    )
    telling.judge.model = "telling-2"
    telling.judge.models = ("telling-2",)
    assert rescore(telling).corrected == 1
    assert (score(telling).negative, score(telling).model) == (False, "telling-2")


def test_staffs_word_outlives_the_shops_answers(telling: Core) -> None:
    """Edits that leave the words alone leave what was said of them; new words are judged anew."""
    see(telling)
    do(telling, "false_alarm", "case", 1, AGENT)
    see(telling, reply="谢谢")
    see(telling, reply="谢谢您")
    assert not score(telling).negative
    assert [label.after["negative"] for label in rows(telling, Correction)] == [False, False, False]
    assert {label.actor for label in rows(telling, Correction)} == {"客服一号"}
    telling.judge.model, telling.judge.models = "telling-2", ("telling-2",)
    rescore(telling)
    assert not score(telling).negative
    assert case(telling).state == "false_alarm"
    see(telling, BAD + "，骗人", reply="谢谢您")
    assert score(telling).negative


def test_a_complaint_after_a_false_alarm_brings_the_case_back(telling: Core) -> None:
    """What staff took for none was about other words: a 追评 that complains is heard."""
    see(telling)
    do(telling, "false_alarm", "case", 1, AGENT)
    telling.notify.clear()
    see(telling, followup="用了一周就坏了")
    assert case(telling).state == "received"
    assert telling.notify.kinds() == ["case.opened"]
    assert clocks(telling)["solve"].generation == 1


def test_a_person_reopens_a_case_with_new_clocks(telling: Core) -> None:
    """Received again, from now; people get a card; a note is needed and an agent may not."""
    see(telling)
    do(telling, "claim", "case", 1, AGENT)
    do(telling, "resolved", "case", 1, AGENT)
    do(telling, "close", "case", 1, LEAD)
    with pytest.raises(Refused, match="权限"):
        do(telling, "reopen", "case", 1, AGENT, note="没解决")
    telling.notify.clear()
    telling.clock.move(timedelta(days=2))
    assert do(telling, "reopen", "case", 1, LEAD, note="买家来电话说没解决") == "重新打开，时限从现在算起"
    row = case(telling)
    assert (row.state, row.answered_at, row.resolved_at, row.closed_at, row.assignee_id) == (
        "received",
        None,
        None,
        None,
        1,
    )
    assert telling.notify.kinds() == ["case.opened", "case.updated"]
    assert telling.notify[0].key == "case:1:opened:1"
    due = clocks(telling, generation=1)
    assert due["respond"].due_at == telling.clock.now() + timedelta(hours=2)
    assert due["solve"].due_at == telling.clock.now() + timedelta(hours=48)
    assert do(telling, "claim", "case", 1, AGENT) == "客服一号负责"


def test_reopening_a_false_alarm_takes_the_label_back(telling: Core) -> None:
    """The score says what it said before, with its evidence; the label is corrected by another, not deleted."""
    see(telling)
    before = score(telling)
    do(telling, "false_alarm", "case", 1, AGENT)
    do(telling, "reopen", "case", 1, LEAD, note="看错了")
    after = score(telling)
    for name in ("negative", "categories", "severity", "flags", "evidence"):
        assert getattr(after, name) == getattr(before, name), name
    first, second = rows(telling, Correction)
    assert (first.after["negative"], second.after["negative"], second.actor) == (False, True, "主管")
    assert second.after["categories"] == ["logistics"]
    assert second.before["negative"] is False


def test_reopening_leaves_words_alone_that_nobody_judged(telling: Core) -> None:
    """A false alarm about words that were changed since is none of theirs."""
    see(telling)
    do(telling, "false_alarm", "case", 1, AGENT)
    telling.__dict__["judge"] = Blunt()
    see(telling, "换了一个，很满意")
    assert case(telling).state == "false_alarm"
    do(telling, "reopen", "case", 1, LEAD, note="再看看")
    assert not score(telling).negative
    assert len(rows(telling, Correction)) == 1


def test_the_shops_reply_is_a_first_answer(house: Core) -> None:
    """Wherever it was written: answered, the clock met, in the reply's own name; taking it away changes nothing."""
    see(house)
    do(house, "claim", "case", 1, AGENT)
    see(house, reply="很抱歉，已为您补发")
    row = case(house)
    assert (row.state, row.answered_at) == ("answered", house.clock.now())
    assert {stage: timer.state for stage, timer in clocks(house).items()} == {"respond": "met", "solve": "armed"}
    event = rows(house, Event)[-1]
    assert (event.actor, event.what, event.before["state"], event.after["state"]) == (
        "店铺回复",
        "feedback.replied",
        "assigned",
        "answered",
    )
    assert not [t for t in rows(house, Timer) if t.stage == "progress" and t.state == "armed"]
    see(house)
    assert case(house).state == "answered"
    assert rows(house, Event)[-1].actor == "评哨"


def test_a_reply_to_a_suspected_case_leaves_the_suspicion(telling: Core) -> None:
    """An answer in public is no verdict."""
    see(telling)
    do(telling, "extortion", "case", 1, AGENT, note="疑点")
    see(telling, reply="您好")
    assert case(telling).state == "suspected"


def test_what_was_answered_before_we_saw_it_owes_only_the_solution(house: Core) -> None:
    """A complaint that bears a reply when it is first seen opens as answered."""
    see(house, reply="已联系您")
    assert (case(house).state, case(house).answered_at) == ("answered", house.clock.now())
    assert set(clocks(house)) == {"solve"}
    assert rows(house, Event)[0].after["state"] == "answered"


def ask(core: Core, external_id: str = "q1", text: str = "这个杯子能放洗碗机吗？", **values: Any) -> None:
    core.clock.move(timedelta(minutes=1))
    store(core, origin(core, "questions", questions=True), [make_item(external_id, text, **values)])


def test_a_question_opens_a_case_whatever_its_tone(house: Core) -> None:
    """Three hours to answer, no severity of its own; two questions of one buyer are two cases."""
    ask(house, author="小明同学")
    ask(house, "q2", "多少毫升？", author="小明同学")
    first, second = rows(house, Case)
    assert (first.kind, first.state, first.severity, first.categories) == ("question", "received", "low", [])
    assert second.kind == "question"
    due = clocks(house, case_id=2)
    assert due["respond"].due_at == house.clock.now() + timedelta(hours=3)
    assert house.notify.kinds() == ["case.opened", "case.opened"]


def test_the_shops_reply_answers_the_question(house: Core) -> None:
    """And its words changed afterwards ask again."""
    ask(house)
    ask(house, reply="可以的")
    assert case(house).state == "answered"
    assert clocks(house)["respond"].state == "met"
    ask(house, text="那能放微波炉吗？", reply="可以的")
    assert case(house).state == "received"
    assert clocks(house)["respond"].generation == 1


def test_questions_that_need_nobody_open_nothing(house: Core) -> None:
    """Answered before we saw them, or taken down; those of long ago wait without a clock."""
    ask(house, "a", reply="可以")
    ask(house, "b", deleted=True)
    assert rows(house, Case) == []
    ask(house, "c", created_at=NOW - timedelta(days=90))
    assert case(house).backlog
    assert rows(house, Timer) == []


def test_a_complaint_does_not_join_its_authors_question(house: Core) -> None:
    """Otherwise an answer to the one would be an answer to the other."""
    ask(house, author="小明同学", product="杯子")
    store(house, origin(house), [make_item("1", BAD, author="小明同学", product="杯子")])
    assert [row.kind for row in rows(house, Case)] == ["question", "review"]


def test_every_opening_says_which_rule_it_follows(house: Core) -> None:
    """The event of the opening names the clocks and where they come from."""
    see(house)
    with db.reading(house.engine) as session:
        opened = session.exec(select(Event).where(Event.what == "opened")).one()
    assert opened.after["rule"] == case(house).policy["rule"]
    assert happened(house) == ["opened"]


@pytest.mark.slow
async def test_a_source_of_questions_says_so_all_the_way(sqlite: Engine, tmp_path: Path, clock: HandClock) -> None:
    """From the config through the crawl's own process to the case; the next crawl brings the answer."""
    file = tmp_path / "a.csv"
    file.write_text("评价ID,评价内容,评价时间\n1,能放洗碗机吗？,2026-11-20 13:00\n", encoding="utf-8")
    source = {"name": "asked", "kind": "file", "shop": "demo", "path": "*.csv", "as_questions": True}
    service = {"base_dir": tmp_path, "var_dir": tmp_path, "database_url": f"sqlite:///{sqlite.url.database}"}
    core = make_core(sqlite, make_settings(sources=[source], service=service), clock)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    line = await crawling.crawl_source(core, core.settings.sources[0], "scheduler:open_core")
    assert (line["status"], line["new"]) == ("ok", 1)
    assert (case(core).kind, case(core).state, case(core).policy["respond"]) == ("question", "received", 3 * HOUR)


def test_a_pushed_question_is_one_too(sqlite: Engine) -> None:
    """The other door of a source."""
    source = {"name": "crm", "kind": "webhook", "shop": "demo", "secret_env": "S", "as_questions": True}
    core = make_core(sqlite, make_settings(sources=[source]))
    core.__dict__["judge"] = Blunt()
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    body = '[{"id": "1", "text": "多少毫升？"}]'.encode()
    assert pushes.receive(core, core.settings.sources[0], body, "k1").new == 1
    assert case(core).kind == "question"


def test_whoever_holds_a_case_is_asked_when_nothing_happens(house: Core) -> None:
    """From every thing he does the silence counts anew; an answered case waits for its buyer."""
    see(house)
    waiting = []
    for what in ("claim", "note", "contacted", "answered"):
        house.clock.move(timedelta(minutes=10))
        do(house, what, "case", 1, AGENT, note="打过电话")
        waiting.append([t.due_at - house.clock.now() for t in rows(house, Timer) if (t.step, t.state) == NAG])
    assert waiting == [[timedelta(hours=4)]] * 3 + [[]]

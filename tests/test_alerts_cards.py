"""What cards say, to the letter and in every state."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import golden
import pytest
from delivering import PlainLinks, make_house
from factories import NOW
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, select
from subjects import add_feedbacks, open_case

from alerts import blocks, cards, indicator_card, lists, mails, remarks, words
from alerts.cards import Reader
from alerts.content import Card, Line, Ping, Span, clean, line, link
from monitor import crises, lifecycle, queries, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Crisis, Feedback, Outbox, Person, Score
from monitor.order_numbers import hide_orders

ZONE = ZoneInfo("Asia/Shanghai")
TEXT = "物流显示昨天签收了，根本没收到，打了三次客服没人接"
EVIDENCE = [
    {"code": "logistics", "start": 10, "end": 15, "text": "根本没收到"},
    {"code": "service", "start": 22, "end": 25, "text": "没人接"},
]


@pytest.fixture
def house(sqlite: Engine, clock: HandClock) -> Core:
    return make_house(sqlite, clock)


@pytest.fixture
def session(house: Core) -> Iterator[Session]:
    with Session(house.engine.execution_options(writing=True), expire_on_commit=False) as opened:
        yield opened


def reader(core: Core, person: Person | None = None, *, clicks: bool = True) -> Reader:
    return Reader(core.clock.now(), ZONE, core.settings.shop_name, PlainLinks(), clicks, person)


def crisis_card(core: Core, session: Session, crisis: int, **how: Any) -> Card:
    view = queries.crisis_view(session, crisis)
    assert view is not None
    return cards.crisis_card(view, reader(core, **how))


def case_card(core: Core, session: Session, case: int, **how: Any) -> Card:
    view = queries.case_view(session, case)
    assert view is not None
    return cards.case_card(view, reader(core, **how))


def act(core: Core, session: Session, what: str, subject: str, row_id: int, note: str = "", who: str = "主管") -> None:
    role = {"主管": "lead", "客服一号": "agent"}[who]
    lifecycle.act(core, session, lifecycle.Action(what, subject, row_id, note), lifecycle.Actor(who, role, "slack"))


def labels(card: Card) -> list[str]:
    return [button.label for button in card.buttons]


def missing_parcels(core: Core, session: Session) -> int:
    """Seven buyers of one warehouse whose parcels never came."""
    texts = [
        TEXT,
        "说好三天到，等到今天",
        "驿站翻了两遍，没有我的件",
        "显示本人签收，我人在外地",
        "快递柜是空的",
        "催单催了一周",
        "箱子影子都没见着",
    ]
    facts = {"platform": "tmall", "product": "保温杯", "order_ref": "20261118008841", "stars": 1.0}
    facts |= {"extra": {"warehouse": "苏州仓"}, "url": "https://shop.test/r/1"}
    ids = add_feedbacks(core, session, texts, **facts)
    first = session.get(Score, ids[0])
    assert first is not None
    first.evidence, first.severity = EVIDENCE, "critical"
    for n, feedback_id in enumerate(ids):
        row = session.get(Feedback, feedback_id)
        assert row is not None
        row.happened_at = NOW - timedelta(minutes=50 - 7 * n)
        session.add(row)
    session.add(first)
    session.flush()
    crisis = crises.open_crisis(
        core, session, shop_id="demo", cause="burst", category="logistics", severity="critical", feedback_ids=ids
    )
    assert crisis.id is not None
    return crisis.id


def said(card: Card) -> str:
    return json.dumps(blocks.blocks(card), ensure_ascii=False, indent=1).replace(blocks._GAP, "·") + "\n"


def test_new_crisis(house: Core, session: Session, request: pytest.FixtureRequest) -> None:
    """A new crisis: how many, what they share, three clocks, nobody yet, the worst words, what to say, what to do."""
    card = crisis_card(house, session, missing_parcels(house, session))
    golden.check(request, "crisis_new.slack.json", said(card))
    golden.check(request, "crisis_new.txt", mails.text(card))


def test_crisis_under_way(house: Core, session: Session, clock: HandClock, request: pytest.FixtureRequest) -> None:
    """Claimed, planned late, one of three notices ticked: done and overdue are marked, done buttons are gone."""
    crisis = missing_parcels(house, session)
    session.commit()
    clock.move(timedelta(minutes=70))
    timers.sweep(house)
    act(house, session, "claim", "crisis", crisis, who="客服一号")
    act(house, session, "plan", "crisis", crisis, "今晚先给七位买家补发，仓库查当天的出库记录")
    act(house, session, "notified_sms", "crisis", crisis, who="客服一号")
    card = crisis_card(house, session, crisis)
    golden.check(request, "crisis_under_way.slack.json", said(card))
    assert labels(card) == ["写初步方案", "已推送", "已外呼", "误报", "看全部 7 条"]


def test_crisis_as_mail(house: Core, session: Session, request: pytest.FixtureRequest) -> None:
    """A lead's mail has his links, an agent's has no lead's."""
    crisis = missing_parcels(house, session)
    lead, agent = (session.exec(select(Person).where(Person.name == name)).one() for name in ("主管", "客服一号"))
    card = crisis_card(house, session, crisis, person=lead, clicks=False)
    golden.check(request, "crisis_new.html", mails.page(card) + "\n")
    assert "误报" in labels(card)
    assert "误报" not in labels(crisis_card(house, session, crisis, person=agent, clicks=False))


def test_finished_crisis_has_nothing_to_click(house: Core, session: Session) -> None:
    """A false alarm stops its clocks and leaves only the way to look."""
    crisis = missing_parcels(house, session)
    act(house, session, "false_alarm", "crisis", crisis)
    card = crisis_card(house, session, crisis)
    assert labels(card) == ["看全部 7 条"]
    assert "不再计时" in mails.text(card)


def test_crisis_notified_then_resolved(house: Core, session: Session) -> None:
    """After all three notices it can be resolved, and the result is on the card."""
    crisis = missing_parcels(house, session)
    for what in ("notified_sms", "notified_push", "notified_call"):
        act(house, session, what, "crisis", crisis)
    assert labels(crisis_card(house, session, crisis)) == ["写初步方案", "已解决", "误报", "看全部 7 条"]
    act(house, session, "resolved", "crisis", crisis, "七位买家都收到了补发")
    text = mails.text(crisis_card(house, session, crisis))
    assert "处理结果：七位买家都收到了补发" in text
    assert "状态：已解决" in text


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        (
            {"verdict": "copied", "copies": 7, "authors": 7, "share": 1.0},
            "7 条是几乎一样的文字，来自不同账号：疑似搬运",
        ),
        ({"verdict": "independent", "copies": 1, "authors": 7, "share": 0.1}, "像是同一批货出的问题"),
        ({"verdict": "unclear", "copies": 1, "authors": 1, "share": 0.1}, ""),
    ],
)
def test_spread_in_words(house: Core, session: Session, spread: dict[str, Any], expected: str) -> None:
    """One text from many accounts reads otherwise than one cause for many buyers; unclear says nothing."""
    crisis = session.get(Crisis, missing_parcels(house, session))
    assert crisis is not None
    crisis.scope = crisis.scope | {"spread": spread}
    session.add(crisis)
    session.flush()
    text = mails.text(crisis_card(house, session, crisis.id or 0))
    assert expected in text
    assert ("像是" in text or "疑似" in text) == bool(expected)


def test_what_many_say_is_quoted_and_what_was_sampled_is_said(house: Core, session: Session) -> None:
    """Words that a quarter of them use stand on the card; copies of a flood are counted among the newest."""
    crisis = session.get(Crisis, missing_parcels(house, session))
    assert crisis is not None
    spread = {"verdict": "copied", "copies": 5, "authors": 5, "share": 0.8, "of": 6}
    crisis.scope = crisis.scope | {"said": [["根本没收到", 4]], "spread": spread}
    session.add(crisis)
    session.flush()
    text = mails.text(crisis_card(house, session, crisis.id or 0))
    assert "7 条差评，4 条说「根本没收到」" in text
    assert "最近 6 条里，5 条是几乎一样的文字" in text


def test_crisis_of_posts(house: Core, session: Session) -> None:
    """Accounts instead of buyers, its own three clocks and ticks, how far the post went, the drafts a click away."""
    ids = add_feedbacks(house, session, ["示例的杯子漏水"], kind="mention", shop_id=None, extra={"likes": 1200})
    crisis = crises.open_crisis(
        house, session, shop_id=None, cause="spread", category="quality", severity="high", feedback_ids=ids
    )
    act(house, session, "apologised", "crisis", crisis.id or 0)
    card = crisis_card(house, session, crisis.id or 0)
    text = mails.text(card)
    assert card.title == "【危机】品牌 · 质量问题 · 1 个账号"
    assert "② 私下致歉 ✓ 已完成　③ 公开声明 明天 14:00 前" in text
    assert "传播：赞 1,200" in text
    assert "✓ 私下致歉（主管）　□ 公开声明" in text
    assert "致歉和声明的草稿" in text
    assert labels(card) == ["写初步方案", "已公开声明", "误报", "看详情"]


def test_crisis_after_its_end(house: Core, session: Session) -> None:
    """A resolved one asks for the post-mortem until it is written; a merged one says where it went."""
    crisis, other = (
        missing_parcels(house, session),
        crises.open_crisis(
            house, session, shop_id="demo", cause="person", category="", severity="high", feedback_ids=[]
        ),
    )
    for what in ("notified_sms", "notified_push", "notified_call", "resolved"):
        act(house, session, what, "crisis", crisis, "好了")
    card = crisis_card(house, session, crisis)
    assert "还没写复盘" in mails.text(card)
    assert "写复盘" in labels(card)
    act(house, session, "review", "crisis", crisis, "打包漏扫")
    card = crisis_card(house, session, crisis)
    assert "复盘：打包漏扫" in mails.text(card)
    assert "写复盘" not in labels(card)
    act(house, session, "reopen", "crisis", crisis, "又来了")
    lifecycle.act(
        house,
        session,
        lifecycle.Action("merge", "crisis", crisis, to=str(other.id)),
        lifecycle.Actor("主管", "lead", "slack"),
    )
    card = crisis_card(house, session, crisis)
    assert f"已并入危机 #{other.id}" in mails.text(card)
    assert labels(card) == ["看全部 7 条"]


def test_crisis_of_one_without_facts(house: Core, session: Session) -> None:
    """A crisis without feedbacks, category or scope still makes a card."""
    row = Crisis(shop_id=None, cause="person", severity="low", opened_at=NOW, updated_at=NOW)
    session.add(row)
    session.flush()
    card = crisis_card(house, session, row.id or 0)
    assert card.title == "【危机】品牌 · 集中差评 · 0 位买家"
    assert blocks.blocks(card)


def test_new_case(house: Core, session: Session, request: pytest.FixtureRequest) -> None:
    """A new case: the words, the order, both clocks, who writes, what to say, what to do."""
    session.commit()
    case = open_case(house, categories=["logistics", "service"], severity="high")
    facts = {"platform": "jd", "product": "保温杯", "order_ref": "20261118008841", "stars": 2.0, "case_id": case}
    add_feedbacks(house, session, [TEXT], EVIDENCE, **facts)
    golden.check(request, "case_new.slack.json", said(case_card(house, session, case)))


def test_case_through_its_states(house: Core, session: Session, clock: HandClock) -> None:
    """Each step takes its button away and shows on the card who did it."""
    session.commit()
    case = open_case(house, [TEXT, "还是没人管"], categories=["logistics"])
    everything = ["我来负责", "已联系", "已回复", "已解决", "升级为危机", "误报", "看详情"]
    assert labels(case_card(house, session, case)) == everything
    clock.move(timedelta(minutes=5))
    for what, gone in (("claim", "我来负责"), ("contacted", "已联系"), ("answered", "已回复")):
        act(house, session, what, "case", case, who="客服一号")
        everything.remove(gone)
        assert labels(case_card(house, session, case)) == everything
    text = mails.text(case_card(house, session, case))
    assert "负责人：客服一号　状态：已回复" in text
    assert "今天 14:05 客服一号 已回复" in text
    assert "还有 1 条是同一位买家的" in text
    act(house, session, "escalate", "case", case)
    card = case_card(house, session, case)
    assert "升级为危机" not in labels(card)
    assert "已并入危机 #1" in mails.text(card)
    act(house, session, "resolved", "case", case)
    assert labels(case_card(house, session, case)) == ["看详情"]


def test_author_we_know(house: Core, session: Session) -> None:
    """The author's earlier feedbacks are counted, the bad ones among them."""
    session.commit()
    case = open_case(house, [TEXT])
    earlier = add_feedbacks(house, session, ["还行"], external_id="old1") + add_feedbacks(
        house, session, ["差"], external_id="old2"
    )
    for feedback_id in earlier:
        row = session.get(Feedback, feedback_id)
        assert row is not None
        row.happened_at = NOW - timedelta(days=9)
    score = session.get(Score, earlier[0])
    assert score is not None
    score.negative = False
    session.flush()
    assert "之前写过 2 条，其中 1 条差评" in mails.text(case_card(house, session, case))
    bad = session.get(Score, earlier[1])
    assert bad is not None
    bad.negative = False
    session.flush()
    assert "之前写过 2 条，都不是差评" in mails.text(case_card(house, session, case))


def test_case_of_the_past_and_of_a_mention(house: Core, session: Session) -> None:
    """A case without clocks says so, a mention is called a post, a deleted text says that it is gone."""
    case = Case(shop_id=None, kind="mention", backlog=True, opened_at=NOW, updated_at=NOW)
    session.add(case)
    session.flush()
    card = case_card(house, session, case.id or 0)
    assert card.title == "【负面帖子】品牌 · 未说明原因 · 轻微"
    assert "不计时" in mails.text(card)
    add_feedbacks(house, session, [""], case_id=case.id, deleted=True)
    text = mails.text(case_card(house, session, case.id or 0))
    assert "「（没有文字）」" in text
    assert "原文已被删除" in text


def test_many_cases_as_one_card(house: Core, session: Session, request: pytest.FixtureRequest) -> None:
    """A flood is one card: how many of what, a line for each, the page it is."""
    session.commit()
    ids = [open_case(house, [f"第{n}个杯子漏水" + "，很失望" * n * 3], categories=["quality"]) for n in range(4)]
    ids.append(open_case(house, severity="high"))
    views = queries.case_views(session, [*ids[:3], ids[4], 999])
    card = lists.cases_card(views, queries.case_counts(session, ids), 1, reader(house))
    golden.check(request, "cases_opened.slack.json", said(card))


@pytest.mark.parametrize("state", ["received", "answered", "resolved", "closed", "false_alarm"])
def test_what_is_settled_needs_no_reply(house: Core, session: Session, state: str) -> None:
    """The suggested reply stands on a card as long as there is something to answer."""
    row = open_case(house, ["漏水"], state=state)
    view = queries.case_view(session, row)
    assert view is not None
    shown = mails.text(cards.case_card(view, reader(house)))
    assert ("建议先说" in shown) == (state in ("received", "answered"))


def row_of(kind: str, subject: str = "crisis", **payload: Any) -> Outbox:
    return Outbox(
        id=7, dedupe_key="k", channel="ops", target="C1", kind=kind, subject=subject, subject_id=12, payload=payload,
        created_at=NOW, not_before=NOW,
    )  # fmt: skip


def test_remarks(house: Core, session: Session, clock: HandClock, request: pytest.FixtureRequest) -> None:
    """Reminders, breaches, rungs, growth, overdue lists, sources, dead letters and summaries, to the letter."""
    crisis, me = missing_parcels(house, session), reader(house)
    lead = session.exec(select(Person).where(Person.name == "主管")).one()
    view = queries.crisis_view(session, crisis)
    assert view is not None
    title = cards.crisis_name(view, me)
    past, soon = NOW - timedelta(minutes=32), NOW + timedelta(minutes=15)
    session.commit()
    overdue = queries.case_views(session, [open_case(house, ["漏水"])])
    session.commit()
    worse = {
        "shop": "demo", "name": "dispute_rate", "value": 0.4, "industry": 0.3, "limit": None, "day": "2026-11-19",
    }  # fmt: skip
    made = [
        remarks.timer_card(row_of("timer.reminder", stage="notice"), soon, title, lead, me),
        remarks.timer_card(row_of("timer.breached", stage="respond"), past, title, None, me),
        remarks.timer_card(row_of("timer.rung", stage="respond", rung="manager"), past, title, None, me),
        remarks.timer_card(
            row_of("timer.breached", "case", stage="solve"), past, "示例旗舰店 · 质量问题 · 一般", None, me
        ),
        remarks.grown_card(row_of("crisis.grew"), view, title, me),
        lists.overdue_card(row_of("cases.overdue", "case", stage="respond", step="deadline"), overdue, 9, 1, me),
        lists.overdue_card(row_of("cases.overdue", "case", stage="solve", step="reminder"), overdue, 1, 1, me),
        remarks.source_card(row_of("source.trouble", name="site", error="连不上", since=past.isoformat()), me),
        remarks.source_card(row_of("source.trouble", name="site", error="", since=""), me),
        remarks.source_card(row_of("source.recovered", name="site"), me),
        remarks.source_card(
            row_of("source.expiring", name="京东", error="授权 2026-12-01 到期（还有 5 天），请续期"), me
        ),
        remarks.dead_card(
            row_of("outbox.dead", "outbox", channel="ops", target="C1", error="频道已归档"),
            [row_of("timer.rung")],
            31,
            me,
        ),
        indicator_card.indicator_card(row_of("indicator.worse", "indicator", **worse), me),
        indicator_card.indicator_card(row_of("indicator.worse", "indicator", **worse | {"limit": 0.25}), me),
        remarks.summary_card({"title": "今日小结", "lines": ["差评 3 条", "都已处理"]}),
    ]
    golden.check(request, "remarks.txt", "\n".join(mails.text(card) for card in made))


def test_history(house: Core, request: pytest.FixtureRequest) -> None:
    """What people did and wrote, below a card in Slack, to the letter."""
    at = NOW - timedelta(minutes=50)
    plan = {"members": "客服一号、主管", "facts": "37 单同一仓库 <!channel>"}
    acts = [
        {"who": "客服一号", "what": "claim", "at": at.isoformat(), "note": "", "more": {}},
        {"who": "主管", "what": "plan", "at": NOW.isoformat(), "note": "先补发，再逐个打电话", "more": plan},
        {"who": "主管", "what": "notified_sms", "at": NOW.isoformat(), "note": "", "more": {}},
    ]
    card = remarks.history_card(acts, row_of("crisis.acted"), reader(house))
    golden.check(request, "history.slack.json", said(card))


def make_feedback(text: str) -> Feedback:
    return Feedback(
        source_id=1, external_id="1", text=text, happened_at=NOW, first_seen_at=NOW, updated_at=NOW, content_hash=""
    )


@given(st.text(max_size=400), st.lists(st.tuples(st.integers(-5, 500), st.integers(-5, 500)), max_size=6))
def test_quote_shows_the_text(text: str, marks: list[tuple[int, int]]) -> None:
    """Whatever the text and wherever evidence claims to stand, the quote shows the text or says it is an excerpt."""
    feedback = make_feedback(text)
    score = Score(feedback_id=1, happened_at=NOW, model="m", negative=True, p_negative=1, scored_at=NOW)
    score.evidence = [{"start": start, "end": end} for start, end in marks]
    shown = words.quote(feedback, score).text
    if not text:
        assert shown == "「（没有文字）」"
    elif len(text) <= words._QUOTED:
        assert shown == f"「{clean(hide_orders(text))}」"
    else:
        assert f"全文 {len(text)} 字" in shown


def test_quote_shows_the_end_of_an_order_number() -> None:
    """As the line below it does; what tells stays in bold."""
    feedback = make_feedback("订单号20261118008841根本没收到")
    score = Score(feedback_id=1, happened_at=NOW, model="m", negative=True, p_negative=1, scored_at=NOW)
    score.evidence = [{"start": 17, "end": 22}]
    quoted = words.quote(feedback, score)
    assert quoted.text == "「订单号**********8841根本没收到」"
    assert [span.text for span in quoted.spans if span.bold] == ["根本没收到"]


def test_quote_of_a_long_text_shows_the_telling_words() -> None:
    """An excerpt is taken where the evidence stands, marks it, and says how long the whole is."""
    text = "好" * 2000 + "根本没收到" + "坏" * 2000
    feedback = make_feedback(text)
    score = Score(feedback_id=1, happened_at=NOW, model="m", negative=True, p_negative=1, scored_at=NOW)
    score.evidence = [{"start": 2000, "end": 2005}, {"start": 2003, "end": 2004}]
    quoted = words.quote(feedback, score)
    assert [span.text for span in quoted.spans if span.bold] == ["根本没收到"]
    assert quoted.text.startswith("「……好")
    assert quoted.text.endswith("……」（节选，全文 4,005 字）")


@given(st.text(), st.text(max_size=5000), st.booleans())
def test_any_text_makes_legal_blocks(title: str, text: str, bold: bool) -> None:
    """No text can call on anybody, break out of its place or overrun a section."""
    lines = (Line((Span(clean(text), bold), Span("看", url="https://x.test/?a=1&b"))), line(text, role="small"))
    for block in blocks.blocks(Card(clean(title) or "无", lines, ping=(Ping(title, title),))):
        for part in block.get("elements", [block.get("text")]):
            assert 0 < len(part["text"]) <= blocks.LONGEST_TEXT
            rest = part["text"].replace("<https://x.test/?a=1&amp;b|看>", "")
            rest = re.sub(r"<@[UW][A-Z0-9]+>", "", rest)  # a title may happen to be an id
            assert "<" not in rest
            assert ">" not in rest


@pytest.mark.parametrize("role", ["text", "small"])
def test_long_lines_are_continued(role: Any) -> None:
    """A line longer than a section goes on in the next, whole."""
    text = "<&>差评" * 2_000
    parts = [
        block.get("text") or block["elements"][0]
        for block in blocks.blocks(Card("标题", (line(text, link("看", "https://x.test/"), role=role),)))[1:]
    ]
    assert all(len(part["text"]) <= blocks.LONGEST_TEXT for part in parts)
    assert "".join(part["text"] for part in parts) == blocks._escape(text) + "<https://x.test/|看>"


def test_too_many_blocks_are_refused() -> None:
    """A card that does not fit one message is an error, never cut."""
    with pytest.raises(blocks.TooLong):
        blocks.blocks(Card("标题", tuple(line("一") for _ in range(50))))
    assert {"type": "divider"} in blocks.blocks(Card("标题", (line(role="divider"),)))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((2026, 11, 20, 7, 2), "今天 15:02"),
        ((2026, 11, 21, 6, 2), "明天 14:02"),
        ((2026, 11, 19, 15, 59), "昨天 23:59"),
        ((2026, 11, 20, 16, 0), "明天 00:00"),
        ((2026, 11, 23, 6, 2), "11月23日 14:02"),
        ((2027, 1, 1, 6, 2), "2027年1月1日 14:02"),
    ],
)
def test_moments(at: Sequence[int], expected: str) -> None:
    """Times are told as people say them, in the service's zone."""
    assert words.moment(datetime(*at, tzinfo=UTC), NOW, ZONE) == expected  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5, "1 分钟"), (28 * 60, "28 分钟"), (3 * 3600 + 5, "3 小时"), (49 * 3600, "2 天"), (-9, "1 分钟")],
)
def test_durations(seconds: int, expected: str) -> None:
    """Spans are told in the largest whole unit."""
    assert words.duration(timedelta(seconds=seconds)) == expected


def test_spans_of_time() -> None:
    """A span names its day once, or both days."""
    day = timedelta(days=1)
    assert words.span_of_time(NOW, NOW, NOW, ZONE) == "今天 14:00"
    assert words.span_of_time(NOW, NOW + day / 24, NOW, ZONE) == "今天 14:00–15:00"
    assert words.span_of_time(NOW - day, NOW, NOW, ZONE) == "昨天 14:00–今天 14:00"


def test_links_lead_to_pages_only() -> None:
    """An address that is no web page, or endless, is shown as plain text."""
    assert link("看", "https://shop.test/1").url
    for bad in ("javascript:alert(1)", "https://a|b", "https://a b", "", "https://" + "x" * 3000):
        assert not link("看", bad).url


def test_unknown_words_stay_as_they_are() -> None:
    """A code or platform without a Chinese name is shown by its own."""
    assert (words.code("quality"), words.code("brand_new")) == ("质量问题", "brand_new")
    assert (words.platform("tmall"), words.platform("etsy")) == ("天猫", "etsy")

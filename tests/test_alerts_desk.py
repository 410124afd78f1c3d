"""The desk's pages: status, a case or crisis, what people choose from."""

import re
from datetime import timedelta
from pathlib import Path

import httpx
from factories import make_core, make_settings
from hypothesis import given
from hypothesis import strategies as st
from pages import path_of, text_of
from serving import browse
from subjects import add_feedbacks, open_case, open_crisis

from alerts.actions import Click, handle
from alerts.desk.app import create_app
from alerts.desk.subjects import marked
from alerts.links import Links
from monitor import db, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Feedback, Known, Outbox, Source, Spread
from monitor.moves import Action
from monitor.states import DELIVERY_LABELS, UNSENT


def test_an_empty_house_says_so(desk: httpx.Client) -> None:
    """Without data the page still says plainly how things stand, and in which zone its times are."""
    page = desk.get("/")
    assert page.status_code == 200
    assert "没有进行中的危机" in text_of(page)
    assert "还没有配置来源" in text_of(page)
    assert "2026-11-20 14:00" in page.text
    assert "Asia/Shanghai" in page.text


def test_the_status_page_shows_crises_with_their_clocks(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """Absolute deadlines in the house's zone, what is left, and what is overdue in words."""
    crisis_id = open_crisis(core, ["包裹一直没到", "显示签收，没有收到"])
    page = text_of(desk.get("/"))
    assert f"危机 #{crisis_id}" in page
    assert "示例旗舰店 · 物流配送 · 2 条反馈 · 待响应 · 还没有人负责" in page
    assert "内部响应 2026-11-20 15:00 前 还剩 1 小时" in page
    clock.move(timedelta(hours=1, minutes=5))
    late = text_of(desk.get("/"))
    assert "1 个危机已超时" in late
    assert "已超时 5 分钟" in late
    timers.sweep(core)
    assert "已超时 5 分钟" in text_of(desk.get("/"))


def test_links_on_the_status_page_open_the_crisis(desk: httpx.Client, core: Core) -> None:
    """The status page leads on to the read-only page."""
    open_crisis(core, ["包裹一直没到"])
    found = re.search(r'href="(/v/[^"]+)"', desk.get("/").text)
    assert found
    assert "包裹一直没到" in desk.get(found[1]).text


def test_the_status_page_counts_cases_and_messages(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """Open cases by state, those overdue, messages by state, and what could not be delivered, without addresses."""
    open_case(core)
    open_case(core, state="closed")
    dead = {"channel": "mail", "target": "head@example.com", "kind": "case.opened", "subject": "case", "subject_id": 1}
    now = clock.now()
    with db.writing(core.engine) as session:
        error = "550 no such user head@example.com <b>"
        session.add(
            Outbox(dedupe_key="k", state="dead", last_error=error, created_at=now, not_before=now, attempts=3, **dead)
        )
    clock.move(timedelta(hours=1))
    page = desk.get("/")
    seen = text_of(page)
    assert "待认领1" in seen.replace(" ", "")
    assert "1 个工单已超时" in seen
    assert "1 条消息发不出" in seen
    assert "试了 3 次" in seen
    assert "head@example.com" not in page.text
    assert "<b>" not in page.text.split("试了 3 次")[1].split("</bdi>")[0]


def test_messages_that_are_not_sent_are_counted(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """The page shows each state in which a message is not sent, in Chinese, and none of those that were."""
    now = clock.now()
    facts = {"channel": "ops", "target": "C1", "kind": "case.opened", "subject": "case", "subject_id": 1}
    with db.writing(core.engine) as session:
        for state in ("pending", "sending", "sent", "uncertain", "dead", "folded"):
            session.add(Outbox(dedupe_key=state, state=state, created_at=now, not_before=now, **facts))
    page = desk.get("/")
    assert page.status_code == 200
    seen = text_of(page).replace(" ", "")
    assert [state for state, word in DELIVERY_LABELS.items() if f"{word}1" in seen] == list(UNSENT)


def test_sources_in_trouble_are_shown(core: Core, links: Links, clock: HandClock) -> None:
    """Failed, silent and never-run sources each say so; silence is not read as good news."""
    named = [{"name": name, "kind": "file", "shop": "demo"} for name in ("new", "bad", "silent", "good")]
    core = make_core(core.engine, make_settings(sources=named), clock)
    now = clock.now()
    with db.writing(core.engine) as session:
        facts = {"kind": "file", "shop_id": "demo", "last_run_at": now}
        session.add(Source(name="bad", status="failed", last_error="连接超时 <script>", **facts))
        session.add(Source(name="silent", status="attention", last_item_at=now - timedelta(days=1), **facts))
        session.add(Source(name="good", status="ok", last_success_at=now, last_item_at=now, **facts))
        session.add(Source(name="imported", status="ok", last_success_at=now, **facts))
    with browse(create_app(core, links)) as desk:
        page = desk.get("/")
    seen = text_of(page)
    assert [seen.index(word) for word in ("new 还没跑过", "bad 失败", "silent 要看一眼", "good 正常", "imported 正常")]
    assert "2 个来源有问题" in seen
    assert "连接超时 <script>" in seen
    assert "自 2026-11-19 14:00 起没有内容，这不等于没有差评" in seen


def test_people_are_chosen_from_a_list(desk: httpx.Client, links: Links, core: Core) -> None:
    """Assigning offers the active people."""
    case_id = open_case(core)
    path = path_of(links.make("assign", "case", case_id, "主管"))
    assert re.findall(r'<option value="([^"]+)"', desk.get(path).text) == sorted(["主管", "客服一号", "经理"])
    assert "转给经理负责" in desk.post(path, data={"to": "经理"}).text
    with db.reading(core.engine) as session:
        assert session.get_one(Case, case_id).state == "assigned"


def test_crises_are_merged_from_a_list(desk: httpx.Client, links: Links, core: Core) -> None:
    """Merging offers the other open crises and no other."""
    first, second = open_crisis(core, ["一"]), open_crisis(core, ["二"])
    path = path_of(links.make("merge", "crisis", second, "主管"))
    assert re.findall(r'<option value="([^"]+)"', desk.get(path).text) == [str(first)]
    assert f"已合并到危机 #{first}" in desk.post(path, data={"to": str(first)}).text


def test_the_crisis_page_lists_every_feedback(desk: httpx.Client, links: Links, core: Core) -> None:
    """120 feedbacks come in pages of 50; each stands on exactly one."""
    texts = [f"第{n:03}个包裹没有收到" for n in range(120)]
    path = path_of(links.view("crisis", open_crisis(core, texts)))
    pages = [desk.get(path, params={"page": n}).text for n in (1, 2, 3)]
    seen = [found for page in pages for found in re.findall(r"第\d{3}个包裹没有收到", page)]
    assert sorted(seen) == texts
    assert "第 2 页，共 3 页" in pages[1]
    assert "这一页没有反馈" in desk.get(path, params={"page": 4}).text
    for bad in ("0", "-1", "x", "1e9", "99999999999999999999"):
        assert desk.get(path, params={"page": bad}).status_code == 400


def test_the_words_that_told_are_marked(desk: httpx.Client, links: Links, core: Core) -> None:
    """Evidence stands out with what it is evidence of."""
    evidence = [{"code": "logistics", "start": 2, "end": 6, "text": "没有收到"}]
    page = desk.get(path_of(links.view("crisis", open_crisis(core, ["包裹没有收到"], evidence))))
    assert '包裹<mark title="物流配送">没有收到</mark>' in page.text


def test_the_crisis_page_tells_what_happened(desk: httpx.Client, links: Links, core: Core) -> None:
    """Plan, ticked notices and the audit, the newest first."""
    crisis_id = open_crisis(core, ["包裹没有收到"])
    desk.post(path_of(links.make("plan", "crisis", crisis_id, "客服一号")), data={"note": "先补发"})
    desk.post(path_of(links.make("notified_sms", "crisis", crisis_id, "客服一号")))
    seen = text_of(desk.get(path_of(links.view("crisis", crisis_id))))
    assert "短信已做 ✓、推送未做、外呼未做" in seen
    assert "初步方案 先补发" in seen
    audit = seen.split("经过")[1]
    assert audit.index("已发短信") < audit.index("写初步方案") < audit.index("开启")


def test_the_case_page_shows_its_feedback(desk: httpx.Client, links: Links, core: Core) -> None:
    """A case's page has its clocks and its reviews."""
    case_id = open_case(core, ["包装破了"], categories=["damage", "service"])
    seen = text_of(desk.get(path_of(links.view("case", case_id))))
    assert "破损包装、客服态度" in seen
    assert "首次回复 2026-11-20 15:00 前" in seen
    assert "包装破了" in seen


def test_the_monitors_own_trouble_is_shown(desk: httpx.Client, core: Core) -> None:
    """What it found when it looked at itself stands on the status page, in place of “all is well”."""
    assert "没有超时" in text_of(desk.get("/"))
    with db.writing(core.engine) as session:
        told = {"since": "2026-11-20T06:00:00+00:00", "told": "", "says": "磁盘<满了>"}
        session.add(Known(name="upkeep", value={"disk@a": told}, at=core.clock.now()))
    seen = text_of(desk.get("/"))
    assert "评哨自身有问题：磁盘<满了>" in seen
    assert "没有超时" not in seen


def test_ready_without_a_database(tmp_path: Path, clock: HandClock) -> None:
    """A database that is gone is a 503, not a silence; the process is alive all the same."""
    (tmp_path / "gone.db").mkdir()
    core = make_core(db.connect(f"sqlite:///{tmp_path}/gone.db"), clock=clock)
    with browse(create_app(core, Links(core.secret, "http://127.0.0.1", clock))) as desk:
        assert desk.get("/healthz").json() == {"ok": True}
        answer = desk.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert [one["code"] for one in answer.json()["reasons"]] == ["database"]


@given(text=st.text(max_size=30), spans=st.lists(st.tuples(st.integers(-3, 33), st.integers(-3, 33)), max_size=8))
def test_cutting_at_evidence_loses_nothing(text: str, spans: list[tuple[int, int]]) -> None:
    """Whatever the spans, the parts put together are the text, and none is empty."""
    parts = marked(text, [{"code": "quality", "start": start, "end": end} for start, end in spans])
    assert "".join(part for part, _ in parts) == text
    assert all(part for part, _ in parts)


def test_clocks_that_no_longer_run(desk: httpx.Client, links: Links, core: Core, clock: HandClock) -> None:
    """A deadline met says when, one met late says so, one called off runs no more."""
    met, off = open_case(core), open_case(core)
    handle(core, Click("link", "1", "客服一号", Action("answered", "case", met)))
    handle(core, Click("link", "2", "客服一号", Action("false_alarm", "case", off)))
    clock.move(timedelta(hours=3))
    timers.sweep(core)
    handle(core, Click("link", "3", "客服一号", Action("resolved", "case", met)))
    seen = text_of(desk.get(path_of(links.view("case", met))))
    assert "首次回复 2026-11-20 15:00 前 2026-11-20 14:00 完成" in seen
    assert "解决 2026-11-20 16:00 前 2026-11-20 17:00 完成，晚了" in seen
    assert "解决到点提醒" in seen
    assert "解决超时" in seen
    assert text_of(desk.get(path_of(links.view("case", off)))).count("不再计时") == 2
    assert "没有超时" in text_of(desk.get("/"))


def test_what_a_post_stands_in_and_how_it_spreads(desk: httpx.Client, links: Links, core: Core) -> None:
    """Counts, thread and parent, growth, the same words elsewhere; an address is a link, anything else only text."""
    extra = {"likes": 1200, "comments": 3, "thread": "https://forum.example/t/1", "parent": "javascript:alert(1)"}
    copied = "这家店的杯子全都漏水，千万别买"
    case_id = open_case(core)
    with db.writing(core.engine) as session:
        (feedback_id,) = add_feedbacks(core, session, [copied], case_id=case_id, extra=extra, text_key="k")
        other = Source(name="贴吧", kind="html")
        session.add(other)
        session.flush()
        (copy_id,) = add_feedbacks(
            core, session, [copied], external_id="c", text_key="k", url="https://tieba.example/9"
        )
        session.get_one(Feedback, copy_id).source_id = other.id or 0
        for step, hours, likes in ((0, 0, 7), (2, 1, 1200), (3, 6, None)):
            at = core.clock.now() + timedelta(hours=hours)
            session.add(Spread(feedback_id=feedback_id, step=step, at=at, likes=likes))
    page = desk.get(path_of(links.view("case", case_id)))
    seen = text_of(page)
    assert "赞 1,200、评论 3 · 所在主题 · 回复的是 javascript:alert(1)" in seen
    assert "传播：起初 赞 7 → 1 小时后 赞 1,200" in seen
    assert "同样的文字还出现在：贴吧（2026-11-20 14:00）" in seen
    assert 'href="https://forum.example/t/1"' in page.text
    assert 'href="https://tieba.example/9"' in page.text
    assert 'href="javascript' not in page.text

"""Settings on the desk: who may change what, that it is checked, previewed, kept once and undone."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from delivering import Blind, run
from factories import NOW, make_core, make_hash, make_settings
from serving import browse
from sqlmodel import col, func, select
from subjects import CASE_CLOCKS, add_feedbacks, open_case, open_crisis

from alerts import drafts
from alerts.desk import editing_fields
from alerts.desk.app import create_app
from alerts.links import Links
from alerts.routing import make_notify
from monitor import db, directory, lifecycle, overrides, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Account, Case, Correction, Crisis, Event, Outbox, Override, Person, Score, Swap
from monitor.moves import Action, Actor

PASSWORD = "correct horse"
ROLES = {"客服一号": "agent", "主管": "lead", "经理": "manager", "品牌": "brand", "管理员": "admin", "分店主管": "lead"}
SHOPS = [{"id": name, "name": f"{name}店", "platform": "tmall"} for name in ("demo", "two")]
COUNT = "policy.detect.burst_count"
PAGES = {
    "/settings": {"lead", "manager", "admin"},
    "/settings/people": {"manager", "admin"},
    "/settings/people/one": {"manager", "admin"},
    "/settings/rotas": {"lead", "manager", "admin"},
    "/settings/routes": {"manager", "admin"},
    "/settings/rules": {"manager", "admin"},
    "/settings/drafts": {"lead", "manager", "admin"},
    "/settings/drafts/quality": {"lead", "manager", "admin"},
    "/corrections": {"lead", "manager", "admin"},
}
FORMS: dict[str, tuple[set[str], dict[str, Any]]] = {
    "/settings/back": ({"manager", "admin"}, {"key": COUNT}),
    "/settings/people": ({"manager", "admin"}, {"name": "小李", "role": "agent"}),
    "/settings/rotas": ({"lead", "manager", "admin"}, {"place": "new", "people": "主管", "shift": "08:00-18:00"}),
    "/settings/rotas/swap": (
        {"lead", "manager", "admin"},
        {"who": "主管", "absent": "客服一号", "start": "2026-11-21", "end": "2026-11-22"},
    ),
    "/settings/routes": ({"manager", "admin"}, {"crisis": "ops"}),
    "/settings/routes/try": ({"manager", "admin"}, {"channel": "ops"}),
    "/settings/rules": ({"manager", "admin"}, {"group": "quiet", "policy.quiet.span": "23:00-07:00"}),
    "/settings/drafts": ({"lead", "manager", "admin"}, {"code": "quality", "do": "back"}),
    "/corrections/undo": ({"lead", "manager", "admin"}, {"number": "1", "once": "a"}),
}


@pytest.fixture
def core(core: Core, clock: HandClock) -> Core:
    people = [{"name": name, "role": role} for name, role in ROLES.items()]
    people[-1]["shops"] = ["two"]  # type: ignore[assignment]
    channels = [{"name": name, "kind": "slack", "target": f"C{name}", "token_env": "T"} for name in ("ops", "群")]
    settings = make_settings(people=people, shops=SHOPS, channels=channels, routes={"crisis": ["ops"], "case": ["ops"]})
    house = make_core(core.engine, settings, clock, notify=make_notify(settings, clock))
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
        session.add_all(Account(name=name, password=hashed(), created_at=NOW) for name in ROLES)
    return house


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with browse(create_app(core, Links(core.secret, "http://127.0.0.1:8000", core.clock))) as client:
        yield client


@cache
def hashed() -> str:
    return make_hash(PASSWORD)


def enter(desk: httpx.Client, name: str) -> None:
    desk.cookies.clear()
    assert desk.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303


def page(desk: httpx.Client, path: str) -> str:
    answer = desk.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def key(desk: httpx.Client) -> str:
    found = re.search(r'name="form_key" value="(\w+)"', desk.get("/cases").text)
    assert found
    return found[1]


def seen(text: str, after: str = "") -> str:
    """The mark in a page's form: the first one that follows some words."""
    found = re.search(r'name="seen" value="(\w+)"', text[text.index(after) :])
    assert found
    return found[1]


def send(desk: httpx.Client, path: str, **fields: Any) -> httpx.Response:
    return desk.post(path, data={"form_key": key(desk)} | fields)


def said(core: Core) -> dict[str, Any]:
    with db.reading(core.engine) as session:
        return overrides.said(session)


def standing(core: Core) -> list[Any]:
    """How many rows there are of what the desk may write."""
    with db.reading(core.engine) as session:
        tables = (Override, Swap, Outbox, Correction, Person)
        counts: list[Any] = [session.exec(select(func.count()).select_from(table)).one() for table in tables]
        return [*counts, session.exec(select(func.count()).where(Event.what != "refused")).one()]


def rules(**values: str) -> dict[str, str]:
    """The form of what makes a crisis as it stands in the file."""
    plain = {
        "critical_opens_crisis": "on",
        "burst_count": "5",
        "burst_window": "1h",
        "copies": "5",
        "reach": "1000",
        "growth": "200",
        "reopen_within": "24h",
        "max_age": "30d",
    } | values
    return {"group": "detect", **{f"policy.detect.{name}": value for name, value in plain.items() if value}}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ROLES)
def test_no_role_sees_or_changes_what_it_may_not(desk: httpx.Client, core: Core, name: str) -> None:
    """Every page and every form by every role: what is not allowed is 403, is not offered, and changes nothing."""
    enter(desk, name)
    menu = page(desk, "/cases")
    assert ('href="/settings"' in menu) == (ROLES[name] in PAGES["/settings"])
    form_key = key(desk)
    whole = name != "分店主管"
    for path, roles in PAGES.items():
        may = ROLES[name] in roles and (whole or path in ("/settings", "/settings/rotas", "/corrections"))
        assert desk.get(path).status_code == (200 if may else 403), path
    for path, (roles, fields) in FORMS.items():
        may = ROLES[name] in roles and (whole or path == "/corrections/undo")
        before = standing(core)
        answer = desk.post(path, data={"form_key": form_key, "seen": "x"} | fields)
        if not may:
            assert answer.status_code == 403, path
            assert standing(core) == before
        assert desk.post(path, data={"seen": "x"} | fields).status_code == 403
        foreign = desk.post(path, data={"form_key": form_key} | fields, headers={"Origin": "https://evil.test"})
        assert foreign.status_code == 403


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_nobody_without_a_login(desk: httpx.Client, core: Core) -> None:
    """Pages lead to the door; forms are refused."""
    for path in PAGES:
        assert desk.get(path).status_code == 303
    before = standing(core)
    for path, (_, fields) in FORMS.items():
        assert desk.post(path, data=fields).status_code == 401
    assert standing(core) == before


def test_a_rule_is_tried_then_kept_then_taken_back(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """The trial names what would have opened and writes nothing; the saved rule counts; the file's comes back."""
    with db.writing(core.engine) as session:
        texts = [f"物流第{n}天还没有到，{word}，太慢了" for n, word in enumerate(("急用", "催了", "没人回", "退款"))]
        add_feedbacks(core, session, texts)
    clock.move(timedelta(hours=1))
    enter(desk, "经理")
    first = page(desk, "/settings/rules")
    before = standing(core)
    tried = send(desk, "/settings/rules", do="try", seen=seen(first), **rules(burst_count="4")).text
    assert "会成立 1 个危机" in tried
    assert "当时没有成立" in tried
    assert "「物流第0天还没有到" in tried
    assert 'value="4"' in tried
    assert "会成立 0 个危机" in send(desk, "/settings/rules", do="try", **rules()).text
    assert standing(core) == before
    assert send(desk, "/settings/rules", do="save", seen=seen(first), **rules(burst_count="4")).status_code == 303
    assert said(core) == {COUNT: 4}
    assert core.settings.policy.detect.burst_count == 4
    assert "配置文件：5" in page(desk, "/settings/rules")
    home = page(desk, "/settings")
    assert "什么算危机：扎堆：至少几条差评" in home
    assert "现在 <bdi>4</bdi> · 配置文件 <bdi>5</bdi>" in home
    assert "改了设置" in page(desk, "/audit")
    back = send(desk, "/settings/back", key=COUNT, seen=seen(home))
    assert back.status_code == 303
    assert said(core) == {}
    assert core.settings.policy.detect.burst_count == 5


def test_clocks_and_quiet_hours_are_tried_too(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """Which deadlines would have moved and which reminders would have waited, in both languages; nothing is written."""
    case, crisis = open_case(core, ["漏水"], policy=CASE_CLOCKS), open_crisis(core, ["没收到货"])
    for _ in range(2):
        clock.move(timedelta(minutes=50))
        timers.sweep(core)
    enter(desk, "经理")
    before = standing(core)

    def tried(group: str, **changed: str) -> str:
        keys = {one.key: editing_fields.spelled(core.settings, one.key) for one in editing_fields.GROUPS[group][1]}
        fields = {"group": group, "do": "try"} | keys | {f"policy.{group}.{name}": to for name, to in changed.items()}
        return send(desk, "/settings/rules", **fields).text

    assert "过去 7 天的时限都不变" in tried("case")
    moved = tried("case", **{"medium.respond": "90m"})
    assert "过去 7 天有 1 个时限会变" in moved
    assert f'href="/cases/{case}"' in moved
    assert "会超时" not in moved, "it was late as it was"
    ladder = tried("crisis", notify="80m")
    assert "会超时" in ladder
    assert f'href="/crises/{crisis}"' in ladder
    local = clock.now().astimezone(core.settings.zone)
    span = f"{local - timedelta(hours=2):%H:%M}-{local + timedelta(hours=2):%H:%M}"
    waiting = tried("quiet", span=span)
    assert re.search(r"过去 7 天有 [1-9] 条提醒会等", waiting)
    assert "就不发提醒了" in waiting
    assert "过去 7 天有 0 条提醒会等" in tried("quiet", span="")
    desk.cookies.set("pingshao_language", "en")
    for text in (tried("quiet", span=span), tried("case", **{"medium.respond": "90m"}), tried("crisis", notify="80m")):
        section = re.sub(r"<bdi>.*?</bdi>|<[^>]*>", "", text.partition('id="outlook"')[2].partition("</section>")[0])
        assert re.search(r"would (?:wait|change)", section)
        assert not re.search(r"[\u4e00-\u9fff]", section), section
    assert standing(core) == before


def test_limits_and_targets_are_set(desk: httpx.Client, core: Core) -> None:
    """Kept over the file as figures, with or without a %; an empty limit is none; there is nothing to try."""
    enter(desk, "经理")
    form = page(desk, "/settings/rules")

    def sent(group: str, do: str = "save", **changed: str) -> httpx.Response:
        keys = {one.key: editing_fields.spelled(core.settings, one.key) for one in editing_fields.GROUPS[group][1]}
        fields = {"group": group, "do": do, "seen": seen(page(desk, "/settings/rules"), f'id="{group}"')}
        return send(
            desk, "/settings/rules", **(fields | keys | {f"policy.{group}.{key}": to for key, to in changed.items()})
        )

    assert form.count('value="try"') == len(editing_fields.TRIED)
    assert sent("indicators", dispute_rate="0.25%", upheld="").status_code == 303
    assert said(core) == {"policy.indicators.dispute_rate": 0.25, "policy.indicators.upheld": None}
    limits = core.settings.policy.indicators
    assert (limits.dispute_rate, limits.upheld, limits.self_completion) == (0.25, None, None)
    assert sent("targets", once="80", complaints="1.5").status_code == 303
    assert (core.settings.policy.targets.once, core.settings.policy.targets.complaints) == (80, 1.5)
    assert "配置文件：85。" in page(desk, "/settings/rules")
    for group, field, value, sentence in (
        ("targets", "once", "120", "报告里的目标：一次解决率：应不大于 100，实为 '120'。"),
        ("targets", "once", "", "报告里的目标：一次解决率：应为数字"),
        ("indicators", "upheld", "nan", "店铺指标的界限：投诉成立：应为数字，实为 'nan'。"),
    ):
        answer = sent(group, **{field: value})
        assert answer.status_code == 409
        assert sentence in html.unescape(answer.text)
    assert sent("targets", "try").status_code == 400
    assert core.settings.policy.targets.once == 80


def test_a_tick_that_is_missing_is_no(desk: httpx.Client, core: Core) -> None:
    """A box that is not ticked comes with no field at all."""
    enter(desk, "经理")
    mark = seen(page(desk, "/settings/rules"))
    send(desk, "/settings/rules", do="save", seen=mark, **rules(critical_opens_crisis=""))
    assert said(core) == {"policy.detect.critical_opens_crisis": False}
    assert "现在 <bdi>否</bdi> · 配置文件 <bdi>是</bdi>" in page(desk, "/settings")


@pytest.mark.parametrize(
    ("group", "fields", "sentence"),
    [
        ("detect", rules(burst_count="五"), "什么算危机：扎堆：至少几条差评：应为整数，实为 '五'。"),
        ("detect", rules(burst_count="1" * 5000), "一格里最多写"),
        ("detect", rules(burst_window="-1h"), "应为时长"),
        ("detect", rules(burst_window="9999999999d"), "应为时长"),
        ("detect", rules(copies="<script>alert(1)</script>"), "应为整数"),
        ("crisis", {"policy.crisis.respond": "'; DROP TABLE event"}, "应为时长"),
        ("quiet", {"policy.quiet.span": "23:00"}, "应为起止时刻"),
        ("nothing", {}, "没有看懂"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_wrong_rule_is_told(
    desk: httpx.Client, core: Core, group: str, fields: dict[str, str], sentence: str
) -> None:
    """The config's own sentence beside what was typed, escaped; nothing is kept, tried or saved."""
    enter(desk, "经理")
    form = page(desk, "/settings/rules")
    mark = seen(form, f'id="{group}"' if group != "nothing" else "")
    for do in ("save", "try"):
        answer = send(desk, "/settings/rules", **(fields | {"do": do, "group": group, "seen": mark}))
        assert answer.status_code in (400, 409)
        assert sentence in html.unescape(answer.text)
        assert "<script>alert" not in answer.text
    assert said(core) == {}


def test_the_second_of_two_editors_is_told(desk: httpx.Client, core: Core) -> None:
    """Both opened the form; the later one keeps what he typed, sees what counts now, and may save that knowingly."""
    enter(desk, "经理")
    mine = page(desk, "/settings/rules")
    enter(desk, "管理员")
    send(desk, "/settings/rules", do="save", seen=seen(page(desk, "/settings/rules")), **rules(burst_count="8"))
    enter(desk, "经理")
    told = send(desk, "/settings/rules", do="save", seen=seen(mine), **rules(burst_count="3"))
    assert told.status_code == 409
    assert "刚刚被别人改过" in told.text
    assert 'value="3"' in told.text
    assert "现在是 8。" in told.text
    assert said(core) == {COUNT: 8}
    send(desk, "/settings/rules", do="save", seen=seen(told.text), **rules(burst_count="3"))
    assert said(core) == {COUNT: 3}


def test_what_the_file_lost_is_shown(desk: httpx.Client, core: Core) -> None:
    """What does not fit the file any more is marked, says why, and can be taken back."""
    with db.writing(core.engine) as session:
        session.add(Override(key="routes.crisis", value={"value": ["gone"]}, at=NOW, actor="经理"))
    enter(desk, "管理员")
    home = page(desk, "/settings")
    assert "没有生效" in home
    assert "没有叫 &#39;gone&#39; 的渠道" in home
    assert send(desk, "/settings/back", key="routes.crisis", seen=seen(home)).status_code == 303
    assert said(core) == {}
    for bad in ("service.timezone", "people.管理员", "", "../x"):
        assert send(desk, "/settings/back", key=bad, seen="x").status_code == 400


def test_somebody_joins_changes_and_leaves(desk: httpx.Client, core: Core) -> None:
    """Through the forms: what was typed stays where it was wrong; he is there at once, and out when removed."""
    enter(desk, "经理")
    wrong = send(desk, "/settings/people", name="小李", role="agent", shops="nowhere", slack="U7", do="save")
    assert wrong.status_code == 409
    assert "没有叫 'nowhere' 的店铺" in html.unescape(wrong.text)
    assert 'value="U7"' in wrong.text
    fields = {
        "role": "agent",
        "slack": "U7",
        "shops": ["demo", "two"],
        "tiers": "VIP、金卡",
        "most_open": "3",
        "do": "save",
    }
    assert send(desk, "/settings/people", name="小李", **fields).status_code == 303
    with db.reading(core.engine) as session:
        row = session.exec(select(Person).where(Person.name == "小李")).one()
    assert (row.active, row.role, row.shops, row.tiers, row.most_open) == (
        True,
        "agent",
        ["demo", "two"],
        ["VIP", "金卡"],
        3,
    )
    assert "已经有叫" in send(desk, "/settings/people", name="小李", **fields).text
    form = page(desk, f"/settings/people/one?name={quote('小李')}")
    assert 'value="VIP、金卡"' in form
    send(desk, "/settings/people", who="小李", seen=seen(form), **(fields | {"role": "lead"}))
    assert core.settings.people[-1].role == "lead"
    stale = send(desk, "/settings/people", who="小李", seen=seen(form), **(fields | {"role": "agent"}))
    assert "刚刚被别人改过" in stale.text
    form = page(desk, f"/settings/people/one?name={quote('客服一号')}")
    assert send(desk, "/settings/people", who="客服一号", seen=seen(form), do="remove").status_code == 303
    listed = page(desk, "/settings/people")
    assert "移除了的" in listed
    assert desk.get("/settings/people/one", params={"name": "客服一号"}).status_code == 404
    send(desk, "/settings/people", who="客服一号", seen=seen(listed, "移除了的"), do="back")
    assert "移除了的" not in page(desk, "/settings/people")
    assert "刚刚被别人改过" in send(desk, "/settings/people", who="小李", seen="x", do="back").text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_names_are_only_text(desk: httpx.Client, core: Core) -> None:
    """A name may hold anything that can be seen; it runs nowhere and leads nowhere else."""
    enter(desk, "经理")
    name = '"><img src=x onerror=alert(1)>&name=管理员#'
    assert send(desk, "/settings/people", name=name, role="agent").status_code == 303
    for path in ("/settings/people", f"/settings/people/one?name={quote(name)}", "/settings/rotas", "/settings"):
        assert "<img src=x" not in page(desk, path)
    assert f'name={quote(name, safe="")}"' in page(desk, "/settings/people")
    form = page(desk, f"/settings/people/one?name={quote(name)}")
    assert send(desk, "/settings/people", who=name, seen=seen(form), do="remove").status_code == 303


def test_whoever_is_above_stays(desk: httpx.Client, core: Core) -> None:
    """A manager sees the admin, gets no form for him, and no form makes one."""
    enter(desk, "经理")
    assert "角色比您高" in page(desk, f"/settings/people/one?name={quote('管理员')}")
    mark = overrides.mark(core.settings, ["people.管理员"])
    for fields in ({"do": "remove"}, {"role": "agent"}):
        assert "比自己高" in send(desk, "/settings/people", who="管理员", seen=mark, **fields).text
    me = seen(page(desk, f"/settings/people/one?name={quote('经理')}"))
    assert "不能改自己的角色" in send(desk, "/settings/people", who="经理", seen=me, role="agent").text
    assert '<option value="admin"' not in page(desk, "/settings/people/one")
    assert said(core) == {}


def test_a_week_is_looked_at_then_kept(desk: httpx.Client, core: Core) -> None:
    """The table shows what would be; saved, it counts; a rota may be changed and taken away again."""
    enter(desk, "主管")
    first = page(desk, "/settings/rotas")
    assert "还没有排班" in first
    fields = {
        "place": "new",
        "people": "客服一号、主管",
        "shift": "09:00-18:00",
        "days": ["mon", "fri"],
        "turn": "day",
        "since": "2026-11-20",
    }
    tried = send(desk, "/settings/rotas", do="try", seen=seen(first), **fields).text
    assert "照这样改，这一周是" in tried
    assert re.search(r"11-20 周五.*?09:00–18:00</span><bdi>客服一号", tried, re.DOTALL)
    assert said(core) == {}
    assert send(desk, "/settings/rotas", do="save", seen=seen(first), **fields).status_code == 303
    assert core.settings.rotas[0].people == ["客服一号", "主管"]
    kept = page(desk, "/settings/rotas")
    assert send(desk, "/settings/rotas", do="save", seen=seen(first), **fields).status_code == 409
    wrong = send(desk, "/settings/rotas", do="try", seen=seen(kept), **(fields | {"people": "主官"}))
    assert "没有叫 '主官' 的人，是不是 \"主管\"？" in html.unescape(wrong.text)
    send(desk, "/settings/rotas", do="save", seen=seen(kept), **(fields | {"place": "0", "shift": "22:00-06:00"}))
    assert core.settings.rotas[0].shift == "22:00-06:00"
    send(desk, "/settings/rotas", do="remove", place="0", seen=seen(page(desk, "/settings/rotas")))
    assert said(core) == {}


def test_a_lead_of_one_shop_plans_that_shop(desk: httpx.Client, core: Core) -> None:
    """Rotas of other shops, or of all, are not his; neither are their people's swaps."""
    enter(desk, "分店主管")
    fields = {"place": "new", "people": "分店主管", "shift": "09:00-18:00", "days": "mon", "do": "save"}
    mark = seen(page(desk, "/settings/rotas"))
    for shops in ([], ["demo"], ["demo", "two"]):
        assert send(desk, "/settings/rotas", seen=mark, shops=shops, **fields).status_code == 403
    assert send(desk, "/settings/rotas", seen=mark, shops=["two"], **fields).status_code == 303
    enter(desk, "主管")
    send(desk, "/settings/rotas", seen=seen(page(desk, "/settings/rotas")), **(fields | {"people": "主管"}))
    enter(desk, "分店主管")
    shown = page(desk, "/settings/rotas")
    assert "管着别的店铺" in shown
    assert send(desk, "/settings/rotas", do="remove", place="1", seen=seen(shown)).status_code == 403
    swap = {"who": "分店主管", "absent": "主管", "start": "2026-11-23", "end": "2026-11-23"}
    assert send(desk, "/settings/rotas/swap", **swap).status_code == 403


def test_somebody_stands_in(desk: httpx.Client, core: Core) -> None:
    """A swap is kept with its event and shown; a span that is over, or nobody's, is told."""
    enter(desk, "主管")
    good = {"who": "主管", "absent": "客服一号", "start": "2026-11-23", "end": "2026-11-24"}
    for bad in ({"end": "2026-11-01"}, {"who": "路人"}, {"start": "明天"}, {"absent": "主管"}):
        assert send(desk, "/settings/rotas/swap", **(good | bad)).status_code == 409
    assert send(desk, "/settings/rotas/swap", **good).status_code == 303
    assert "<bdi>主管</bdi></b> 替 <bdi>客服一号</bdi>" in page(desk, "/settings/rotas")
    with db.reading(core.engine) as session:
        [event] = session.exec(select(Event).where(Event.what == "swapped")).all()
    assert (event.actor, event.door) == ("主管", "desk")


def test_routes_and_a_message_to_try(desk: httpx.Client, core: Core) -> None:
    """What is ticked is told there; the test goes through the outbox once a minute and says what it is."""
    enter(desk, "经理")
    shown = page(desk, "/settings/routes")
    assert "没有人收：报告" in shown
    fields = {"crisis": ["ops", "群"], "case": ["群"], "summary": ["群"]}
    assert send(desk, "/settings/routes", seen=seen(shown), **fields).status_code == 303
    assert said(core) == {"routes.case": ["群"], "routes.crisis": ["ops", "群"], "routes.summary": ["群"]}
    bad = send(desk, "/settings/routes", seen=seen(page(desk, "/settings/routes")), crisis="nowhere")
    assert bad.status_code == 409
    for _ in range(2):
        answer = send(desk, "/settings/routes/try", channel="群")
        assert answer.headers["location"] == f"/settings/routes?sent={quote('群')}"
    assert "测试消息排上队了" in page(desk, answer.headers["location"])
    assert "排上队" not in page(desk, "/settings/routes?sent=<b>")
    assert send(desk, "/settings/routes/try", channel="nowhere").status_code == 409
    channel = Blind()
    assert run(core, {"群": channel, "ops": Blind()}).sent == 1
    [letter] = channel.letters
    assert (letter.target, letter.card.title) == ("C群", "【测试】评哨发来的测试消息")


def test_mail_is_tried_where_there_is_some(core: Core, clock: HandClock) -> None:
    """A test to mail goes to the reports' recipients; without a mail server there is none."""
    house = make_core(
        core.engine, make_settings(smtp={"host": "x"}, summaries={"recipients": ["a@example.com"]}), clock
    )
    app = create_app(house, Links(house.secret, "http://127.0.0.1:8000", house.clock))
    with browse(app) as desk:
        enter(desk, "经理")
        assert "邮件" in page(desk, "/settings/routes")
        assert send(desk, "/settings/routes/try", channel="mail").status_code == 303
    with db.reading(core.engine) as session:
        assert session.exec(select(Outbox.target).where(Outbox.kind == "test")).all() == ["a@example.com"]


def test_drafts_are_seen_checked_and_kept(desk: httpx.Client, core: Core) -> None:
    """Whole replies before saving; what may not be said, or has a place nobody fills, is refused with the reason."""
    enter(desk, "主管")
    first = page(desk, "/settings/drafts/quality")
    steps = {
        "empathy": "很抱歉{product}坏了。",
        "attribution": "是{shop}没做好。",
        "remedy": "今天就给您换新。\r\n也可以退款。",
    }
    fields = {"code": "quality", "seen": seen(first), **steps}
    tried = send(desk, "/settings/drafts", do="try", **fields).text
    assert "很抱歉保温杯坏了。是demo店没做好。今天就给您换新。" in tried
    assert "还没有保存" in tried
    assert said(core) == {}
    for step, sentence, why in (
        ("remedy", "给个五星好评就返现十元。", "不能这么说"),
        ("remedy", "", "要写 1 到 20 句"),
        ("remedy", "\n".join(f"第{n}句" for n in range(21)), "要写 1 到 20 句"),
        ("empathy", "很" * 301, "一句最多 300 个字"),
        ("empathy", "抱歉\u202e了", "看不见的字符"),
        ("empathy", "{shop.__class__}抱歉", "只能用 {shop} 和 {product}"),
        ("empathy", "抱歉{", "只能用 {shop} 和 {product}"),
    ):
        for do in ("try", "save"):
            wrong = send(desk, "/settings/drafts", do=do, **(fields | {step: sentence}))
            assert wrong.status_code == 409
            assert why in wrong.text
    assert send(desk, "/settings/drafts", do="save", **fields).status_code == 303
    assert core.settings.replies["quality"].remedy == ["今天就给您换新。", "也可以退款。"]
    assert "自己的" in page(desk, "/settings/drafts")
    assert send(desk, "/settings/drafts", do="save", **fields).status_code == 409
    mark = seen(page(desk, "/settings/drafts/quality"))
    assert send(desk, "/settings/drafts", do="back", code="quality", seen=mark).status_code == 303
    assert said(core) == {}
    assert send(desk, "/settings/drafts", code="nothing").status_code == 404
    assert desk.get("/settings/drafts/nothing").status_code == 404


@pytest.mark.parametrize("code", ["quality:异味", "safety:grave", "grave", "threat"])
def test_narrower_and_graver_drafts_are_kept_too(desk: httpx.Client, core: Core, code: str) -> None:
    """Sets of topics, of what is critical and of threats are shown, checked, kept and given back like the others."""
    enter(desk, "主管")
    address = f"/settings/drafts/{quote(code, safe='')}"
    assert f'href="{address}"' in page(desk, "/settings/drafts")
    text = page(desk, address)
    areas = dict(re.findall(r'<textarea id="(\w+)"[^>]*>(.*?)</textarea>', text, re.DOTALL))
    fields = {"code": code, "seen": seen(text), **{step: html.unescape(one) for step, one in areas.items()}}
    assert "绝对" in send(desk, "/settings/drafts", do="save", **(fields | {"remedy": "绝对给您办好。"})).text
    assert send(desk, "/settings/drafts", do="save", **(fields | {"remedy": "今天给您打电话。"})).status_code == 303
    assert said(core)[f"replies.{code}"]["remedy"] == ["今天给您打电话。"]
    assert core.settings.replies[code].empathy == []
    assert drafts.title(code) in page(desk, "/settings")
    mark = seen(page(desk, address))
    assert send(desk, "/settings/drafts", do="back", code=code, seen=mark).status_code == 303
    assert said(core) == {}


def test_drafts_as_shipped_are_no_change(desk: httpx.Client, core: Core) -> None:
    """A step that is left as it is follows what is shipped with the next version."""
    enter(desk, "主管")
    text = page(desk, "/settings/drafts/price")
    areas = dict(re.findall(r'<textarea id="(\w+)"[^>]*>(.*?)</textarea>', text, re.DOTALL))
    fields = {"code": "price", "seen": seen(text), **{step: html.unescape(said_) for step, said_ in areas.items()}}
    assert send(desk, "/settings/drafts", do="save", **fields).status_code == 303
    assert said(core) == {}
    send(desk, "/settings/drafts", do="save", **(fields | {"remedy": "差价今天退给您。"}))
    assert said(core) == {"replies.price": {"empathy": [], "attribution": [], "remedy": ["差价今天退给您。"]}}


def corrected(core: Core, what: str, text: str, to: str = "", note: str = "", **values: Any) -> int:
    """A case that somebody corrected; gives its id."""
    case = open_case(core, [text], policy=CASE_CLOCKS, **({"categories": ["logistics"]} | values))
    with db.writing(core.engine) as session:
        lifecycle.act(core, session, Action(what, "case", case, note, to), Actor("客服一号", "agent", "desk"))
    return case


def test_corrections_are_found_and_taken_back(desk: httpx.Client, core: Core) -> None:
    """By kind, person and category; undone through the one handler, once, and only while it still stands."""
    refiled = corrected(core, "refile", "杯子裂了<script>", "damage")
    false = corrected(core, "false_alarm", "其实挺好的")
    bad = corrected(core, "extortion", "不给钱就差评", note="截图已存<b>")
    enter(desk, "主管")
    every = page(desk, "/corrections")
    assert "物流配送 → 破损包装" in every
    assert "物流配送 → 不是差评" in every
    assert "<script>杯" not in every
    assert "已有 2 条评价" in every
    only = {
        "which=false": (False, True),
        "which=refile": (True, False),
        "which=back": (False, False),
        "category=damage": (True, False),
        f"who={quote('主管')}": (False, False),
        "category=%25": (False, False),
        "page=2": (False, False),
    }
    for query, (first, second) in only.items():
        text = page(desk, f"/corrections?{query}")
        assert ("杯子裂了" in text, "其实挺好的" in text) == (first, second), query
    suspected = page(desk, "/corrections?which=extortion")
    assert f"/cases/{bad}" in suspected
    assert "截图已存&lt;b&gt;" in suspected
    assert f"/cases/{bad}" not in page(desk, f"/corrections?which=extortion&who={quote('主管')}")
    for _ in range(2):
        for number in ("1", "2"):
            send(desk, "/corrections/undo", number=number, once=f"undo-{number}")
    with db.reading(core.engine) as session:
        assert session.get_one(Case, refiled).categories == ["logistics"]
        assert session.get_one(Case, false).state == "received"
        assert all(score.negative for score in session.exec(select(Score)))
        done = session.exec(select(Event.what).where(Event.actor == "主管").order_by(col(Event.id))).all()
    assert done == ["refile", "reopen"]
    assert "收回误报" in page(desk, "/corrections?which=back")
    late = send(desk, "/corrections/undo", number="1", once="late")
    assert late.status_code == 409
    assert "收不回" in late.text
    for bad_number in ("0", "99", "1e3", "-1", "²", ""):
        assert send(desk, "/corrections/undo", number=bad_number, once="x").status_code in (400, 404)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_corrections_of_other_shops_stay_there(desk: httpx.Client, core: Core) -> None:
    """Neither listed nor undone by whoever may not see the shop."""
    corrected(core, "false_alarm", "其实挺好的")
    bad = corrected(core, "extortion", "不给钱就差评", note="截图")
    enter(desk, "分店主管")
    assert "其实挺好的" not in page(desk, "/corrections")
    assert f"/cases/{bad}" not in page(desk, "/corrections?which=extortion")
    assert send(desk, "/corrections/undo", number="1", once="a").status_code == 404


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", sorted(FORMS))
def test_rubbish_is_answered_with_a_sentence(desk: httpx.Client, core: Core, path: str) -> None:
    """Whatever is sent, no form breaks and nothing is kept."""
    enter(desk, "管理员")
    form_key = key(desk)
    before = standing(core)
    for fields in (
        {},
        dict.fromkeys(FORMS[path][1], "\x00"),
        dict.fromkeys(FORMS[path][1], "'\"<>{}%\\"),
        dict.fromkeys(FORMS[path][1], "9" * 1999),
        {f"x{n}": "1" for n in range(400)},
    ):
        assert desk.post(path, data={"form_key": form_key, **fields}).status_code in (400, 404, 409)
    assert desk.post(path, content=b"\xff\xfe", headers={"Content-Type": "text/plain"}).status_code in (400, 403)
    assert standing(core) == before


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_pages_are_small_and_labelled(desk: httpx.Client, core: Core) -> None:
    """At most 60 KB, every field has a label, and no page needs a script of its own."""
    enter(desk, "管理员")
    for path in PAGES:
        text = page(desk, path)
        assert len(text.encode()) < 60_000
        assert not re.search(r"\son\w+=|style=", text)
        for field in re.findall(r'<(?:input|select|textarea)[^>]*\sid="([\w-]+)"', text):
            assert f'for="{field}"' in text, (path, field)
    assert session_count(core) == 0


def session_count(core: Core) -> int:
    """Crises that the pages opened."""
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(Crisis)).one()

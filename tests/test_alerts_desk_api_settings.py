"""Settings by the API: what the desk would accept, as the desk would check it, seen before and kept once."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from callers import ROLES, desk_of, standing, token
from factories import make_core, make_settings
from sqlmodel import col, select
from subjects import add_feedbacks, open_case

from alerts.routing import make_notify
from monitor import db, directory, overrides, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Event, Outbox, Person, Swap

API = "/api/v1/settings"
COUNT = "policy.detect.burst_count"
sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core, clock: HandClock) -> Core:
    people = [{"name": name, "role": role} for name, role in ROLES.items()]
    channels = [{"name": name, "kind": "slack", "target": f"C{name}", "token_env": "T"} for name in ("ops", "群")]
    shops = [{"id": one, "name": f"{one}店"} for one in ("demo", "other")]
    settings = make_settings(
        people=people, shops=shops, channels=channels, routes={"crisis": ["ops"]}, desk={"api_rate": "100000/1m"}
    )
    house = make_core(core.engine, settings, clock, notify=make_notify(settings, clock))
    with db.writing(core.engine) as session:
        directory.sync(session, house.settings)
    return house


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with desk_of(core) as client:
        client.headers.update(token(core, role="manager"))
        yield client


def got(desk: httpx.Client, path: str) -> Any:
    answer = desk.get(f"{API}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def group(desk: httpx.Client, name: str) -> Any:
    return next(one for one in got(desk, "/rules") if one["group"] == name)


def said(core: Core) -> dict[str, Any]:
    with db.reading(core.engine) as session:
        return overrides.said(session)


def events(core: Core) -> list[tuple[str, str, str]]:
    with db.reading(core.engine) as session:
        rows = select(Event.what, Event.actor, Event.door).where(Event.door == "api").order_by(col(Event.id))
        return list(session.exec(rows))


def told(answer: httpx.Response) -> str:
    """Why it could not be."""
    assert answer.status_code == 409, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def test_a_rule_is_tried_then_kept_then_taken_back(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """The trial names the feedbacks of each crisis and writes nothing; kept, it counts; the file's comes back."""
    with db.writing(core.engine) as session:
        add_feedbacks(core, session, [f"物流第{n}天还没有到，{word}，太慢了" for n, word in enumerate("急催退等")])
    clock.move(timedelta(hours=1))
    rules = group(desk, "detect")
    before = standing(core)
    (one,) = desk.post(f"{API}/rules/detect/try", json={"values": {COUNT: 4}}).json()["foreseen"]
    assert (one["id"], one["first"], one["feedback_ids"], one["categories"]) == (None, 4, [1, 2, 3, 4], ["logistics"])
    assert desk.post(f"{API}/rules/detect/try", json={"values": {}}).json()["foreseen"] == []
    assert standing(core) == before
    kept = desk.put(f"{API}/rules/detect", json={"values": {COUNT: 4}, "seen": rules["seen"]}).json()
    assert {one["key"]: (one["value"], one["file"]) for one in kept["rules"]}[COUNT] == (4, 5)
    assert said(core) == {COUNT: 4}
    assert core.settings.policy.detect.burst_count == 4
    (change,) = got(desk, "")
    assert (change["label"], change["desk"], change["file"]) == ("什么算危机：扎堆：至少几条差评", "4", "5")
    back = {"key": COUNT, "seen": change["seen"]}
    assert desk.delete(API, params=back).json()["done"]
    assert said(core) == {}
    assert "别人改过" in told(desk.delete(API, params=back | {"seen": "x"}))
    assert events(core) == [("changed", "程序 erp", "api")] * 2


@sqlite
def test_limits_and_targets_are_figures(desk: httpx.Client, core: Core) -> None:
    """Numbers with or without a fraction, nothing for no limit; there is nothing to try."""
    values = {"policy.indicators.dispute_rate": 0.25, "policy.indicators.upheld": None}
    mark = group(desk, "indicators")["seen"]
    kept = desk.put(f"{API}/rules/indicators", json={"values": values, "seen": mark}).json()
    now = {one["key"]: one["value"] for one in kept["rules"]}
    assert {key: now[key] for key in values} == values
    mark = group(desk, "targets")["seen"]
    assert desk.put(f"{API}/rules/targets", json={"values": {"policy.targets.once": 80}, "seen": mark}).is_success
    assert (core.settings.policy.indicators.dispute_rate, core.settings.policy.targets.once) == (0.25, 80)
    wrong = {"values": {"policy.targets.once": 120.5}, "seen": group(desk, "targets")["seen"]}
    assert "一次解决率" in told(desk.put(f"{API}/rules/targets", json=wrong))
    assert desk.post(f"{API}/rules/targets/try", json={"values": {}}).status_code in (400, 404, 422)


@sqlite
def test_clocks_and_quiet_hours_are_tried_too(desk: httpx.Client, core: Core, clock: HandClock) -> None:
    """Which deadlines and reminders of the last week would have been others; nothing changes."""
    case = open_case(core, ["杯子漏水了"], severity="medium", categories=["service"])
    clock.move(timedelta(hours=3))
    timers.sweep(core)
    before = standing(core)
    told = desk.post(f"{API}/rules/case/try", json={"values": {"policy.case.medium.respond": "30m"}}).json()
    (moved,) = told["moved"]
    assert (moved["subject"], moved["id"], moved["stage"]) == ("case", case, "respond")
    assert moved["would"] < moved["was"]
    assert desk.post(f"{API}/rules/crisis/try", json={"values": {}}).json()["moved"] == []
    quiet = desk.post(f"{API}/rules/quiet/try", json={"values": {"policy.quiet.span": "00:00-24:00"}})
    assert {one["id"] for one in quiet.json()["waiting"]} <= {case}
    assert quiet.json()["looked_at"] >= len(quiet.json()["waiting"])
    assert standing(core) == before


@sqlite
@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("detect", {COUNT: "五"}, "什么算危机：扎堆：至少几条差评：应为整数，实为 '五'。"),
        ("detect", {COUNT: 1}, "什么算危机：扎堆：至少几条差评："),
        ("detect", {COUNT: True}, "开关写 true 或 false"),
        ("detect", {"policy.detect.critical_opens_crisis": "是"}, "开关写 true 或 false"),
        ("detect", {"policy.crisis.respond": "1h"}, "里没有"),
        ("crisis", {"policy.crisis.respond": "-1h"}, "应为时长"),
        ("quiet", {"policy.quiet.span": "23:00"}, "应为起止时刻"),
    ],
)
def test_a_wrong_rule_is_told(desk: httpx.Client, core: Core, name: str, values: dict[str, Any], sentence: str) -> None:
    """The desk's own sentence, tried or kept; nothing changes."""
    mark = group(desk, name)["seen"]
    assert sentence in told(desk.put(f"{API}/rules/{name}", json={"values": values, "seen": mark}))
    assert said(core) == {}


@sqlite
def test_what_is_left_out_stays(desk: httpx.Client, core: Core) -> None:
    """A program names the figures it means; spans and ticks are plain values, null is none."""
    quiet = group(desk, "quiet")
    assert [one["value"] for one in quiet["rules"]] == [None]
    key = "policy.quiet.span"
    for value in ("23:00-07:00", None):
        given = {"values": {key: value}, "seen": group(desk, "quiet")["seen"]}
        assert desk.put(f"{API}/rules/quiet", json=given).json()["rules"][0]["value"] == value
    tick = "policy.detect.critical_opens_crisis"
    desk.put(f"{API}/rules/detect", json={"values": {tick: False}, "seen": group(desk, "detect")["seen"]})
    desk.put(f"{API}/rules/detect", json={"values": {COUNT: 7}, "seen": group(desk, "detect")["seen"]})
    assert said(core) == {tick: False, COUNT: 7}
    shown = group(desk, "crisis")["rules"][0]
    assert (shown["kind"], shown["value"]) == ("duration", "1h")


@sqlite
def test_the_second_of_two_editors_is_told(desk: httpx.Client, core: Core) -> None:
    """With the mark of before, whatever is put where, it is a 409."""
    old = {"rules": group(desk, "detect")["seen"], "routes": got(desk, "/routes")["seen"]}
    for _ in range(2):
        rules = desk.put(f"{API}/rules/detect", json={"values": {COUNT: 8}, "seen": old["rules"]})
        routes = desk.put(f"{API}/routes", json={"routes": {"case": ["群"]}, "seen": old["routes"]})
    assert "刚刚被别人改过" in told(rules)
    assert "刚刚被别人改过" in told(routes)
    assert said(core) == {COUNT: 8, "routes.case": ["群"]}


@sqlite
def test_what_is_the_files_alone_stays_there(desk: httpx.Client) -> None:
    """Nothing but what the desk may change goes back by a program."""
    for key in ("service.timezone", "shops", "", "../x", "人"):
        assert desk.delete(API, params={"key": key, "seen": "x"}).status_code == 404


def test_somebody_joins_changes_and_leaves(desk: httpx.Client, core: Core) -> None:
    """There at once and out when removed; the same checks as in the form; who stands in the file comes back."""
    path = f"{API}/people/小李"
    facts = {"role": "agent", "slack": "U7", "shops": ["demo"], "tiers": ["VIP"], "most_open": 3}
    assert "没有叫 'nowhere' 的店铺" in told(desk.put(path, json=facts | {"shops": ["nowhere"]}))
    assert desk.put(path, json=facts).json()["done"]
    with db.reading(core.engine) as session:
        row = session.exec(select(Person).where(Person.name == "小李")).one()
    assert (row.active, row.role, row.shops, row.tiers, row.most_open) == (True, "agent", ["demo"], ["VIP"], 3)
    assert "已经有叫" in told(desk.put(path, json=facts))
    one = next(one for one in got(desk, "/people")["people"] if one["name"] == "小李")
    assert (one["slack"], one["in_file"], one["changed"], one["enters"]) == ("U7", False, True, False)
    assert "已经是小李的" in told(desk.put(f"{API}/people/小王", json=facts))
    assert desk.put(path, json=facts | {"role": "lead", "seen": one["seen"]}).json()["done"]
    assert "刚刚被别人改过" in told(desk.put(path, json=facts | {"seen": one["seen"]}))
    marks = {one["name"]: one["seen"] for one in got(desk, "/people")["people"]}
    assert desk.delete(path, params={"seen": marks["小李"]}).json()["done"]
    assert desk.delete(f"{API}/people/客服一号", params={"seen": marks["客服一号"]}).json()["done"]
    people = got(desk, "/people")
    assert [*people["removed"]] == ["客服一号"]
    assert not {"客服一号", "小李"} & {one["name"] for one in people["people"]}
    desk.delete(API, params={"key": "people.客服一号", "seen": people["removed"]["客服一号"]})
    assert "客服一号" in {one["name"] for one in got(desk, "/people")["people"]}
    assert {what for what, _, door in events(core) if door == "api"} >= {"changed", "joined", "left"}


@sqlite
def test_whoever_is_above_stays(desk: httpx.Client, core: Core) -> None:
    """A manager's program neither changes an admin nor makes one; a person's leaves its person as he is."""
    marks = {one["name"]: one["seen"] for one in got(desk, "/people")["people"]}
    for name, facts in (("管理员", {"role": "agent", "seen": marks["管理员"]}), ("新人", {"role": "admin"})):
        assert "比自己高" in told(desk.put(f"{API}/people/{name}", json=facts))
    mine = token(core, "经理的", person="经理")
    own = desk.put(f"{API}/people/经理", json={"role": "agent", "seen": marks["经理"]}, headers=mine)
    assert "不能改自己的角色" in told(own)
    assert said(core) == {}


@sqlite
def test_names_are_only_text(desk: httpx.Client) -> None:
    """A name may hold a slash or markup; one that cannot be seen is none."""
    for name in ("a%2Fb", "%3Cimg src=x%3E", ".."):
        put = desk.put(f"{API}/people/{name}", json={"role": "agent"})
        assert put.status_code in (200, 404, 405), put.text
    assert {"a/b", "<img src=x>"} <= {one["name"] for one in got(desk, "/people")["people"]}
    assert "看不见" in told(desk.put(f"{API}/people/%E2%80%AE", json={"role": "agent"}))
    assert desk.put(f"{API}/people/%00", json={"role": "agent"}).status_code == 422


def test_a_week_is_looked_at_then_kept(desk: httpx.Client, core: Core) -> None:
    """The trial tells who would be on duty; kept, it counts; all rotas are written at once."""
    first = got(desk, "/rotas")
    assert first["rotas"] == []
    rota = {"people": ["客服一号", "主管"], "shift": "09:00-18:00", "days": ["mon", "fri"]}
    rota |= {"turn": "day", "since": "2026-11-20"}
    week = desk.post(f"{API}/rotas/try", json={"rotas": [rota]}).json()
    duties = [(one["start"][:16], one["people"]) for one in week if one["people"]]
    assert duties[0][1] == ["客服一号"]
    assert said(core) == {}
    kept = desk.put(f"{API}/rotas", json={"rotas": [rota], "seen": first["seen"]}).json()
    assert core.settings.rotas[0].people == ["客服一号", "主管"]
    assert kept["rotas"][0]["turn"] == "day"
    assert "别人改过" in told(desk.put(f"{API}/rotas", json={"rotas": [], "seen": first["seen"]}))
    for wrong, why in (
        ({"people": ["主官"]}, "没有叫 '主官' 的人"),
        ({"turn": ""}, "一起写"),
        ({"days": ["x"]}, "days"),
    ):
        for how in ("try", ""):
            given = {"rotas": [rota | wrong]} | ({} if how else {"seen": kept["seen"]})
            asked = desk.request("POST" if how else "PUT", f"{API}/rotas{'/try' if how else ''}", json=given)
            assert why in told(asked)
    assert desk.put(f"{API}/rotas", json={"rotas": [], "seen": kept["seen"]}).json()["rotas"] == []
    assert said(core) == {}


@sqlite
def test_a_lead_of_one_shop_plans_that_shop(desk: httpx.Client, core: Core) -> None:
    """Rotas of other shops stay as they are, or it is a 403; so it is with their people's swaps."""
    theirs, mine = ({"people": ["主管"], "shops": [shop], "shift": "09:00-18:00"} for shop in ("demo", "other"))
    desk.put(f"{API}/rotas", json={"rotas": [theirs], "seen": got(desk, "/rotas")["seen"]})
    desk.headers.update(token(core, "分店", shops=("other",)))
    now = got(desk, "/rotas")
    there = [{**one} for one in now["rotas"]]
    for rotas in ([], [mine], [there[0] | {"shift": "10:00-18:00"}], [*there, theirs], [*there, {"people": ["主管"]}]):
        assert desk.put(f"{API}/rotas", json={"rotas": rotas, "seen": now["seen"]}).status_code == 403
        assert desk.post(f"{API}/rotas/try", json={"rotas": rotas}).status_code == 403
    kept = desk.put(f"{API}/rotas", json={"rotas": [*there, mine], "seen": now["seen"]})
    assert [one["shops"] for one in kept.json()["rotas"]] == [["demo"], ["other"]]
    swap = {"who": "主管", "absent": "客服一号", "start": "2026-11-23", "end": "2026-11-23"}
    assert desk.post(f"{API}/rotas/swaps", json=swap).status_code == 403


def test_somebody_stands_in(desk: httpx.Client, core: Core) -> None:
    """A swap is kept with its event and listed; a span that is over, or nobody's, is told."""
    good = {"who": "主管", "absent": "客服一号", "start": "2026-11-23", "end": "2026-11-24"}
    for bad in ({"end": "2026-11-01"}, {"who": "路人"}, {"start": "明天"}, {"absent": "主管"}):
        told(desk.post(f"{API}/rotas/swaps", json=good | bad))
    assert desk.post(f"{API}/rotas/swaps", json=good).json()["done"]
    (swap,) = got(desk, "/rotas")["swaps"]
    assert (swap["who"], swap["absent"], swap["start"][:10]) == ("主管", "客服一号", "2026-11-22")
    with db.reading(core.engine) as session:
        assert len(session.exec(select(Swap)).all()) == 1
    assert events(core) == [("swapped", "程序 erp", "api")]


@sqlite
def test_routes_and_a_message_to_try(desk: httpx.Client, core: Core) -> None:
    """Routes that are named change, the others stay; a test goes through the outbox, once a minute."""
    now = got(desk, "/routes")
    assert (now["channels"], now["file"]["crisis"]) == ({"ops": "slack", "群": "slack"}, ["ops"])
    assert "summary" in now["silent"] or now["silent"]
    kept = desk.put(f"{API}/routes", json={"routes": {"case": ["群"]}, "seen": now["seen"]}).json()
    assert (kept["routes"]["case"], kept["routes"]["crisis"]) == (["群"], ["ops"])
    wrong = desk.put(f"{API}/routes", json={"routes": {"case": ["nowhere"]}, "seen": kept["seen"]})
    assert "nowhere" in told(wrong)
    assert desk.put(f"{API}/routes", json={"routes": {"x": []}, "seen": "x"}).status_code == 422
    for _ in range(2):
        assert desk.post(f"{API}/routes/try", json={"channel": "群"}).json()["done"]
    assert "没有能发到的地方" in told(desk.post(f"{API}/routes/try", json={"channel": "nowhere"}))
    with db.reading(core.engine) as session:
        assert session.exec(select(Outbox.target).where(Outbox.kind == "test")).all() == ["C群"]


@sqlite
def test_drafts_are_seen_checked_and_kept(desk: httpx.Client, core: Core) -> None:
    """Whole replies before they are kept; what may not be said is refused with the desk's reason; the way back."""
    desk.headers.update(token(core, "主管的", person="主管"))
    shipped = got(desk, "/drafts/quality")
    assert shipped["code"] in {one["code"] for one in got(desk, "/drafts")}
    assert (shipped["own"], len(shipped["samples"])) == (False, 3)
    steps = {
        "empathy": ["很抱歉{product}坏了。"],
        "attribution": ["是{shop}没做好。"],
        "remedy": ["今天就给您换新。", " "],
    }
    tried = desk.post(f"{API}/drafts/quality/try", json=steps).json()
    assert tried["samples"][0] == "很抱歉保温杯坏了。是demo店没做好。今天就给您换新。"
    assert said(core) == {}
    for step, sentences, why in (
        ("remedy", ["给个五星好评就返现十元。"], "不能这么说"),
        ("remedy", [], "要写 1 到 20 句"),
        ("empathy", ["很" * 301], "一句最多 300 个字"),
        ("empathy", ["{shop.__class__}抱歉"], "只能用 {shop} 和 {product}"),
    ):
        wrong = steps | {step: sentences}
        assert why in told(desk.post(f"{API}/drafts/quality/try", json=wrong))
        assert why in told(desk.put(f"{API}/drafts/quality", json=wrong | {"seen": shipped["seen"]}))
    kept = desk.put(f"{API}/drafts/quality", json=steps | {"seen": shipped["seen"]}).json()
    assert (kept["own"], kept["steps"]["remedy"]) == (True, ["今天就给您换新。"])
    assert core.settings.replies["quality"].remedy == ["今天就给您换新。"]
    assert "别人改过" in told(desk.put(f"{API}/drafts/quality", json=steps | {"seen": shipped["seen"]}))
    assert desk.delete(API, params={"key": "replies.quality", "seen": kept["seen"]}).json()["done"]
    assert said(core) == {}
    topic = next(one for one in got(desk, "/drafts") if ":" in one["code"])
    own = steps | {"seen": topic["seen"]}
    assert desk.put(f"{API}/drafts/{topic['code']}", json=own).json()["steps"]["empathy"] == steps["empathy"]
    assert [*said(core)] == [f"replies.{topic['code']}"]
    for path in ("nothing", "nothing/try"):
        assert desk.request("POST" if "try" in path else "GET", f"{API}/drafts/{path}", json=steps).status_code == 404


@sqlite
def test_no_sentence_breaks_anything(desk: httpx.Client, core: Core) -> None:
    """Wrong types, too much of it, NUL, half a letter: refused, and nothing is kept."""
    before = standing(core)
    for method, path, given in (
        ("PUT", "/rules/detect", {"values": {COUNT: [4]}, "seen": "x"}),
        ("PUT", "/rules/detect", {"values": {COUNT: 4}}),
        ("PUT", "/rules/nothing", {"values": {}, "seen": "x"}),
        ("PUT", "/people/小李", {"role": "boss"}),
        ("PUT", "/people/小李", {"role": "agent", "slack": "\x00"}),
        ("PUT", "/people/小李", {"role": "agent", "most_open": "3"}),
        ("PUT", "/rotas", {"rotas": [{"people": ["主管"] * 300}], "seen": "x"}),
        ("POST", "/rotas/swaps", {"who": "a"}),
        ("PUT", "/drafts/quality", {"empathy": "x", "attribution": [], "remedy": [], "seen": "x"}),
        ("POST", "/routes/try", {"channel": "ops", "more": 1}),
    ):
        assert desk.request(method, f"{API}{path}", json=given).status_code == 422, path
    big = desk.put(f"{API}/rules/detect", content=b"x" * 2_000_000, headers={"Content-Type": "application/json"})
    assert big.status_code == 413
    assert standing(core) == before

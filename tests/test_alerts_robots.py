"""DingTalk, WeCom and Feishu against stand-ins as strict as the real ones."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import golden
import pytest
from factories import NOW, make_core, make_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from robots import APP, SECRET, TOKEN, Robots
from sqlmodel import select
from subjects import open_case

from alerts.channel import Channel, Gone, Letter, SendError, Uncertain, load
from alerts.channels import dingtalk, feishu, wecom
from alerts.content import Button, Card, Ping, Span, bold, clean, line
from alerts.links import Links
from alerts.render import render
from alerts.routing import make_notify
from monitor import db, directory
from monitor.core import Core
from monitor.models import Account, Outbox
from monitor.notices import Notice
from monitor.settings import Channel as Config

FORMS = {"dingtalk": dingtalk.form, "wecom": wecom.form, "feishu": feishu.card}
URL = "http://desk.test/v/crisis-1"
CARD = Card(
    "【危机】示例旗舰店 · 错发漏发 · 37 位买家",
    (
        line("14:02–14:51，37 条差评，34 条同一仓库（苏州）。"),
        line("① 内部响应 15:02 前　② 告知客户 17:02 前"),
        line("负责人：", bold("还没人认领")),
        line("「显示昨天签收了，", bold("根本没收到"), "，打了三次客服」", role="quote"),
        line("订单 …8841 · 保温杯 · 1 星", role="small"),
    ),
    (Button("claim", "我来负责"), Button("view", "看全部 37 条", URL)),
    about="crisis:1",
)
HOSTILE = (
    "<at id=all></at> <@all> [点我](http://evil.test) **粗** `x` ![](http://evil.test/a.png)\n# 标题\n- 项 </font>"
)


@pytest.fixture
def robots(httpserver: HTTPServer) -> Robots:
    return Robots(httpserver, NOW.timestamp())


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T", TOKEN)
    monkeypatch.setenv("S", SECRET)


def channel(robots: Robots, kind: str, **more: Any) -> Channel:
    config = Config(
        name="群",
        kind=kind,
        target="oc_1",
        token_env="T",
        signing_secret_env="S",
        base_url=robots.server.url_for("/"),
        **more,
    )
    return load(kind)(config, make_settings())


def letter(card: Card = CARD, **more: Any) -> Letter:
    return Letter(**{"key": "crisis:1:opened:0", "target": "oc_1", "card": card, "at": NOW} | more)


@pytest.mark.parametrize("kind", FORMS)
def test_a_card_arrives_as_the_provider_wants_it(robots: Robots, kind: str, request: pytest.FixtureRequest) -> None:
    """Signed, of the right shape, with the link to the page; the words stand in a golden file."""
    channel(robots, kind).send(letter())
    ((provider, body),) = robots.taken
    assert provider == kind
    form = {name: value for name, value in body.items() if name not in ("timestamp", "sign")}
    golden.check(request, f"crisis.{kind}.json", json.dumps(form, ensure_ascii=False, indent=1) + "\n")
    assert URL in json.dumps(body)


@pytest.mark.parametrize("kind", FORMS)
def test_people_are_called_by_their_ids_and_others_by_name(kind: str) -> None:
    """Whoever the provider knows is pinged; a name that looks like markup stays a name."""
    called = replace(CARD, ping=(Ping("客服一号", "ou_77aa" if kind == "feishu" else "staff7"), Ping("<@all>", "")))
    said = json.dumps(FORMS[kind](called), ensure_ascii=False)
    marks = {"dingtalk": '"atUserIds": ["staff7"]', "wecom": "<@staff7>", "feishu": "<at id=ou_77aa></at>"}
    assert marks[kind] in said
    assert "<@all>" not in said


@pytest.mark.parametrize("kind", FORMS)
def test_hostile_text_is_shown_as_text(kind: str) -> None:
    """No mention, link, picture or heading comes out of what a buyer wrote."""
    card = Card(
        clean(HOSTILE.split("\n", maxsplit=1)[0]), (line(HOSTILE), line(HOSTILE, role="quote")), about="crisis:1"
    )
    said = json.dumps(FORMS[kind](card), ensure_ascii=False).replace('"plain_text", "content": "', "\x00")
    body = "".join(part.partition('"')[2] for part in said.split("\x00")) if kind == "feishu" else said
    assert not any(mark in body for mark in ("<at", "<@all", "](http", "![", "</font", "\\n# ", "> # "))


@pytest.mark.parametrize("kind", FORMS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=9000), bolded=st.booleans())
def test_whatever_a_buyer_wrote_fits(kind: str, text: str, *, bolded: bool) -> None:
    """Any text makes a card within the provider's limit, and what was left out is said."""
    card = replace(CARD, lines=(*CARD.lines, line(Span(clean(text), bolded), role="quote")))
    form = FORMS[kind](card)
    said = form["markdown"]["content"] if kind == "wecom" else json.dumps(form, ensure_ascii=False)
    assert len(said.encode()) <= {"wecom": 4096, "dingtalk": 20_000, "feishu": 20_000}[kind]
    if kind == "wecom" and len(clean(text).encode()) > 4096:
        assert "（还有" in json.dumps(form, ensure_ascii=False)


def test_what_cannot_be_shortened_is_refused_for_good() -> None:
    """Many short lines that do not fit are a permanent refusal, never cut."""
    card = Card("清单", tuple(line(f"第 {n} 条很长的说明" * 2) for n in range(400)))
    with pytest.raises(SendError, match="放不下") as error:
        wecom.form(card)
    assert error.value.permanent


@pytest.mark.parametrize(
    ("kind", "answer", "permanent"),
    [
        ("dingtalk", 130101, False),
        ("dingtalk", -1, False),
        ("dingtalk", 310000, True),
        ("wecom", 45009, False),
        ("wecom", 93000, True),
        ("feishu", 11232, False),
        ("feishu", 19024, True),
        ("feishu", 424242, True),
    ],
)
def test_fault_11_200_with_errcode_is_a_failure(robots: Robots, kind: str, answer: int, *, permanent: bool) -> None:
    """``errcode≠0`` under HTTP 200 is no success: what time mends is tried again, the rest is dead with advice."""
    robots.answers.append(answer)
    with pytest.raises(SendError, match=str(answer)) as error:
        channel(robots, kind).send(letter())
    assert error.value.permanent is permanent
    assert robots.taken == []


@pytest.mark.parametrize("kind", FORMS)
def test_rubbish_is_uncertain_and_trouble_is_not(robots: Robots, kind: str) -> None:
    """A 200 nobody can read may have arrived; a 500 is tried again; 429 is obeyed."""
    robots.answers += ["html", 500, 429]
    with pytest.raises(Uncertain):
        channel(robots, kind).send(letter())
    for _ in range(2):
        with pytest.raises(SendError) as error:
            channel(robots, kind).send(letter())
        assert not error.value.permanent


@pytest.mark.parametrize("kind", FORMS)
def test_a_missing_or_wrong_token_is_told(robots: Robots, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor says which variable is empty; a post is refused for good; a place nobody is at is down."""
    assert channel(robots, kind).check() is None
    monkeypatch.setenv("S", "wrong")
    if kind != "wecom":
        with pytest.raises(SendError) as error:
            channel(robots, kind).send(letter())
        assert error.value.permanent
    monkeypatch.delenv("T")
    assert "环境变量 T" in (channel(robots, kind).check() or "")
    with pytest.raises(SendError, match="环境变量 T"):
        channel(robots, kind).send(letter())
    monkeypatch.setenv("T", TOKEN)
    gone = load(kind)(Config(name="群", kind=kind, token_env="T", base_url="http://127.0.0.1:9/"), make_settings())
    assert "连不上" in (gone.check() or "")


class TestFeishuApp:
    """The app: cards edited in place, never doubled."""

    @pytest.fixture
    def app(self, robots: Robots) -> Channel:
        return channel(robots, "feishu", app_id=APP)

    def test_a_post_that_was_taken_is_not_taken_again(self, robots: Robots, app: Channel) -> None:
        """After an unreadable answer the same post gives the same message: nothing twice."""
        robots.answers.append("reset")
        with pytest.raises(Uncertain):
            app.send(letter())
        assert app.lookup(letter(since=NOW - timedelta(minutes=5))) == ""
        assert app.send(letter()) == "om_0"
        assert len(robots.taken) == 1

    def test_after_an_hour_nobody_can_say(self, app: Channel) -> None:
        """Feishu forgets the uuid: a resend is marked."""
        assert app.lookup(letter(since=NOW - timedelta(hours=2))) is None

    def test_cards_are_edited_and_answered(self, robots: Robots, app: Channel) -> None:
        """An edit changes the card in place; a reminder goes into its thread; a card that is gone is told as such."""
        ref = app.send(letter())
        app.update(ref, letter(replace(CARD, title="【危机】已响应")))
        ((edited, content),) = robots.edited
        assert edited == ref
        assert content["header"]["title"]["content"] == "【危机】已响应"
        app.send(letter(key="crisis:1:respond:reminder:0", thread=ref))
        assert robots.taken[-1][1]["reply_in_thread"] is True
        with pytest.raises(Gone):
            app.update("om_99", letter())

    def test_a_token_that_ended_early_is_asked_for_anew(self, robots: Robots, app: Channel) -> None:
        """A refused token is a passing trouble; the next try has another."""
        app.send(letter())
        robots.tokens.append("t-revoked")
        with pytest.raises(SendError) as error:
            app.send(letter(key="k2"))
        assert not error.value.permanent
        assert app.send(letter(key="k2")) == "om_1"

    def test_what_the_app_may_not_do_is_told(
        self, robots: Robots, app: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not in the group is for people to mend; a wrong secret shows in doctor."""
        robots.answers.append(230002)
        with pytest.raises(SendError, match="不在群里") as error:
            app.send(letter())
        assert error.value.permanent
        assert app.check() is None
        monkeypatch.setenv("T", "wrong")
        assert "app_id 或密钥不对" in (channel(robots, "feishu", app_id=APP).check() or "")

    def test_only_an_app_edits(self) -> None:
        """Routing asks before it queues an edit."""
        kind = load("feishu")
        assert kind.edits(Config(name="a", kind="feishu", app_id=APP))
        assert not kind.edits(Config(name="a", kind="feishu"))


def test_a_group_is_led_to_the_desk_and_signs_for_nobody(core: Core) -> None:
    """A robot's card opens the desk once people can log in; links signed for a person never go to a group."""
    settings_ = make_settings(
        channels=[{"name": "群", "kind": "dingtalk", "token_env": "T"}],
        routes={"case": ["群"]},
        people=[{"name": "客服一号", "role": "agent"}],
    )
    house = make_core(core.engine, settings_, core.clock, notify=make_notify(settings_, core.clock))
    with db.writing(core.engine) as session:
        directory.sync(session, settings_)
    case = open_case(house, ["杯子漏水"])
    with db.writing(core.engine) as session:
        house.notify(session, [Notice("case.opened", f"case:{case}:opened:0", "case", case, "demo")])
    links = Links(house.secret, "http://desk.test", house.clock)

    def buttons() -> list[tuple[str, str]]:
        with db.writing(core.engine) as session:
            row = session.exec(select(Outbox)).one()
            made = render(house, session, row, load("dingtalk")(settings_.channels[0], settings_), links)
            assert isinstance(made, Letter)
            return [(one.action, one.url) for one in made.card.buttons]

    assert [action for action, _ in buttons()] == ["view"]
    with db.writing(core.engine) as session:
        session.add(Account(name="客服一号", created_at=NOW))
    assert buttons()[0] == ("desk", f"http://desk.test/cases/{case}")
    assert [action for action, _ in buttons()] == ["desk", "view"]

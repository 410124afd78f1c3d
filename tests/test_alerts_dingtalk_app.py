"""DingTalk's app against a stand-in as strict as its documents: cards by our own names, and signed clicks back."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import golden
import httpx
import pytest
from delivering import make_house, run, updated
from dingtalk_double import CALLBACK, KEY, SECRET, TEMPLATE, DingTalkDouble
from factories import NOW, make_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from serving import browse
from sqlalchemy import Engine
from sqlmodel import select
from subjects import open_case, open_crisis

from alerts import dingtalk_api as api
from alerts.channel import Channel, Gone, Letter, SendError, Uncertain, load
from alerts.content import Button, Card, Ping, Span, bold, clean, line
from alerts.desk.app import create_app
from alerts.http_channel import Answer
from alerts.links import Links
from alerts.markdown import TooLong
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Event, Inbound
from monitor.notices import Notice
from monitor.settings import Channel as Config

ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
GROUP = "cidg2bR=="
URL = "http://desk.test/v/crisis-1"
CARD = Card(
    "【危机】示例旗舰店 · 错发漏发 · 37 位买家",
    (
        line("14:02–14:51，37 条差评，34 条同一仓库（苏州）。"),
        line("① 内部响应 15:02 前　② 告知客户 17:02 前"),
        line("负责人：", bold("还没人认领")),
        line("「显示昨天签收了，", bold("根本没收到"), "，打了三次客服」", role="quote"),
    ),
    (Button("claim", "我来负责"), Button("false_alarm", "误报"), Button("view", "看全部 37 条", URL)),
    about="crisis:1",
)


@pytest.fixture
def dingtalk(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> DingTalkDouble:
    monkeypatch.setenv("D_SECRET", SECRET)
    monkeypatch.setenv("D_CALLBACK", CALLBACK)
    return DingTalkDouble(httpserver, NOW.timestamp())


def config(dingtalk: DingTalkDouble, **more: Any) -> dict[str, Any]:
    app: dict[str, Any] = {"name": "钉", "kind": "dingtalk", "target": GROUP, "app_id": KEY, "token_env": "D_SECRET"}
    app |= {"card_template": TEMPLATE, "signing_secret_env": "D_CALLBACK"}
    return app | {"base_url": dingtalk.server.url_for("/")} | more


def app(dingtalk: DingTalkDouble, **more: Any) -> Channel:
    return load("dingtalk")(Config(**config(dingtalk, **more)), make_settings())


def letter(card: Card = CARD, **more: Any) -> Letter:
    values: dict[str, Any] = {"key": "crisis:1:opened:0", "target": GROUP, "card": card, "at": NOW, "live": "crisis:1"}
    return Letter(**values | more)


class TestCards:
    """With a card template."""

    def test_a_card_is_made_with_the_templates_variables(
        self, dingtalk: DingTalkDouble, request: pytest.FixtureRequest
    ) -> None:
        """Delivered to the group, its clicks to our door; the words stand in a golden file."""
        called = replace(CARD, ping=(Ping("客服一号", "staff7"), Ping("外人")))
        ref = app(dingtalk).send(letter(called))
        golden.check(
            request, "crisis.dingtalk_app.json", json.dumps(dingtalk.cards[ref], ensure_ascii=False, indent=1) + "\n"
        )
        assert ref.startswith("crisis-1-")
        assert dingtalk.delivered == [(ref, f"dtv1.card//IM_GROUP.{GROUP}")]
        assert dingtalk.called == [{"staff7": "客服一号"}]
        assert list(dingtalk.routes.values()) == [("http://127.0.0.1:8000/dingtalk/actions", CALLBACK)]
        assert json.loads(dingtalk.cards[ref]["buttons"])[0] == {"label": "我来负责", "action": "claim"}
        assert URL in "".join(dingtalk.cards[ref].values())

    def test_one_person_is_a_target_too(self, dingtalk: DingTalkDouble) -> None:
        """``user:`` is a talk with the robot."""
        app(dingtalk, target="user:staff7").send(letter(target="user:staff7"))
        assert dingtalk.delivered[0][1] == "dtv1.card//IM_ROBOT.staff7"

    def test_a_card_is_edited_in_place(self, dingtalk: DingTalkDouble) -> None:
        """An edit sets every variable anew; a card that is not there is told as such."""
        channel = app(dingtalk)
        ref = channel.send(letter())
        channel.update(ref, letter(replace(CARD, title="【危机】已响应", lines=())))
        assert dingtalk.cards[ref]["title"] == "【危机】已响应"
        assert "根本没收到" not in "".join(dingtalk.cards[ref].values())
        with pytest.raises(Gone):
            channel.update("crisis-9-none", letter())

    def test_fault_06_a_card_that_was_taken_is_found(self, dingtalk: DingTalkDouble) -> None:
        """After an unreadable answer the card is asked for by our own name: it is there, and not posted twice."""
        channel = app(dingtalk)
        channel.send(letter(key="earlier"))
        dingtalk.answers.append("lost")
        with pytest.raises(Uncertain):
            channel.send(letter())
        found = channel.lookup(letter())
        assert found in dingtalk.cards
        assert channel.lookup(letter(key="never")) == ""
        assert channel.second_try == 2

    def test_a_card_that_was_made_but_not_delivered_is_delivered(self, dingtalk: DingTalkDouble) -> None:
        """A 200 whose delivery failed is a refusal; the next try delivers what is made already."""
        channel = app(dingtalk)
        dingtalk.answers.append("undelivered")
        with pytest.raises(SendError, match="不在群里") as error:
            channel.send(letter())
        assert (error.value.permanent, dingtalk.delivered) == (True, [])
        ref = channel.send(letter())
        assert [track for track, _ in dingtalk.delivered] == [ref]
        assert len(dingtalk.cards) == 1

    def test_the_address_of_clicks_is_told_once(self, dingtalk: DingTalkDouble) -> None:
        """A second card costs one call; without a secret there are no clicks and no address."""
        channel = app(dingtalk)
        channel.send(letter())
        dingtalk.routes.clear()
        with pytest.raises(SendError):
            channel.send(letter(key="k2"))
        silent = app(dingtalk, signing_secret_env="")
        assert (silent.live, silent.clicks) == (True, False)
        silent.send(letter(key="k3"))
        assert dingtalk.routes == {}

    def test_a_missing_secret_of_clicks_is_told(
        self, dingtalk: DingTalkDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Named by its variable, before anything is posted."""
        monkeypatch.delenv("D_CALLBACK")
        with pytest.raises(SendError, match="D_CALLBACK") as error:
            app(dingtalk).send(letter())
        assert error.value.permanent

    @pytest.mark.parametrize(
        ("answer", "permanent", "wait"),
        [
            ("500 system.busy", False, None),
            ("403 Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", False, 10.0),
            ("400 send.too.fast", False, 10.0),
            ("400 param.templateUnpublished", True, None),
            ("400 param.contentUnsafe", True, None),
        ],
    )
    def test_fault_11_codes_are_sorted(
        self, dingtalk: DingTalkDouble, answer: str, wait: float | None, *, permanent: bool
    ) -> None:
        """What time mends, what wants to be left alone, and what somebody has to mend."""
        channel = app(dingtalk)
        channel.send(letter(key="first"))
        dingtalk.answers.append(answer)
        with pytest.raises(SendError) as error:
            channel.send(letter())
        assert (error.value.permanent, error.value.retry_after) == (permanent, wait)

    def test_fault_12_rubbish_is_uncertain(self, dingtalk: DingTalkDouble) -> None:
        """A 200 nobody can read may have arrived; so may what a gateway gave up on."""
        channel = app(dingtalk)
        channel.send(letter(key="first"))
        dingtalk.answers += ["html", "504 ServiceUnavailable"]
        for _ in range(2):
            with pytest.raises(Uncertain):
                channel.send(letter())

    def test_a_token_that_ended_is_replaced_at_once(self, dingtalk: DingTalkDouble) -> None:
        """The same call goes through with a new token."""
        channel = app(dingtalk)
        channel.send(letter())
        dingtalk.expire()
        channel.send(letter(key="k2"))
        assert len(dingtalk.cards) == 2

    def test_what_is_wrong_with_the_app_is_told(
        self, dingtalk: DingTalkDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Doctor names a wrong secret and an empty variable."""
        assert app(dingtalk).check() is None
        monkeypatch.setenv("D_SECRET", "wrong")
        assert "密钥不对" in (app(dingtalk).check() or "")
        monkeypatch.delenv("D_SECRET")
        assert "环境变量 D_SECRET 里没有应用的 AppSecret" in (app(dingtalk).check() or "")


class TestMessages:
    """Without a template, and for what is no card."""

    @pytest.mark.parametrize(
        ("pages", "kind"), [(0, "sampleMarkdown"), (1, "sampleActionCard"), (2, "sampleActionCard2")]
    )
    def test_a_message_has_links(self, dingtalk: DingTalkDouble, pages: int, kind: str) -> None:
        """The app's robot sends an action card with as many links as there are."""
        channel = app(dingtalk, card_template="")
        assert (channel.live, channel.clicks, channel.lookup(letter())) == (False, False, None)
        buttons = tuple(Button("view", f"看{n}", URL) for n in range(pages))
        assert channel.send(letter(replace(CARD, buttons=buttons, ping=(Ping("主管"),)))) == ""
        (body,) = dingtalk.sent
        assert (body["msgKey"], body["openConversationId"]) == (kind, GROUP)
        assert "@主管" in json.loads(body["msgParam"])["text"]

    def test_many_links_stand_in_the_text(self, dingtalk: DingTalkDouble) -> None:
        """More links than any of DingTalk's kinds has are lines of text: none is left out."""
        buttons = tuple(Button("view", f"看{n}", f"{URL}-{n}") for n in range(7))
        app(dingtalk, card_template="").send(letter(replace(CARD, buttons=buttons)))
        assert f"{URL}-6" in json.loads(dingtalk.sent[0]["msgParam"])["text"]

    def test_a_reminder_is_a_message_beside_the_card(self, dingtalk: DingTalkDouble) -> None:
        """What is no live card goes as a message, to a person too; one who is not reached is told."""
        app(dingtalk, target="user:staff7").send(letter(live="", target="user:staff7"))
        assert dingtalk.sent[0]["userIds"] == ["staff7"]
        with pytest.raises(SendError, match="没有把消息发给这个人"):
            app(dingtalk, target="user:gone").send(letter(live="", target="user:gone"))


@settings(max_examples=80, deadline=None)
@given(texts=st.lists(st.tuples(st.text(max_size=3000), st.sampled_from(["text", "quote"])), max_size=5))
def test_fault_43_whatever_a_buyer_wrote_fits(texts: Any) -> None:
    """Any text fills the template's variables within their limit, or the card is refused for good, never cut."""
    card = replace(CARD, lines=tuple(line(Span(clean(text)), role=role) for text, role in texts))
    try:
        made = api.variables(card)
    except TooLong:
        return
    assert all(len(said.encode()) <= 1000 for said in made.values())
    assert URL in "".join(made.values())
    assert not any(mark in "".join(made.values()) for mark in ("<at", "![", "](javascript"))


@pytest.mark.parametrize(("status", "body"), [(200, b"[]"), (200, b'"x"'), (204, b""), (200, b"[" * 200_000)])
def test_answers_of_no_shape_are_uncertain(status: int, body: bytes) -> None:
    """What is no object says nothing."""
    with pytest.raises(Uncertain):
        api.accepted(Answer(status, {}, body))


def test_a_no_without_a_reason_is_a_no() -> None:
    """``success: false`` under 200 is a refusal."""
    with pytest.raises(SendError):
        api.accepted(Answer(200, {}, b'{"success": false}'))


@ON_SQLITE
class TestDoor:
    """What comes in at ``/dingtalk/actions``."""

    @pytest.fixture
    def core(self, engine: Engine, clock: HandClock, dingtalk: DingTalkDouble) -> Core:
        people = [
            {"name": "客服一号", "role": "agent", "dingtalk": "staff7"},
            {"name": "品牌", "role": "brand", "dingtalk": "boss"},
        ]
        routes = {"crisis": ["钉"], "case": ["钉"]}
        return make_house(engine, clock, channels=[config(dingtalk)], routes=routes, people=people)

    @pytest.fixture
    def desk(self, core: Core) -> Iterator[httpx.Client]:
        with browse(create_app(core, Links(core.secret, "http://desk.test", core.clock))) as client:
            yield client

    def test_a_claim_shows_on_the_card(self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble) -> None:
        """One click is one event, and the card says who has it."""
        case, track = posted(core, dingtalk)
        headers, body = dingtalk.click("staff7", track, "claim")
        answer = desk.post("/dingtalk/actions", headers=headers, content=body)
        assert answer.json()["userPrivateData"] == {"cardParamMap": {"said": ""}}
        run(core)
        assert "客服一号" in "".join(dingtalk.cards[track].values())
        assert (len(dingtalk.delivered), dingtalk.edits) == (1, 1)
        with db.reading(core.engine) as session:
            assert [one.door for one in session.exec(select(Event).where(Event.what == "claim"))] == ["dingtalk"]
        assert assignee(core, case) is not None

    def test_fault_21_a_replay_does_nothing(self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble) -> None:
        """The same signed request again is the same click; another one is told what stands."""
        _case, track = posted(core, dingtalk)
        headers, body = dingtalk.click("staff7", track, "claim")
        for _ in range(3):
            assert desk.post("/dingtalk/actions", headers=headers, content=body).status_code == 200
        with db.reading(core.engine) as session:
            assert len(session.exec(select(Inbound)).all()) == 1
        dingtalk.now += 1
        headers, body = dingtalk.click("staff7", track, "claim")
        assert said(desk.post("/dingtalk/actions", headers=headers, content=body)) == "您已经认领了"

    @pytest.mark.parametrize("late", [-301, 301])
    def test_fault_22_stale_or_future_times_are_401(
        self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble, late: int
    ) -> None:
        """A signature of long ago, or of the future, is none."""
        case, track = posted(core, dingtalk)
        dingtalk.now += late
        headers, body = dingtalk.click("staff7", track, "claim")
        assert desk.post("/dingtalk/actions", headers=headers, content=body).status_code == 401
        assert assignee(core, case) is None

    def test_fault_23_rubbish_is_refused(self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble) -> None:
        """A wrong secret, a strange time or signature, a body that is no click: refused, never a 500."""
        case, track = posted(core, dingtalk)
        headers, body = dingtalk.click("staff7", track, "claim")
        for strange in (
            dingtalk.headers("other"),
            headers | {"x-ddpaas-signature-timestamp": "soon"},
            headers | {"x-ddpaas-signature-timestamp": "9" * 400},
            {},
        ):
            assert desk.post("/dingtalk/actions", headers=strange, content=body).status_code == 401
        signed = next(iter(headers.items())), ("x-ddpaas-signature", "签名".encode())
        raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in signed]
        assert desk.post("/dingtalk/actions", headers=raw, content=body).status_code == 401
        for rubbish in (b"", b"[1]", b"\xff\xfe", b"[" * 100_000):
            assert desk.post("/dingtalk/actions", headers=headers, content=rubbish).status_code == 400
        assert desk.post("/dingtalk/actions", headers=headers, content=b"x" * 1_000_001).status_code == 413
        for broken in ({"content": "{"}, {"content": None}, {"content": "[]"}, {"outTrackId": "case-1-x"}):
            _, body = dingtalk.click("staff7", track, "claim", **broken)
            assert desk.post("/dingtalk/actions", headers=headers, content=body).status_code == 400
        assert assignee(core, case) is None

    def test_what_is_no_click_of_ours(self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble) -> None:
        """Other callbacks and buttons do nothing."""
        case, track = posted(core, dingtalk)
        for action, more in (("claim", {"type": "dynamicDataCallback"}), ("view", {})):
            headers, body = dingtalk.click("staff7", track, action, **more)
            assert desk.post("/dingtalk/actions", headers=headers, content=body).json() == {}
        assert assignee(core, case) is None

    def test_who_may_not_is_told_on_his_own_copy(
        self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble
    ) -> None:
        """A stranger and a role that only looks change nothing and read why."""
        case, track = posted(core, dingtalk)
        for person, why in (("nobody", "没有认出您"), ("boss", "")):
            headers, body = dingtalk.click(person, track, "claim")
            told = said(desk.post("/dingtalk/actions", headers=headers, content=body))
            assert told
            assert why in told
        assert assignee(core, case) is None

    def test_what_needs_words_is_written_on_a_page(
        self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble
    ) -> None:
        """A plan cannot be typed on the card: the person gets the link where it is."""
        crisis = open_crisis(core, ["没收到"])
        run(core)
        track = next(iter(dingtalk.cards))
        assert track.startswith(f"crisis-{crisis}-")
        headers, body = dingtalk.click("staff7", track, "plan")
        told = said(desk.post("/dingtalk/actions", headers=headers, content=body))
        assert "[在这里填写](http://desk.test/" in told

    def test_a_click_that_was_not_kept_is_told(
        self, desk: httpx.Client, core: Core, dingtalk: DingTalkDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the store fails or takes long, the person is asked to look or click again."""
        _, track = posted(core, dingtalk)
        headers, body = dingtalk.click("staff7", track, "claim")

        def fail(*_: Any) -> None:
            raise RuntimeError("no store")

        monkeypatch.setattr("alerts.desk.clicks.handle", fail)
        assert "请再点一次" in said(desk.post("/dingtalk/actions", headers=headers, content=body))
        monkeypatch.undo()
        monkeypatch.setenv("D_CALLBACK", CALLBACK)
        monkeypatch.setattr("alerts.desk.dingtalk._ANSWER_WITHIN", 0.0)
        assert "还没记下" in said(desk.post("/dingtalk/actions", headers=headers, content=body))

    def test_a_flood_is_one_card(self, core: Core, clock: HandClock, dingtalk: DingTalkDouble) -> None:
        """However often a crisis grows, its card is edited, not posted."""
        crisis = open_crisis(core, ["没收到"])
        run(core)
        for n in range(5):
            clock.move(timedelta(minutes=1))
            with db.writing(core.engine) as session:
                core.notify(session, [updated(crisis, 100 + n)])
            run(core)
        assert (len(dingtalk.delivered), dingtalk.edits) == (1, 5)


def posted(core: Core, dingtalk: DingTalkDouble) -> tuple[int, str]:
    """A case whose card was posted: its id and its card's name."""
    case = open_case(core, ["杯子漏水"])
    with db.writing(core.engine) as session:
        core.notify(session, [Notice("case.opened", f"case:{case}:opened:0", "case", case, "demo")])
    run(core)
    return case, dingtalk.delivered[-1][0]


def said(answer: httpx.Response) -> str:
    told: str = answer.json()["userPrivateData"]["cardParamMap"]["said"]
    return told


def assignee(core: Core, case: int) -> int | None:
    with db.reading(core.engine) as session:
        return session.get_one(Case, case).assignee_id

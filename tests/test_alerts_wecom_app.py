"""WeCom's app against a stand-in as strict as its documents: cards, the one edit each, and sealed clicks back."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import golden
import httpx
import pytest
import wecom_double
from delivering import make_house, run, states, updated
from factories import NOW, make_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from serving import browse
from sqlalchemy import Engine
from sqlmodel import select
from subjects import open_case, open_crisis
from wecom_double import AGENT, CORP, LETTERS, SECRET, TOKEN, WeComDouble

from alerts.channel import Channel, Gone, Letter, SendError, Uncertain, load
from alerts.content import Button, Card, Ping, Span, bold, clean, line, link
from alerts.desk.app import create_app
from alerts.desk.envelope import Envelope, unsealed
from alerts.links import Links
from alerts.wecom_card import template
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Event, Inbound, Message
from monitor.notices import Notice
from monitor.settings import Channel as Config

ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
URL = "http://desk.test/v/crisis-1"
CARD = Card(
    "【危机】示例旗舰店 · 错发漏发 · 37 位买家",
    (
        line("14:02–14:51，37 条差评，34 条同一仓库（苏州），说法不同，像是同一批漏发。"),
        line("① 内部响应 15:02 前　② 告知客户 17:02 前"),
        line("负责人：", bold("还没人认领"), "　状态：待响应　程度：严重"),
        line("「显示昨天签收了，", bold("根本没收到"), "，打了三次客服」", role="quote"),
        line("订单 …8841 · 保温杯 · 1 星", " · ", link("看原文", "https://shop.test/r/1"), role="small"),
        line("建议先说：", "非常抱歉让您着急了。" * 12),
    ),
    (
        Button("claim", "我来负责"),
        Button("plan", "写初步方案"),
        *(Button(f"notified_{way}", f"已{way}") for way in ("sms", "push", "call")),
        Button("false_alarm", "误报", confirm="确定吗？"),
        Button("resolved", "已解决"),
        Button("view", "看全部 37 条", URL),
    ),
    about="crisis:1",
)


@pytest.fixture
def wecom(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> WeComDouble:
    for name, said in (("W_SECRET", SECRET), ("W_TOKEN", TOKEN), ("W_AES", LETTERS)):
        monkeypatch.setenv(name, said)
    return WeComDouble(httpserver, NOW.timestamp())


def config(wecom: WeComDouble, **more: Any) -> dict[str, Any]:
    app: dict[str, Any] = {"name": "企微", "kind": "wecom", "target": "ZhangSan|LiSi", "app_id": str(AGENT)}
    app |= {"corp_id": CORP, "token_env": "W_SECRET", "signing_secret_env": "W_TOKEN", "aes_key_env": "W_AES"}
    return app | {"base_url": wecom.server.url_for("/")} | more


def app(wecom: WeComDouble, **more: Any) -> Channel:
    return load("wecom")(Config(**config(wecom, **more)), make_settings())


def letter(card: Card = CARD, **more: Any) -> Letter:
    values: dict[str, Any] = {
        "key": "crisis:1:opened:0",
        "target": "ZhangSan|LiSi",
        "card": card,
        "at": NOW,
        "live": "crisis:1",
    }
    return Letter(**values | more)


class TestSending:
    """What the app posts and edits."""

    def test_a_card_has_its_places_and_its_buttons(self, wecom: WeComDouble, request: pytest.FixtureRequest) -> None:
        """As WeCom wants it, six buttons and the rest in the menu; the words stand in a golden file."""
        ref = app(wecom).send(letter())
        (body,) = wecom.taken
        golden.check(request, "crisis.wecom_app.json", json.dumps(body, ensure_ascii=False, indent=1) + "\n")
        assert (body["touser"], body["agentid"], body["enable_duplicate_check"]) == ("ZhangSan|LiSi", AGENT, 1)
        card = body["template_card"]
        assert ref == f"{card['task_id']} {next(iter(wecom.codes))}"
        assert [one["key"] for one in card["button_list"]][:2] == ["claim crisis:1", "plan crisis:1"]
        assert [one["key"] for one in card["action_menu"]["action_list"]] == ["resolved crisis:1"]
        assert "建议先说：" in card["quote_area"]["quote_text"]

    def test_a_card_is_edited_once_for_a_code(self, wecom: WeComDouble) -> None:
        """For everybody who has it; then it is gone for edits, and so is one whose code ran out."""
        channel = app(wecom)
        ref = channel.send(letter())
        left = channel.update(ref, letter(replace(CARD, title="【危机】已响应")))
        ((task, card),) = wecom.edited
        assert (left, card["main_title"]["title"]) == (task, "【危机】已响应")
        for spent in (left, ref):
            with pytest.raises(Gone):
                channel.update(spent or "", letter())
        late = f"{task} {wecom.code(task)}"
        wecom.now += 73 * 3600
        with pytest.raises(Gone):
            channel.update(late, letter())

    def test_trouble_with_an_edit_is_no_reason_for_a_new_card(self, wecom: WeComDouble) -> None:
        """Busy is busy, and unreadable is uncertain: the same card is tried again."""
        channel = app(wecom)
        ref = channel.send(letter())
        wecom.answers += [-1, "html"]
        with pytest.raises(SendError) as error:
            channel.update(ref, letter())
        assert not isinstance(error.value, Gone)
        with pytest.raises(Uncertain):
            channel.update(ref, letter())
        assert channel.update(ref, letter())

    def test_what_is_done_has_no_buttons_left(self, wecom: WeComDouble) -> None:
        """A card without anything to do is a notice that opens the page."""
        ref = app(wecom).send(letter(replace(CARD, buttons=CARD.buttons[-1:])))
        card = wecom.taken[0]["template_card"]
        assert (card["card_type"], card["card_action"]["url"], "button_list" in card) == ("text_notice", URL, False)
        assert " " not in ref

    def test_other_messages_are_text_in_as_many_parts_as_it_takes(self, wecom: WeComDouble) -> None:
        """A long list comes whole, in messages of at most 2,048 bytes; the same again comes to nobody twice."""
        items = "\n".join(f"{n}. 「杯子漏水，打了三次客服都没人接，很失望」 严重" for n in range(60))
        long = letter(Card("【差评】一下来了 60 件", (line(items),), CARD.buttons[-1:]), live="")
        channel = app(wecom)
        assert channel.send(long) == ""
        said = "".join(body["markdown"]["content"] for body in wecom.taken)
        assert len(wecom.taken) > 1
        assert all(f"{n}. 「" in said for n in range(60))
        assert URL in said
        before = len(wecom.taken)
        channel.send(long)
        assert len(wecom.taken) == before

    @pytest.mark.parametrize(
        ("target", "to"), [("party:2|3", "toparty"), ("tag:7", "totag"), ("@all", "touser"), ("a|b", "touser")]
    )
    def test_people_parties_and_tags(self, wecom: WeComDouble, target: str, to: str) -> None:
        """A target names whom it reaches."""
        app(wecom, target=target).send(letter(target=target))
        assert wecom.taken[0][to] == target.rpartition(":")[2]

    def test_a_chat_takes_text_alone(self, wecom: WeComDouble) -> None:
        """An app's chat knows no cards with buttons: nothing there is edited or clicked, and nobody can ask."""
        channel = app(wecom, target="chat:c1")
        assert (channel.live, channel.clicks) == (False, False)
        assert not load("wecom").edits(Config(**config(wecom, target="chat:c1")))
        assert channel.send(letter(target="chat:c1")) == ""
        assert wecom.taken[0]["chatid"] == "c1"
        assert channel.lookup(letter(target="chat:c1")) is None

    def test_without_a_callback_there_are_no_buttons(self, wecom: WeComDouble) -> None:
        """WeCom takes no cards with buttons from an app without a callback: it sends text with links."""
        channel = app(wecom, aes_key_env="")
        assert not channel.clicks
        channel.send(letter())
        assert wecom.taken[0]["msgtype"] == "markdown"

    @pytest.mark.parametrize("target", ["", "party:"])
    def test_a_target_for_nobody_is_told(self, wecom: WeComDouble, target: str) -> None:
        """An empty target is refused with what it should be."""
        with pytest.raises(SendError, match="target 应为") as error:
            app(wecom, target=target).send(letter(target=target))
        assert error.value.permanent

    @pytest.mark.parametrize(
        ("code", "permanent", "wait"),
        [(-1, False, None), (45009, False, 60.0), (45033, False, 5.0), (40058, True, None), (81013, True, None)],
    )
    def test_fault_11_codes_are_sorted(
        self, wecom: WeComDouble, code: int, wait: float | None, *, permanent: bool
    ) -> None:
        """What time mends, what wants to be left alone for so long, and what somebody has to mend."""
        wecom.answers.append(code)
        with pytest.raises(SendError, match=str(code)) as error:
            app(wecom).send(letter())
        assert (error.value.permanent, error.value.retry_after) == (permanent, wait)
        assert wecom.taken == []

    def test_a_token_that_ended_is_replaced_at_once(self, wecom: WeComDouble) -> None:
        """The same call goes through with a new token; a secret that is wrong shows in doctor."""
        channel = app(wecom)
        channel.send(letter())
        wecom.expire()
        channel.send(letter(key="k2"))
        assert len(wecom.taken) == 2
        assert channel.check() is None

    def test_what_is_wrong_with_the_app_is_told(self, wecom: WeComDouble, monkeypatch: pytest.MonkeyPatch) -> None:
        """Doctor names a wrong secret, company or agent, an empty variable, and an address nobody is at."""
        assert "corp_id 不对" in (app(wecom, corp_id="ww0").check() or "")
        assert "AgentId" in (app(wecom, app_id="abc").check() or "")
        monkeypatch.setenv("W_SECRET", "wrong")
        assert "密钥不对" in (app(wecom).check() or "")
        monkeypatch.delenv("W_SECRET")
        assert "环境变量 W_SECRET 里没有应用的 Secret" in (app(wecom).check() or "")
        assert "连不上" in (app(wecom, base_url="http://127.0.0.1:9/", token_env="W_TOKEN").check() or "")

    def test_fault_06_a_post_that_was_taken_is_not_taken_again(self, wecom: WeComDouble) -> None:
        """After an unreadable answer the same post is no second message; after hours nobody can say."""
        channel = app(wecom)
        wecom.answers.append("lost")
        with pytest.raises(Uncertain):
            channel.send(letter())
        assert channel.lookup(letter(since=NOW - timedelta(minutes=5))) == ""
        channel.send(letter())
        assert len(wecom.taken) == 1
        assert channel.lookup(letter(since=NOW - timedelta(hours=4))) is None

    def test_who_was_not_reached_is_in_the_log(self, wecom: WeComDouble, capsys: pytest.CaptureFixture[str]) -> None:
        """The message went to the others; whom it missed is written down."""
        wecom.missed = "LiSi"
        app(wecom).send(letter())
        assert "LiSi" in capsys.readouterr().out


@settings(max_examples=80, deadline=None)
@given(
    title=st.text(min_size=1, max_size=60),
    texts=st.lists(st.tuples(st.text(max_size=400), st.sampled_from(["text", "quote", "small"])), max_size=8),
    buttons=st.integers(0, 9),
)
def test_fault_43_whatever_a_buyer_wrote_fits(title: str, texts: Any, buttons: int) -> None:
    """Any text and any number of buttons make a card that WeCom takes, and what is left out is said."""
    lines = tuple(line(Span(clean(text)), role=role) for text, role in texts)
    pressed = tuple(Button(f"a{n}", "按钮" * 8) for n in range(buttons))
    card = Card(clean(title) or "题", lines, (*pressed, CARD.buttons[-1]), "case:1", (Ping("<@all>"),))
    assert wecom_double._card_problem(template(card, "case-1-abc")) == ""


def test_what_is_left_out_is_said() -> None:
    """What has no room under the title stands with the quote; a quote too long is shortened, the rest counted."""
    lines = (line("第一段" * 20), line("第二段" * 40), line("：", "说" * 99), line("引用" * 300, role="quote"))
    card = template(Card("题" * 50, lines, CARD.buttons[-1:]), "case-1-abc")
    assert card["main_title"]["title"].endswith("……")
    assert card["sub_title_text"] == "题" * 50 + "\n" + "第一段" * 20
    assert card["quote_area"]["quote_text"].startswith("引用")
    assert card["quote_area"]["quote_text"].endswith("字，见详情）\n……还有 2 段，见详情")
    whole = template(Card("题", lines[:2], CARD.buttons[-1:]), "case-1-abc")
    assert (whole["sub_title_text"], whole["quote_area"]["quote_text"]) == ("第一段" * 20, "第二段" * 40)


def test_the_official_kind_of_envelope_opens() -> None:
    """Sealed apart from what opens it: the message comes out; another key, company or length does not."""
    sealed = wecom_double.seal("你好 <xml/>".encode())
    assert Envelope(TOKEN, LETTERS, CORP).opened(sealed) == "你好 <xml/>".encode()
    other = base64.b64encode(bytes(32)).decode().rstrip("=")
    assert Envelope(TOKEN, other, CORP).opened(sealed) is None
    assert Envelope(TOKEN, LETTERS, "ww-other").opened(sealed) is None
    assert Envelope(TOKEN, "short", CORP).opened(sealed) is None
    for rubbish in ("", "AAAA", "签名", sealed[:-4], base64.b64encode(bytes(32)).decode()):
        assert Envelope(TOKEN, LETTERS, CORP).opened(rubbish) is None


@given(st.binary(max_size=200))
def test_rubbish_is_not_opened(sealed: bytes) -> None:
    """Whatever comes in, nothing but None or bytes comes out."""
    assert unsealed(bytes(32), bytes(16), sealed, 32) is None or len(sealed) % 16 == 0


@ON_SQLITE
class TestDoor:
    """What comes in at ``/wecom/actions``."""

    @pytest.fixture
    def core(self, engine: Engine, clock: HandClock, wecom: WeComDouble) -> Core:
        return house(engine, clock, wecom)

    @pytest.fixture
    def desk(self, core: Core) -> Iterator[httpx.Client]:
        with browse(create_app(core, Links(core.secret, "http://desk.test", core.clock))) as client:
            yield client

    def test_the_address_is_proved_by_its_echo(self, desk: httpx.Client) -> None:
        """WeCom's first request wants its own sealed word back, open; a wrong signature gets nothing."""
        sealed = wecom_double.seal(b"1616140317555161061")
        query = wecom_double.signature(sealed, int(NOW.timestamp())) | {"echostr": sealed}
        assert desk.get("/wecom/actions", params=query).text == "1616140317555161061"
        assert desk.get("/wecom/actions", params=query | {"nonce": "other"}).status_code == 401
        assert desk.get("/wecom/actions").status_code == 401

    def test_a_claim_shows_on_the_card_for_everybody(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """One click is one event, and its code lets the card be edited: who has it stands there."""
        case, task = posted(core, wecom)
        query, body = wecom.click("lisi", task, f"claim case:{case}")
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        run(core)
        run(core)
        ((edited, card),) = wecom.edited
        assert (edited, len(wecom.taken)) == (task, 1)
        assert "客服一号" in json.dumps(card, ensure_ascii=False)
        with db.reading(core.engine) as session:
            assert [one.door for one in session.exec(select(Event).where(Event.what == "claim"))] == ["wecom"]

    def test_fault_21_a_replay_does_nothing(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """The same request again changes nothing, and does not bring a spent code back."""
        case, task = posted(core, wecom)
        query, body = wecom.click("lisi", task, f"claim case:{case}")
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        run(core)
        for _ in range(3):
            assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        with db.reading(core.engine) as session:
            assert len(session.exec(select(Inbound)).all()) == 1
            assert session.exec(select(Message)).one().provider_ref == task

    def test_fault_20_24_two_claim_at_once(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """Each click is delivered twice; one person gets it, the other hears who has it, once each is one event."""
        case, task = posted(core, wecom)
        for person in ("lisi", "wangwu"):
            query, body = wecom.click(person, task, f"claim case:{case}")
            for _ in range(2):
                assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        told = wecom.said(1)
        assert told["touser"] == "wangwu"
        assert "客服一号" in told["text"]["content"]
        with db.reading(core.engine) as session:
            assert len(session.exec(select(Event).where(Event.what == "claim")).all()) == 1

    @pytest.mark.parametrize("late", [-301, 301])
    def test_fault_22_stale_or_future_times_are_401(
        self, desk: httpx.Client, core: Core, wecom: WeComDouble, late: int
    ) -> None:
        """A signature of long ago, or of the future, is none."""
        case, task = posted(core, wecom)
        wecom.now += late
        query, body = wecom.click("lisi", task, f"claim case:{case}")
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 401
        assert assignee(core, case) is None

    @pytest.mark.parametrize(
        "changed", [{"token": "other"}, {"owner": "ww-other"}, {"letters": base64.b64encode(bytes(32)).decode()[:43]}]
    )
    def test_what_wecom_did_not_seal_is_401(
        self, desk: httpx.Client, core: Core, wecom: WeComDouble, changed: dict[str, str]
    ) -> None:
        """Another token, another company's message, another key."""
        case, task = posted(core, wecom)
        inside = f"<xml><EventKey>claim case:{case}</EventKey><TaskId>{task}</TaskId></xml>".encode()
        query, body = wecom_double.envelope(inside, int(wecom.now), **changed)
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 401
        assert assignee(core, case) is None

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"\xff\xfe\x00", 400),
            (b"<xml>", 400),
            (b"<xml></xml>", 401),
            (b"<xml><Encrypt>AAAA</Encrypt></xml>", 401),
            (b'<!DOCTYPE x [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>', 400),
            (b"<xml>" + b"<a>" * 5000, 400),
            (b"x" * 1_000_001, 413),
        ],
    )
    def test_fault_23_rubbish_is_refused(self, desk: httpx.Client, body: bytes, status: int) -> None:
        """Rubbish, entities, depth and size: refused, never a 500."""
        query = {"msg_signature": "签名", "timestamp": str(int(NOW.timestamp())), "nonce": "n"}
        assert desk.post("/wecom/actions", params=query, content=body).status_code == status
        for stamp in ("soon", "", "-1", "9" * 400):
            asked = desk.post("/wecom/actions", params=query | {"timestamp": stamp}, content=b"<xml></xml>")
            assert asked.status_code == 401

    def test_strangers_are_told_in_private(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """An unknown person changes nothing and hears why from the app itself."""
        case, task = posted(core, wecom)
        query, body = wecom.click("nobody", task, f"claim case:{case}")
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        told = wecom.said(1)
        assert (told["touser"], told["msgtype"]) == ("nobody", "text")
        assert "没有认出您" in told["text"]["content"]
        assert assignee(core, case) is None

    def test_what_needs_words_is_written_on_a_page(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """A plan cannot be typed on the card: the person gets the link where it is; a role that may not gets none."""
        crisis = open_crisis(core, ["没收到"])
        query, body = wecom.click("lisi", "", f"plan crisis:{crisis}")
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        assert "在这里填写：http://desk.test/" in wecom.said(0)["text"]["content"]
        query, body = wecom.click("boss", "", f"plan crisis:{crisis}")
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        assert "http" not in wecom.said(1)["text"]["content"]

    def test_events_that_are_no_clicks_of_ours(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """Other events and buttons do nothing; a wrong shape is 400."""
        case, task = posted(core, wecom)
        for more, status in (
            ({"Event": "enter_agent"}, 200),
            ({"EventKey": "view case:1"}, 200),
            ({"EventKey": "claim case:1; drop"}, 400),
            ({"EventKey": "claim"}, 400),
        ):
            query, body = wecom.click("lisi", task, "claim case:1", **more)
            assert desk.post("/wecom/actions", params=query, content=body).status_code == status
        inside = b"<xml><MsgType>event</MsgType><Event>template_card_event</Event></xml>"
        query, body = wecom_double.envelope(inside, int(wecom.now))
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 400
        assert assignee(core, case) is None

    def test_a_click_that_was_not_kept_is_asked_for_again(
        self, desk: httpx.Client, core: Core, wecom: WeComDouble, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """When the store fails or takes long, WeCom hears 503 and delivers the click once more; then it is done."""
        case, task = posted(core, wecom)

        def fail(*_: Any) -> None:
            raise RuntimeError("no store")

        query, body = wecom.click("lisi", task, f"claim case:{case}")
        with monkeypatch.context() as broken:
            broken.setattr("alerts.desk.wecom.handle", fail)
            assert desk.post("/wecom/actions", params=query, content=body).status_code == 503
        with monkeypatch.context() as slow:
            slow.setattr("alerts.desk.wecom._ANSWER_WITHIN", 0.0)
            assert desk.post("/wecom/actions", params=query, content=body).status_code == 503
        assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        assert assignee(core, case) is not None

    def test_a_reply_that_fails_is_only_logged(self, desk: httpx.Client, core: Core, wecom: WeComDouble) -> None:
        """The click was handled; only the courtesy is lost, and the next one comes through."""
        case, task = posted(core, wecom)
        wecom.answers.append(500)
        for _ in range(2):
            query, body = wecom.click("nobody", task, f"claim case:{case}")
            assert desk.post("/wecom/actions", params=query, content=body).status_code == 200
        assert "没有认出您" in wecom.said(1)["text"]["content"]


class TestFewEdits:
    """One edit a code: what is worth a new card when there is none left."""

    @pytest.fixture
    def core(self, engine: Engine, clock: HandClock, wecom: WeComDouble) -> Core:
        return house(engine, clock, wecom)

    def test_growth_alone_is_no_new_card(self, core: Core, clock: HandClock, wecom: WeComDouble) -> None:
        """A flood edits the card once and then leaves it; what a person does at the desk brings a new one."""
        crisis = open_crisis(core, ["没收到"])
        run(core)
        for n in range(3):
            clock.move(timedelta(minutes=1))
            tell_update(core, crisis, n)
            run(core)
        assert (len(wecom.taken), len(wecom.edited)) == (1, 1)
        assert states(core, "crisis.updated") == ["sent", "folded", "folded"]
        clock.move(timedelta(minutes=1))
        claim(core, "crisis", crisis)
        run(core)
        assert len(wecom.taken) == 2
        assert "客服一号" in json.dumps(wecom.taken[-1], ensure_ascii=False)
        with db.reading(core.engine) as session:
            task = session.exec(select(Message)).one().provider_ref.partition(" ")[0]
        assert task == wecom.taken[-1]["template_card"]["task_id"]

    def test_a_code_that_came_during_an_edit_is_kept(self, core: Core, clock: HandClock, wecom: WeComDouble) -> None:
        """A click while the card is being edited renames it; the edit that ends then does not take the name back."""
        crisis = open_crisis(core, ["没收到"])
        run(core)
        task = wecom.taken[0]["template_card"]["task_id"]
        channel = app(wecom)

        def late(ref: str, letter: Letter) -> str | None:
            left = type(channel).update(channel, ref, letter)
            with db.writing(core.engine) as session:
                session.exec(select(Message)).one().provider_ref = f"{task} fresh"
            return left

        channel.update = late  # type: ignore[method-assign]
        clock.move(timedelta(minutes=1))
        tell_update(core, crisis, 7)
        run(core, {"企微": channel})
        with db.reading(core.engine) as session:
            assert session.exec(select(Message)).one().provider_ref == f"{task} fresh"


def house(engine: Engine, clock: HandClock, wecom: WeComDouble) -> Core:
    people = [
        {"name": "客服一号", "role": "agent", "wecom": "lisi"},
        {"name": "客服二号", "role": "agent", "wecom": "wangwu"},
        {"name": "品牌", "role": "brand", "wecom": "boss"},
    ]
    routes = {"crisis": ["企微"], "case": ["企微"]}
    return make_house(engine, clock, channels=[config(wecom)], routes=routes, people=people)


def posted(core: Core, wecom: WeComDouble) -> tuple[int, str]:
    """A case whose card was posted: its id and its card's name."""
    case = open_case(core, ["杯子漏水"])
    with db.writing(core.engine) as session:
        core.notify(session, [Notice("case.opened", f"case:{case}:opened:0", "case", case, "demo")])
    run(core)
    return case, wecom.taken[-1]["template_card"]["task_id"]


def tell_update(core: Core, crisis: int, version: int) -> None:
    with db.writing(core.engine) as session:
        core.notify(session, [updated(crisis, 100 + version)])


def claim(core: Core, subject: str, number: int) -> None:
    from alerts.actions import Click, handle
    from monitor.moves import Action

    assert handle(core, Click("desk", f"desk-{number}", "客服一号", Action("claim", subject, number))).done


def assignee(core: Core, case: int) -> int | None:
    with db.reading(core.engine) as session:
        return session.get_one(Case, case).assignee_id

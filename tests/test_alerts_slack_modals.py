"""Slack's forms: opened within every limit, submitted through either door, done once, refused in the form itself."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import golden
import httpx
import pytest
from delivering import make_house, rows, run, tell
from factories import make_core
from faulty_stores import impatient, locked
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from serving import browse
from slack_double import SlackDouble, slack_double
from slack_rules import view_problem
from slack_views import filled
from sqlalchemy import Engine, update
from sqlmodel import col, func, select
from subjects import CASE_CLOCKS, open_case, open_crisis
from test_alerts_desk_slack import SECRET, form, listen, make_payload, signed, wait_for

from alerts import blocks, cards, forms
from alerts.cards import Reader
from alerts.content import Button, Card
from alerts.desk import modals
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, lifecycle, queries
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Correction, Crisis, Event, Feedback, Inbound, Outbox, Person, Score
from monitor.moves import Action, Actor
from monitor.notices import Notice
from monitor.transitions import ACTIONS

DESK = "https://desk.example.com"
IN_THE_MENU = ("assign", "refile", "extortion", "note", "merge", "close", "reopen")
FORMS = [(what, subject) for what, info in ACTIONS.items() for subject in info.moves if forms.asks(what, subject)]


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackDouble]:
    monkeypatch.setenv("TOKEN", "xoxb-test")
    monkeypatch.setenv("OPS_SECRET", SECRET)
    with slack_double() as running:
        yield running


@pytest.fixture
def house(sqlite: Engine, clock: HandClock, double: SlackDouble, httpserver: HTTPServer) -> Core:
    """Alerts go to Slack's double; what answers the clicker's response_url is a channel of the config too."""
    ops = {"name": "ops", "kind": "slack", "target": "C1", "token_env": "TOKEN", "signing_secret_env": "OPS_SECRET"}
    replies = {"name": "replies", "kind": "slack", "base_url": httpserver.url_for("/api/")}
    people = [
        {"name": "客服一号", "role": "agent", "slack": "U0001"},
        {"name": "主管", "role": "lead", "slack": "U0002"},
        {"name": "品牌部", "role": "brand", "slack": "U0004"},
    ]
    return make_house(sqlite, clock, channels=[ops | {"base_url": double.url}, replies], people=people)


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    with browse(create_app(house, Links(house.secret, DESK, house.clock))) as client:
        yield client


def send(desk: httpx.Client, core: Core, payload: Any) -> httpx.Response:
    body = form(payload)
    return desk.post("/slack/actions", content=body, headers=signed(core, body))


def press(desk: httpx.Client, core: Core, what: str, about: str, user: str = "U0002", **more: Any) -> None:
    """A click on a button, or a choice in the menu, with its trigger."""
    payload = make_payload(what, about, user, **more)
    if what in IN_THE_MENU:
        chosen = {"type": "overflow", "action_id": "more", "action_ts": "1.5"}
        payload["actions"] = [chosen | {"selected_option": {"value": f"{what} {about}"}}]
    assert send(desk, core, payload).status_code == 200


def opened(
    desk: httpx.Client, core: Core, double: SlackDouble, what: str, about: str, user: str = "U0002"
) -> dict[str, Any]:
    """The view that a click opens."""
    before = len(double.views)
    press(desk, core, what, about, user, trigger_id=f"trigger {before}")
    until = monotonic() + 10
    while len(double.views) == before and monotonic() < until:  # it opens after the click was answered for
        sleep(0.01)
    assert len(double.views) == before + 1, double.calls[-1:]
    return double.views[-1]


def count(core: Core, model: Any) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(model)).one()


def get(core: Core, model: Any, number: int) -> Any:
    with db.reading(core.engine) as session:
        return session.get_one(model, number)


def lead(core: Core, what: str, about: str, note: str = "", to: str = "") -> None:
    subject, number = about.split(":")
    with db.writing(core.engine) as session:
        lifecycle.act(core, session, Action(what, subject, int(number), note, to), Actor("主管", "lead", "desk"))


def a_case(core: Core, texts: Sequence[str] = (), **values: Any) -> int:
    return open_case(core, texts, policy=CASE_CLOCKS, **values)


def subject_for(core: Core, what: str, subject: str) -> str:
    """A case or crisis in a state from which the action may start."""
    said = [f"没收到货，第 {count(core, Feedback)} 单"]
    about = f"case:{a_case(core)}" if subject == "case" else f"crisis:{open_crisis(core, said)}"
    ways = ("notified_sms", "notified_push", "notified_call") if subject == "crisis" else ()
    if what in ("reopen", "review") or (what, subject) == ("resolved", "crisis"):
        for before in (*ways, "resolved") if what != "resolved" else ways:
            lead(core, before, about)
    return about


CHOSEN: dict[str, Any] = {"assign": "客服一号", "merge": "1", "refile": ["quality", "service"]}


def values_for(what: str) -> dict[str, Any]:
    return {"note": "先给苏州仓的客户补发", "to": CHOSEN.get(what)}


@pytest.fixture
def other_crisis(house: Core) -> int:
    """Number 1, to merge into."""
    return open_crisis(house, ["客服不理人"], category="service")


@pytest.mark.usefixtures("other_crisis")
def test_every_form_to_the_letter(desk: httpx.Client, house: Core, double: SlackDouble, request: Any) -> None:
    """Each form opens within Slack's limits and says what it always said."""
    said = {}
    for what, subject in FORMS:
        about = subject_for(house, what, subject)
        view = opened(desk, house, double, what, about)
        said[f"{what} {subject}"] = {name: value for name, value in view.items() if name not in ("id", "hash")}
    golden.check(request, "modals.slack.json", json.dumps(said, ensure_ascii=False, indent=1) + "\n")


@pytest.mark.usefixtures("other_crisis")
def test_every_form_does_what_it_says(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Filled in and sent off, each closes, and the action is done in the name of the one who sent it."""
    for n, (what, subject) in enumerate(FORMS):
        about = subject_for(house, what, subject)
        view = opened(desk, house, double, what, about)
        assert count(house, Inbound) == n, "opening a form changes nothing"
        answer = send(desk, house, filled(view, **values_for(what)))
        assert (what, answer.status_code, answer.content) == (what, 200, b"")
        with db.reading(house.engine) as session:
            mine = (Event.what == what, Event.subject == subject, Event.door == "slack")
            event = session.exec(select(Event).where(*mine)).one()
            assert (event.actor, f"{event.subject}:{event.subject_id}") == ("主管", about)


@pytest.mark.usefixtures("other_crisis")
@pytest.mark.parametrize("user", ["U0001", "U0004", "U0009"])
def test_nobody_does_by_a_form_what_the_role_forbids(
    desk: httpx.Client, house: Core, double: SlackDouble, user: str
) -> None:
    """Every form × role: who may not is told in the modal, and a submission all the same changes nothing."""
    role = {"U0001": "agent", "U0004": "brand"}.get(user)
    for what, subject in FORMS:
        about = subject_for(house, what, subject)
        allowed = role is not None and ACTIONS[what].allowed(subject, role)
        view = opened(desk, house, double, what, about, user)
        assert ("submit" in view) == allowed, what
        if allowed:
            continue
        assert any(word in str(view["blocks"]) for word in ("权限", "people"))
        proper = opened(desk, house, double, what, about)
        model, number = Case if subject == "case" else Crisis, int(about.split(":")[1])
        before = get(house, model, number).model_dump()
        answer = send(desk, house, filled(proper, user, **values_for(what))).json()
        assert answer["response_action"] == "update"
        assert any(word in str(answer["view"]["blocks"][0]) for word in ("权限", "people"))
        assert get(house, model, number).model_dump() == before


def test_a_plan_goes_everywhere(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Members, facts and plan are kept, personal data masked; the card says so and its thread has every word."""
    crisis = open_crisis(house, ["没收到货", "一直没到"])
    run(house)
    view = opened(desk, house, double, "plan", f"crisis:{crisis}")
    where = json.loads(view["private_metadata"])
    assert where == {"action": "plan", "about": f"crisis:{crisis}", "channel": "C1", "message": "1795154000.000100"}
    said = {"members": "客服一号、仓库老王", "facts": "苏州仓 37 单，电话 13812345678", "note": "今天补发完"}
    assert send(desk, house, filled(view, **said)).content == b""
    row = get(house, Crisis, crisis)
    assert (row.members, row.plan, row.state) == (said["members"], said["note"], "acknowledged")
    assert "13812345678" not in row.facts
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    run(house)
    card, reply = double.messages
    assert "写初步方案" in str(card["blocks"])
    assert reply["thread_ts"] == card["ts"]
    for words in ("主管 写初步方案", "客服一号、仓库老王", "今天补发完"):
        assert words in str(reply["blocks"]).replace(blocks._GAP, "")
    again = opened(desk, house, double, "plan", f"crisis:{crisis}", "U0001")
    assert said["note"] in str(again["blocks"]), "what was written before can be gone on with"


def test_what_is_missing_or_too_long_is_told_at_the_field(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Field errors are Slack's ``errors`` in Chinese; nothing is written down, and the same form still works."""
    about = f"case:{a_case(house)}"
    view = opened(desk, house, double, "extortion", about)
    for note in ("", "   ", "\n"):
        answer = send(desk, house, filled(view, note=note)).json()
        assert answer == {"response_action": "errors", "errors": {"note": "请写上这一项"}}
    answer = send(desk, house, filled(view, note="字" * 2001)).json()
    assert answer["errors"] == {"note": "请控制在 2000 字以内，现在是 2001 字"}
    assign = opened(desk, house, double, "assign", about)
    assert send(desk, house, filled(assign)).json()["errors"] == {"to": "请选一个"}
    assert (count(house, Inbound), get(house, Case, 1).state) == (0, "received")
    assert send(desk, house, filled(view, note="字" * 2000)).content == b""
    assert get(house, Case, 1).state == "suspected"


def test_fault_20_a_form_delivered_twice(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """The same submission with a new signature does nothing more, and closes the form again."""
    view = opened(desk, house, double, "note", f"case:{a_case(house)}")
    for _ in range(3):
        answer = send(desk, house, filled(view, note="下午再打"))
        assert (answer.status_code, answer.content) == (200, b"")
    with db.reading(house.engine) as session:
        assert len(session.exec(select(Event).where(Event.what == "note")).all()) == 1
    assert count(house, Inbound) == 1


def test_a_refusal_keeps_the_form_and_can_be_tried_again(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Somebody was faster: the form says so and keeps what was written; sent off from there, it is a new try."""
    crisis = open_crisis(house, ["没收到货"])
    other = open_crisis(house, ["客服不理人"], category="service")
    view = opened(desk, house, double, "merge", f"crisis:{crisis}")
    lead(house, "merge", f"crisis:{other}", to=str(crisis))
    sent = filled(view, to=str(other))
    answer = send(desk, house, sent).json()
    assert send(desk, house, sent).json() == answer, "the same submission, the same refusal"
    assert answer["response_action"] == "update"
    assert "没有" in str(answer["view"]["blocks"])
    third = open_crisis(house, ["杯子漏水"], category="quality")
    fresh = answer["view"] | {"id": view["id"], "hash": "2.2"}
    retry = sent | {"view": sent["view"] | {"hash": fresh["hash"]}}
    retry["view"]["state"]["values"]["to"]["to"]["selected_option"] = {"value": str(third)}
    assert send(desk, house, retry).content == b""
    assert get(house, Crisis, crisis).merged_into == third


def test_a_form_refused_by_the_state_keeps_its_words(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """The update Slack gets is a proper view, with the same fields and the words in them."""
    case_id = a_case(house)
    view = opened(desk, house, double, "extortion", f"case:{case_id}")
    lead(house, "resolved", f"case:{case_id}")
    answer = send(desk, house, filled(view, note="对方要五千块")).json()
    assert answer["response_action"] == "update"
    assert view_problem(answer["view"]) == ""
    assert answer["view"]["blocks"][-1]["element"]["initial_value"] == "对方要五千块"
    assert "已解决" in str(answer["view"]["blocks"][0])


def test_where_a_form_cannot_open_a_page_does(
    desk: httpx.Client, house: Core, double: SlackDouble, httpserver: HTTPServer
) -> None:
    """An expired trigger, or Slack in trouble: the person gets a personal link to the same form, and it works."""
    heard, crisis = listen(httpserver), open_crisis(house, ["没收到货"])
    reply = httpserver.url_for("/reply")
    double.expired.add("late")
    press(desk, house, "plan", f"crisis:{crisis}", "U0001", trigger_id="late", response_url=reply)
    said = wait_for(heard)["text"]
    path = said.split(f"<{DESK}")[1].split("|")[0]
    desk.post(path, data={"note": "先补发"})
    assert get(house, Crisis, crisis).plan == "先补发"
    for fault in ("500", "reset", "html", "invalid_auth"):
        heard.clear()
        double.fail("views.open", fault)
        press(desk, house, "plan", f"crisis:{crisis}", "U0001", trigger_id=f"t{fault}", response_url=reply)
        assert "在这里填写" in wait_for(heard)["text"]
    assert [method for method, _ in double.calls].count("views.open") == 5, "a trigger is used once"


def test_a_refusal_that_no_modal_can_tell_is_a_message(
    desk: httpx.Client, house: Core, double: SlackDouble, httpserver: HTTPServer
) -> None:
    """Without a modal the reason comes as a message, and without a link."""
    heard, case_id = listen(httpserver), a_case(house)
    double.fail("views.open", "500")
    press(desk, house, "reopen", f"case:{case_id}", trigger_id="t", response_url=httpserver.url_for("/reply"))
    assert wait_for(heard)["text"] == "现在是“待认领”，不能“重新打开”"


@pytest.mark.parametrize(("to", "negative", "codes"), [(None, False, []), ("service", True, ["service"])])
def test_false_alarms_leave_the_label_that_was_named(
    desk: httpx.Client, house: Core, double: SlackDouble, to: str | None, negative: bool, codes: list[str]
) -> None:
    """误报 with a category is a complaint about that, without one it is none: label, score and event agree."""
    case_id = a_case(house, ["客服半天不回"], state="assigned", categories=["logistics"])
    view = opened(desk, house, double, "false_alarm", f"case:{case_id}", "U0001")
    assert send(desk, house, filled(view, "U0001", to=to, note="看错了")).content == b""
    with db.reading(house.engine) as session:
        label, score = session.exec(select(Correction)).one(), session.exec(select(Score)).one()
        event = session.exec(select(Event).where(Event.what == "false_alarm")).one()
    assert (label.after, label.actor) == ({"negative": negative, "categories": codes}, "客服一号")
    assert (score.negative, score.categories) == (negative, codes)
    assert event.after["note"] == ("其实是客服态度；看错了" if to else "看错了")
    row = get(house, Case, case_id)
    assert (row.state, row.categories) == ("false_alarm", codes or ["logistics"])
    lead(house, "reopen", f"case:{case_id}", "是真的")
    with db.reading(house.engine) as session:
        assert session.exec(select(Score)).one().negative, "the denial is taken back; a complaint stays one"


def test_a_choice_in_the_menu_that_asks_nothing_is_done(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """归档 needs no words: no form, done at once."""
    case_id = a_case(house, state="resolved")
    press(desk, house, "close", f"case:{case_id}")
    assert (get(house, Case, case_id).state, double.views) == ("closed", [])


@pytest.mark.parametrize("subject", ["case", "crisis"])
def test_the_menu_never_has_more_than_slack_takes(house: Core, subject: str) -> None:
    """In every state one to five choices, none of them a button as well; merged crises have no menu."""
    states = {state for info in ACTIONS.values() for state in info.moves.get(subject, ((), ""))[0]} | {"merged"}
    number = a_case(house) if subject == "case" else open_crisis(house, ["没收到货"])
    links = Links(b"x", DESK, house.clock)
    reader = Reader(house.clock.now(), house.settings.zone, house.settings.shop_name, links)
    with db.reading(house.engine) as session:
        for state in states:
            card = _card(session, subject, number, state, reader)
            built = [one for block in blocks.blocks(card) for one in block.get("elements", ()) if "action_id" in one]
            menus = [one for one in built if one["type"] == "overflow"]
            assert len(menus) == (state != "merged")
            assert all(1 <= len(one["options"]) <= 5 for one in menus)
            assert not {one.action for one in card.more} & {one.action for one in card.buttons}


def _card(session: Any, subject: str, number: int, state: str, reader: Reader) -> Any:
    view: Any = (queries.case_view if subject == "case" else queries.crisis_view)(session, number)
    (view.case if subject == "case" else view.crisis).state = state
    return (cards.case_card if subject == "case" else cards.crisis_card)(view, reader)


def test_too_full_a_menu_is_refused() -> None:
    """More choices than Slack takes are our own mistake, told before Slack tells it."""
    with pytest.raises(blocks.TooLong, match="5"):
        blocks.blocks(Card("标题", about="case:1", more=tuple(Button(f"a{n}", "一") for n in range(6))))


def test_nothing_to_choose_from_is_told(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """The only crisis cannot be merged: a word instead of an empty menu, which Slack would refuse."""
    view = opened(desk, house, double, "merge", f"crisis:{open_crisis(house, ['没收到货'])}")
    assert "submit" not in view
    assert "没有可以“合并”的对象" in str(view["blocks"])


def test_a_record_that_is_gone_is_told(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Neither the form nor its submission needs the record to be there."""
    assert "找不到" in str(opened(desk, house, double, "note", "case:77")["blocks"])
    view = opened(desk, house, double, "note", f"case:{a_case(house)}")
    lost = view | {"private_metadata": json.dumps({"action": "note", "about": "case:77"})}
    answer = send(desk, house, filled(lost, note="在吗")).json()
    assert (answer["response_action"], view_problem(answer["view"])) == ("update", "")
    assert "找不到" in str(answer["view"]["blocks"])


@pytest.mark.parametrize("many", [100, 101, 350])
def test_many_people_come_in_groups(desk: httpx.Client, house: Core, double: SlackDouble, many: int) -> None:
    """Over a hundred choices are grouped, none left out; the last one can be chosen."""
    with db.writing(house.engine) as session:
        session.add_all(Person(name=f"组员{n:03}" + "长" * 70, role="agent") for n in range(many - 3))
    view = opened(desk, house, double, "assign", f"case:{a_case(house)}")
    menu = view["blocks"][-1]["element"]
    options = menu.get("options") or [one for group in menu["option_groups"] for one in group["options"]]
    assert (len(options), "option_groups" in menu) == (many, many > 100)
    last = max(one["value"] for one in options if one["value"].startswith("组员"))
    assert send(desk, house, filled(view, to=last)).content == b""
    with db.reading(house.engine) as session:
        assert session.get_one(Person, get(house, Case, 1).assignee_id).name == last


def test_fault_43_hostile_names_in_forms_are_text(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Markup in names, and in what was written before, stays plain text; a shop name of any length fits."""
    hostile = "<!channel> *粗* <https://evil.test|点我> :smile: {{7*7}}"
    with db.writing(house.engine) as session:
        session.add(Person(name=hostile, role="agent"))
    house.settings.shops[0] = house.settings.shops[0].model_copy(update={"name": hostile * 100})
    view = opened(desk, house, double, "assign", f"case:{a_case(house)}")
    assert "mrkdwn" not in json.dumps(view)
    crisis = open_crisis(house, ["没收到货"])
    with db.writing(house.engine) as session:
        row = session.get_one(Crisis, crisis)
        row.facts, row.members = "x" * 2500, hostile
        session.add(row)
    view = opened(desk, house, double, "plan", f"crisis:{crisis}")
    assert "mrkdwn" not in json.dumps(view)
    assert "initial_value" not in view["blocks"][2]["element"], "what does not fit the field is not cut into it"


def test_fault_34_a_form_on_a_locked_store_says_so(house: Core, double: SlackDouble) -> None:
    """The form stays open with a sentence; sent off again a moment later it is done, once."""
    engine = impatient(house.engine)
    hasty = make_core(engine, house.settings, house.clock)
    about = f"case:{a_case(house)}"
    with browse(create_app(hasty, Links(house.secret, DESK, house.clock))) as desk:
        view = opened(desk, house, double, "note", about)
        with locked(house.engine):
            answer = send(desk, house, filled(view, note="在路上")).json()
        assert answer["response_action"] == "errors"
        assert "再点一次" in answer["errors"]["note"]
        for _ in range(2):
            assert send(desk, house, filled(view, note="在路上")).content == b""
    assert (count(house, Inbound), count(house, Event)) == (1, 1)
    engine.dispose()


def test_a_store_that_breaks_while_a_form_opens_is_told(
    desk: httpx.Client, house: Core, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own error: the person hears of it."""
    heard = listen(httpserver)
    monkeypatch.setattr(modals, "form", lambda *_: 1 / 0)
    about = f"case:{a_case(house)}"
    press(desk, house, "note", about, trigger_id="t", response_url=httpserver.url_for("/reply"))
    assert "再点一次" in wait_for(heard)["text"]


def test_submissions_of_another_shape(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Another app's view is acknowledged; what is not shaped as ours is 400; nothing is stored."""
    view = opened(desk, house, double, "note", f"case:{a_case(house)}")
    good = filled(view, note="在")
    assert send(desk, house, good | {"view": good["view"] | {"callback_id": "other"}}).status_code == 200
    foreign = [{"action": "note", "about": "shop:1"}, {"action": "x", "about": "case:1"}]
    metadata = ["", "{}", "[]", "null", "{", *map(json.dumps, foreign)]
    broken: list[Any] = [good["view"] | {"private_metadata": one} for one in metadata]
    broken += [None, [], {}, good["view"] | {"state": {}}, good["view"] | {"state": {"values": {"note": None}}}]
    for wrong in broken:
        assert send(desk, house, good | {"view": wrong}).status_code == 400
    assert send(desk, house, good | {"user": None}).status_code == 400
    assert count(house, Inbound) == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: st.dictionaries(
            st.sampled_from(["note", "to", "value", "type", "selected_option"]), inner, max_size=3
        ),
    ),
    about=st.text(max_size=8) | st.just("case:1"),
    name=st.text(max_size=40) | st.none() | st.integers(),
)
def test_fault_23_no_submission_breaks_the_door(
    desk: httpx.Client, house: Core, state: Any, about: str, name: Any
) -> None:
    """Whatever a signed submission holds, the answer is never 500."""
    metadata = json.dumps({"action": "false_alarm", "about": about})
    view = {"callback_id": "pingshao", "id": name, "hash": name, "private_metadata": metadata}
    payload = {"type": "view_submission", "user": {"id": name}, "view": view | {"state": {"values": state}}}
    assert send(desk, house, payload).status_code in {200, 400}


def test_history_stands_in_the_thread_once(house: Core, double: SlackDouble) -> None:
    """What people did is one answer below the card, after its edit, growing in place; without a card there is none."""
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    for what in ("claim", "notified_sms", "notified_push"):
        lead(house, what, f"crisis:{crisis}")
    lead(house, "note", f"crisis:{crisis}", "<!channel> 已打电话")
    run(house)
    assert len(double.messages) == 1, "the card is brought up to date first"
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    run(house)
    run(house)
    card, history = double.messages
    assert history["thread_ts"] == card["ts"]
    heads = "\n".join(f"11月20日 14:00 主管 {told}" for told in ("我来负责", "已发短信", "已推送", "备注"))
    assert _texts(history) == [f"{blocks._GAP}*处理经过*{blocks._GAP}", heads, "&lt;!channel&gt; 已打电话"]
    lead(house, "notified_call", f"crisis:{crisis}")
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    run(house)
    card, history = double.messages
    assert _texts(history)[-1].endswith("主管 已外呼")
    assert {row.state for row in rows(house, "crisis.acted")} == {"sent", "folded"}
    lead(house, "claim", f"case:{a_case(house)}")
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    run(house)
    assert [row.state for row in rows(house, "case.acted")] == ["folded"]
    assert len(double.messages) == 2


@pytest.mark.parametrize("fault", ["reset", "no_ts", "500", "drop"])
def test_a_history_whose_name_was_lost_is_found(house: Core, double: SlackDouble, fault: str) -> None:
    """Accepted without an answer, or not at all: the next act edits what is there, and there is one in the end."""
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    lead(house, "claim", f"crisis:{crisis}")
    run(house)
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    double.fail("chat.postMessage", fault)
    run(house)
    lead(house, "notified_sms", f"crisis:{crisis}")
    for _ in range(2):
        house.clock.move(timedelta(seconds=30))  # type: ignore[attr-defined]
        run(house)
    _card, history = double.messages
    assert _texts(history)[-1].count("主管") == 2
    assert "可能重复" not in str(history)


def test_a_history_outlives_what_old_messages_said(house: Core, double: SlackDouble) -> None:
    """Once the payload of an old step is not kept any more, the history goes on without it."""
    crisis = open_crisis(house, ["没收到货"])
    run(house)
    for what in ("claim", "notified_sms"):
        lead(house, what, f"crisis:{crisis}")
        house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
        run(house)
        with db.writing(house.engine) as session:
            session.execute(update(Outbox).where(col(Outbox.state) != "pending").values(payload={}))
    assert _texts(double.messages[1])[1:] == ["11月20日 14:00 主管 已发短信"]


def test_a_long_history_says_what_it_leaves_out(house: Core, double: SlackDouble) -> None:
    """The newest steps that fit one message whatever was written, and the way to the others."""
    crisis = open_crisis(house, ["没收到货"])
    for n in range(9):
        lead(house, "note", f"crisis:{crisis}", f"{n}" + "<*&_" * 499)
    for _ in range(2):
        house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
        run(house)
    _card, history = double.messages
    told = "".join(_texts(history))
    assert "更早的 6 步" in told
    assert told.count("备注") == 3
    for n in range(80):
        lead(house, "note", f"crisis:{crisis}", f"第 {n} 次")
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    run(house)
    assert "第 79 次" in _texts(double.messages[1])
    assert len(double.messages[1]["blocks"]) <= blocks.MOST_BLOCKS


def _texts(message: dict[str, Any]) -> list[str]:
    return [text["text"] for one in message["blocks"] for text in one.get("elements", [one.get("text")])]


def test_who_clicked_does_not_wait_for_a_flood(house: Core, double: SlackDouble) -> None:
    """The card that somebody acted on changes before new ones are posted, and its history comes after them."""
    crisis = open_crisis(house, ["没收到货"])
    claimed = a_case(house)
    tell(house, Notice("case.opened", f"case:{claimed}:opened:0", "case", claimed, "demo"))
    run(house)
    for _ in range(3):
        number = a_case(house)
        tell(house, Notice("case.opened", f"case:{number}:opened:0", "case", number, "demo"))
    lead(house, "claim", f"case:{claimed}")
    lead(house, "claim", f"crisis:{crisis}")
    double.accepted.clear()
    run(house)
    house.clock.move(timedelta(seconds=6))  # type: ignore[attr-defined]
    run(house)
    methods = [method for method, _ in double.accepted]
    assert methods == ["chat.update"] * 2 + ["chat.postMessage"] * 5
    assert ["thread_ts" in sent for _, sent in double.accepted[2:]] == [False] * 3 + [True] * 2


def _spoilt(view: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Views that Slack refuses, each for one reason."""
    text = {"type": "plain_text", "text": "字"}
    note, menu = view["blocks"][-1], {"type": "static_select", "action_id": "to"}
    options = [{"text": text, "value": str(n)} for n in range(101)]
    yield {name: value for name, value in view.items() if name != "submit"}
    yield {name: value for name, value in view.items() if name != "title"}
    yield view | {"title": {"type": "plain_text", "text": "字" * 25}}
    yield view | {"title": {"type": "mrkdwn", "text": "字"}}
    yield view | {"private_metadata": "x" * 3001}
    yield view | {"callback_id": "x" * 256}
    yield view | {"blocks": []}
    yield view | {"blocks": [note, note]}
    yield view | {"blocks": [{"type": "section", "text": text}] * 101}
    yield view | {"blocks": [{"type": "section", "text": text | {"text": "字" * 3001}}]}
    yield view | {"trigger": "x"}
    for element in (
        note["element"] | {"max_length": 3001},
        note["element"] | {"initial_value": "字" * 2001},
        note["element"] | {"type": "email"},
        menu | {"options": []},
        menu | {"options": options},
        menu | {"options": [options[0], options[0]]},
        menu | {"options": [{"text": text | {"text": "字" * 76}, "value": "1"}]},
        menu | {"options": [{"text": text, "value": "x" * 151}]},
        menu | {"options": options[:2], "initial_option": options[5]},
        menu | {"option_groups": [{"label": text, "options": options}]},
        menu | {"options": options[:2], "option_groups": [{"label": text, "options": options[:2]}]},
    ):
        yield view | {"blocks": [note | {"element": element}]}


def test_the_double_refuses_what_slack_refuses(desk: httpx.Client, house: Core, double: SlackDouble) -> None:
    """Every limit of Slack's reference that our forms could break is looked at."""
    view = opened(desk, house, double, "note", f"case:{a_case(house)}")
    view = {name: value for name, value in view.items() if name not in ("id", "hash")}
    assert view_problem(view) == ""
    spoilt = list(_spoilt(view))
    assert [n for n, one in enumerate(spoilt) if not view_problem(one)] == []
    answer = json.loads(double.answer("views.open", {"trigger_id": "x", "view": json.dumps(spoilt[0])})[2] or "")
    assert (answer["ok"], answer["error"]) == (False, "invalid_arguments")

"""The desk's 质检 page, the drafts beside a case, the search among them and the check of what is about to be sent."""

import html
import re
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest
from factories import make_core
from serving import browse
from sqlmodel import select
from subjects import add_feedbacks, open_case, open_crisis
from test_alerts_desk_rooms import ROLES, do, enter, key, staffed

from alerts.desk.answers import allowed
from alerts.desk.app import create_app
from alerts.desk.sessions import Viewer
from alerts.links import Links
from monitor import db
from monitor.answers_found import VERDICTS
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import AnswerFinding, Case, Event, Feedback, Person, Score
from monitor.settings import Scoring

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core) -> Core:
    return staffed(core)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with browse(create_app(core, Links(core.secret, "http://127.0.0.1:8000", core.clock))) as client:
        yield client


def found(core: Core, kind: str = "banned", answer: str = "亲，绝对不会再漏水，您放心。", **values: str) -> int:
    """A finding about an answer under a case's review; gives its id."""
    case = open_case(core, ["杯子漏水，<b>很失望</b>"])
    with db.writing(core.engine) as session:
        row = session.exec(select(Feedback).where(Feedback.case_id == case)).one()
        row.reply = answer
        session.add(row)
        facts: dict[str, Any] = {
            "mark": "绝对" if kind == "banned" else "",
            "why": "绝对化用语",
            "answer": answer,
            "words": answer,
        }
        finding = AnswerFinding(
            feedback_id=row.id or 0, shop_id="demo", kind=kind, found_at=core.clock.now(), **(facts | values)
        )
        session.add(finding)
        session.flush()
        return finding.id or 0


def state(core: Core, number: int) -> tuple[str, str]:
    with db.reading(core.engine) as session:
        row = session.get_one(AnswerFinding, number)
        return row.state, row.settled_by


def test_the_page_shows_what_is_wrong_and_where(desk: httpx.Client, core: Core) -> None:
    """Reason, the answer with the words marked, the buyer's words as text, a way to the case; filters choose."""
    found(core)
    found(core, "no_remedy")
    enter(desk, "客服一号")
    page = desk.get("/answers").text
    assert "<mark>绝对</mark>" in page
    assert "&lt;b&gt;很失望" in page
    assert '/cases/1"' in page
    assert "不能说的话（1）" in page
    assert "绝对化用语" in page
    for query, count in (("kind=banned", 1), ("kind=late", 0), ("shop=demo", 2), ("shop=x", 0), ("which=mended", 0)):
        assert desk.get(f"/answers?{query}").text.count('class="card answer"') == count
    assert desk.get("/answers?which=lapsed&page=2").status_code == 200
    assert desk.get("/answers?which=x").status_code == 400
    assert desk.get("/answers?shop=%00").status_code == 400


def test_it_goes_on_page_by_page(desk: httpx.Client, core: Core) -> None:
    """More than a page: the way to the next, and back."""
    first = found(core)
    with db.writing(core.engine) as session:
        row = session.get_one(AnswerFinding, first)
        facts: dict[str, Any] = {"feedback_id": row.feedback_id, "kind": "banned", "why": "w", "found_at": row.found_at}
        session.add_all(AnswerFinding(**facts, mark=f"词{n}", answer="没有") for n in range(35))
    enter(desk)
    assert "下一页" in desk.get("/answers").text
    second = desk.get("/answers?page=2").text
    assert second.count("/dismissed") == 6
    assert "上一页" in second


@pytest.mark.parametrize("name", ROLES)
def test_no_role_says_what_it_may_not(desk: httpx.Client, core: Core, name: str) -> None:
    """Every verdict by every role: what is not allowed is refused, is not offered, and changes nothing."""
    enter(desk, name)
    done = []
    for verdict in (*VERDICTS, "deleted"):
        number = found(core)
        viewer = Viewer(name, ROLES[name], (), "", None)
        may = verdict in ("mended", "dismissed") and allowed(verdict, viewer)
        assert (f"/answers/{number}/{verdict}" in desk.get("/answers").text) is may
        answer = do(desk, f"/answers/{number}/{verdict}")
        assert answer.status_code in ((303,) if may else (400, 403, 409))
        assert state(core, number) == ((verdict, name) if may else ("open", ""))
        done += [(f"answer.{verdict}", name, "desk")] if may else []
    with db.reading(core.engine) as session:
        told = session.exec(select(Event).where(Event.subject == "answer")).all()
    assert [(one.what, one.actor, one.door) for one in told] == done


def test_a_verdict_is_said_once_and_can_be_taken_back(desk: httpx.Client, core: Core) -> None:
    """The second finds it settled; a lead puts it back; the audit names it all."""
    number = found(core)
    enter(desk)
    assert do(desk, f"/answers/{number}/dismissed").status_code == 303
    assert do(desk, f"/answers/{number}/dismissed").status_code == 409
    assert "主管" in desk.get("/answers?which=dismissed").text
    assert do(desk, f"/answers/{number}/open").status_code == 303
    assert state(core, number) == ("open", "")
    audit = desk.get("/audit").text
    assert "一条回复的质检不算" in audit
    assert do(desk, "/answers/99/mended").status_code == 404


def test_forms_and_shops_are_checked(desk: httpx.Client, core: Core) -> None:
    """Without our form key, or for another shop's answer: nothing; without a login: the door."""
    number = found(core)
    assert desk.get("/answers").status_code == 303
    assert desk.post(f"/answers/{number}/mended", data={}).status_code == 401
    enter(desk, "客服一号")
    assert desk.post(f"/answers/{number}/mended", data={"form_key": "x"}).status_code == 403
    form_key = key(desk)
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "客服一号")).one()
        person.shops = ["other"]
        session.add(person)
    assert 'class="card answer"' not in desk.get("/answers").text
    assert desk.post(f"/answers/{number}/mended", data={"form_key": form_key}).status_code == 404
    assert state(core, number) == ("open", "")


def test_one_card_for_an_answer_whatever_is_wrong(desk: httpx.Client, core: Core) -> None:
    """The gravest fault first, each with its own 不算; 改好了 is about the whole answer."""
    first = found(core, "no_remedy")
    with db.writing(core.engine) as session:
        row = session.get_one(AnswerFinding, first)
        facts: dict[str, Any] = {"feedback_id": row.feedback_id, "answer": row.answer, "found_at": row.found_at}
        session.add(AnswerFinding(**facts, kind="banned", mark="绝对", why="绝对化用语"))
        session.add(AnswerFinding(**facts, kind="banned", mark="放心", why="随便举例"))
    enter(desk)
    page = desk.get("/answers").text
    assert page.count('class="card answer"') == 1
    assert page.count("<mark>") == 2
    assert page.index("绝对化用语") < page.index("没说怎么办</b>")
    assert page.count("/dismissed") == 3
    assert page.count("/mended") == 1
    do(desk, f"/answers/{first}/dismissed")
    assert desk.get("/answers").text.count("/dismissed") == 2
    assert do(desk, f"/answers/{first + 1}/mended").status_code == 303
    assert "没有要改的回复" in desk.get("/answers").text
    assert [state(core, first + n)[0] for n in range(3)] == ["dismissed", "mended", "mended"]


def test_a_late_answer_can_only_be_known(desk: httpx.Client, core: Core) -> None:
    """Nobody can mend the clock; what the answer says by now is shown beside what it said."""
    number = found(core, "late", why="首次回复应在 11-20 12:00 前")
    with db.writing(core.engine) as session:
        row = session.exec(select(Feedback)).one()
        row.reply = "抱歉，已经给您换新。"
        session.add(row)
    enter(desk)
    page = desk.get("/answers").text
    assert "知道了" in page
    assert "现在是：<bdi>抱歉，已经给您换新。" in page
    assert f"/answers/{number}/mended" in page


def drafts_on(page: str) -> list[str]:
    boxes = re.findall(r'<textarea id="draft-\d" readonly[^>]*>(.*?)</textarea>', page, re.DOTALL)
    return [html.unescape(text) for text in boxes]


def test_a_case_offers_drafts(desk: httpx.Client, core: Core) -> None:
    """Three on the case, five on their own page, for its words; they can be selected and copied without a script."""
    case = open_case(core, ["用了两天电池就不行了，充满电撑不到晚上"], categories=["quality"])
    enter(desk, "客服一号")
    shown = drafts_on(desk.get(f"/cases/{case}").text)
    assert len(shown) == 3
    assert "电" in shown[0]
    page = desk.get(f"/cases/{case}/drafts").text
    assert len(drafts_on(page)) == 5
    assert drafts_on(page)[0] == shown[0]
    assert "电池和续航" in page
    assert "data-copy" in page


def test_a_crisis_offers_drafts_and_a_question_none(desk: httpx.Client, core: Core) -> None:
    """A critical crisis: formal ones; a buyer's question needs an answer, not an apology; a suspect may have them."""
    crisis = open_crisis(core, ["孩子喝了拉肚子"], category="safety", severity="critical")
    question = open_case(core, ["能用洗碗机洗吗"], kind="question")
    silent = open_case(core)
    enter(desk)
    assert all("电话" in text for text in drafts_on(desk.get(f"/crises/{crisis}").text))
    assert len(drafts_on(desk.get(f"/crises/{crisis}/drafts").text)) == 4
    assert drafts_on(desk.get(f"/cases/{question}").text) == []
    assert len(drafts_on(desk.get(f"/cases/{silent}/drafts").text)) == 3


def test_a_lawyers_case_is_answered_formally(desk: httpx.Client, core: Core) -> None:
    """A flag of the newest feedback counts for a case."""
    case = open_case(core, ["不退款我就找律师"])
    with db.writing(core.engine) as session:
        score = session.exec(select(Score)).one()
        score.flags = ["legal_threat"]
        session.add(score)
    enter(desk)
    assert all(text.startswith("您好，") for text in drafts_on(desk.get(f"/cases/{case}").text))


@pytest.mark.parametrize("engine_name", ["builtin", "snownlp"])
def test_drafts_are_searched(core: Core, clock: HandClock, engine_name: Literal["builtin", "snownlp"]) -> None:
    """电池不耐用 finds the battery's; nonsense says so; hostile words are only words; any engine searches alike."""
    scoring = Scoring(engine=engine_name)
    house = make_core(core.engine, core.settings.model_copy(update={"scoring": scoring}), clock)
    case = open_case(house, ["物流太慢"], categories=["logistics"])
    with browse(create_app(house, Links(house.secret, "http://127.0.0.1:8000", house.clock))) as desk:
        enter(desk)
        page = desk.get(f"/cases/{case}/drafts?q=电池不耐用").text
        assert "电池和续航" in page
        assert 'value="电池不耐用"' in page
        assert "没有找到相近的话术" in desk.get(f"/cases/{case}/drafts?q=qqqq").text
        hostile = desk.get(f"/cases/{case}/drafts", params={"q": '"><script>alert(1)</script>'}).text
        assert "<script>alert" not in hostile
        assert desk.get(f"/cases/{case}/drafts", params={"q": "长" * 101}).status_code == 400
        assert desk.get(f"/cases/{case}/drafts?q=%00").status_code == 400
        assert desk.get("/cases/99/drafts").status_code == 404


def test_what_is_written_is_checked_before_it_is_sent(desk: httpx.Client, core: Core) -> None:
    """Banned words with the reason, steps that are missing; the text stays; 已回复 is one click more, with the text."""
    case = open_case(core, ["杯子漏水，很失望"], categories=["quality"])
    enter(desk, "客服一号")
    before = state_of(core, case)
    page = do(desk, f"/cases/{case}/drafts", text="亲，绝对不漏，<b>放心</b>").text
    assert "“<bdi>绝对</bdi>”不能说：绝对化用语" in page
    assert "没有体谅：先道歉或体谅" in page
    assert "&lt;b&gt;放心" in page
    assert "<b>放心" not in page
    good = "非常抱歉，今天就给您换一只新的，运费我们出。"
    page = do(desk, f"/cases/{case}/drafts", text=good).text
    assert "没有发现不能说的话" in page
    assert state_of(core, case) == before
    once = re.findall(r'name="once" value="([\w-]+)"', page)[0]
    assert do(desk, f"/cases/{case}/answered", once=once, note=good).status_code == 303
    assert state_of(core, case) == "answered"
    assert good in desk.get(f"/cases/{case}").text
    assert "标为已回复" not in do(desk, f"/cases/{case}/drafts", text=good).text


def test_the_check_is_for_those_inside(desk: httpx.Client, core: Core) -> None:
    """A brand may check but not answer; a foreign form, another shop's case or a huge text do nothing."""
    case = open_case(core, ["杯子漏水，很失望"])
    assert desk.post(f"/cases/{case}/drafts", data={"text": "x"}).status_code == 401
    enter(desk, "品牌")
    assert "标为已回复" not in do(desk, f"/cases/{case}/drafts", text="绝对").text
    assert desk.post(f"/cases/{case}/drafts", data={"text": "x", "form_key": "y"}).status_code == 403
    assert do(desk, f"/cases/{case}/drafts", text="好" * 100_000).status_code == 200
    assert do(desk, f"/cases/{case}/drafts", text="\x00 ").status_code == 200
    assert do(desk, "/crises/5/drafts", text="x").status_code == 404


def state_of(core: Core, case: int) -> str:
    with db.reading(core.engine) as session:
        return session.get_one(Case, case).state


def test_a_feedback_without_words_has_drafts_too(desk: httpx.Client, core: Core) -> None:
    """Stars alone: the category in general."""
    case = open_case(core, categories=["quality"])
    with db.writing(core.engine) as session:
        add_feedbacks(core, session, [""], case_id=case)
    enter(desk)
    assert len(drafts_on(desk.get(f"/cases/{case}").text)) == 3

"""The API: what the desk can do, programs can do, with the same roles and shops, and once."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from callers import ROLES, SITE, desk_of, house, log_in, seed, standing, token
from factories import NOW
from serving import browse
from sqlmodel import select
from subjects import add_feedbacks, open_case, open_crisis

from alerts.desk.app import create_app
from alerts.desk.tokens import SCOPES
from alerts.links import Links
from monitor import db
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import AnswerFinding, Event, Feedback, FeedbackVersion, Inbound, Outbox, Person, Score
from monitor.shelf import Entry
from monitor.transitions import ACTIONS

API = "/api/v1"
sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def core(core: Core) -> Core:
    return house(core)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with desk_of(core) as client:
        yield client


def act(desk: httpx.Client, path: str, key: str, headers: dict[str, str], **asked: Any) -> httpx.Response:
    return desk.post(f"{API}/{path}/actions", headers=headers | {"Idempotency-Key": key}, json=asked)


def test_everything_can_be_looked_at(desk: httpx.Client, core: Core) -> None:
    """Every list and everything in it, on both databases; what belongs together stands together."""
    case, crisis = seed(core)
    with db.writing(core.engine) as session:
        session.add(FeedbackVersion(feedback_id=1, version=1, at=core.clock.now(), text="杯子还行"))
    desk.headers.update(token(core))

    def got(path: str) -> Any:
        answer = desk.get(f"{API}/{path}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()

    assert [one["id"] for one in got("cases")["items"]] == [case]
    one = got(f"cases/{case}")
    assert (one["feedback_count"], [clock["stage"] for clock in one["clocks"]]) == (1, ["respond", "solve"])
    assert [version["text"] for version in one["feedback"][0]["versions"]] == ["杯子还行"]
    assert {"claim", "assign", "resolved"} <= set(one["actions"])
    assert "漏水" in one["feedback"][0]["text"]
    assert "示例旗舰店" in one["drafts"][0] or one["drafts"][0]
    assert [line["id"] for line in got("crises")["items"]] == [crisis]
    assert got("crises?which=done")["items"] == []
    full = got(f"crises/{crisis}")
    assert (full["feedback_count"], full["categories"], full["events"][-1]["words"]) == (2, ["logistics"], "开启")
    assert {clock["stage"] for clock in full["clocks"]} == {"respond", "notice", "follow_up"}
    assert got("cases?which=mine")["items"] == []
    assert [one["text"] for one in got("mentions?only=all")["items"]] == ["说是签收了"]
    assert [one["name"] for one in got("sources")] == ["tests"]
    assert {one["name"] for one in got("people")} == set(ROLES)
    assert got("rota") == []
    assert got("audit?who=老板")["items"][0]["what"] == "token.added"
    assert got("exports")[0]["name"] == "feedback"
    assert got("me") == {"name": "程序 erp", "role": "lead", "shops": [], "scopes": list(SCOPES), "form_key": ""}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [3, 2, 1]),
        ("q=漏水", [1]),
        ("q=没有这句话", []),
        ("kind=mention", [3]),
        ("kind=review&negative=true", [2, 1]),
        ("negative=false", []),
        ("category=logistics&severity=high", [3, 2, 1]),
        ("category=%25", []),
        ("severity=low", []),
        ("shop=demo&source=tests", [3, 2, 1]),
        ("shop=other", []),
        ("source=x", []),
        ("case=1", [1]),
        ("crisis=1", [3, 2]),
        ("since=2026-11-20T06:00:00Z", [3, 2, 1]),
        ("since=2026-11-20T06:00:01Z", []),
        ("since=0001-01-01T00:00:00%2B14:00", [3, 2, 1]),
        ("since=9999-12-31T23:59:59-14:00", []),
        ("limit=1&after=3", [2]),
    ],
)
def test_feedback_is_chosen(desk: httpx.Client, core: Core, query: str, found: list[int]) -> None:
    """Every filter chooses, on both databases; the ends of time are times too."""
    seed(core)
    answer = desk.get(f"{API}/feedback?{query}", headers=token(core))
    assert answer.status_code == 200, answer.text
    assert [one["id"] for one in answer.json()["items"]] == found


@sqlite
@pytest.mark.parametrize(
    ("path", "chosen"),
    [("cases", {"which": "all"}), ("crises", {"which": "all"}), ("feedback", {}), ("audit", {}), ("outbox", {}),
     ("mentions", {"only": "all"})],
)  # fmt: skip
def test_lists_are_read_page_by_page(desk: httpx.Client, core: Core, path: str, chosen: dict[str, str]) -> None:
    """Each row comes once, the newest first, whatever came in between two pages."""
    now = core.clock.now()
    for n in range(5):
        open_case(core, [f"第{n}个"])
        open_crisis(core, [f"没收到{n}"])
        facts = {"channel": "ops", "target": "", "kind": "k", "subject": "case", "subject_id": 1, "created_at": now}
        with db.writing(core.engine) as session:
            add_feedbacks(core, session, [f"帖子{n}"], kind="mention")
            session.add(Outbox(dedupe_key=str(n), not_before=now, **facts))
    desk.headers.update(token(core))
    after: str | None = ""
    seen: list[int] = []
    while after is not None:
        page = desk.get(f"{API}/{path}", params=chosen | {"limit": "2", "after": after}).json()
        seen += [one["id"] for one in page["items"]]
        assert len(page["items"]) <= 2
        after = page["next"]
        open_case(core)
    assert len(seen) == len(set(seen)) >= 5
    assert seen == sorted(seen, reverse=True)


@sqlite
def test_an_action_is_done_once(desk: httpx.Client, core: Core) -> None:
    """The same key again gets the same answer and changes nothing; for another request it is refused."""
    case = open_case(core)
    person = token(core, "手机", person="客服一号")
    assert act(desk, f"cases/{case}", "k1", person, action="claim").json() == {"done": True, "words": "客服一号负责"}
    before = standing(core)
    again = act(desk, f"cases/{case}", "k1", person, action="claim")
    assert (again.status_code, again.json()["done"], standing(core)) == (200, True, before)
    for other in ({"action": "contacted"}, {"action": "claim", "note": "x"}):
        told = act(desk, f"cases/{case}", "k1", person, **other)
        assert told.status_code == 409
        assert "另一件事" in told.json()["detail"]
    assert act(desk, f"cases/{open_case(core)}", "k1", person, action="claim").status_code == 409
    assert act(desk, f"cases/{case}", "k1", token(core), action="note", note="另一个程序的键").status_code == 200
    with db.reading(core.engine) as session:
        told = session.exec(select(Event.what, Event.actor, Event.door).where(Event.subject == "case")).all()
        keys = session.exec(select(Inbound.key).where(Inbound.door == "api")).all()
    assert told == [("claim", "客服一号", "api"), ("note", "程序 erp", "api")]
    assert all(key.startswith("token:") for key in keys)


@sqlite
def test_fault_24_two_programs_claim_at_once(desk: httpx.Client, core: Core) -> None:
    """One wins, the other is told who."""
    case = open_case(core)
    first, second = token(core, "甲", person="客服一号"), token(core, "乙", person="主管")
    assert act(desk, f"cases/{case}", "a", first, action="claim").status_code == 200
    told = act(desk, f"cases/{case}", "a", second, action="claim")
    assert (told.status_code, told.json()["detail"]) == (409, "客服一号已经认领了")
    assert told.headers["content-type"] == "application/problem+json"


@sqlite
def test_what_is_wrong_is_a_problem(desk: httpx.Client, core: Core) -> None:
    """Every refusal is problem+json with a status of its own and a Chinese sentence; nothing changes."""
    case, crisis = seed(core)
    headers = token(core)
    before = standing(core)
    asked = [
        (act(desk, f"cases/{case}", "1", headers, action="assign"), 409, "还缺"),
        (act(desk, f"cases/{case}", "2", headers, action="close"), 409, "现在是"),
        (act(desk, f"cases/{case}", "3", headers, action="boil"), 422, "body.action"),
        (act(desk, f"cases/{case}", "4", headers, action="note", note="x", more="y"), 422, "body.more"),
        (act(desk, "cases/99", "5", headers, action="claim"), 404, "找不到"),
        (act(desk, f"cases/{case}", "a b", headers, action="claim"), 422, "header.idempotency-key"),
        (desk.post(f"{API}/cases/{case}/actions", headers=headers, json={"action": "claim"}), 422, "idempotency-key"),
        (act(desk, f"cases/{case}", "6", headers, action="note", note="长" * 2001), 422, "body.note"),
        (act(desk, f"cases/{case}", "7", headers, action="merge", to="2"), 409, "没有这个操作"),
        (act(desk, f"crises/{crisis}", "8", headers, action="merge", to="99"), 409, "另一个进行中的危机"),
        (desk.get(f"{API}/cases/99", headers=headers), 404, "找不到"),
        (desk.get(f"{API}/crises/99", headers=headers), 404, "找不到"),
        (desk.get(f"{API}/feedback/99", headers=headers), 404, "找不到"),
        (desk.get(f"{API}/crises/99/buyers.csv", headers=headers), 404, "找不到"),
        (desk.get(f"{API}/reports/none", headers=headers), 404, "没有这份报告"),
        (desk.get(f"{API}/exports/people.csv", headers=headers), 422, "path.what"),
        (desk.get(f"{API}/nowhere", headers=headers), 404, "没有这个地址"),
        (desk.delete(f"{API}/cases/{case}", headers=headers), 405, "不接受"),
        (desk.get(f"{API}/cases?q=%00", headers=headers), 422, "query.q"),
        (desk.get(f"{API}/cases?after=-1", headers=headers), 422, "query.after"),
        (desk.get(f"{API}/feedback?since=2026-11-20", headers=headers), 422, "query.since"),
        (desk.post(f"{API}/outbox/99/retry", headers=headers), 404, "没有这条消息"),
    ]
    for answer, status, words in asked:
        told = answer.json()
        assert (answer.status_code, told["status"]) == (status, status), told
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in told["detail"]
    assert standing(core) == before


@sqlite
def test_fault_23_bodies_that_are_none(desk: httpx.Client, core: Core) -> None:
    """Rubbish, half a letter, NUL, ten megabytes: refused or cleaned, never a 500."""
    case = open_case(core)
    path, headers = f"{API}/cases/{case}/actions", token(core) | {"Content-Type": "application/json"}

    def send(key: str, body: bytes) -> int:
        return desk.post(path, headers=headers | {"Idempotency-Key": key}, content=body).status_code

    for n, body in enumerate(
        (b"", b"{", b"[]", b"\xff\xfe", b'{"action": "\xe4"}', b'{"action": 1}', b'{"action":"note","note":"\\ud800"}')
    ):
        assert send(f"r{n}", body) == 422
    assert send("big", b"x" * 10_000_000) == 413
    assert send("nul", b'{"action":"note","note":"a\\u0000b 13812345678"}') == 200
    with db.reading(core.engine) as session:
        event = session.exec(select(Event).where(Event.what == "note")).one()
    assert "\x00" not in event.after["note"]
    assert "13812345678" not in event.after["note"]


@sqlite
@pytest.mark.parametrize("name", ROLES)
def test_no_program_does_what_its_role_may_not(desk: httpx.Client, core: Core, name: str) -> None:
    """Every POST by every role, as a person and as a program: what is not allowed is 403 and changes nothing."""
    case, crisis = seed(core)
    role = ROLES[name]
    for headers in (token(core, "人", person=name), token(core, "程序", role=role)):
        for kind, path in (("case", f"cases/{case}"), ("crisis", f"crises/{crisis}")):
            denied = [what for what, info in ACTIONS.items() if kind in info.moves and not info.allowed(kind, role)]
            before = standing(core)
            for what in denied:
                asked = act(desk, path, f"{path}{what}", headers, action=what, note="记", to="主管")
                assert asked.status_code == 403, what
            assert standing(core) == before
            offered = desk.get(f"{API}/{path}", headers=headers).json()["actions"]
            assert not set(offered) & set(denied)
        if role in ("agent", "brand"):
            before = standing(core)
            assert desk.post(f"{API}/outbox/1/retry", headers=headers).status_code == 403
            for path in ("audit", "exports", "exports/cases.csv"):
                assert desk.get(f"{API}/{path}", headers=headers).status_code == 403
            assert standing(core) == before


@sqlite
def test_shops_bound_programs_and_people(desk: httpx.Client, core: Core) -> None:
    """What is of other shops is neither listed nor opened nor changed nor merged into; tables of all shops are shut."""
    case, crisis = seed(core)
    theirs = open_crisis(core, ["另一家的"], shop_id="other")
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "主管")).one()
        person.shops = ["other"]
        session.add(person)
    before = standing(core)
    for headers in (token(core, "程序", shops=("other",)), token(core, "人", person="主管")):
        before = standing(core)
        got = {path: desk.get(f"{API}/{path}", headers=headers).json() for path in ("cases", "crises", "feedback")}
        assert got["cases"]["items"] == []
        assert [one["id"] for one in got["crises"]["items"]] == [theirs]
        assert all(one["shop"] == "other" for one in got["crises"]["items"])
        assert desk.get(f"{API}/sources", headers=headers).json() == []
        for path in (f"cases/{case}", f"crises/{crisis}", "feedback/1", f"crises/{crisis}/buyers.jsonl"):
            assert desk.get(f"{API}/{path}", headers=headers).status_code == 404
        assert act(desk, f"cases/{case}", "1", headers, action="claim").status_code == 404
        assert act(desk, f"crises/{theirs}", "2", headers, action="merge", to=str(crisis)).status_code == 404
        for path in ("audit", "exports", "exports/events.jsonl", "reports"):
            assert desk.get(f"{API}/{path}", headers=headers).status_code == 403
        assert standing(core) == before


@sqlite
def test_nobody_merges_into_what_he_may_not_see(desk: httpx.Client, core: Core) -> None:
    """On the desk's pages too a crisis of another shop is no place to merge into."""
    _, crisis = seed(core)
    theirs = open_crisis(core, ["另一家的"], shop_id="other")
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "主管")).one()
        person.shops = ["other"]
        session.add(person)
    log_in(core, desk, "主管")
    before = standing(core)
    form = {"form_key": desk.get(f"{API}/me").json()["form_key"], "once": "1", "to": str(crisis)}
    assert desk.post(f"/crises/{theirs}/merge", data=form).status_code == 404
    assert standing(core) == before


@sqlite
def test_a_session_reads_and_with_its_form_key_acts(desk: httpx.Client, core: Core) -> None:
    """Who is logged in may GET; a POST needs the key of the pages' forms, and no foreign origin."""
    case = open_case(core)
    log_in(core, desk, "客服一号")
    assert desk.get(f"{API}/cases").json()["items"][0]["id"] == case
    me = desk.get(f"{API}/me").json()
    assert (me["name"], me["role"], len(me["form_key"])) == ("客服一号", "agent", 32)
    before = standing(core)
    for headers in ({}, {"X-Form-Key": "x"}, {"X-Form-Key": me["form_key"], "Origin": "https://evil.test"}):
        assert act(desk, f"cases/{case}", "1", headers, action="claim").status_code == 403
    assert standing(core) == before
    good = {"X-Form-Key": me["form_key"], "Origin": str(desk.base_url).rstrip("/")}
    assert act(desk, f"cases/{case}", "1", good, action="claim").json()["words"] == "客服一号负责"
    assert desk.get(f"{API}/audit").status_code == 403


@sqlite
def test_dead_messages_are_sent_again(desk: httpx.Client, core: Core) -> None:
    """A message is listed without its address, and sent again by who leads; the audit knows the program."""
    seed(core)
    headers = token(core)
    (letter,) = desk.get(f"{API}/outbox?state=dead", headers=headers).json()["items"]
    assert "target" not in letter
    assert "head@example.com" not in json.dumps(letter)
    assert desk.post(f"{API}/outbox/{letter['id']}/retry", headers=headers).json()["done"]
    with db.reading(core.engine) as session:
        event = session.exec(select(Event).where(Event.what == "retried")).one()
    assert (event.actor, event.door) == ("程序 erp", "api")


@sqlite
def test_tables_are_taken_away(desk: httpx.Client, core: Core) -> None:
    """Tables in every format, since a time; the buyers of a crisis."""
    _, crisis = seed(core)
    desk.headers.update(token(core))
    assert desk.get(f"{API}/exports/feedback.xlsx").content[:2] == b"PK"
    rows = desk.get(f"{API}/exports/feedback.jsonl").text.splitlines()
    assert [json.loads(row)["id"] for row in rows] == [1, 2, 3]
    assert desk.get(f"{API}/exports/feedback.jsonl?since=2030-01-01T00:00:00Z").text == ""
    listed = desk.get(f"{API}/crises/{crisis}/buyers.csv")
    assert "李**明" in listed.text
    assert "attachment" in listed.headers["content-disposition"]


class Kept:
    """Reports that were sent, in memory."""

    def listing(self) -> list[Entry]:
        return [Entry("weekly-2026-11-16", "周报", 2, NOW)]

    def page(self, name: str, pictures: str) -> str | None:
        return f"<p>周报</p><img src={pictures}x.png>" if name == "weekly-2026-11-16" else None

    def picture(self, name: str, file: str) -> bytes | None:
        raise AssertionError(f"nobody asked for {name}/{file}")


@sqlite
def test_reports_are_read(core: Core) -> None:
    """Those that were sent, by whoever sees all shops; as a file, so that no browser shows it as ours."""
    with browse(create_app(core, Links(core.secret, SITE, core.clock), Kept())) as desk:
        headers = token(core, scopes=("read",), role="brand")
        (one,) = desk.get(f"{API}/reports", headers=headers).json()
        assert (one["title"], one["version"]) == ("周报", 2)
        page = desk.get(f"{API}/reports/{one['name']}", headers=headers)
        assert "<img src=/reports/weekly-2026-11-16/x.png>" in page.text
        assert page.headers["content-disposition"] == 'attachment; filename="weekly-2026-11-16.html"'
        assert desk.get(f"{API}/reports/none", headers=headers).status_code == 404
        assert desk.get(f"{API}/reports/..%2Fsecret", headers=headers).status_code in (404, 422)
        some = token(core, "一家", shops=("demo",))
        assert [desk.get(f"{API}/{path}", headers=some).status_code for path in ("reports", "reports/x")] == [403] * 2


@sqlite
def test_answers_are_listed_and_judged(desk: httpx.Client, core: Core) -> None:
    """Findings of one's shops; who leads dismisses, agents mend, brands look; a second time it is a 409."""
    seed(core)
    with db.writing(core.engine) as session:
        for n, shop in enumerate(("demo", "demo", "other")):
            facts = {"kind": "banned", "mark": str(n), "why": "绝对化用语", "words": "最好", "shop_id": shop}
            session.add(AnswerFinding(feedback_id=1 + n, found_at=core.clock.now(), **facts))
    lead, agent = token(core, shops=("demo",)), token(core, "客服", role="agent")
    brand = token(core, "品牌", role="brand")
    first = desk.get(f"{API}/answers?kind=banned&limit=1", headers=lead).json()
    assert ([one["id"] for one in first["items"]], first["next"]) == ([2], "2")
    rest = desk.get(f"{API}/answers?shop=demo&after=2", headers=lead).json()
    assert ([one["id"] for one in rest["items"]], rest["next"]) == ([1], None)
    for headers, path, status in (
        (brand, "1/mended", 403),
        (agent, "1/dismissed", 403),
        (lead, "3/mended", 404),
        (lead, "9/mended", 404),
        (lead, "1/boiled", 422),
        (agent, "1/mended", 200),
        (agent, "1/mended", 409),
        (lead, "2/dismissed", 200),
    ):
        assert desk.post(f"{API}/answers/{path}", headers=headers).status_code == status, path
    with db.reading(core.engine) as session:
        told = session.exec(select(Event.actor, Event.door).where(Event.subject == "answer")).all()
    assert told == [("程序 客服", "api"), ("程序 erp", "api")]


@sqlite
def test_a_token_may_ask_only_so_often(core: Core, clock: HandClock) -> None:
    """Beyond the rate it is 429 with the seconds to wait, other tokens unharmed; after that it goes on."""
    with desk_of(house(core, api_rate="8/1m")) as desk:
        one, other = token(core, "一"), token(core, "二")
        got = [desk.get(f"{API}/me", headers=one) for _ in range(4)]
        assert [answer.status_code for answer in got] == [200, 200, 429, 429]
        wait = int(got[-1].headers["retry-after"])
        assert 1 <= wait <= 60
        assert desk.get(f"{API}/me", headers=other).status_code == 200
        clock.move(timedelta(seconds=wait))
        assert desk.get(f"{API}/me", headers=one).status_code == 200


@sqlite
def test_the_description_is_for_those_inside(desk: httpx.Client, core: Core) -> None:
    """OpenAPI and the page about it are shut to strangers, and loaded from nowhere else."""
    log_in(core, desk, "品牌")
    described = desk.get(f"{API}/openapi.json").json()
    page = desk.get("/api")
    assert described["servers"] == [{"url": f"{SITE}{API}"}]
    for path in described["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    desk.cookies.clear()
    assert desk.get("/api").status_code == 303
    assert desk.get(f"{API}/openapi.json").status_code == 401


@sqlite
def test_a_store_that_is_away_is_a_problem(core: Core) -> None:
    """A database that answers no more is 503 with the request to come again."""
    headers = token(core)
    with desk_of(core) as desk:
        with db.writing(core.engine) as session:
            session.connection().exec_driver_sql("ALTER TABLE person RENAME TO gone")
        answer = desk.get(f"{API}/people", headers=headers)
    assert (answer.status_code, answer.json()["detail"][:3]) == (503, "数据库")


@sqlite
def test_what_breaks_is_a_problem_too(desk: httpx.Client, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours says so in JSON, and nothing about its inside."""
    monkeypatch.setattr("monitor.health.overview", lambda *_: 1 / 0)
    answer = desk.get(f"{API}/sources", headers=token(core))
    assert answer.status_code == 500
    assert answer.json()["detail"].startswith("评哨出了点问题")
    assert "division" not in answer.text


@sqlite
def test_what_is_not_judged_yet(desk: httpx.Client, core: Core) -> None:
    """A feedback without a score has no verdict, which is not the same as a good one."""
    open_case(core, ["还没打分"])
    with db.writing(core.engine) as session:
        session.delete(session.get_one(Score, 1))
    (one,) = desk.get(f"{API}/feedback", headers=token(core)).json()["items"]
    assert (one["model"], one["negative"], one["categories"]) == (None, None, [])


@sqlite
def test_hostile_text_is_only_text(desk: httpx.Client, core: Core) -> None:
    """Markup and marks that reorder come back as the data they are, in JSON that no browser takes for a page."""
    text = "<script>alert(1)</script> {{7*7}} =cmd \u202e</style>"
    case = open_case(core, [text])
    answer = desk.get(f"{API}/cases/{case}", headers=token(core))
    assert answer.json()["feedback"][0]["text"] == text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    with db.reading(core.engine) as session:
        assert session.get_one(Feedback, 1).text == text

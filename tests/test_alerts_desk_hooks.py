"""The door for other systems: signatures, replays, answers, what is stored."""

import hashlib
import hmac
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import make_core, make_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import browse
from sqlmodel import SQLModel, func, select

from alerts.desk import bodies, hooks
from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, pushes, runs
from monitor.core import Core
from monitor.models import Case, Feedback, Inbound, Run, Source

BASH = shutil.which("bash") or ""
SECRET = "a shared secret of some length"
GUIDE = Path(__file__).parent.parent / "docs" / "how-to" / "receive-a-webhook.md"
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)

SOURCES = [
    {"name": "crm", "kind": "webhook", "shop": "demo", "secret_env": "CRM_SECRET"},
    {
        "name": "radar",
        "kind": "webhook",
        "brand": ["示例"],
        "secret_env": "CRM_SECRET",
        "items": "data.posts",
        "fields": {"id": "pid", "text": "body.text", "time": "at", "stars": "rank"},
        "stars": {"poor": 1},
    },
    {"name": "off", "kind": "webhook", "shop": "demo", "secret_env": "CRM_SECRET", "enabled": False},
    {"name": "bare", "kind": "webhook", "shop": "demo", "secret_env": "UNSET_SECRET"},
    {"name": "page", "kind": "html", "shop": "demo", "start": ["http://a.example"], "item": "li"},
]


@pytest.fixture
def core(core: Core, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    monkeypatch.delenv("UNSET_SECRET", raising=False)
    return make_core(core.engine, make_settings(sources=SOURCES), core.clock)


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with browse(create_app(core, Links(core.secret, "https://desk.example.com", core.clock))) as client:
        yield client


def signed(core: Core, body: bytes, seconds: float = 0, secret: str = SECRET) -> dict[str, str]:
    """Headers of a push by a sender whose clock is ahead of ours by so many seconds."""
    stamp = str(int(core.clock.now().timestamp() + seconds))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Pingshao-Timestamp": stamp, "X-Pingshao-Signature": f"sha256={digest}"}


def push(desk: httpx.Client, core: Core, told: Any, name: str = "crm", **clock: Any) -> httpx.Response:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return desk.post(f"/hooks/{name}", content=body, headers=signed(core, body, **clock))


def count(core: Core, model: type[SQLModel]) -> int:
    with db.reading(core.engine) as session:
        return session.exec(select(func.count()).select_from(model)).one()


REVIEW = {
    "id": "1",
    "text": "漏水，打 13812345678 没人理",
    "stars": 1,
    "time": "2026-11-20T12:00:00+08:00",
    "author": "李小明",
}


def test_a_push_is_stored_masked_and_filed(desk: httpx.Client, core: Core) -> None:
    """One object or a list of them; the answer counts them, the ledger has a run, the source is well."""
    answer = push(desk, core, REVIEW)
    assert (answer.status_code, answer.json()) == (
        202, {"new": 1, "changed": 0, "duplicates": 0, "skipped": [], "warnings": []},
    )  # fmt: skip
    answer = push(desk, core, [REVIEW, REVIEW | {"text": "漏水，换了一个还漏"}, {"id": "2", "text": "好用"}], seconds=1)
    assert {name: answer.json()[name] for name in ("new", "changed", "duplicates")} == {
        "new": 1, "changed": 1, "duplicates": 1,
    }  # fmt: skip
    with db.reading(core.engine) as session:
        first = session.exec(select(Feedback).where(Feedback.external_id == "1")).one()
        last = session.exec(select(Run).order_by(Run.id.desc())).first()
        source = session.exec(select(Source).where(Source.name == "crm")).one()
    assert (first.text, first.author, first.platform, first.version) == ("漏水，换了一个还漏", "李**明", "tmall", 2)
    assert (last.status, last.seen, last.new, last.changed, last.duplicates, last.skipped) == ("ok", 3, 1, 1, 1, 0)
    assert (source.status, source.kind) == ("ok", "webhook")
    assert count(core, Case) == 1


def test_phone_numbers_are_not_stored(desk: httpx.Client, core: Core) -> None:
    """What a sender forgot to mask is masked here."""
    push(desk, core, REVIEW)
    with db.reading(core.engine) as session:
        assert session.exec(select(Feedback)).one().text == "漏水，打 138****5678 没人理"


def test_what_is_pushed_has_just_happened(desk: httpx.Client, core: Core) -> None:
    """Without a date its clocks run from now, at the first push already."""
    push(desk, core, {"id": "1", "text": "漏水，要投诉"})
    with db.reading(core.engine) as session:
        assert session.exec(select(Feedback.timely)).one() is True


def test_what_cannot_be_used_is_named(desk: httpx.Client, core: Core) -> None:
    """By its place in the list; the others are stored, a date or star that cannot be read is warned of."""
    told = [{"id": "1"}, 7, {"id": "2", "text": "坏了", "stars": "九颗星", "time": "明年"}, {"id": "3", "text": "好"}]
    answer = push(desk, core, told).json()
    assert [one["index"] for one in answer["skipped"]] == [0, 1]
    assert "没有文字" in answer["skipped"][0]["reason"]
    assert [one["index"] for one in answer["warnings"]] == [2, 2]
    assert answer["new"] == 2


def test_a_push_of_nothing_usable_turns_the_source_to_attention(desk: httpx.Client, core: Core) -> None:
    """And a good one brings it back; an empty list is a sign of life."""
    states = []
    for told in ([{"id": "1"}], [REVIEW], []):
        assert push(desk, core, told).status_code == 202
        with db.reading(core.engine) as session:
            states.append(session.exec(select(Source.status).where(Source.name == "crm")).one())
    assert states == ["attention", "ok", "ok"]


def test_other_shapes_by_paths(desk: httpx.Client, core: Core) -> None:
    """The list and the fields lie where the config says; mentions must name the brand."""
    posts = [
        {"pid": 9, "body": {"text": "示例的杯子漏水"}, "at": 1795150000000, "rank": "poor"},
        {"pid": 10, "body": {"text": "别家的"}},
    ]
    answer = push(desk, core, {"data": {"posts": posts}}, "radar").json()
    assert (answer["new"], answer["skipped"]) == (1, [{"index": 1, "reason": "没有提到品牌词"}])
    with db.reading(core.engine) as session:
        row = session.exec(select(Feedback)).one()
    assert (row.external_id, row.kind, row.stars) == ("9", "mention", 1)
    assert row.created_at == datetime.fromtimestamp(1795150000, UTC)


def test_the_same_request_is_taken_in_once(desk: httpx.Client, core: Core) -> None:
    """A replay does nothing and is told so; the same items signed anew are duplicates."""
    body = json.dumps(REVIEW).encode()
    headers = signed(core, body)
    assert desk.post("/hooks/crm", content=body, headers=headers).status_code == 202
    again = desk.post("/hooks/crm", content=body, headers=headers)
    assert (again.status_code, again.json()) == (409, {"error": "这个请求已经收过，没有再入库"})
    assert (count(core, Run), count(core, Inbound)) == (1, 1)
    assert push(desk, core, REVIEW, seconds=1).json()["duplicates"] == 1


def test_many_at_once_are_each_stored_once(desk: httpx.Client, core: Core) -> None:
    """Pushes of one source wait for each other; nothing is lost, nothing is there twice."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda n: push(desk, core, [{"id": str(n // 2), "text": f"第{n // 2}条"}]), range(12))
        )
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert sum(answer.json()["new"] for answer in answers if answer.status_code == 202) == 6
    assert count(core, Feedback) == 6


@pytest.mark.parametrize("seconds", [-301, 61, 100_000])
def test_old_and_future_requests_are_refused(desk: httpx.Client, core: Core, seconds: float) -> None:
    """Five minutes back, one ahead."""
    assert push(desk, core, REVIEW, seconds=seconds).status_code == 401
    assert count(core, Feedback) == 0


@pytest.mark.parametrize("seconds", [-299, 59])
def test_clocks_may_differ_a_little(desk: httpx.Client, core: Core, seconds: float) -> None:
    """Within that, all is well."""
    assert push(desk, core, REVIEW, seconds=seconds).status_code == 202


@pytest.mark.parametrize(
    "change",
    [
        {"X-Pingshao-Signature": ""},
        {"X-Pingshao-Signature": "sha256=" + "0" * 64},
        {"X-Pingshao-Signature": "sha256=é".encode()},
        {"X-Pingshao-Timestamp": ""},
        {"X-Pingshao-Timestamp": "-1"},
        {"X-Pingshao-Timestamp": "٣"},
        {"X-Pingshao-Timestamp": "9" * 400},
        {"X-Pingshao-Timestamp": "nan"},
    ],
)
def test_bad_signatures_are_refused(desk: httpx.Client, core: Core, change: dict[str, Any]) -> None:
    """Whatever stands there instead: 401, never 500, and nothing is stored."""
    body = json.dumps(REVIEW).encode()
    told = {name: value.encode() if isinstance(value, str) else value for name, value in change.items()}
    headers = {name.encode(): value.encode() for name, value in signed(core, body).items()}
    headers |= {name.encode(): value for name, value in told.items()}
    answer = desk.post("/hooks/crm", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "签名不对，或者时间差超过 5 分钟")
    assert count(core, Run) == 0


def test_a_body_changed_on_the_way_is_refused(desk: httpx.Client, core: Core) -> None:
    """The signature is of the body; one of another secret is none."""
    headers = signed(core, json.dumps(REVIEW).encode())
    assert desk.post("/hooks/crm", content=b"{}", headers=headers).status_code == 401
    assert push(desk, core, REVIEW, secret="another").status_code == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"7", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b"1" * 5000, b'{"data": [{"text": "x"}]}'],
    ids=range(9),
)
def test_bodies_that_are_not_what_was_agreed(desk: httpx.Client, core: Core, body: bytes) -> None:
    """400 with what was expected; no run is written."""
    answer = push(desk, core, body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert count(core, Run) == 0


def test_too_long(desk: httpx.Client, core: Core) -> None:
    """413 as soon as the limit is passed."""
    answer = push(desk, core, b"[" + b" " * bodies.LIMIT + b"]")
    assert (answer.status_code, "分几次" in answer.json()["error"]) == (413, True)


@pytest.mark.parametrize(("name", "status"), [("nobody", 404), ("off", 404), ("page", 404), ("bare", 503)])
def test_sources_that_take_no_pushes(desk: httpx.Client, core: Core, name: str, status: int) -> None:
    """Unknown, switched off, of another kind, or without their secret."""
    answer = push(desk, core, REVIEW, name)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_a_busy_source_sends_the_next_away(desk: httpx.Client, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process holds its lease, and where too many wait: 503, and when to come again."""
    monkeypatch.setattr(pushes, "_PATIENCE", 0.2)
    assert runs.start(core, "crm", "webhook", "demo")
    answer = push(desk, core, REVIEW)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    monkeypatch.setattr(hooks, "_WAITING", 0)
    answer = push(desk, core, REVIEW)
    assert (answer.status_code, "太多" in answer.json()["error"]) == (503, True)


def test_a_fault_within_is_told_and_can_be_sent_again(
    desk: httpx.Client, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is written as failed, the very same request is taken in afterwards."""
    body = json.dumps(REVIEW).encode()
    headers = signed(core, body)
    with monkeypatch.context() as broken:
        broken.setattr("monitor.intake.store", lambda *_: 1 / 0)
        assert desk.post("/hooks/crm", content=body, headers=headers).status_code == 500
    assert desk.post("/hooks/crm", content=body, headers=headers).status_code == 202
    with db.reading(core.engine) as session:
        assert session.exec(select(Run.status).order_by(Run.id)).all() == ["failed", "ok"]


def test_a_push_does_not_hold_up_the_desk(desk: httpx.Client, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is being stored, pages are served."""
    held, inside = threading.Event(), threading.Event()

    def store(*_: object) -> None:
        inside.set()
        held.wait(10)
        raise RuntimeError

    monkeypatch.setattr("monitor.intake.store", store)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(push, desk, core, REVIEW)
        assert inside.wait(10)
        assert desk.get("/healthz").status_code == 200
        assert not waiting.done()
        held.set()
        assert waiting.result().status_code == 500


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "text", "stars", "time", "author", "order", "likes", "followup", "url", "?"]),
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text()
            | st.just("\ud800")
            | st.lists(st.text()),
        ),
        max_size=4,
    )
)
def test_any_json_is_accounted_for(desk: httpx.Client, core: Core, told: list[dict[str, Any]]) -> None:
    """Whatever the values are: 202, every item counted, and the same push again stores nothing."""
    core.clock.move(timedelta(seconds=1))
    first = push(desk, core, told)
    assert first.status_code == 202, first.text
    found = first.json()
    assert found["new"] + found["changed"] + found["duplicates"] + len(found["skipped"]) == len(told)
    core.clock.move(timedelta(seconds=1))
    assert push(desk, core, told).json()["new"] == 0


def example() -> str:
    """The guide's shell lines."""
    return "\n".join(re.findall(r"(?m)^    (.*)$", GUIDE.read_text(encoding="utf-8").partition("## Send")[2]))


if shutil.which("curl") and shutil.which("openssl"):

    def test_the_guides_lines_work(desk: httpx.Client, core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the guide tells an engineer to type is taken in."""
        lines = example().replace("http://127.0.0.1:8000", str(desk.base_url).rstrip("/"))
        core.clock.move(datetime.now(UTC) - core.clock.now())
        done = subprocess.run([BASH, "-euc", lines], capture_output=True, text=True, check=True, timeout=20)
        assert json.loads(done.stdout)["new"] == 1, done

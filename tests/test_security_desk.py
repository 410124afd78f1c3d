"""The desk as a page of elsewhere sees it: no form, no call, no frame; and addresses that lead into our own network."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from callers import desk_of, seed, token
from crawler_factories import make_job, serving
from factories import make_core, make_settings
from scrapy import Request
from sqlalchemy import Engine

from alerts.desk.app import create_app
from alerts.links import Links
from crawler import guard
from crawler.run import crawl
from monitor import db, directory
from monitor.clock import HandClock
from monitor.core import Core


async def test_a_redirect_into_the_own_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is allowed leads to another inner address: that one is not asked, and the ledger says why."""
    with serving({}) as inner, serving({}) as site:
        for n, where in enumerate(
            (f"http://localhost:{inner.host.partition(':')[2]}/", "http://169.254.169.254/latest/")
        ):
            site.answers[f"/{n}"] = (302, {"Location": where}, b"")
        options = {"start": [site.url("/0"), site.url("/1")], "item": "li", "fields": {"text": "p"}}
        result = await crawl(make_job("html", options, allow_private_hosts=[site.host]), 60)
        assert inner.asked == []
    assert result.status == "failed"
    assert sum("已拒绝" in line for line in result.log) == 2


async def test_a_name_that_changes_its_address_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says public first and inner afterwards is asked once, and the first answer counts."""
    answers = iter(["93.184.216.34", "127.0.0.1"])
    found = guard.GuardMiddleware([])

    async def looked_up(_host: str) -> list[str]:
        return [next(answers)]

    monkeypatch.setattr(guard, "_resolve", looked_up)
    for _ in range(3):
        await found.process_request(Request("http://rebinding.example/"))
    assert found._pinned == {"rebinding.example": ["93.184.216.34"]}
    assert list(answers) == ["127.0.0.1"]


@pytest.fixture
def core(sqlite: Engine, clock: HandClock) -> Core:
    people = [{"name": "boss", "role": "admin"}]
    core = make_core(sqlite, make_settings(people=people, desk={"user_header": "X-User"}), clock)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    seed(core)
    return core


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with desk_of(core) as client:
        yield client


_SIGNED = ("/slack/", "/feishu/", "/wecom/", "/dingtalk/", "/hooks/", "/a/")


def routes(core: Core, method: str) -> list[str]:
    """Addresses of the desk that take a method, with a number or word in every hole."""
    app = create_app(core, Links(core.secret, "http://127.0.0.1:8000", core.clock))
    found = [path for path, told in app.openapi()["paths"].items() if method.lower() in told]
    fills = {"kind": "csv", "what": "cases", "code": "quality", "action": "claim", "verdict": "mended"}
    return sorted(
        re.sub(r"\{(\w+)(?::\w+)?\}", lambda hole: fills.get(hole[1], "1"), path)
        for path in found
        if not path.startswith(_SIGNED)
    )


def test_no_form_is_taken_from_elsewhere(core: Core, desk: httpx.Client) -> None:
    """Each address of the desk that changes something refuses who is logged in but brings no key, or another's."""
    posts = [path for path in routes(core, "POST") if not path.startswith("/api") and path != "/login"]
    assert len(posts) > 15
    for path in posts:
        for fields in ({}, {"form_key": "0" * 32}):
            body: dict[str, Any] = {"data": fields}
            if path == "/indicators":
                body |= {"files": {"file": ("a.csv", b"x")}}
            answer = desk.post(path, headers={"X-User": "boss"}, **body)
            assert answer.status_code == 403, (path, answer.status_code)
    answer = desk.post("/login", data={"name": "a", "password": "b"}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_a_page_of_elsewhere_cannot_use_the_api_with_our_cookie(core: Core, desk: httpx.Client) -> None:
    """Whatever changes something asks for the key in a header, which no form of another site can send."""
    described = desk.get("/api/v1/openapi.json", headers=token(core, role="admin")).json()
    asked = [
        (method, f"/api/v1{re.sub(r'{[^}]*}', '1', path)}")
        for path, one in described["paths"].items()
        for method in one
        if method != "get"
    ]
    assert len(asked) > 15
    for method, path in asked:
        answer = desk.request(method, path, headers={"X-User": "boss"}, json={})
        assert answer.status_code in (400, 403, 422), (method, path, answer.status_code)
        assert answer.status_code != 422 or "form" not in answer.text


def test_no_page_can_be_framed_or_run_scripts_of_others(core: Core, desk: httpx.Client) -> None:
    """Every page, and every error, comes with a policy: no frame around it, no script but the desk's own."""
    pages = 0
    for path in routes(core, "GET"):
        if path.startswith(("/api", "/desk/live")):
            continue
        answer = desk.get(path, headers={"X-User": "boss"})
        if "html" in answer.headers.get("content-type", ""):
            pages += 1
            policy = answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy, path
            assert "unsafe" not in policy, path
            assert "default-src 'none'" in policy, path
        assert answer.headers.get("location", "/").startswith("/"), path
    assert pages > 15

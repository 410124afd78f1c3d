"""Every operation of the API by every role, by every scope, by those of one shop, and by nobody."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from callers import ROLES, bearer, desk_of, house, log_in, seed, standing, token
from sqlmodel import select

from alerts.desk.api import create_api
from alerts.desk.pages import Pages
from alerts.desk.sessions import Doorkeeper
from alerts.desk.tokens import SCOPES
from monitor import db
from monitor.core import Core
from monitor.models import AnswerFinding, Improvement, Person

API = "/api/v1"
ALL, WORK = frozenset(ROLES.values()), frozenset({"agent", "lead", "manager", "admin"})
LEAD, BOSS, ADMIN = WORK - {"agent"}, frozenset({"manager", "admin"}), frozenset({"admin"})
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@dataclass(frozen=True)
class May:
    """Who may ask for an operation.

    Attributes:
        scope: What a token needs; any when empty.
        whole: Nobody who sees some shops only.
    """

    scope: str
    roles: Collection[str] = ALL
    body: Any = None
    whole: bool = False
    query: str = ""


SEEN = {"seen": "x"}
STEPS = {"empathy": ["很抱歉。"], "attribution": ["是我们没做好。"], "remedy": ["今天就给您换新。"]}
ROTA = {"rotas": [{"people": ["主管"]}]}
SWAP = {"who": "主管", "absent": "客服一号", "start": "2026-11-21", "end": "2026-11-22"}
MENDED = {"what": "加固包装", "category": "damage", "since": "2026-11-01"}
TOKEN = {"name": "孙", "scopes": ["read"], "role": "lead"}
OPERATIONS = {
    "GET /me": May(""),
    "GET /sources": May("read"),
    "GET /people": May("read"),
    "GET /rota": May("read"),
    "GET /outbox": May("read"),
    "GET /cases": May("read"),
    "GET /cases/{number}": May("read"),
    "GET /crises": May("read"),
    "GET /crises/{number}": May("read"),
    "GET /feedback": May("read"),
    "GET /feedback/{number}": May("read"),
    "GET /behind": May("read"),
    "GET /deadlines": May("read"),
    "GET /mentions": May("read"),
    "GET /answers": May("read"),
    "GET /reports": May("read", whole=True),
    "GET /reports/{name}": May("read", whole=True),
    "GET /reports/{name}/{file}": May("read", whole=True),
    "GET /cases/{number}/drafts": May("read"),
    "GET /crises/{number}/drafts": May("read"),
    "POST /cases/{number}/drafts/check": May("read", body={"text": "亲"}),
    "POST /crises/{number}/drafts/check": May("read", body={"text": "亲"}),
    "GET /corrections": May("read", LEAD),
    "GET /improvements": May("read"),
    "POST /improvements": May("act", LEAD, MENDED, whole=True),
    "PUT /improvements/{number}": May("act", LEAD, MENDED | SEEN),
    "DELETE /improvements/{number}": May("act", LEAD, query="?seen=x"),
    "POST /corrections/{number}/undo": May("act", LEAD),
    "POST /cases/{number}/actions": May("act", WORK, {"action": "note", "note": "记"}),
    "POST /crises/{number}/actions": May("act", WORK, {"action": "note", "note": "记"}),
    "POST /answers/{number}/{verdict}": May("act", WORK),
    "GET /exports": May("export", LEAD, whole=True),
    "GET /exports/{what}.{kind}": May("export", LEAD, whole=True),
    "GET /crises/{number}/buyers.{kind}": May("export"),
    "GET /audit": May("admin", LEAD, whole=True),
    "POST /outbox/{number}/retry": May("admin", LEAD),
    "GET /tokens": May("admin", ADMIN, whole=True),
    "POST /tokens": May("admin", (), TOKEN, whole=True),
    "POST /tokens/{number}/revoke": May("admin", ADMIN, whole=True),
    "GET /indicators": May("read"),
    "POST /indicators": May("indicators", LEAD, {"rows": [{"day": "x", "name": "x", "value": 1}]}),
    "GET /settings": May("settings", LEAD),
    "DELETE /settings": May("settings", BOSS, whole=True, query="?key=routes.case&seen=x"),
    "GET /settings/rules": May("settings", BOSS, whole=True),
    "PUT /settings/rules/{group}": May("settings", BOSS, {"values": {}, **SEEN}, whole=True),
    "POST /settings/rules/{group}/try": May("settings", BOSS, {"values": {}}, whole=True),
    "GET /settings/routes": May("settings", BOSS, whole=True),
    "PUT /settings/routes": May("settings", BOSS, {"routes": {}, **SEEN}, whole=True),
    "POST /settings/routes/try": May("settings", BOSS, {"channel": "ops"}, whole=True),
    "GET /settings/people": May("settings", BOSS, whole=True),
    "PUT /settings/people/{name}": May("settings", BOSS, {"role": "agent", **SEEN}, whole=True),
    "DELETE /settings/people/{name}": May("settings", BOSS, whole=True, query="?seen=x"),
    "GET /settings/rotas": May("settings", LEAD),
    "PUT /settings/rotas": May("settings", LEAD, ROTA | SEEN, whole=True),
    "POST /settings/rotas/try": May("settings", LEAD, ROTA, whole=True),
    "POST /settings/rotas/swaps": May("settings", LEAD, SWAP, whole=True),
    "GET /settings/drafts": May("settings", LEAD, whole=True),
    "GET /settings/drafts/{code}": May("settings", LEAD, whole=True),
    "PUT /settings/drafts/{code}": May("settings", LEAD, STEPS | SEEN, whole=True),
    "POST /settings/drafts/{code}/try": May("settings", LEAD, STEPS, whole=True),
}
PLACES = {"number": 1, "what": "cases", "kind": "csv", "name": "x", "file": "x.png", "verdict": "mended",
          "group": "detect", "code": "quality"}  # fmt: skip
OTHERS = {"POST /outbox/{number}/retry": "/outbox/99/retry", "POST /tokens/{number}/revoke": "/tokens/99/revoke"}
"""What would end the walk itself."""


@pytest.fixture
def core(core: Core) -> Core:
    core = house(core)
    seed(core)
    with db.writing(core.engine) as session:
        facts = {"kind": "banned", "mark": "1", "why": "绝对化用语", "words": "最好", "shop_id": "demo"}
        session.add(AnswerFinding(feedback_id=1, found_at=core.clock.now(), **facts))
        session.add(Improvement(shop_id="demo", category="damage", what="加固", done_at=core.clock.now()))
    return core


@pytest.fixture
def desk(core: Core) -> Iterator[httpx.Client]:
    with desk_of(core) as client:
        yield client


def ask(desk: httpx.Client, operation: str, headers: dict[str, str]) -> int:
    """One operation; gives the status."""
    method, _, path = operation.partition(" ")
    may = OPERATIONS[operation]
    address = OTHERS.get(operation, path).format(**PLACES) + may.query
    key = {"Idempotency-Key": f"{operation.encode().hex()}{headers.get('Authorization', '')[-8:]}"[-110:]}
    return desk.request(method, f"{API}{address}", headers=key | headers, json=may.body).status_code


def test_none_is_forgotten(core: Core) -> None:
    """The walk knows every operation there is."""
    described = create_api(core, Pages(core), Doorkeeper(core)).openapi()["paths"]
    assert {f"{method.upper()} {path}" for path, methods in described.items() for method in methods} == set(OPERATIONS)


def test_nobody_does_anything(desk: httpx.Client, core: Core) -> None:
    """Without a token, with a wrong one, with a foreign cookie: refused with the way in, and nothing changes."""
    before = standing(core)
    for operation in OPERATIONS:
        for headers in ({}, bearer("psh_" + "0" * 48), bearer("eyJ"), {"Cookie": "pingshao=x"}):
            assert ask(desk, operation, headers) in (401, 429), operation
    assert standing(core) == before


@pytest.mark.parametrize("name", ROLES)
def test_no_role_does_what_it_may_not(desk: httpx.Client, core: Core, name: str) -> None:
    """By a person's token and by a program's: what the role may not is 403 and changes nothing, all else is not."""
    for headers in (token(core, "人", person=name), token(core, "程序", role=ROLES[name])):
        for operation, may in OPERATIONS.items():
            before = standing(core)
            status = ask(desk, operation, headers)
            if ROLES[name] in may.roles:
                assert status in (200, 201, 404, 409), operation
            else:
                assert status == 403, operation
                assert standing(core) == before


@pytest.mark.parametrize("scope", SCOPES)
def test_no_token_does_what_it_is_not_for(desk: httpx.Client, core: Core, scope: str) -> None:
    """By an admin's token of each one scope: of other scopes' operations none, of its own all."""
    headers = token(core, scopes=(scope,), role="admin")
    for operation, may in OPERATIONS.items():
        before = standing(core)
        if may.scope in ("", scope) and may.roles:
            assert ask(desk, operation, headers) in (200, 201, 404, 409), operation
        else:
            assert ask(desk, operation, headers) == 403, operation
            assert standing(core) == before


def test_nobody_of_one_shop_does_what_is_of_all(desk: httpx.Client, core: Core) -> None:
    """An admin of some shops only, and a program bound to one, change nothing that holds for all of them."""
    with db.writing(core.engine) as session:
        person = session.exec(select(Person).where(Person.name == "管理员")).one()
        person.shops = ["other"]
        session.add(person)
    for headers in (token(core, "人", person="管理员"), token(core, "程序", role="admin", shops=("other",))):
        before = standing(core)
        for operation, may in OPERATIONS.items():
            if may.whole:
                assert ask(desk, operation, headers) == 403, operation
            elif "{number}" in operation:
                assert ask(desk, operation, headers) == 404, operation
        assert standing(core) == before


def test_a_form_key_is_needed(desk: httpx.Client, core: Core) -> None:
    """Who is logged in changes nothing without the key of the pages' forms, whatever the method."""
    log_in(core, desk, "管理员")
    before = standing(core)
    for operation in OPERATIONS:
        if not operation.startswith("GET "):
            assert ask(desk, operation, {}) == 403, operation
    assert standing(core) == before
    own = {"X-Form-Key": desk.get(f"{API}/me").json()["form_key"]}
    assert ask(desk, "POST /tokens", own) == 200
    assert ask(desk, "PUT /settings/routes", own) == 409

"""A desk with people, tokens and something to look at, for tests of its API and of its entrances."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from factories import make_core, make_hash, make_settings
from serving import browse
from sqlmodel import func, select
from subjects import open_case, open_crisis

from alerts.desk import tokens
from alerts.desk.app import create_app
from alerts.desk.tokens import SCOPES, Wish
from alerts.links import Links
from monitor import db, directory, search
from monitor.core import Core
from monitor.models import (
    Account,
    ApiToken,
    Case,
    Correction,
    Crisis,
    Event,
    Feedback,
    Improvement,
    Indicator,
    Outbox,
    Override,
    Person,
    Swap,
)

ROLES = {"客服一号": "agent", "主管": "lead", "经理": "manager", "品牌": "brand", "管理员": "admin"}
SITE = "http://127.0.0.1:8000"


def house(core: Core, **desk: Any) -> Core:
    """The store's house with one person of each role."""
    people = [{"name": name, "role": role, "email": f"{role}@example.com"} for name, role in ROLES.items()]
    shops = [{"id": "demo", "name": "示例旗舰店"}, {"id": "other", "name": "另一家店"}]
    new = make_core(
        core.engine, make_settings(people=people, shops=shops, desk={"api_rate": "100000/1m"} | desk), core.clock
    )
    with db.writing(core.engine) as session:
        directory.sync(session, new.settings)
    return new


@contextmanager
def desk_of(core: Core) -> Iterator[httpx.Client]:
    """The whole desk, served."""
    with browse(create_app(core, Links(core.secret, SITE, core.clock))) as client:
        yield client


def log_in(core: Core, desk: httpx.Client, name: str) -> None:
    """Somebody with an account, which is made where there is none, comes in."""
    with db.writing(core.engine) as session:
        if session.get(Account, name) is None:
            hashed = make_hash("correct horse")
            session.add(Account(name=name, password=hashed, created_at=core.clock.now()))
    assert desk.post("/login", data={"name": name, "password": "correct horse"}).status_code == 303


def token(core: Core, name: str = "erp", scopes: tuple[str, ...] = tuple(SCOPES), **wish: Any) -> dict[str, str]:
    """Headers of a program with all scopes and the role of a lead, unless it is to be otherwise."""
    if not wish.get("person"):
        wish.setdefault("role", "lead")
    with db.writing(core.engine) as session:
        return bearer(tokens.add(core, session, Wish(name, scopes, **wish), "老板", "cli"))


def bearer(given: str) -> dict[str, str]:
    """The header that brings a token."""
    return {"Authorization": f"Bearer {given}"}


def seed(core: Core) -> tuple[int, int]:
    """A case with an edited review, a crisis of two, a post, and a dead message; gives the ids of the first two."""
    case, crisis = (
        open_case(core, ["杯子漏水了"], categories=["quality"]),
        open_crisis(core, ["没收到货", "说是签收了"]),
    )
    now = core.clock.now()
    with db.writing(core.engine) as session:
        rows = session.exec(select(Feedback).order_by(Feedback.id)).all()  # type: ignore[arg-type]
        rows[2].kind, rows[2].external_id = "mention", "post-1"
        session.add(rows[2])
        session.flush()
        search.add(session, [row.id for row in rows if row.id is not None])
        session.add(
            Outbox(
                dedupe_key="k", channel="ops", target="head@example.com", kind="crisis.opened", subject="crisis",
                subject_id=crisis, state="dead", created_at=now, not_before=now, last_error="550 head@example.com",
            )
        )  # fmt: skip
    return case, crisis


def standing(core: Core) -> tuple[Any, ...]:
    """Everything that a request could change: events but refusals, messages, how cases, crises and tokens stand."""
    with db.reading(core.engine) as session:
        rows = [*session.exec(select(Case)), *session.exec(select(Crisis))]
        said = {(type(row).__name__, row.id, row.state, row.assignee_id, row.version) for row in rows}
        events = session.exec(select(func.count()).select_from(Event).where(Event.what != "refused")).one()
        letters = sorted((row.id or 0, row.state) for row in session.exec(select(Outbox)))
        known = sorted((row.name, str(row.revoked_at)) for row in session.exec(select(ApiToken)))
        people = sorted((row.name, row.role, row.active) for row in session.exec(select(Person)))
        settings = sorted((row.key, row.version) for row in session.exec(select(Override)))
        tables = (Swap, Correction, Indicator, Improvement)
        more = [session.exec(select(func.count()).select_from(one)).one() for one in tables]
        return said, events, letters, known, people, settings, more

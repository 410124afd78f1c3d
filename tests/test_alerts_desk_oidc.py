"""The company's own login: who proves who he is comes in, who does not stays out, whatever the provider says."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from callers import SITE, desk_of, house, standing
from factories import make_core, make_hash
from oidc_double import CLIENT, SECRET, Provider, provider
from pydantic import ValidationError
from serving import Told
from sqlmodel import select

from alerts.desk import company_entrance, oidc
from monitor import db
from monitor.clock import HandClock
from monitor.company_login import Oidc
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.models import Account, Event, Person

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
BACK = f"{SITE}/login/company/callback"
Opened = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def there(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("OIDC_SECRET", SECRET)
    with provider(clock, BACK, email="Lead@Example.com", email_verified=True, name="主管本人") as made:
        yield made


@pytest.fixture
def opened(core: Core, there: Provider) -> Opened:
    """A desk that knows the provider."""

    @contextmanager
    def open_desk(**settings: Any) -> Iterator[httpx.Client]:
        about = {"issuer": there.issuer, "client_id": CLIENT, "secret_env": "OIDC_SECRET"} | settings
        with desk_of(house(core, oidc=about)) as desk:
            yield desk

    return open_desk


def go(desk: httpx.Client, there: Provider, where: str = "/") -> httpx.Response:
    """All the way there and back."""
    left = desk.get("/login/company", params={"next": where})
    assert left.status_code == 303, left.text
    return desk.get(there.log_in(left.headers["location"]))


def inside(desk: httpx.Client) -> bool:
    return desk.get("/cases").status_code == 200


def test_a_known_person_comes_in(opened: Opened, there: Provider, core: Core) -> None:
    """By mail, whatever its case; to where he wanted, with a session like any other, and no password to guess."""
    with opened(label="公司飞书") as desk:
        assert desk.get("/").status_code == 303
        page = desk.get("/login?next=/cases%3Fwhich%3Dmine").text
        assert "用公司飞书登录" in page
        assert 'href="/login/company?next=/cases%3Fwhich%3Dmine"' in page
        came = go(desk, there, "/cases?which=mine")
        assert (came.status_code, came.headers["location"]) == (303, "/cases?which=mine")
        assert inside(desk)
        assert "主管" in desk.get("/").text
        set_by = came.headers.get_list("set-cookie")
        assert all("HttpOnly" in one and "SameSite=lax" in one for one in set_by)
        desk.cookies.clear()
        for password in ("", "x"):
            assert desk.post("/login", data={"name": "主管", "password": password}).status_code == 401
    with db.reading(core.engine) as session:
        account = session.get_one(Account, "主管")
        told = session.exec(select(Event).where(Event.what == "account.added")).one()
    assert (account.password, told.actor, told.door) == ("", "主管", "desk")


def test_the_way_back_stays_here(opened: Opened, there: Provider) -> None:
    """No other site can be asked for."""
    with opened() as desk:
        for outside in ("//evil.test/", "https://evil.test", "/\\evil.test", "//["):
            assert go(desk, there, outside).headers["location"] == "/"
            assert desk.get("/login", params={"next": outside}).status_code == 200


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another", CLIENT]},
        {"aud": None},
        {"azp": "another"},
        {"iss": "https://evil.test"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 99999999999},
        {"sub": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=str,
)
def test_an_id_token_that_is_not_for_us(opened: Opened, there: Provider, core: Core, lie: dict[str, Any]) -> None:
    """Another nonce, audience, issuer, one that is over or not yet: nobody comes in, and nothing is made."""
    there.lies = lie
    with opened() as desk:
        before = standing(core)
        came = go(desk, there)
        assert came.status_code == 403
        assert "对不上" in came.text
        assert not inside(desk)
    assert standing(core) == before


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("none", "one"), ("HS256", "one"), ("HS256", "o"), ("RS256", "two"), ("RS512", "one")]
)
def test_a_signature_that_is_none(opened: Opened, there: Provider, algorithm: str, kid: str) -> None:
    """Unsigned, signed by what everybody knows, by a key that the provider does not show."""
    there.algorithm, there.kid = algorithm, kid
    with opened() as desk:
        assert go(desk, there).status_code == 403
        assert not inside(desk)


def test_keys_are_changed(opened: Opened, there: Provider) -> None:
    """A key that is new to us is asked for once, and not again."""
    with opened() as desk:
        assert go(desk, there).status_code == 303
        there.kid, there.shown = "two", ["one", "two"]
        for _ in range(2):
            desk.cookies.clear()
            assert go(desk, there).status_code == 303
    assert there.asked.count("/jwks") == 2
    assert there.asked.count("/.well-known/openid-configuration") == 1


def test_discovery_is_asked_again_after_an_hour(opened: Opened, there: Provider, clock: HandClock) -> None:
    """What the provider says of itself is kept for an hour."""
    with opened() as desk:
        for hours in (0, 1):
            clock.move(timedelta(hours=hours))
            desk.get("/login/company")
    assert there.asked.count("/.well-known/openid-configuration") == 2


def test_fault_21_a_login_is_used_once(opened: Opened, there: Provider, clock: HandClock) -> None:
    """The same way back again, without our cookie, with another's state or too late: it begins anew."""
    with opened() as desk:
        left = desk.get("/login/company")
        back, jar = there.log_in(left.headers["location"]), dict(desk.cookies)
        assert desk.get(back).status_code == 303
        assert "pingshao_login" not in desk.cookies
        desk.cookies.clear()
        desk.cookies.update(jar)
        again = desk.get(back)
        assert (again.status_code, "再试一次" in again.text) == (400, True)
        for spoil in ("no cookie", "other state", "late", "forged"):
            desk.cookies.clear()
            back = there.log_in(desk.get("/login/company").headers["location"])
            if spoil == "no cookie":
                desk.cookies.clear()
            elif spoil == "other state":
                back = back.replace("state=", "state=签")
            elif spoil == "late":
                clock.move(timedelta(minutes=10))
            else:
                desk.cookies.clear()
                desk.cookies.set("pingshao_login", "WyJhIl0.x")
            assert desk.get(back).status_code == 400, spoil
            assert not inside(desk)


def test_a_code_that_is_not_ours(opened: Opened, there: Provider) -> None:
    """A code of somebody else's login, none, or the provider's own no: 403, and the attempt's cookie is gone."""
    with opened() as desk:
        other = parse_qs(urlsplit(there.log_in(desk.get("/login/company").headers["location"])).query)["code"][0]
        back = there.log_in(desk.get("/login/company").headers["location"])
        state = parse_qs(urlsplit(back).query)["state"][0]
        assert desk.get("/login/company/callback", params={"code": other, "state": state}).status_code == 403
        for no in ({}, {"error": "access_denied<b>"}):
            back = there.log_in(desk.get("/login/company").headers["location"])
            state = parse_qs(urlsplit(back).query)["state"][0]
            told = desk.get("/login/company/callback", params=no | {"state": state})
            assert (told.status_code, "<b>" in told.text) == (403, False)
            assert company_entrance.COOKIE not in desk.cookies
        assert not inside(desk)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/.well-known/openid-configuration", Told({}, 500)),
        ("/.well-known/openid-configuration", Told(b"<html>")),
        ("/.well-known/openid-configuration", Told([])),
        ("/.well-known/openid-configuration", Told({"issuer": "https://evil.test"})),
        ("/.well-known/openid-configuration", Told({}, 302, {"Location": "https://evil.test"})),
        ("/jwks", Told({}, 503)),
        ("/token", Told({}, 500)),
        ("/token", Told(b"<html>")),
        ("/token", Told({}, 302, {"Location": "https://evil.test"})),
    ],
)
def test_a_provider_that_is_away(opened: Opened, there: Provider, path: str, answer: Told) -> None:
    """Whatever is broken there is a page that offers the password; nobody comes in."""
    there.broken[path] = answer
    with opened() as desk:
        came = desk.get("/login/company")
        if came.status_code == 303:
            came = desk.get(there.log_in(came.headers["location"]))
        assert came.status_code in (403, 502)
        assert not inside(desk)


def test_endpoints_without_tls_are_not_used(opened: Opened, there: Provider) -> None:
    """A discovery that leads to plain http elsewhere is not followed."""
    ends = dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), "http://evil.test/")
    there.broken["/.well-known/openid-configuration"] = Told({"issuer": there.issuer} | ends)
    with opened() as desk:
        assert desk.get("/login/company").status_code == 502


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"email": "nobody@example.com"}, "还不认识 nobody@example.com"),
        ({"email": "nobody@example.com<script>"}, "还不认识"),
        ({"email": None}, "没有说您是谁"),
        ({"email": ["lead@example.com"]}, "没有说您是谁"),
        ({"email": "a\n@example.com"}, "没有说您是谁"),
        ({"email_verified": False}, "还没有验证"),
        ({"email": "agent@example.com"}, "已经停用"),
        ({"email": "manager@example.com"}, "好几个人"),
    ],
    ids=str,
)
def test_strangers_get_a_clear_page(
    opened: Opened, there: Provider, core: Core, claims: dict[str, Any], words: str
) -> None:
    """Nobody is made without being asked for; each page says what to do."""
    there.person |= claims
    with opened() as desk:
        with db.writing(core.engine) as session:
            people = {one.name: one for one in session.exec(select(Person))}
            people["客服一号"].active, people["品牌"].email = False, "Manager@example.com"
            session.add_all(people.values())
        before = standing(core)
        came = go(desk, there)
        assert (came.status_code, words in came.text, "<script>" in came.text) == (403, True, False)
        assert not inside(desk)
        assert standing(core) == before


def test_newcomers_are_made_where_that_is_wanted(opened: Opened, there: Provider, core: Core) -> None:
    """By the configured role, under the given name, or the mail where that name is somebody's; once."""
    with opened(create="agent") as desk:
        for mail, name, made in (
            ("new@example.com", "新人", "新人"),
            ("new@example.com", "改了名", "新人"),
            ("two@example.com", "主管", "two@example.com"),
            ("three@example.com", None, "three@example.com"),
        ):
            there.person |= {"email": mail, "name": name}
            assert go(desk, there).status_code == 303
            assert desk.get("/api/v1/me").json()["name"] == made
            assert desk.get("/api/v1/me").json()["role"] == "agent"
    with db.reading(core.engine) as session:
        made_here = session.exec(select(Person.name).where(Person.origin == "oidc").order_by(Person.name)).all()
    assert made_here == ["three@example.com", "two@example.com", "新人"]


def test_groups_give_roles_to_newcomers_alone(opened: Opened, there: Provider, core: Core) -> None:
    """The highest of the groups' roles, anew at each login; who is in the config keeps the role that stands there."""
    roles = {"leads": "lead", "bosses": "manager", "gods": "admin"}
    with opened(create="agent", roles=roles) as desk:
        there.person |= {"email": "new@example.com"}
        for groups, role in (
            (["leads", "bosses", 7], "manager"),
            ("leads", "lead"),
            (["others"], "agent"),
            (None, "agent"),
        ):
            there.person["groups"] = groups
            assert go(desk, there).status_code == 303
            assert desk.get("/api/v1/me").json()["role"] == role
        there.person |= {"email": "agent@example.com", "groups": ["gods"]}
        assert go(desk, there).status_code == 303
        assert desk.get("/api/v1/me").json()["role"] == "agent"
    with db.reading(core.engine) as session:
        told = session.exec(select(Event.after).where(Event.what == "person.role")).all()
    assert told == [{"role": "lead"}, {"role": "agent"}]


def test_another_claim_is_a_name(opened: Opened, there: Provider) -> None:
    """Where the provider knows people by name, the name is looked up."""
    with opened(claim="preferred_username") as desk:
        there.person["preferred_username"] = "经理"
        assert go(desk, there).status_code == 303
        assert desk.get("/api/v1/me").json()["role"] == "manager"


def test_cookies_keep_to_https(core: Core, there: Provider) -> None:
    """Behind https both cookies are Secure, and keep to the desk's path."""
    base = house(core, oidc={"issuer": there.issuer, "client_id": CLIENT})
    service = base.settings.service.model_copy(update={"public_url": "https://desk.example.com/ps"})
    with desk_of(make_core(core.engine, base.settings.model_copy(update={"service": service}), core.clock)) as desk:
        left = desk.get("/login/company")
    (kept,) = left.headers.get_list("set-cookie")
    assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/ps/login"} <= set(kept.split("; "))
    assert parse_qs(urlsplit(left.headers["location"]).query)["redirect_uri"] == [
        "https://desk.example.com/ps/login/company/callback"
    ]


def test_sessions_keep_to_https(core: Core) -> None:
    """Behind https the session's cookie is Secure too, and logging out takes it away with the same marks."""
    base = house(core)
    service = base.settings.service.model_copy(update={"public_url": "https://desk.example.com/ps"})
    hashed = make_hash("correct horse")
    with db.writing(core.engine) as session:
        session.add(Account(name="主管", password=hashed, created_at=core.clock.now()))
    with desk_of(make_core(core.engine, base.settings.model_copy(update={"service": service}), core.clock)) as desk:
        came = desk.post("/login", data={"name": "主管", "password": "correct horse"})
        (kept,) = came.headers.get_list("set-cookie")
        assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/ps"} <= set(kept.split("; "))
        cookie = {"Cookie": kept.split(";")[0]}
        form_key = desk.get("/api/v1/me", headers=cookie).json()["form_key"]
        left = desk.post("/logout", data={"form_key": form_key}, headers=cookie)
        (gone,) = left.headers.get_list("set-cookie")
    assert {"Max-Age=0", "Secure", "HttpOnly", "SameSite=lax", "Path=/ps"} <= set(gone.split("; "))


def test_without_it_there_is_no_such_door(core: Core) -> None:
    """Not configured: no button, no address."""
    with desk_of(house(core)) as desk:
        assert "login/company" not in desk.get("/login").text
        assert desk.get("/login/company").status_code == 404


def test_what_it_needs_is_said(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without authlib the desk says what to install; an issuer that is no https address is a mistake of the config."""
    monkeypatch.setattr(company_entrance, "find_spec", lambda _name: None)
    with (
        pytest.raises(WrongCall, match="pingshao\\[oidc\\]"),
        desk_of(house(core, oidc={"issuer": "https://login.example.com", "client_id": "x"})),
    ):
        pass
    for url in ("http://login.example.com", "https://[", "login", ""):
        with pytest.raises(ValidationError, match="https 网址"):
            Oidc(issuer=url, client_id="x")
    assert len({oidc.begin().state for _ in range(3)}) == 3

"""crawler.bases.renewing: tokens that are exchanged in time, kept, and asked of a person only where that fails.

The platforms are doubles on real sockets whose tokens end and whose refresh tokens are good for one exchange.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crawler_driving import Run, ask, drive
from crawler_factories import NOW, make_connector, make_job
from crawler_grants import Grants
from cryptography.fernet import Fernet
from gateways import SECRETS, Jos, Kwai, Platform, Top, gateway
from pydantic import ValidationError
from serving import Told
from store_shops import Weibo, weibo_row
from stores import ENV, opened
from test_crawler_windows import jos_row, kwai_row, top_row

from crawler.bases.base import AttentionError, SourceError
from crawler.connectors import load
from crawler.run import crawl
from crawler.secrets import Secrets
from crawler.vault import Vault

KEY = Fernet.generate_key().decode()
ACCESS, REFRESH = "TOKEN", "REFRESH"
SECRET = {"grant_type": "refresh_token"}
DAY = timedelta(days=1)


def as_json_in_json(told: dict[str, Any]) -> Any:
    told |= {"re_expires_in": 180 * 86400, "expire_time": 1, "taobao_user_nick": "shop"}
    return {"top_auth_token_refresh_response": {"token_result": json.dumps(told), "request_id": "abc"}}


class Case:
    """A platform whose shop's token ends at a time, and how its connector is told of the refresh token."""

    def __init__(self, kind: str, ends: timedelta = timedelta(hours=1), **grants: Any) -> None:
        self.kind = kind
        make, self.options, wanted, refusal, shape = PLATFORMS[kind]
        self.platform: Any = make()
        access = SECRETS["SESSION" if kind == "taobao" else ACCESS]
        self.grants = Grants({access: NOW + ends}, {SECRETS[REFRESH]: NOW + 180 * DAY}, wanted, refusal, shape)
        for name, value in grants.items():
            setattr(self.grants, name, value)
        self.platform.grants = self.grants

    def crawl(self, root: str, vault: Vault, mark: dict[str, Any] | None = None, **more: Any) -> Run:
        return drive(self.connect(root, vault, mark, **more))

    def connect(self, root: str, vault: Vault, mark: dict[str, Any] | None = None, **more: Any) -> Any:
        env = more.pop("env", {})
        places = {
            "taobao": {"url": f"{root}/router/rest"},
            "jd": {"url": f"{root}/routerjson", "token_url": f"{root}/oauth2/refresh_token"},
            "kuaishou": {"url": root},
            "weibo": {"url": f"{root}/2", "token_url": f"{root}/oauth2/access_token"},
        }
        options = {**self.options, **places[self.kind], "refresh_token_env": REFRESH, "history_days": 2, **more}
        secrets = Secrets({**SECRETS, **ENV, **env})
        self.connector = make_connector(
            self.kind, options, now=self.platform.clock, watermark=mark or {}, secrets=secrets, vault=vault
        )
        return self.connector

    def open(self) -> Any:
        return opened(self.platform) if self.kind == "weibo" else gateway(self.platform)


def platform(kind: type[Platform], row: Callable[..., dict[str, Any]]) -> Callable[[], Platform]:
    return lambda: kind([row(number, NOW - timedelta(hours=number)) for number in range(1, 4)])


def weibo() -> Weibo:
    return Weibo([weibo_row(5_000_000_000_000_000 + n, NOW - timedelta(hours=n)) for n in (3, 2, 1)])


PLATFORMS: dict[str, tuple[Any, dict[str, Any], dict[str, str], Any, Any]] = {
    "kuaishou": (
        platform(Kwai, kwai_row),
        {"app_key": "1", "sign_secret_env": "SIGN", "token_env": "TOKEN", "app_secret_env": "APP_SECRET"},
        {**SECRET, "app_id": "1", "app_secret": SECRETS["APP_SECRET"]},
        {"result": 100200104, "error_msg": "refresh_token 无效"},
        lambda told: told | {"result": 1, "refresh_token_expires_in": 180 * 86400},
    ),
    "taobao": (
        platform(Top, top_row),
        {"app_key": "1", "secret_env": "APP_SECRET", "session_env": "SESSION"},
        {"method": "taobao.top.auth.token.refresh", "app_key": "1"},
        {"error_response": {"code": 15, "msg": "Remote service error", "sub_msg": "refresh token invalid"}},
        as_json_in_json,
    ),
    "jd": (
        platform(Jos, jos_row),
        {"app_key": "1", "secret_env": "APP_SECRET", "token_env": "TOKEN"},
        {**SECRET, "app_key": "1", "app_secret": SECRETS["APP_SECRET"]},
        {"code": 406, "msg": "refresh_token已过期"},
        dict,
    ),
    "weibo": (
        weibo,
        {"token_env": "TOKEN", "app_key": 1, "secret_env": "APP_SECRET"},
        {**SECRET, "client_id": "1", "client_secret": SECRETS["APP_SECRET"]},
        {"error": "invalid_grant", "error_code": 21325},
        dict,
    ),
}
ALL = pytest.mark.parametrize("kind", PLATFORMS)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "tokens" / "shop", KEY)


@ALL
def test_a_refused_token_is_exchanged_and_the_call_repeated(kind: str, vault: Vault) -> None:
    """Nothing is lost, nobody is told; the next crawl, and one after a restart, begin with the new token."""
    case = Case(kind, ends=-DAY)
    with case.open() as root:
        first = case.crawl(root, vault)
        assert (first.error, first.told, len(first.ids)) == (None, [], 3)
        assert case.grants.exchanges == 1
        case.platform.clock += timedelta(hours=1)
        second = case.crawl(root, Vault(vault.file, KEY), first.watermark)
        assert (second.error, case.grants.exchanges) == (None, 1)
    assert vault.read()["access"] == "access-1-of-shop"


@ALL
def test_tokens_are_exchanged_again_and_again(kind: str, vault: Vault) -> None:
    """A refresh token is good for one exchange: each crawl uses what the last one was given."""
    case = Case(kind, life=2 * DAY)
    mark: dict[str, Any] = {}
    with case.open() as root:
        for _ in range(20):
            run = case.crawl(root, Vault(vault.file, KEY), mark)
            assert (run.error, run.told) == (None, [])
            mark = run.watermark
            case.platform.clock += timedelta(hours=25)
    assert case.grants.exchanges == 19
    assert list(case.grants.refresh) == [vault.read()["refresh"]]


@ALL
def test_a_token_is_exchanged_before_it_ends(kind: str, vault: Vault) -> None:
    """Fifteen days ahead, so that people are not told of an end that is none; while it lasts nothing is exchanged."""
    case = Case(kind, ends=-DAY, life=60 * DAY)
    with case.open() as root:
        mark = case.crawl(root, vault).watermark
        for days, exchanges in ((44, 1), (2, 2)):
            case.platform.clock += days * DAY
            assert case.crawl(root, vault, mark).error is None
            assert case.grants.exchanges == exchanges


def test_the_day_in_the_config_is_when_the_first_one_ends(vault: Vault) -> None:
    """With ``expires`` the pair of the environment is exchanged in time as well."""
    case = Case("jd", ends=9 * DAY)
    with case.open() as root:
        assert case.crawl(root, vault, expires="2026-12-20").error is None
        assert case.grants.exchanges == 0
        assert case.crawl(root, vault, expires="2026-12-01").error is None
        assert case.grants.exchanges == 1


@ALL
def test_an_exchange_that_is_refused_asks_for_a_person(kind: str, vault: Vault) -> None:
    """With both variables; nothing else is asked for, and nothing is asked for twice."""
    case = Case(kind, ends=-DAY, refresh={})
    with case.open() as root:
        run = case.crawl(root, vault)
    assert isinstance(run.error, AttentionError)
    variable = "SESSION" if kind == "taobao" else "TOKEN"
    assert f"请店铺重新授权，更新环境变量 {variable} 和 REFRESH 后重启服务" in str(run.error)
    assert case.grants.exchanges == 1
    assert run.ids == []


def test_while_the_old_token_holds_a_refused_exchange_stops_nothing(vault: Vault) -> None:
    """People are told, and reviews go on coming until its end."""
    case = Case("kuaishou", ends=DAY, refresh={})
    with case.open() as root:
        run = case.crawl(root, vault, expires="2026-11-23")
        assert (len(run.ids), run.error) == (3, None)
        assert [type(one) for one in run.told] == [AttentionError]
        case.platform.clock += 2 * DAY
        ended = case.crawl(root, vault, run.watermark, expires="2026-11-23")
    assert isinstance(ended.error, AttentionError)
    assert ended.ids == []


def test_calls_that_are_refused_side_by_side_wait_for_one_exchange(vault: Vault) -> None:
    """Three lists at once: one new pair, and each call once more; one that comes back late is repeated too."""
    case = Case("weibo", ends=-DAY)
    with case.open() as root:
        connector = case.connect(root, vault)
        calls = list(connector.start())
        refused = [one for call in calls[:2] for one in connector.read(ask(call), call)]
        (exchange,) = refused
        repeated = list(connector.read(ask(exchange), exchange))
        late = list(connector.read(ask(calls[2]), calls[2]))
        assert len(repeated) == 2
        assert [one.carry for one in (*repeated, *late)] == [call.carry for call in calls]
        assert case.grants.exchanges == 1
        assert ask(late[0]).status == 200
        again = late[0]
        case.grants.access.clear()
        with pytest.raises(AttentionError, match="TOKEN"):
            list(connector.read(ask(again), again))


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (Told(b"<html>Bad gateway</html>", 502), "HTTP 502"),
        (Told(b'{"token_result": "{\\"access_token\\": \\"6200-secret-of-shop'), "应答不是 JSON"),
        (Told([]), "应答不是 JSON 对象"),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again_in_the_next_run(vault: Vault, told: Told, says: str) -> None:
    """It quotes nothing of what may be half a token; a person is not needed yet."""
    case = Case("taobao", ends=-DAY, broken=[(told, False)])
    with case.open() as root:
        run = case.crawl(root, vault)
        assert type(run.error) is SourceError
        assert says in str(run.error)
        assert "6200" not in str(run.error)
        assert case.crawl(root, vault).error is None


def test_a_busy_authorization_server_is_asked_again(vault: Vault) -> None:
    """After a pause, in the same run."""
    case = Case("kuaishou", ends=-DAY, broken=[(Told({"result": 100, "error_msg": "请求过于频繁，请稍后再试"}), False)])
    with case.open() as root:
        run = case.crawl(root, vault)
    assert (run.error, run.pauses, len(run.ids), case.grants.exchanges) == (None, [0.0], 3, 2)


def test_the_same_token_once_more_is_no_new_one(vault: Vault) -> None:
    """It was refused a moment ago: a person is asked, and no call goes round in a circle."""
    case = Case("jd", ends=-DAY, shape=lambda told: told | {"access_token": SECRETS[ACCESS]})
    with case.open() as root:
        run = case.crawl(root, vault)
    assert "换到的还是刚才被拒绝的那个令牌" in str(run.error)
    assert case.grants.exchanges == 1


def test_a_platform_that_keeps_the_refresh_token_is_served_too(vault: Vault) -> None:
    """An answer without a new refresh token leaves the old one, and one without a life is exchanged when refused."""
    case = Case("jd", ends=-DAY, shape=lambda told: {"access_token": told["access_token"], "expires_in": "soon"})
    with case.open() as root:
        assert case.crawl(root, vault).error is None
    kept = vault.read()
    assert (kept["refresh"], kept["renew_at"], kept["lasts"]) == (SECRETS[REFRESH], "", "")
    assert case.connector.expires() is None


@pytest.mark.parametrize(
    ("kind", "life", "days"), [("kuaishou", 2, 180), ("taobao", 30, 180), ("jd", 365, 365), ("weibo", 7, None)]
)
def test_the_new_last_day_is_told(kind: str, life: int, days: int | None, vault: Vault) -> None:
    """The refresh token's where it is said; else the long-lived access token's, which is exchanged before; or none."""
    case = Case(kind, ends=-DAY, life=life * DAY)
    with case.open() as root:
        case.crawl(root, vault, expires="2026-12-31")
        expected = None if days is None else (NOW + days * DAY).date()
        assert case.connector.expires() == expected
        case.platform.clock += timedelta(hours=1)
        case.crawl(root, vault, expires="2026-12-31")
        assert case.connector.expires() == expected


def test_a_persons_new_tokens_win(vault: Vault) -> None:
    """After another authorization the environment has another pair, and what was kept is of no use any more."""
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        case.crawl(root, vault)
        case.grants.access = {"new-token-of-shop": NOW + DAY}
        run = case.crawl(root, vault, env={"TOKEN": "new-token-of-shop", "REFRESH": "new-refresh-of-shop"})
    assert (run.error, len(run.ids), case.grants.exchanges) == (None, 3, 1)


def test_another_service_secret_reads_nothing(vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """The environment's pair is tried; a person is asked where it has been used up."""
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        case.crawl(root, vault)
        run = case.crawl(root, Vault(vault.file, Fernet.generate_key().decode()))
    assert isinstance(run.error, AttentionError)
    assert "was not written with this service's secret" in caplog.text


def test_without_a_place_to_keep_them_none_are_exchanged() -> None:
    """``pingshao try`` must not use a refresh token up."""
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        run = case.crawl(root, Vault())
    assert isinstance(run.error, AttentionError)
    assert case.grants.exchanges == 0


@pytest.mark.parametrize("expires", ["2026-11-24", None])
def test_a_place_that_cannot_be_written_to_uses_nothing_up(tmp_path: Path, expires: str | None) -> None:
    """Told before anything is exchanged; the old token goes on where it still holds."""
    (tmp_path / "tokens").touch()
    case = Case("kuaishou", ends=DAY if expires else -DAY)
    with case.open() as root:
        run = case.crawl(root, Vault(tmp_path / "tokens" / "shop", KEY), **({"expires": expires} if expires else {}))
    assert case.grants.exchanges == 0
    told = run.told[0] if expires else run.error
    assert isinstance(told, AttentionError)
    assert "存不了" in str(told)
    assert len(run.ids) == (3 if expires else 0)


def test_new_tokens_that_cannot_be_kept_are_used_and_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk filled up between the two: this run goes on, a person hears of it."""
    case = Case("kuaishou", ends=-DAY)
    write, written = Vault.write, []

    def full(self: Vault, kept: Any) -> None:
        written.append(kept)
        if len(written) > 1:
            raise OSError(28, "No space left on device")
        write(self, kept)

    monkeypatch.setattr(Vault, "write", full)
    with case.open() as root:
        run = case.crawl(root, vault)
    assert (run.error, len(run.ids)) == (None, 3)
    assert ["存不下来" in str(one) for one in run.told] == [True]


def test_nobody_else_can_read_them(vault: Vault) -> None:
    """Neither in the file nor by its rights; and what is told hides old and new ones."""
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        case.crawl(root, vault)
    assert vault.file is not None
    assert (vault.file.stat().st_mode & 0o777, vault.file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert b"of-shop" not in vault.file.read_bytes()
    assert sorted(file.name for file in vault.file.parent.iterdir()) == ["shop", "shop.lock"]
    hide = case.connector.source.secrets.hide
    for token in ("access-1-of-shop", "refresh-1-of-shop", SECRETS[REFRESH], SECRETS[ACCESS]):
        assert token not in hide(f"so {token} there")


def test_two_sources_of_one_account_exchange_once(vault: Vault) -> None:
    """Whoever comes second finds the other's tokens, be it at its start or when its own are refused."""
    case = Case("weibo", ends=-DAY)
    with case.open() as root:
        one = case.connect(root, vault, lists=["statuses/mentions"])
        two = case.connect(root, Vault(vault.file, KEY), lists=["comments/to_me"])
        three = case.connect(root, Vault(vault.file, KEY), lists=["statuses/mentions"], expires="2026-11-23")
        (late,) = two.start()
        first = drive(one)
        assert (first.error, len(first.ids), case.grants.exchanges) == (None, 3, 1)
        (again,) = two.read(ask(late), late)
        assert (again.carry, ask(again).status, case.grants.exchanges) == (late.carry, 200, 1)
        third = drive(three)
        assert (third.error, len(third.ids), case.grants.exchanges) == (None, 3, 1)


def test_only_one_exchanges_at_a_time(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for it, and give up where it takes too long; its end, however it comes, lets them go on."""
    monkeypatch.setattr("crawler.vault._PATIENCE", 0.2)
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        with vault.lock():
            run = case.crawl(root, vault)
            assert isinstance(run.error, AttentionError)
            assert case.grants.exchanges == 0
        assert case.crawl(root, vault).error is None


def test_a_missing_secret_is_told_as_what_it_is(vault: Vault) -> None:
    """The one that only an exchange takes."""
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        run = case.crawl(root, vault, app_secret_env="NO_SUCH")
    assert "app_secret_env = 'NO_SUCH'：环境变量 NO_SUCH 没有设置" in str(run.error)


def test_an_empty_vault_has_nothing() -> None:
    """And is told from one that has a place."""
    assert not Vault()
    assert Vault().read() == {}


@pytest.mark.parametrize(("kind", "key"), [("kuaishou", "app_secret_env"), ("weibo", "app_key、secret_env")])
def test_what_an_exchange_takes_is_asked_for_with_the_config(kind: str, key: str) -> None:
    """Not at night, when the token has ended."""
    options = {
        name: value for name, value in PLATFORMS[kind][1].items() if name not in {"app_secret_env", "secret_env"}
    }
    if kind == "weibo":
        options.pop("app_key")
    with pytest.raises(ValidationError, match=f"refresh_token_env 要和 {key} 一起写"):
        load(kind).Options.model_validate({**options, "refresh_token_env": "R"})
    load(kind).Options.model_validate(options)


@pytest.mark.slow
async def test_two_whole_crawls_show_no_token(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first finds its token ended and exchanges it, the second begins with the new one; neither tells it."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    caplog.set_level(logging.DEBUG)
    case = Case("kuaishou", ends=-DAY)
    with case.open() as root:
        options = {**case.options, "url": root, "refresh_token_env": REFRESH, "history_days": 2}
        job = make_job(
            "kuaishou", options, allow_private_hosts=["127.0.0.1"], vault={"file": str(vault.file), "key": KEY}
        )
        first = await crawl(job, 60)
        second = await crawl(replace(job, watermark=first.watermark), 60)
    assert (first.status, first.seen, first.pages) == ("ok", 3, 3), first
    assert (second.status, second.seen, second.pages) == ("ok", 3, 1)
    assert first.expires == second.expires == (NOW + 180 * DAY).date().isoformat()
    assert case.grants.exchanges == 1
    said = first.to_json() + second.to_json() + caplog.text
    kept = (vault.read()[name] for name in ("seed", "access", "refresh"))
    assert not [token for token in (*SECRETS.values(), *kept, KEY) if token in said]

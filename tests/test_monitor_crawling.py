"""monitor.crawling: what a crawl process is told, and a source whose tokens are exchanged on the way."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crawler_grants import Grants
from factories import NOW, make_core, make_settings
from gateways import SECRETS, Kwai, gateway
from sqlalchemy import Engine
from sqlmodel import select
from test_crawler_windows import kwai_row

from crawler.vault import Vault
from monitor import crawling, db, directory, expiry, runs
from monitor.core import Core
from monitor.models import Feedback, Source
from monitor.settings import Source as Config

FEED: dict[str, Any] = {"kind": "feed", "shop": "demo", "urls": ["https://a.example/rss"]}


def job(core: Core, config: Config) -> Any:
    started = runs.start(core, config.name, config.kind, config.shop)
    assert started is not None
    return crawling._job(core, config, "module:function", started)


def test_each_authorization_has_a_vault_of_its_own(core: Core) -> None:
    """In the service's folder, with a key that is neither the service's secret nor tells it; shared by its sources."""
    kwai = {"kind": "kuaishou", "shop": "demo"}
    shops = [("甲", "R1"), ("甲的另一个", "R1"), ("乙", "../R2")]
    jobs = [job(core, Config(name=name, refresh_token_env=env, **kwai)) for name, env in shops]
    files = [Path(one.vault["file"]) for one in jobs]
    assert (files[0] == files[1], files[0] != files[2]) == (True, True)
    assert {file.parent for file in files} == {core.settings.service.var_dir / "tokens"}
    assert all(core.secret.decode() not in one.to_json() for one in jobs)
    vaults = [Vault(Path(one.vault["file"]), one.vault["key"]) for one in jobs]
    with vaults[0].lock():
        vaults[0].write({"a": "1"})
    assert [vault.read() for vault in vaults] == [{"a": "1"}, {"a": "1"}, {}]
    other = make_core(core.engine, core.settings, core.clock, secret=b"another secret")
    core.clock.move(timedelta(hours=1))
    stranger = job(other, Config(name="甲", refresh_token_env="R1", **kwai))
    assert Vault(files[0], stranger.vault["key"]).read() == {}
    assert job(core, Config(name="丙", **FEED)).vault == {}


@pytest.mark.slow
async def test_a_shop_whose_token_ends_every_two_days(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Crawled for days on end: each review once, nobody has to act, and the new last day is what people are told of."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    platform = Kwai([kwai_row(number, NOW - timedelta(hours=number)) for number in range(1, 4)], clock=NOW)
    wanted = {"grant_type": "refresh_token", "app_id": "1", "app_secret": SECRETS["APP_SECRET"]}
    platform.grants = Grants(
        {SECRETS["TOKEN"]: NOW - timedelta(hours=1)},
        {SECRETS["REFRESH"]: NOW + timedelta(days=180)},
        wanted,
        {"result": 100200104, "error_msg": "refresh_token 无效"},
        lambda told: told | {"result": 1, "refresh_token_expires_in": 180 * 86400},
    )
    with gateway(platform) as root:
        keys = {"app_key": "1", "sign_secret_env": "SIGN", "token_env": "TOKEN", "app_secret_env": "APP_SECRET"}
        options = {**keys, "refresh_token_env": "REFRESH", "url": root, "history_days": 2, "delay": "0s"}
        config = Config(name="快手", kind="kuaishou", shop="demo", **options)
        place = {"var_dir": tmp_path, "database_url": f"sqlite:///{tmp_path / 'pingshao.db'}"}
        settings = make_settings(service={**place, "allow_private_hosts": ["127.0.0.1"]})
        core = make_core(sqlite, settings)
        with db.writing(sqlite) as session:
            directory.sync(session, settings)
        for days, exchanges in ((0, 1), (1.5, 2)):
            core.clock.move(timedelta(days=days))
            platform.clock = core.clock.now()
            line = await crawling.crawl_source(core, config, "scheduler:open_core")
            assert (line["status"], platform.grants.exchanges) == ("ok", exchanges), line
    with db.reading(sqlite) as session:
        assert len(session.exec(select(Feedback)).all()) == 3
        source = session.exec(select(Source)).one()
    last = (core.clock.now() + timedelta(days=180)).astimezone(settings.zone).date()
    assert [(one.what, one.on) for one in expiry.expiries(source, last)] == [("token", last)]
    assert core.notify == []
    kept = [file.read_bytes() for file in (tmp_path / "tokens").iterdir()]
    assert sorted(b"of-shop" in one for one in kept) == [False, False]

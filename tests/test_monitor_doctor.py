"""The doctor: sees each fault and says what to do."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from factories import NOW, Ahead, make_core, make_settings
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine

from crawler.job import CrawlResult
from monitor import changes, db, directory, doctor, printing, runs
from monitor.clock import HandClock
from monitor.doctor import Finding, checks, examine
from monitor.models import Override


def look(
    engine: Engine,
    folder: Path,
    clock: Any,
    *sources: dict[str, Any],
    allowed: tuple[str, ...] = ("127.0.0.1", "localhost"),
) -> dict[str, Finding]:
    service = {"var_dir": folder, "base_dir": folder, "allow_private_hosts": list(allowed)}
    settings = make_settings(folder / "var", sources=list(sources), service=service)
    return {finding.name: finding for finding in examine(checks(make_core(engine, settings, clock)))}


@pytest.fixture
def real_time() -> HandClock:
    from datetime import UTC, datetime

    return HandClock(datetime.now(UTC))


def test_a_healthy_house(engine: Engine, tmp_path: Path, real_time: HandClock, httpserver: HTTPServer) -> None:
    """Everything is seen working and nothing is to be done."""
    httpserver.expect_request("/rss").respond_with_data("<rss/>")
    (tmp_path / "a.csv").write_text("x")
    found = look(
        engine,
        tmp_path,
        real_time,
        {"name": "rss", "kind": "feed", "shop": "demo", "urls": [httpserver.url_for("/rss")]},
        {"name": "exports", "kind": "file", "shop": "demo", "path": "*.csv"},
        {"name": "other", "kind": "feed", "shop": "demo"},
    )
    assert [finding.todo for finding in found.values()] == [""] * 10
    assert found["来源 exports"].says == "1 个文件"
    assert found["来源 rss"].says == "HTTP 200"


def test_secrets_and_their_last_day(
    sqlite: Engine, tmp_path: Path, real_time: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named, what ends soon is told; a secret is never printed."""
    keys = {"kind": "jd", "shop": "demo", "app_key": "1", "secret_env": "JD_APP", "token_env": "JD_SHOP"}
    today = real_time.now().astimezone(ZoneInfo("Asia/Shanghai")).date()
    sources = [
        {"name": name, **keys, "expires": today + timedelta(days=days)} for name, days in (("soon", 3), ("later", 90))
    ]
    monkeypatch.setenv("JD_APP", "a-secret")
    found = look(sqlite, tmp_path, real_time, *sources)
    assert found["来源 soon"].says == "环境变量 JD_SHOP 没有设置"
    monkeypatch.setenv("JD_SHOP", "a-token")
    found = look(sqlite, tmp_path, real_time, *sources, {"name": "open", **keys})
    assert "还有 3 天" in found["来源 soon"].todo
    assert (found["来源 later"].ok, found["来源 open"].ok) == (True, True)
    assert "a-secret" not in str(found)


def test_each_fault_comes_with_what_to_do(engine: Engine, tmp_path: Path, httpserver: HTTPServer) -> None:
    """A clock that is off, a login, a dead address, a missing file: each with its remedy."""
    from datetime import UTC, datetime

    httpserver.expect_request("/login").respond_with_data("", status=401)
    httpserver.expect_request("/gone").respond_with_data("", status=404)
    httpserver.expect_request("/ok").respond_with_data("")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    feeds = {name: httpserver.url_for(f"/{name}") for name in ("login", "gone", "ok")} | {"dead": dead}
    sources = [{"name": name, "kind": "feed", "shop": "demo", "urls": [url]} for name, url in feeds.items()]
    sources.append({"name": "none", "kind": "file", "shop": "demo", "path": "none/*.csv"})
    found = look(engine, tmp_path, HandClock(datetime.now(UTC) - timedelta(hours=1)), *sources)
    assert "NTP" in found["时钟"].todo
    assert "NTP" in found["来源 ok"].todo
    assert "登录" in found["来源 login"].todo
    assert "浏览器" in found["来源 gone"].todo
    assert "连不上" in found["来源 dead"].says
    assert "path" in found["来源 none"].todo


def test_an_inner_address_is_refused_as_a_crawl_would(
    sqlite: Engine, tmp_path: Path, real_time: HandClock, httpserver: HTTPServer
) -> None:
    """What the doctor calls healthy can be crawled: an inner address has to be named in the config first."""
    source = {"name": "rss", "kind": "feed", "shop": "demo", "urls": [httpserver.url_for("/rss")]}
    found = look(sqlite, tmp_path, real_time, source, allowed=())["来源 rss"]
    assert "已拒绝" in found.says
    assert f"allow_private_hosts 写上 localhost:{httpserver.port}" in found.todo
    assert not httpserver.log


def test_a_check_that_breaks_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    """The others are still looked at, and the status tells."""

    def broken() -> Finding:
        raise RuntimeError("boom")

    found = list(examine([("甲", broken), ("乙", lambda: Finding("乙", "好"))]))
    assert [(finding.name, finding.ok) for finding in found] == [("甲", False), ("乙", True)]
    assert "boom" in found[0].says
    assert printing.findings(found, as_json_too=False) == 1
    assert "1 处要处理" in capsys.readouterr().out
    assert printing.findings(found[1:], as_json_too=True) == 0
    assert '"ok": true' in capsys.readouterr().out


def test_no_sources_and_a_full_disk_are_faults(
    sqlite: Engine, tmp_path: Path, real_time: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty house is told how to begin; a disk with little room is named."""
    monkeypatch.setattr(doctor, "_LOW_DISK", 2**62)
    found = look(sqlite, tmp_path, real_time)
    assert "[[sources]]" in found["来源"].todo
    assert "快满" in found["磁盘"].todo


def test_how_the_last_crawls_went(sqlite: Engine, tmp_path: Path, real_time: HandClock) -> None:
    """A source that failed last time, and what ends soon, are told with their names."""
    settings = make_settings(tmp_path / "var", sources=[{"name": "rss", "kind": "feed", "shop": "demo"}])
    core = make_core(sqlite, settings, real_time)
    with db.writing(sqlite) as session:
        directory.sync(session, settings)
    started = runs.start(core, "rss", "feed", "demo")
    assert started is not None
    ends = (real_time.now() + timedelta(days=3)).astimezone(settings.zone).date()
    runs.finish(core, started, CrawlResult(status="failed", error="连不上", expires=str(ends)))
    found = doctor._standing(core)
    assert found.says == "1 个来源，1 个有问题，一天内新增 0 条"
    assert found.todo == f"rss：连不上；rss：授权 {ends} 到期（还有 3 天），请续期"


@pytest.mark.parametrize(("seconds", "says"), [(0, "与数据库一致"), (30, "比数据库快"), (-30, "比数据库慢")])
def test_the_clock_against_the_databases(engine: Engine, tmp_path: Path, seconds: float, says: str) -> None:
    """Which way it is off; more than five seconds are to be mended."""
    found = doctor._clock(make_core(engine, make_settings(tmp_path), Ahead(seconds)))  # type: ignore[arg-type]
    assert says in found.says
    assert found.ok == (seconds == 0)


def test_the_last_change_of_the_config(sqlite: Engine, tmp_path: Path, real_time: HandClock) -> None:
    """When, by whom and which keys, the first few by name."""
    more = {"summaries": {"daily": "11:00", "evening": "19:00"}}
    core = make_core(sqlite, make_settings(tmp_path), real_time)
    assert doctor._changed(core).says == "第一次启动以来没有改过"
    for config in ({}, more, more | {"routes": {"summary": []}, "policy": {"crisis": {"respond": "30m"}}}):
        with db.writing(sqlite) as session:
            changes.start(session, make_settings(tmp_path, **config), NOW, "li")
    assert doctor._changed(core).says == "2026-11-20 14:00 由 li 改过：policy.crisis.respond、routes.summary"
    with db.writing(sqlite) as session:
        changes.start(session, make_settings(tmp_path), NOW, "wang")
    said = "由 wang 改过：policy.crisis.respond、routes.summary、summaries.daily等 4 处"
    assert doctor._changed(core).says == f"2026-11-20 14:00 {said}"
    assert doctor._changed(core).ok


def test_what_the_desk_says_and_what_of_it_does_not_count(sqlite: Engine, tmp_path: Path, real_time: HandClock) -> None:
    """All of it counted; what no longer fits the file is named with the reason."""
    assert look(sqlite, tmp_path, real_time)["工作台"].says == "没有改过设置"
    said = {"policy.detect.burst_count": 8, "routes.crisis": ["gone"]}
    with db.writing(sqlite) as session:
        session.add_all(Override(key=key, value={"value": one}, at=NOW, actor="经理") for key, one in said.items())
    found = look(sqlite, tmp_path, real_time)["工作台"]
    assert found.says == "改过 2 处设置，1 处没有生效"
    assert "routes.crisis（" in found.todo
    assert "gone" in found.todo
    with db.writing(sqlite) as session:
        session.delete(session.get_one(Override, "routes.crisis"))
    assert look(sqlite, tmp_path, real_time)["工作台"] == Finding("工作台", "改过 1 处设置，都生效")


def test_a_year_whose_holidays_are_not_known(sqlite: Engine, tmp_path: Path, real_time: HandClock) -> None:
    """Only where public holidays count, and with what to do about it."""
    wanted = make_settings(tmp_path, calendar={"public_holidays": True})
    for year, ok in ((2026, True), (2199, False)):
        core = make_core(sqlite, wanted, HandClock(NOW.replace(year=year, month=3)))
        found = {finding.name: finding for finding in examine(checks(core))}["节假日"]
        assert found.ok == ok, found
        assert ok or "2199" in found.todo
    indifferent = make_core(sqlite, make_settings(tmp_path), real_time)
    assert "节假日" not in {name for name, _ in checks(indifferent)}


@pytest.mark.parametrize(
    "said", [None, "", "yesterday", "Mon, 1 Jan 99999999999999999999 00:00:00 GMT", "1 Jan 2026 -0000"]
)
def test_a_server_whose_date_is_rubbish(sqlite: Engine, said: str | None) -> None:
    """It tells nothing of this machine's clock, and is no fault of ours."""
    assert doctor._dated(make_core(sqlite), "来源", "HTTP 200", said) == Finding("来源", "HTTP 200")

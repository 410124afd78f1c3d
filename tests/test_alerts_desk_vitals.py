"""Machines that watch the monitor: alive, ready, figures; and who may see them."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from delivering import Blind, make_house, run, tell, trouble
from factories import make_core, make_settings
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from serving import browse
from sqlalchemy import Engine
from subjects import open_crisis

from alerts.desk.app import create_app
from alerts.desk.vitals import Looks
from alerts.links import Links
from monitor import db, timers
from monitor.checkup import Checkup
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Timer

DEPLOY = Path(__file__).parent.parent / "deploy"
TOKEN = {"Authorization": "Bearer scrape-me"}


def links(core: Core) -> Links:
    return Links(core.secret, core.settings.service.public_url, core.clock)


def app_of(core: Core) -> FastAPI:
    return create_app(core, links(core))


@pytest.fixture
def house(sqlite: Engine, clock: HandClock, tmp_path: Path) -> Core:
    """A process that has been at work for twenty minutes."""
    core = make_house(
        sqlite,
        clock,
        service={"var_dir": tmp_path, "database_url": f"sqlite:///{tmp_path}/pingshao.db"},
        sources=[{"name": "站点", "kind": "feed", "shop": "demo"}],
        channels=[{"name": "ops", "kind": "slack", "target": "C1"}],
        routes={"crisis": ["ops"], "case": ["ops"]},
        scoring={"engine": "llm", "llm": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}},
    )
    core.meters.began -= 20 * 60
    return core


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    with browse(app_of(house)) as client:
        yield client


def late(core: Core) -> None:
    with db.writing(core.engine) as session:
        session.add(Timer(stage="respond", step="deadline", due_at=core.clock.now() - timedelta(hours=1)))


def figures(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Sample name → values of its labels, by the labels' alphabet → value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_alive_is_not_ready(desk: httpx.Client, house: Core) -> None:
    """A deadline that nobody fires makes it unready, with the reason; the process is alive."""
    assert desk.get("/readyz").json() == {"ready": True, "reasons": [], "warnings": []}
    late(house)
    time.sleep(2.1)  # a look serves all who ask within two seconds
    answer = desk.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    (reason,) = answer.json()["reasons"]
    assert reason["code"] == "timers"
    assert "晚了 1.0 小时" in reason["says"]
    assert (answer.headers["cache-control"], desk.get("/healthz").status_code) == ("no-store", 200)


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=x"}, {"X-Real-IP": "127.0.0.1"}, {"Host": "watch.example"}],
    ids=str,
)
def test_without_a_token_only_this_machine_sees_figures(desk: httpx.Client, headers: dict[str, str]) -> None:
    """Whoever comes through a proxy or by another name learns whether it is ready, and nothing else."""
    assert desk.get("/metrics").status_code == 200
    refused = desk.get("/metrics", headers=headers)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert desk.get("/readyz", headers=headers).json() == {"ready": True}


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("scrape-me", TOKEN, 200),
        ("scrape-me", TOKEN | {"X-Forwarded-For": "203.0.113.9", "Host": "watch.example"}, 200),
        ("scrape-me", {}, 401),
        ("scrape-me", {"Authorization": "Bearer scrape-m\xe9"}, 401),
        ("scrape-me", {"Authorization": "scrape-me"}, 401),
        ("", {}, 401),
        ("", {"Authorization": "Bearer"}, 401),
    ],
)
def test_with_a_token_it_alone_counts(
    sqlite: Engine,
    clock: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    headers: dict[str, Any],
    status: int,
) -> None:
    """From anywhere with it, from nowhere without; a variable that is empty opens nothing."""
    monkeypatch.setenv("SCRAPE", token)
    core = make_core(sqlite, make_settings(upkeep={"metrics_token_env": "SCRAPE"}), clock)
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    with browse(app_of(core)) as client:
        assert client.get("/metrics", headers=raw).status_code == status
        assert ("reasons" in client.get("/readyz", headers=raw).json()) == (status == 200)


def test_the_figures(desk: httpx.Client, house: Core, clock: HandClock) -> None:
    """What was fired, sent, refused, crawled, answered and done in rounds is counted, beside how the house is."""
    open_crisis(house)
    clock.move(timedelta(hours=1, seconds=30))
    timers.sweep(house)
    tell(house, trouble(1), trouble(2))
    run(house, {"ops": Blind(ConnectionResetError("gone"))}, limit=1)
    house.meters.crawled({"name": "站点", "status": "ok", "new": 3}, 1.5)
    house.meters.crawled({"name": "站点", "status": "ok", "new": 0, "busy": True}, 0.0)
    house.meters.round("sweep", 0.01)
    house.meters.round_failed("sweep")
    house.budget.take(10)
    found = figures(desk.get("/metrics").text)
    assert (found["pingshao_llm_requests_today"][()], found["pingshao_llm_resting"][()]) == (1.0, 0.0)
    assert found["pingshao_timer_lateness_seconds_count"] == {("crisis",): 3.0}, "reminder, deadline, first rung"
    assert found["pingshao_timer_lateness_seconds_sum"][("crisis",)] == 15 * 60 + 30 + 30 + 30
    assert found["pingshao_delivery_failures_total"] == {("ops", "uncertain"): 1.0}
    assert found["pingshao_outbox_messages"][("ops", "uncertain")] == 1.0
    assert found["pingshao_crawl_items_total"][("new",)] == 3.0
    assert found["pingshao_crawl_seconds_count"] == {("ok",): 1.0}
    assert found["pingshao_loop_failures_total"] == {("sweep",): 1.0}
    assert found["pingshao_crises_open"] == {(): 1.0}
    assert found["pingshao_source_ok"] == {("feed", "站点"): 1.0}
    assert (found["pingshao_ready"][()], found["pingshao_trouble"][("outbox",)]) == (0.0, 1.0), "queued an hour ago"
    assert found["pingshao_disk_free_bytes"].popitem()[1] > 0
    assert found["process_resident_memory_bytes"][()] > 10**7


def test_desk_latency_is_counted_by_route_never_by_address(desk: httpx.Client, house: Core) -> None:
    """Signed links, sources' names and strange methods are no labels; pages that are not there are one."""
    link = links(house).view("crisis", open_crisis(house)).removeprefix(house.settings.service.public_url)
    for path in (link, link, "/nowhere/1", "/nowhere/2", "/static/desk.css"):
        desk.get(path)
    desk.request("BREW", "/healthz")
    text = desk.get("/metrics").text
    counted = {labels[:2]: n for labels, n in figures(text)["pingshao_desk_seconds_count"].items()}
    assert counted == {
        ("GET", "/v/{token}"): 2, ("GET", "other"): 2, ("GET", "/static"): 1, ("other", "/healthz"): 1,
    }  # fmt: skip
    assert link.rpartition("/")[2] not in text


def test_an_error_is_counted(house: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks is a 5xx."""
    monkeypatch.setattr("alerts.desk.status.read", lambda *_: 1 / 0)
    with browse(app_of(house)) as client:
        assert client.get("/", headers={"Connection": "close"}).status_code == 500  # uvicorn hangs up then
        found = figures(client.get("/metrics").text)["pingshao_desk_seconds_count"]
    assert found[("GET", "/", "5xx")] == 1.0


def test_figures_of_a_store_that_is_gone(tmp_path: Path, clock: HandClock) -> None:
    """The process's own are still told, and that the store is in trouble."""
    (tmp_path / "gone.db").mkdir()
    core = make_core(db.connect(f"sqlite:///{tmp_path}/gone.db"), clock=clock)
    with browse(app_of(core)) as client:
        found = figures(client.get("/metrics").text)
    assert (found["pingshao_ready"][()], found["pingshao_trouble"][("database",)]) == (0.0, 1.0)
    assert "pingshao_crises_open" not in found


async def test_a_store_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All who ask share one look; after some seconds they learn that the store does not answer."""
    monkeypatch.setattr("alerts.desk.vitals._PATIENCE", 0.1)
    answer, began = threading.Event(), []

    def hangs() -> Checkup:
        began.append(1)
        assert answer.wait(30)
        return Checkup(())

    looks = Looks(hangs)
    found = await asyncio.gather(*(looks.newest() for _ in range(20)))
    assert {one.troubles[0].code for one in found} == {"database"}
    assert {one.troubles[0].code for one in [await looks.newest()]} == {"database"}
    assert len(began) == 1
    answer.set()
    assert looks._look
    await looks._look
    assert (await looks.newest()).troubles == ()
    assert len(began) == 1


def test_every_figure_on_the_dashboard_exists(desk: httpx.Client, house: Core) -> None:
    """What the dashboard and the alert rules ask for is told by a service at work."""
    house.meters.crawled({"name": "站点", "status": "ok"}, 1.0)
    house.meters.job("crawl", "done", 1.0)
    house.meters.round("sweep", 0.1)
    house.meters.round_failed("sweep")
    house.meters.fired("crisis", timedelta(0))
    house.meters.sent("ops", timedelta(0))
    house.meters.not_sent("ops", "pending")
    desk.get("/healthz")
    told = set(figures(desk.get("/metrics").text)) | {"up"}
    files = [*DEPLOY.glob("grafana/*.json"), *DEPLOY.glob("prometheus/*.yml")]
    assert len(files) >= 3
    for file in files:
        named = set(re.findall(r"\b(?:pingshao|process|python)_[a-z_]+\b", file.read_text(encoding="utf-8")))
        assert named - told - {"pingshao_alerts"} == set(), file.name

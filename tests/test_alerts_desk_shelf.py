"""Reports read again at the desk: behind the login, sealed, and only for those who see all shops."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import httpx
import pytest
from factories import make_core, make_settings
from serving import browse
from sqlalchemy import Engine
from test_alerts_desk_rooms import PASSWORD, enter, hashed

from alerts.desk.app import create_app
from alerts.links import Links
from monitor import db, directory
from monitor.core import Core
from monitor.models import Account, ReportCopy
from reports import archive
from reports.build import build
from reports.shelf import ReportShelf

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
DAY, SENT = date(2026, 11, 20), datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.fixture
def house(core: Core, engine: Engine) -> Core:
    people = [
        {"name": "主管", "role": "lead"},
        {"name": "品牌", "role": "brand"},
        {"name": "分店", "role": "lead", "shops": ["demo"]},
    ]
    made = make_core(engine, make_settings(people=people), core.clock)
    with db.writing(engine) as session:
        directory.sync(session, made.settings)
        session.add_all(Account(name=one["name"], password=hashed(), created_at=made.clock.now()) for one in people)
    report = build(made, "evening", DAY)
    copy = ReportCopy(key=report.key, kind="evening", title=report.title, at=SENT, figures=report.figures)
    with db.writing(engine) as session:
        archive.keep(session, copy)
    return made


@pytest.fixture
def desk(house: Core) -> Iterator[httpx.Client]:
    links = Links(house.secret, "http://127.0.0.1:8000", house.clock)
    with browse(create_app(house, links, ReportShelf(house))) as client:
        yield client


def test_a_report_is_read_again(desk: httpx.Client) -> None:
    """The list leads to the page, which may load nothing and run nothing."""
    for name in ("主管", "品牌"):
        enter(desk, name, PASSWORD)
        listed = desk.get("/reports")
        assert '<a href="/reports/evening-2026-11-20">晚间小结 11月20日' in listed.text
        assert "11-20 18:00" in listed.text
        page = desk.get("/reports/evening-2026-11-20")
        assert page.status_code == 200
        assert "晚间小结 11月20日" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_what_is_not_there_is_told(desk: httpx.Client) -> None:
    """Unknown names and pictures are a sentence and 404."""
    enter(desk, "主管", PASSWORD)
    for path in ("/reports/evening-2026-11-19", "/reports/x", "/reports/evening-2026-11-20/trend.png"):
        assert desk.get(path).status_code == 404
        assert "没有这" in desk.get(path).text


def test_reports_are_not_for_everybody(desk: httpx.Client) -> None:
    """Nobody without a login, nor who sees one shop only; the way there is not shown to him."""
    desk.cookies.clear()
    assert desk.get("/reports", follow_redirects=False).status_code == 303
    enter(desk, "分店", PASSWORD)
    for path in ("/reports", "/reports/evening-2026-11-20", "/reports/evening-2026-11-20/a.png"):
        assert desk.get(path).status_code == 403
    assert 'href="/reports"' not in desk.get("/cases").text

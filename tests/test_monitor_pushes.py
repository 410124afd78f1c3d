"""Sources that others push to have nothing to crawl."""

from factories import make_core, make_settings
from sqlalchemy import Engine

from monitor.pushes import is_pushed
from monitor.service import Service


def test_the_service_wakes_no_crawl_for_them(sqlite: Engine) -> None:
    """Only the others have a job."""
    sources = [
        {"name": "crm", "kind": "webhook", "shop": "demo", "secret_env": "S"},
        {"name": "exports", "kind": "file", "shop": "demo", "path": "*.csv"},
    ]
    core = make_core(sqlite, make_settings(sources=sources))

    async def crawl(_: object) -> None:
        """Nothing."""

    service = Service(core, crawl=crawl, sweep=dict, deliver={}, summaries=dict)
    names = {job.name for job in service._alarm_clock().get_jobs()}
    assert [is_pushed(source) for source in core.settings.sources] == [True, False]
    assert "exports" in names
    assert "crm" not in names

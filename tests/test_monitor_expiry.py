"""Credentials and certificates that end: told days ahead, once a stage, anew when renewed."""

import ssl
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from factories import NOW
from pytest_httpserver import HTTPServer
from sqlmodel import select

from crawler.job import CrawlResult
from monitor import crawling, db, expiry, runs
from monitor.core import Core
from monitor.models import Source
from monitor.settings import Source as Config

TODAY = NOW.date()


def crawl(core: Core, expires: date | str = "", certificate: datetime | None = None) -> runs.Started:
    started = runs.start(core, "site", "jd", "demo")
    assert started is not None
    runs.finish(core, started, CrawlResult("ok", seen=1, new=1, expires=str(expires)), certificate=certificate)
    return started


def source(core: Core) -> Source:
    with db.reading(core.engine) as session:
        return session.exec(select(Source)).one()


def test_an_authorization_is_told_of_once_a_stage(core: Core) -> None:
    """14, 7, 3 and 1 days ahead, on the last day's passing, and on no run between; by the shop's days."""
    last = TODAY + timedelta(days=20)
    told = []
    for day in range(23):
        for _ in range(3):
            crawl(core, last)
        told += [day] * (len(core.notify) - len(told))
        core.clock.move(timedelta(days=1))
    assert [20 - day for day in told] == [14, 7, 3, 1, -1]
    assert set(core.notify.kinds()) == {"source.expiring"}
    assert len({notice.key for notice in core.notify}) == 5
    assert core.notify[1].facts["error"] == f"授权 {last} 到期（还有 7 天），请续期"
    assert "已过期" in core.notify[-1].facts["error"]


def test_a_renewed_one_begins_anew(core: Core) -> None:
    """A new last day has its own stages; a far one is quiet."""
    crawl(core, TODAY + timedelta(days=2))
    crawl(core, TODAY + timedelta(days=300))
    assert len(core.notify) == 1
    crawl(core, TODAY + timedelta(days=6))
    assert [notice.facts["error"][-11:] for notice in core.notify] == ["还有 2 天），请续期", "还有 6 天），请续期"]


def test_what_is_renewed_by_itself_ends_no_more(core: Core) -> None:
    """A good run that knows no last day forgets the old one; a run that failed knew nothing and forgets nothing."""
    crawl(core, TODAY + timedelta(days=20))
    started = runs.start(core, "site", "jd", "demo")
    assert started is not None
    runs.finish(core, started, CrawlResult("failed", error="超时"))
    assert [one.what for one in expiry.expiries(source(core), TODAY)] == ["token"]
    crawl(core)
    assert expiry.expiries(source(core), TODAY) == []
    core.clock.move(timedelta(days=19))
    crawl(core)
    assert core.notify.kinds() == ["source.trouble", "source.recovered"]


def test_a_certificate_is_looked_at_once_a_day(core: Core) -> None:
    """The first run of a day looks; what it saw is kept and told beside the authorization."""
    end = NOW + timedelta(days=10)
    assert crawl(core, TODAY + timedelta(days=12), end).look
    assert not crawl(core, TODAY + timedelta(days=12)).look
    assert sorted(notice.facts["error"][:2] for notice in core.notify) == ["授权", "网站"]
    ends = expiry.expiries(source(core), TODAY)
    assert [(one.what, one.days) for one in ends] == [("certificate", 10), ("token", 12)]
    core.clock.move(timedelta(days=1))
    assert crawl(core).look


def make_certificate(folder: Path, end: datetime) -> tuple[Path, Path]:
    """A self-signed certificate of 127.0.0.1 and its key."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, end - timedelta(days=90), end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return files


def test_a_real_servers_certificate(tmp_path: Path) -> None:
    """The last day stands in what the server shows; whom nobody vouches for and who is not there give none."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=5)
    files = make_certificate(tmp_path, end)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    trusting = ssl.create_default_context(cafile=str(files[0]))
    with HTTPServer(ssl_context=server) as site:
        options = {"start": [f"https://127.0.0.1:{site.port}/a", f"https://127.0.0.1:{site.port}/b"], "item": "li"}
        assert expiry.first_to_end(options, trusting) == end
        assert expiry.first_to_end(options) is None
        assert list(expiry._servers(options)) == [("127.0.0.1", site.port)] * 2
    assert expiry.first_to_end(options, trusting) is None


@pytest.mark.parametrize("options", [{}, {"urls": ["http://a.example/"]}, {"a": "https://"}, {"a": "https://x:99999/"}])
def test_sources_without_certificates(options: dict[str, object]) -> None:
    """Nothing is asked where there is nothing to ask."""
    assert expiry.first_to_end(options) is None


async def test_a_crawl_looks_when_it_is_time(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look runs beside the crawl, and only when a day has passed."""
    looked: list[dict[str, object]] = []
    monkeypatch.setattr(expiry, "first_to_end", looked.append)
    config = Config(name="site", kind="feed", shop="demo", urls=["https://a.example/rss"])
    started = runs.start(core, "site", "feed", "demo")
    assert started is not None
    assert await crawling._certificate(config, started) is None
    assert looked == [{"urls": ["https://a.example/rss"]}]
    runs.finish(core, started, CrawlResult("ok", unchanged=1))
    started = runs.start(core, "site", "feed", "demo")
    assert started is not None
    assert await crawling._certificate(config, started) is None
    assert len(looked) == 1

"""``pingshao doctor``: looks at everything the service stands on and says what to do about each fault."""

import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text

from monitor import db
from monitor.core import Core
from monitor.settings import Source

_LOW_DISK = 500 * 2**20  # bytes
_SKEW = timedelta(seconds=5)
_TIMEOUT = 10.0  # seconds for a source to answer
_ADDRESS_KEYS = ("start", "urls", "sitemap")
_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        says: What was seen.
        todo: What to do about it; empty when all is well.
    """

    name: str
    says: str
    todo: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is to be done."""
        return not self.todo


Check = Callable[[], Finding]


def examine(checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Run the checks one after another; one that breaks is a finding, not the end."""
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 — whatever breaks is what the doctor is asked for
            yield Finding(name, f"{type(error).__name__}: {error}", "检查本身出错了，请把这一行发给工程师")


def checks(core: Core) -> Iterator[tuple[str, Check]]:
    """Looks at the database, the clock, the zone, the disk and every source."""
    yield "数据库", partial(_database, core)
    yield "时钟", partial(_clock, core)
    yield "时区", partial(_zone, core)
    yield "磁盘", partial(_disk, core.settings.service.var_dir)
    for source in core.settings.sources:
        yield f"来源 {source.name}", partial(_source, core, source)
    if not core.settings.sources:
        todo = "在配置里加一段 [[sources]]，或用 pingshao import 导入"
        yield "来源", partial(Finding, "来源", "一个也没有", todo)


def _database(core: Core) -> Finding:
    with db.writing(core.engine) as session:
        session.execute(text("CREATE TABLE doctor_probe (n INTEGER)"))
        session.execute(text("DROP TABLE doctor_probe"))
    return Finding("数据库", f"{core.engine.dialect.name} 可读可写")


def _clock(core: Core) -> Finding:
    with db.reading(core.engine) as session:
        told: Any = session.execute(text("SELECT CURRENT_TIMESTAMP")).scalar_one()
    there = datetime.fromisoformat(told).replace(tzinfo=UTC) if isinstance(told, str) else told
    skew = abs(core.clock.now() - there)
    todo = "两台机器的时钟不一致，请打开 NTP 对时" if skew > _SKEW else ""
    return Finding(
        "时钟", f"{core.clock.now():%Y-%m-%d %H:%M:%S} UTC，与数据库相差 {skew.total_seconds():.0f} 秒", todo
    )


def _zone(core: Core) -> Finding:
    zone = core.settings.zone
    return Finding("时区", f"{zone.key}，现在 {core.clock.now().astimezone(zone):%m-%d %H:%M}")


def _disk(folder: Path) -> Finding:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    todo = f"{folder} 所在的盘快满了，请清理或换盘" if free < _LOW_DISK else ""
    return Finding("磁盘", f"剩余 {free / 2**30:.1f} GiB", todo)


def _source(core: Core, source: Source) -> Finding:
    name = f"来源 {source.name}"
    if path := source.options.get("path"):
        found = len(list(core.settings.service.base_dir.glob(str(path)))) if not Path(path).is_absolute() else 1
        return Finding(name, f"{found} 个文件", "" if found else f"没有符合 {path} 的文件，请检查 path")
    for key in _ADDRESS_KEYS:
        if addresses := source.options.get(key):
            return _address(core, name, addresses if isinstance(addresses, str) else addresses[0])
    return Finding(name, "没有可检查的地址")


def _address(core: Core, name: str, url: str) -> Finding:
    if refused := _refusal(core, url):
        return Finding(name, *refused.split("；", 1))
    request = urllib.request.Request(url, headers={"User-Agent": "pingshao-doctor"})  # noqa: S310 — from the config
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310 — same
            return _dated(core, name, f"HTTP {answer.status}", answer.headers.get("Date"))
    except urllib.error.HTTPError as error:
        what = "需要登录或令牌" if error.code in _REFUSED else "请在浏览器里打开看看"
        return Finding(name, f"{url} 回答 HTTP {error.code}", what)
    except (OSError, ValueError) as error:
        return Finding(name, f"{url} 连不上：{getattr(error, 'reason', error)}", "请检查网址、网络和防火墙")


def _refusal(core: Core, url: str) -> str:
    """Why a crawl would not ask for this address."""
    from crawler.guard import refusal

    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ""  # asking for the page will tell
    allowed = [name.lower() for name in core.settings.service.allow_private_hosts]
    return refusal(url, [str(entry[4][0]) for entry in found], allowed)


def _dated(core: Core, name: str, says: str, date: str | None) -> Finding:
    """A server's own date tells whether this machine's clock is right."""
    if date:
        skew = abs(core.clock.now() - parsedate_to_datetime(date))
        if skew > timedelta(minutes=2):
            return Finding(name, f"{says}，但对方的时间差 {skew.total_seconds():.0f} 秒", "请检查本机时钟（NTP）")
    return Finding(name, says)

"""``pingshao doctor``: looks at everything the service stands on and says what to do about each fault."""

import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlmodel import col, select

from crawler.bases.api import ending
from monitor import db, hours, months, overrides, shared_queue, skew
from monitor.config import secret
from monitor.core import Core
from monitor.models import Event
from monitor.settings import Source

_LOW_DISK = 500 * 2**20  # bytes
_SHOWN = 3  # changed keys of the config
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
    """Looks at the database, the clock, the calendar, the config's last change, the disk and every source."""
    yield "数据库", partial(_database, core)
    yield "时钟", partial(_clock, core)
    yield "时区", partial(_zone, core)
    if core.settings.calendar.public_holidays:
        yield "节假日", partial(_holidays, core)
    yield "配置", partial(_changed, core)
    yield "工作台", partial(_said, core)
    if core.settings.service.queue != "inside":
        yield "队列", partial(_queue, core)
    yield "磁盘", partial(_disk, core.settings.service.var_dir)
    for source in core.settings.sources:
        yield f"来源 {source.name}", partial(_source, core, source)
    if core.settings.sources:
        yield "近况", partial(_standing, core)
    if core.settings.scoring.engine == "llm":
        yield "打分", partial(_endpoint, core)
    if not core.settings.sources:
        todo = "在配置里加一段 [[sources]]，或用 pingshao import 导入"
        yield "来源", partial(Finding, "来源", "一个也没有", todo)


def _database(core: Core) -> Finding:
    with db.writing(core.engine) as session:
        session.execute(text("CREATE TABLE doctor_probe (n INTEGER)"))
        session.execute(text("DROP TABLE doctor_probe"))
        found = months.standing(session.connection())
    says = f"{core.engine.dialect.name} 可读可写"
    if found is None:
        return Finding("数据库", says)
    until, astray = found
    todo = f"审计里有 {astray:,} 条的时间不在备好的月份里，多半是时钟走错过：请检查各台机器的时钟" if astray else ""
    return Finding("数据库", f"{says}，审计按月存放，备到 {until - timedelta(days=1):%Y-%m}", todo)


def _clock(core: Core) -> Finding:
    off = skew.against_store(core.engine, core.clock)
    seconds = abs(off.total_seconds())
    told = "与数据库一致" if seconds < 1 else f"比数据库{'快' if off > timedelta() else '慢'} {seconds:.0f} 秒"
    todo = "两台机器的时钟不一致，请打开 NTP 对时" if abs(off) > skew.OFF else ""
    return Finding("时钟", f"{core.clock.now():%Y-%m-%d %H:%M:%S} UTC，{told}", todo)


def _zone(core: Core) -> Finding:
    zone = core.settings.zone
    return Finding("时区", f"{zone.key}，现在 {core.clock.now().astimezone(zone):%m-%d %H:%M}")


def _holidays(core: Core) -> Finding:
    unknown = hours.unknown_year(core.settings, core.clock.now())
    return Finding("节假日", "有年份不知道" if unknown else "放假安排是知道的", unknown or "")


def _changed(core: Core) -> Finding:
    """When the config was last changed, by whom, and in how many places."""
    newest = select(Event).where(Event.subject == "config").order_by(col(Event.id).desc()).limit(1)
    with db.reading(core.engine) as session:
        event = session.exec(newest).first()
    if event is None:
        return Finding("配置", "第一次启动以来没有改过")
    paths = sorted({*event.before, *event.after})
    more = f"等 {len(paths)} 处" if len(paths) > _SHOWN else ""
    at = event.at.astimezone(core.settings.zone)
    return Finding("配置", f"{at:%Y-%m-%d %H:%M} 由 {event.actor} 改过：{'、'.join(paths[:_SHOWN])}{more}")


def _said(core: Core) -> Finding:
    """What the desk says in place of the file, and what of it does not count because it no longer fits the file."""
    with db.reading(core.engine) as session:
        says = overrides.said(session)
    left_out = overrides.lay(core.file, says).left_out
    told = f"改过 {len(says)} 处设置，{len(left_out)} 处没有生效" if left_out else f"改过 {len(says)} 处设置，都生效"
    if not left_out:
        return Finding("工作台", told if says else "没有改过设置")
    why = "；".join(f"{key}（{reason}）" for key, reason in left_out.items())
    return Finding("工作台", told, f"和配置文件对不上了，在工作台的“设置”里改掉，或改配置文件：{why}")


def _queue(core: Core) -> Finding:
    if not find_spec("procrastinate"):
        return Finding("队列", "没有安装 procrastinate", "pip install 'pingshao[scale]'")
    now = shared_queue.look(core.engine)
    waiting = "，".join(f"{queue} 有 {count:,} 件在等" for queue, count in now.waiting.items()) or "没有活在等"
    todo = "" if now.workers else "没有 worker，抓取和报告都不会做：请运行 pingshao worker"
    return Finding("队列", f"{now.workers} 个 worker 在运行，{waiting}", todo)


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
    if any(key.endswith("_env") for key in source.options):
        return _credentials(core, name, source.options)
    for key in _ADDRESS_KEYS:
        if addresses := source.options.get(key):
            return _address(core, name, addresses if isinstance(addresses, str) else addresses[0])
    return Finding(name, "没有可检查的地址")


def _standing(core: Core) -> Finding:
    """How the last crawls of the sources went, and what ends soon."""
    from monitor.health import overview

    with db.reading(core.engine) as session:
        found = overview(session, core.settings, core.clock.now())
    troubled = [f"{one.name}：{one.error}" for one in found if one.status in ("failed", "attention")]
    ending = [f"{one.name}：{told}" for one in found for told in one.warnings]
    new = sum(one.new_24h for one in found)
    return Finding(
        "近况", f"{len(found)} 个来源，{len(troubled)} 个有问题，一天内新增 {new} 条", "；".join([*troubled, *ending])
    )


def _credentials(core: Core, name: str, options: dict[str, Any]) -> Finding:
    """Whether an API's secrets are there, and how long they last."""
    missing = [str(value) for key, value in options.items() if key.endswith("_env") and not secret(str(value))]
    if missing:
        return Finding(name, f"环境变量 {'、'.join(missing)} 没有设置", "请设置后重启服务")
    expires = date.fromisoformat(str(options["expires"])) if options.get("expires") else None
    said = f"密钥齐全，授权 {expires} 到期" if expires else "密钥齐全，没有写授权到期日（expires）"
    return Finding(name, said, ending(expires, core.clock.now().astimezone(core.settings.zone).date()))


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


def _endpoint(core: Core) -> Finding:
    from monitor.endpoint import Endpoint

    llm, zone = core.settings.scoring.llm, core.settings.zone
    assert llm is not None  # the config is refused otherwise
    says, todo = Endpoint(llm).check()
    spent, resting = core.budget.standing()
    says += f"；今天问了 {spent} 次，上限 {llm.daily_budget}"
    if resting:
        says += f"；刚才接连出错，到 {resting.astimezone(zone):%H:%M} 前不再问，由内置模型打分"
    return Finding("打分", says, todo)


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
    try:
        off = abs(core.clock.now() - parsedate_to_datetime(date)) if date else timedelta()
    except (ValueError, TypeError, OverflowError):  # rubbish for a date tells nothing
        off = timedelta()
    if off > timedelta(minutes=2):
        return Finding(name, f"{says}，但对方的时间差 {off.total_seconds():.0f} 秒", "请检查本机时钟（NTP）")
    return Finding(name, says)

"""``pingshao try``: one page of a source, asked for as in a crawl, shown as it would be stored; nothing is stored."""

import asyncio
import json
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError

from crawler import connectors
from crawler.items import FeedbackItem
from crawler.job import CrawlJob, CrawlResult
from crawler.run import crawl
from monitor.clock import Clock
from monitor.config import connector_problems, nearest, signing_secret
from monitor.crawling import vault
from monitor.errors import WrongCall
from monitor.incoming import Origin, make_row
from monitor.privacy import mask
from monitor.settings import Settings, Source

_SHOWN = 5  # items in the answer
_ALWAYS = ("external_id", "text", "created_at", "stars", "author", "url")
_ADDRESSES = ("start", "urls")  # keys that hold a list of pages
_ONE_PAGE = "其余页面没有抓"  # how a crawl says that it stopped at max_pages
_RECENT_DAYS = 7  # what an API that asks by time is asked for, unless told


def attempt(settings: Settings, clock: Clock, target: str, changes: Sequence[str], url: str = "") -> dict[str, Any]:
    """Ask for one page and tell what came of it.

    Args:
        settings: The config, or the defaults where there is none.
        clock: The time.
        target: A source's name, or a kind.
        changes: ``key=value``; values are TOML where they can be read as such, else text; ``fields.text=p.body`` sets
            one key of a table.
        url: Another page instead of the configured ones.

    Returns:
        ``source, kind, page, status, error, matched, usable, skipped, more, fill`` (share of items by field), ``items``
        (masked), ``left_out``, ``hints``.

    Raises:
        WrongCall: No such source or kind, or its keys are wrong.
    """
    source = _source(settings, target, changes, url)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        job = _job(settings, source, clock.now(), out)
        result = asyncio.run(crawl(job, source.time_limit.total_seconds()))
        found = json.loads(out.read_text("utf-8")) if out.exists() else {}
    return _told(source, result, found, clock.now())


def failed(told: dict[str, Any]) -> bool:
    """Whether the page could not be read, or gave nothing and it is likely known why."""
    return told["status"] != "ok" or (not told["usable"] and bool(told["hints"]))


def _source(settings: Settings, target: str, changes: Sequence[str], url: str) -> Source:
    known = {source.name: source for source in settings.sources}
    if target in known:
        raw = known[target].model_dump(exclude_unset=True)
    elif target in connectors.kinds():
        raw = {"name": target, "kind": target, "shop": "try"}
    else:
        raise WrongCall(f"try: 没有叫 {target!r} 的来源或 kind{nearest(target, [*known, *connectors.kinds()])}")
    fields = connectors.load(raw["kind"]).Options.model_fields
    for change in changes:
        _set(raw, change, fields)
    if url:
        _aim(raw, url, fields)
    if "history_days" in fields:
        raw.setdefault("history_days", _RECENT_DAYS)
    try:
        source = Source.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise WrongCall(f"--set: {key}: {first.get('ctx', {}).get('error', first['msg'])}") from None
    for problem in connector_problems(source.kind, source.options):
        raise WrongCall(f"{target}: {problem}")
    return source


def _set(raw: dict[str, Any], change: str, fields: dict[str, Any]) -> None:
    path, sign, text = change.partition("=")
    *tables, key = (part.strip() for part in path.split("."))
    if not sign or not key:
        raise WrongCall(f"--set: 应为 key=value，如 item=article.review，实为 {change!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    if not tables and key in fields and get_origin(fields[key].annotation) is list and not isinstance(value, list):
        value = [value]
    for table in tables:
        inner = raw.get(table, {})
        raw[table] = dict(inner) if isinstance(inner, dict) else {}
        raw = raw[table]
    raw[key] = value


def _aim(raw: dict[str, Any], url: str, fields: dict[str, Any]) -> None:
    key = next((key for key in _ADDRESSES if key in fields), None)
    if key is None:
        raise WrongCall(f"--url: {raw['kind']} 没有可以换的页面地址；它的键用 --set")
    raw[key] = [url]
    raw.pop("sitemap", None)


def _job(settings: Settings, source: Source, now: datetime, out: Path) -> CrawlJob:
    return CrawlJob(
        name=source.name,
        kind=source.kind,
        options=source.options,
        timezone=settings.service.timezone,
        now=now.isoformat(),
        delay=source.delay.total_seconds(),
        obey_robots=source.obey_robots,
        allow_private_hosts=settings.service.allow_private_hosts,
        brand=source.brand,
        pipelines=["crawler.trying.Look"],
        context={"out": str(out)},
        max_pages=1,
        base_dir=str(settings.service.base_dir),
        vault=vault(settings, signing_secret(settings), source) if "refresh_token_env" in source.options else {},
    )


def _told(source: Source, result: CrawlResult, found: dict[str, Any], now: datetime) -> dict[str, Any]:
    usable = found.get("usable", 0)
    filled = found.get("filled", {})
    left_out = [mask(line).text for line in result.log if line != result.error and not line.endswith(_ONE_PAGE)]
    return {
        "source": source.name,
        "kind": source.kind,
        "page": found.get("page", ""),
        "status": result.status,
        "error": result.error,
        "matched": result.seen,
        "usable": usable,
        "skipped": result.skipped,
        "more": any(line.endswith(_ONE_PAGE) for line in result.log),
        "fill": {name: round(filled.get(name, 0) / usable, 3) for name in dict.fromkeys([*_ALWAYS, *filled]) if usable},
        "items": [_stored(item, source, now) for item in found.get("items", ())[:_SHOWN]],
        "left_out": left_out,
        "hints": [mask(hint).text for hint in found.get("hints", ())],
    }


def _stored(raw: dict[str, Any], source: Source, now: datetime) -> dict[str, Any]:
    """An item as the store would hold it, without what is empty."""
    at = raw["created_at"]
    item = FeedbackItem(**raw | {"created_at": datetime.fromisoformat(at) if at else None})
    row = make_row(b"hashes are not shown", Origin(0, source.shop, source.kind, "review", watched=False), item, now)
    shown = ("external_id", "title", "text", "stars", "author", "created_at", "product", "order_ref", "reply", "url")
    values = {name: row[name] for name in shown} | row["extra"]
    values["created_at"] = at
    return {name: value for name, value in values.items() if value not in ("", None)}

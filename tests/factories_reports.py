"""Feedback by the month for reports: plain records first, so that tests can count them themselves, then the rows."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from factories import make_core, make_settings
from sqlalchemy import Engine, insert
from sqlmodel import select

from monitor import db, directory
from monitor.core import Core
from monitor.models import Case, Event, Feedback, Person, Run, Score, Source, Timer

ZONE = ZoneInfo("Asia/Shanghai")
PRODUCTS = ("双层玻璃杯 420ml", "保温杯 500ml 曜石黑", "儿童吸管杯", "便携茶具套装", "陶瓷马克杯")
TEXTS = {
    "logistics": ("等了九天才到，物流信息三天没动", "快递员把包裹扔在驿站也不打电话", "发货太慢，催了两次才发出"),
    "damage": ("杯身裂了一道缝，外箱被压扁", "打开就是碎玻璃，泡沫垫太薄", "盖子磕掉一块，包装太简陋"),
    "quality": ("密封圈漏水，倒过来滴一桌", "用了三天涂层就起泡掉渣", "保温只有两小时，水早凉了"),
    "wrong_missing": ("少发一个杯盖，联系不上人", "订的黑色发来粉色，拆开就傻眼"),
    "service": ("客服只会复制粘贴，问三遍不回", "客服态度冷淡，推给快递公司"),
    "other": ("不值这个价，失望",),
}
PRAISE = ("杯子通透好看，保温也够用", "包装严实，第二天就到了", "送朋友的，很喜欢", "")


@dataclass
class Record:
    """One feedback as a test knows it."""

    at: datetime
    negative: bool = False
    text: str = ""
    stars: float | None = 5
    categories: list[str] = field(default_factory=list)
    severity: str | None = None
    kind: str = "review"
    shop: str | None = "demo"
    platform: str = "tmall"
    product: str = ""
    state: str = "received"
    answered: timedelta | None = None
    resolved: timedelta | None = None
    again: bool = False
    who: str = ""
    first_seen: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    said: str = ""

    @property
    def day(self) -> date:
        return self.at.astimezone(ZONE).date()

    @property
    def bad(self) -> bool:
        return self.negative and self.state != "false_alarm"


def month(
    seed: int = 1,
    last: date = date(2026, 11, 15),
    days: int = 42,
    a_day: int = 60,
    share: float = 0.05,
    burst: tuple[date, str] | None = (date(2026, 11, 11), "logistics"),
) -> list[Record]:
    """Reviews of some weeks, most of them content, with a few bad days of one category from ``burst`` on."""
    rng = random.Random(seed)
    records = []
    for n in range(days):
        day = last - timedelta(days - 1 - n)
        bursting = burst is not None and burst[0] <= day < burst[0] + timedelta(4)
        for _ in range(round(a_day * rng.uniform(0.8, 1.2))):
            at = datetime.combine(day, time(), ZONE) + timedelta(seconds=rng.randrange(86400))
            extra = bursting and rng.random() < 0.06
            code = burst[1] if extra and burst else rng.choice([c for c in TEXTS for _ in TEXTS[c]])
            bad = extra or rng.random() < share
            records.append(_bad(rng, at, code) if bad else _good(rng, at))
    return records


def _good(rng: random.Random, at: datetime) -> Record:
    stars = rng.choice((5, 5, 5, 4, 4, 3, None))
    shop = rng.choice(("demo", "demo", "jd"))
    platform = "tmall" if shop == "demo" else "jd"
    return Record(at, text=rng.choice(PRAISE), stars=stars, shop=shop, platform=platform, product=rng.choice(PRODUCTS))


def _bad(rng: random.Random, at: datetime, code: str) -> Record:
    record = _good(rng, at)
    record.negative, record.categories, record.text = True, [code], rng.choice(TEXTS[code])
    if rng.random() < 0.2:
        record.categories.append("service" if code != "service" else "aftersales")
    record.stars = rng.choice((1, 1, 2, 3, None))
    record.severity = rng.choice(("low", "medium", "medium", "high"))
    record.state = rng.choice(
        ("received", "assigned", "contacted", "answered", "resolved", "closed", "resolved", "false_alarm")
    )
    if record.state in {"contacted", "answered", "resolved", "closed"}:
        record.answered = timedelta(minutes=rng.choice((5, 20, 45, 90, 300, 2000)))
    if record.state in {"resolved", "closed"}:
        assert record.answered
        record.resolved = record.answered + timedelta(hours=rng.choice((1, 5, 30, 60)))
        record.again = at.minute % 6 == 0  # the buyer wrote once more
    record.who = rng.choice(("客服一号", "主管", "")) if record.state != "received" else ""
    return record


def store(engine: Engine, records: Iterable[Record], now: datetime, respond: timedelta = timedelta(hours=24)) -> None:
    """Write records with scores, cases and their two deadlines."""
    rows = list(records)
    with db.writing(engine) as session:
        source = Source(name="factory", kind="file", shop_id="demo", status="ok", last_run_at=now, last_success_at=now)
        session.add(source)
        session.flush()
        people = {row.name: row.id for row in session.exec(select(Person))}
        cases = [(n + 1, record) for n, record in enumerate(rows) if record.negative]
        if cases:
            session.execute(insert(Case), [_case(n, record, people) for n, record in cases])
        if rows:
            session.execute(insert(Feedback), [_feedback(n + 1, record, source.id) for n, record in enumerate(rows)])
            session.execute(insert(Score), [_score(n + 1, record) for n, record in enumerate(rows)])
        if cases:
            session.execute(insert(Timer), [t for n, record in cases for t in _timers(n, record, now, respond)])
            if events := [event for n, record in cases for event in _events(n, record)]:
                session.execute(insert(Event), events)


def store_run(engine: Engine, source: Source, started: datetime, status: str = "ok", seen: int = 5) -> None:
    """Write one run of a source."""
    with db.writing(engine) as session:
        session.add(
            Run(
                source_id=source.id,
                status=status,
                started_at=started,
                lease_until=started,
                finished_at=started,
                seen=seen,
            )
        )


def fresh_cores(template: bytes, folder: Path, **overrides: Any) -> Callable[[], Core]:
    """Gives a core with an empty SQLite store, as often as it is called; only the newest is good."""

    def fresh() -> Core:
        for old in folder.glob("fresh.db*"):
            old.unlink()
        (folder / "fresh.db").write_bytes(template)
        core = make_core(db.connect(f"sqlite:///{folder / 'fresh.db'}"), make_settings(**overrides))
        with db.writing(core.engine) as session:
            directory.sync(session, core.settings)
        return core

    return fresh


def _feedback(n: int, record: Record, source_id: int | None) -> dict[str, Any]:
    return {
        "id": n,
        "source_id": source_id,
        "external_id": str(n),
        "shop_id": record.shop,
        "platform": record.platform,
        "kind": record.kind,
        "text": record.text,
        "stars": record.stars,
        "author_hash": f"a{n}",
        "product": record.product,
        "extra": record.extra,
        "created_at": record.at,
        "happened_at": record.at,
        "first_seen_at": record.first_seen or record.at,
        "updated_at": record.at,
        "content_hash": str(n),
        "text_key": record.text,
        "case_id": n if record.negative else None,
    }


def _score(n: int, record: Record) -> dict[str, Any]:
    return {
        "feedback_id": n,
        "model": "test-1",
        "negative": record.negative,
        "p_negative": 0.9 if record.negative else 0.1,
        "severity": record.severity,
        "categories": record.categories,
        "flags": [],
        "evidence": [_mark(record)] if record.said else [],
        "happened_at": record.at,
        "scored_at": record.at,
    }


def _case(n: int, record: Record, people: dict[str, int | None]) -> dict[str, Any]:
    return {
        "id": n,
        "shop_id": record.shop,
        "kind": record.kind,
        "state": record.state,
        "severity": record.severity or "low",
        "categories": record.categories,
        "opened_at": record.at,
        "updated_at": record.at,
        "assignee_id": people.get(record.who),
        "answered_at": record.at + record.answered if record.answered else None,
        "resolved_at": record.at + record.resolved if record.resolved else None,
        "policy": {},
    }


def _events(n: int, record: Record) -> list[dict[str, Any]]:
    """What the audit holds of a case that was answered, or settled."""
    told: list[tuple[timedelta | None, str, str, dict[str, Any]]] = [
        (record.answered, "answered", "received", {"state": "answered"}),
        (record.resolved, "resolved", "answered", {"state": "resolved"}),
    ]
    if record.again and record.answered is not None:
        told.insert(1, (record.answered, "feedback.added", "answered", {"negative": True}))
    facts = {"actor": record.who or "主管", "door": "desk", "subject": "case", "subject_id": n}
    return [
        facts | {"at": record.at + after, "what": what, "before": {"state": state}, "after": now}
        for after, what, state, now in told
        if after is not None
    ]


def _timers(n: int, record: Record, now: datetime, respond: timedelta) -> list[dict[str, Any]]:
    return [
        _timer(n, "respond", record.at + respond, record.answered and record.at + record.answered, record.state, now),
        _timer(n, "solve", record.at + 2 * respond, record.resolved and record.at + record.resolved, record.state, now),
    ]


def _timer(case_id: int, stage: str, due: datetime, met: datetime | None, state: str, now: datetime) -> dict[str, Any]:
    if state == "false_alarm":
        word = "cancelled"
    elif met is not None and met <= due:
        word = "met"
    else:
        word = "breached" if due <= now else "armed"
    return {
        "case_id": case_id,
        "stage": stage,
        "step": "deadline",
        "due_at": due,
        "state": word,
        "met_at": met,
        "generation": 0,
    }


def _mark(record: Record) -> dict[str, Any]:
    start = max(record.text.find(record.said), 0)
    return {"start": start, "end": start + len(record.said), "text": record.said, "code": record.categories[0]}

"""A large store for benchmarks: feedback, cases, crises, events, messages and runs as a few busy years leave them.

Rows go in in bulk (COPY on PostgreSQL), without intake: texts are composed, verdicts are drawn. The same call makes the
same store.
"""

import json
import random
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import Any

from intake import BLAME, PRAISE, SUBJECTS
from loading import bare
from sqlalchemy import Engine, insert
from sqlmodel import SQLModel

from monitor import db, pairs
from monitor.bulk import table
from monitor.clocks import rows as timer_rows
from monitor.duplicates import text_key
from monitor.models import (
    Case,
    Crisis,
    CrisisFeedback,
    Event,
    Feedback,
    Message,
    Outbox,
    Run,
    Score,
    Source,
    Timer,
)
from monitor.states import CASE_OPEN

RARE, FREQUENT = "紫檀木盒", "漏水"
SHOPS = ("tmall-main", "jd-main", "pdd-main", "douyin-main", "tmall-kids")
CATEGORIES = ("quality", "logistics", "service", "price", "packaging", "description")
_HOURS = """INSERT INTO day_change (hour)
SELECT DISTINCT to_char(happened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24') FROM feedback"""
_MANY = 5000  # feedbacks of the largest crisis, where there are enough
_CHUNK = 5000
_DAYS = 700


class Filling:
    """Fills an empty store.

    Args:
        engine: The store, migrated.
        now: The moment at which everything ends.
        feedbacks: How many; the other numbers follow from it, with a million: 50,000 cases, 40 crises, 30,000 mentions,
            200,000 events, 100,000 messages.
        hurry: Load a PostgreSQL of ours without triggers and indexes, build those in the end, and fill the index of the
            search at once rather than by the service's own rounds, which take hours for ten millions.
    """

    def __init__(self, engine: Engine, now: datetime, feedbacks: int, *, hurry: bool = False) -> None:
        self._engine, self._now, self._count, self._hurry = engine, now, feedbacks, hurry
        self._many = min(_MANY, feedbacks // 4)
        self._rng = random.Random(7)
        letters = [chr(0x4E00 + 7 * n) for n in range(2500)]  # common letters are common, most are rare
        weights = [1 / (n + 5) for n in range(2500)]
        self._noise = "".join(self._rng.choices(letters, weights, k=200_000))
        self._cases: list[tuple[int, bool]] = []  # id, open

    def run(self) -> None:
        """Fill it, table by table."""
        with bare(self._engine) if self._hurry else nullcontext():
            self._tables()
            if self._hurry:
                with self._engine.begin() as connection:
                    connection.exec_driver_sql(_HOURS)  # as triggers would have written them

    def _tables(self) -> None:
        sources = [self._source(n) for n in range(12)]
        self._put(Source, sources)
        self._put(Case, self._case_rows())
        self._put(Crisis, self._crisis_rows())
        self._put(Feedback, self._feedback_rows())
        self._put(Score, self._score_rows())
        self._put(CrisisFeedback, self._members())
        self._put(Timer, self._timer_rows())
        self._put(Event, self._event_rows())
        self._put(Outbox, self._outbox_rows())
        self._put(Message, self._cards())
        self._put(Run, self._runs())

    def _put(self, model: type[SQLModel], rows: Iterable[dict[str, Any]]) -> None:
        rows = iter(rows)
        while chunk := list(islice(rows, _CHUNK)):
            if self._engine.dialect.name == "postgresql":
                self._copy(table(model).name, chunk)
            else:
                self._insert(model, chunk)
            if self._hurry and model is Feedback:
                self._copy("feedback_search", [self._searched(row) for row in chunk])
        if self._engine.dialect.name == "postgresql" and "id" in table(model).c:
            name = table(model).name
            with self._engine.begin() as connection:
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('\"{name}\"', 'id'), (SELECT max(id) FROM \"{name}\"))"  # noqa: S608 — a table's name
                )

    def _insert(self, model: type[SQLModel], chunk: list[dict[str, Any]]) -> None:
        with db.writing(self._engine) as session:
            session.execute(insert(table(model)), chunk)

    def _copy(self, name: str, chunk: list[dict[str, Any]]) -> None:
        columns = ", ".join(f'"{column}"' for column in chunk[0])
        with self._engine.begin() as connection:
            if self._hurry:
                connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no triggers
            raw: Any = connection.connection.driver_connection
            with raw.cursor() as cursor, cursor.copy(f'COPY "{name}" ({columns}) FROM STDIN') as copy:
                for row in chunk:
                    copy.write_row([json.dumps(v) if isinstance(v, dict | list) else v for v in row.values()])

    @staticmethod
    def _searched(row: dict[str, Any]) -> dict[str, Any]:
        return {"feedback_id": row["id"], "grams": pairs.array(pairs.of(SimpleNamespace(**row)))}

    def _at(self, n: int, of: int) -> datetime:
        return self._now - timedelta(days=_DAYS) * (1 - n / of) - timedelta(minutes=1)

    def _source(self, n: int) -> dict[str, Any]:
        shop = SHOPS[n % len(SHOPS)] if n < 9 else None
        row = {"name": f"source-{n}", "kind": "json", "shop_id": shop, "status": "ok", "last_run_at": self._now}
        return row | {
            "id": n + 1,
            "last_success_at": self._now,
            "last_item_at": self._now,
            "last_error": "",
            "expires": {},
        }

    def _text(self, *, bad: bool) -> str:
        rng = self._rng
        parts = [rng.choice(SUBJECTS) + rng.choice(BLAME if bad else PRAISE) for _ in range(rng.randint(1, 4))]
        start = rng.randrange(len(self._noise) - 40)
        return "，".join([*parts, self._noise[start : start + rng.randint(5, 35)]])

    def _case_rows(self) -> Iterator[dict[str, Any]]:
        total = self._count // 20
        for n in range(total):
            at = self._at(n, total)
            still = n >= total - total // 25 if n % 50 else False
            self._cases.append((n + 1, still))
            state = CASE_OPEN[n % 4] if still else ("resolved", "closed", "closed", "false_alarm")[n % 4]
            yield {
                "id": n + 1,
                "shop_id": SHOPS[n % len(SHOPS)],
                "kind": "review",
                "state": state,
                "severity": ("low", "medium", "medium", "high", "critical")[n % 5],
                "categories": [CATEGORIES[n % 6]],
                "join_key": f"{SHOPS[n % len(SHOPS)]}|order:26{n * 20 + 10:011d}",
                "tier": "",
                "backlog": False,
                "opened_at": at,
                "updated_at": min(at + timedelta(hours=n % 70), self._now),
                "assignee_id": 1 + n % 3 if state != "received" else None,
                "crisis_id": None,
                "resolved_at": None if still else at + timedelta(hours=5),
                "policy": {},
                "version": 2,
            }

    def _crisis_rows(self) -> Iterator[dict[str, Any]]:
        for n in range(40):
            at = self._at(n, 40)
            yield {
                "id": n + 1,
                "shop_id": SHOPS[n % len(SHOPS)],
                "state": "open" if n >= 35 else "closed",
                "kind": "review",
                "cause": "burst",
                "category": CATEGORIES[n % 6],
                "also": [],
                "product": "",
                "severity": "high",
                "opened_at": at,
                "updated_at": at,
                "members": "",
                "facts": "",
                "plan": "",
                "result": "",
                "review": "",
                "notices": {},
                "scope": {"count": self._many if n == 39 else 60},
                "pinged_count": 60,
                "policy": {"respond": 3600, "notice": 10800, "follow_up": 86400},
                "version": 1,
            }

    def _feedback_rows(self) -> Iterator[dict[str, Any]]:
        rng, total = self._rng, self._count
        for n in range(total):
            at, bad, mention = self._at(n, total), n % 20 == 10, n % 33 == 0
            source = 10 + n % 3 if mention else 1 + n % 9
            words = self._text(bad=bad)
            if n % 200_000 in (10, 15):  # in a case, and in none
                words += RARE
            if n >= total - 2 * self._many and n % 4 == 0:  # one text from many accounts
                words = "刚收到就漏水，桌子都泡坏了，客服一直不回，大家别买"
            shop = None if mention else SHOPS[(n // 20 if bad else n) % len(SHOPS)]
            yield {
                "id": n + 1,
                "source_id": source,
                "shop_id": shop,
                "platform": "weibo" if mention else "tmall",
                "kind": "mention" if mention else "review",
                "external_id": f"r{n}",
                "url": f"https://example.com/item/{n}",
                "title": "",
                "text": words,
                "stars": None if mention else float(1 if bad else rng.randint(3, 5)),
                "author": "李**明",
                "author_hash": f"{rng.randrange(10**5 * 3):032x}",
                "product": f"316 保温杯 {rng.randint(1, 400)} 号",
                "order_ref": "" if mention else f"26{n:011d}",
                "reply": "",
                "deleted": False,
                "extra": {"likes": n % 50} if mention else {},
                "created_at": at,
                "happened_at": at,
                "timely": True,
                "first_seen_at": at,
                "updated_at": at,
                "version": 1,
                "content_hash": f"{n:040x}",
                "text_key": text_key(words) if words[0] == "刚" else f"{hash(words) & (2**64 - 1):032x}",
                "duplicate_of": None,
                "case_id": n // 20 + 1 if bad else None,
            }

    def _score_rows(self) -> Iterator[dict[str, Any]]:
        for n in range(self._count):
            bad = n % 20 == 10 or n % 165 == 0
            yield {
                "feedback_id": n + 1,
                "happened_at": self._at(n, self._count),
                "model": "linear-1",
                "negative": bad,
                "p_negative": 0.9 if bad else 0.1,
                "severity": ("low", "medium", "high")[n % 3] if bad else None,
                "categories": [CATEGORIES[n // 20 % 6]] if bad else [],
                "flags": [],
                "evidence": [{"code": CATEGORIES[n // 20 % 6], "start": 0, "end": 4, "text": ""}] if bad else [],
                "scored_at": self._at(n, self._count),
            }

    def _members(self) -> Iterator[dict[str, Any]]:
        total = self._count
        for n in range(40):
            many, step = (self._many, 2) if n == 39 else (60, max(1, min(20, total // 41 // 60)))
            last = total if n == 39 else (n + 1) * (total // 41)
            for k in range(many):
                yield {"crisis_id": n + 1, "feedback_id": last - k * step, "added_at": self._now}

    def _timer_rows(self) -> Iterator[dict[str, Any]]:
        for case_id, still in self._cases:
            at = self._at(case_id, len(self._cases))
            for stage, hours in (("respond", 1), ("solve", 24)):
                due = at + timedelta(hours=hours)
                (row,) = timer_rows({"deadline": due}, stage, 0, case_id=case_id)
                late = due < self._now
                yield {**row, "crisis_id": None, "state": ("breached" if late else "armed") if still else "met"} | {
                    "met_at": None if still else at
                }
        for n in range(40):
            for stage, hours in (("respond", 1), ("notice", 3), ("follow_up", 24)):
                due = self._at(n, 40) + timedelta(hours=hours)
                (row,) = timer_rows({"deadline": due}, stage, 0, crisis_id=n + 1)
                open_ = n >= 35
                yield {**row, "case_id": None, "state": "breached" if open_ else "met"} | {
                    "met_at": None if open_ else due
                }

    def _event_rows(self) -> Iterator[dict[str, Any]]:
        total = self._count // 5
        whats = ("opened", "sent", "claim", "resolve")
        for n in range(total):
            what = whats[n % 4]
            yield {
                "at": self._at(n, total),
                "actor": f"客服{n % 7}号" if n % 4 > 1 else "评哨",
                "door": "desk" if n % 4 > 1 else "system",
                "subject": "crisis" if n % 500 == 0 else "case",
                "subject_id": 1 + n % 40 if n % 500 == 0 else 1 + n // 4,
                "what": what,
                "before": {},
                "after": {},
            }

    def _outbox_rows(self) -> Iterator[dict[str, Any]]:
        total = self._count // 10
        for n in range(total):
            state = "dead" if n % 500 == 7 else "pending" if n >= total - 10 else "folded" if n % 9 == 0 else "sent"
            at = self._at(n, total)
            yield {
                "dedupe_key": f"case:{n}",
                "channel": f"channel-{n % 3}",
                "target": "T1",
                "kind": "case.opened",
                "subject": "case",
                "subject_id": 1 + n // 2,
                "payload": {},
                "state": state,
                "attempts": 1,
                "created_at": at,
                "not_before": at,
                "lease_owner": "",
                "sent_at": at if state == "sent" else None,
                "provider_ref": f"1.{n}",
                "maybe_twice": False,
                "last_error": "HTTP 502" if state == "dead" else "",
            }

    def _cards(self) -> Iterator[dict[str, Any]]:
        for case_id, _ in self._cases:
            row = {"subject": "case", "subject_id": case_id, "channel": "channel-0", "target": "T1"}
            yield row | {"provider_ref": f"1.{case_id}", "updated_at": self._now}

    def _runs(self) -> Iterator[dict[str, Any]]:
        """Of each source one run in ten minutes for a month."""
        for source_id in range(1, 13):
            for n in range(30 * 24 * 6, 0, -1):
                at = self._now - timedelta(minutes=10 * n)
                yield {
                    "source_id": source_id,
                    "status": "ok",
                    "started_at": at,
                    "lease_until": at,
                    "finished_at": at,
                    "pages": 2,
                    "seen": 40,
                    "new": n % 4,
                    "changed": 0,
                    "duplicates": 40 - n % 4,
                    "skipped": 0,
                    "unchanged": 0,
                    "fills": {"items": 40, "id": 40, "text": 40, "author": 39, "time": 40, "stars": 40, "product": 40},
                    "error": "",
                }


def people() -> list[dict[str, Any]]:
    """Who works there."""
    return [{"name": f"客服{n}号", "role": "agent"} for n in range(7)] + [{"name": "主管", "role": "lead"}]

"""Exports: the promised fields, the configured zone's offset, and flat memory, on both databases."""

import csv
import io
import json
import tracemalloc
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from factories import NOW
from openpyxl import load_workbook
from sqlalchemy import insert
from subjects import add_feedbacks, open_case, open_crisis

from monitor import audit, crises, db, exports, lifecycle, sheets, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Crisis, Event, Feedback, Outbox

ZONE = ZoneInfo("Asia/Shanghai")
FIELDS = {
    "feedback": "id shop source platform kind external_id url title text stars author author_hash product order_ref"
    " created_at first_seen_at version negative p_negative categories severity flags evidence model case_id crisis_id"
    " duplicate_of followup_at",
    "cases": "id state severity categories opened_at assignee feedback_ids deadlines",
    "crises": "id state severity categories opened_at assignee feedback_ids deadlines",
    "timers": "id crisis_id case_id stage step generation due_at state fired_at",
    "events": "id at actor door subject subject_id what before after",
    "outbox": "id dedupe_key channel target kind state attempts created_at sent_at provider_ref last_error",
}


def export(core: Core, what: str, since: Any = None) -> list[dict[str, Any]]:
    with db.reading(core.engine) as session:
        return list(exports.export(session, what, since, ZONE))


@pytest.fixture
def lived_in(core: Core, clock: HandClock) -> Core:
    """A house with a case, a crisis that breached a clock, an unscored feedback and a message."""
    open_case(core, ["杯子漏水"], categories=["quality"])
    crisis = open_crisis(core, ["没收到货", "还没收到"])
    with db.writing(core.engine) as session:
        actor = lifecycle.Actor("主管", "lead", "link")
        lifecycle.act(core, session, lifecycle.Action("claim", "crisis", crisis), actor)
        bare = session.get(Feedback, 1)
        assert bare is not None
        session.add(
            Feedback(
                source_id=bare.source_id,
                external_id="bare",
                happened_at=NOW,
                first_seen_at=NOW,
                updated_at=NOW,
                content_hash="",
            )
        )
        session.add(
            Outbox(
                dedupe_key="k",
                channel="ops",
                target="C1",
                kind="x",
                subject="crisis",
                subject_id=1,
                created_at=NOW,
                not_before=NOW,
            )
        )
    clock.move(timedelta(hours=1))
    timers.sweep(core)
    return core


@pytest.mark.parametrize("what", exports.KINDS)
def test_promised_fields(lived_in: Core, what: str) -> None:
    """Every row has exactly the fields promised, in their order, and is JSON."""
    rows = export(lived_in, what)
    assert rows
    assert all(list(row) == FIELDS[what].split() for row in rows)
    json.dumps(rows)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


def test_contents(lived_in: Core) -> None:
    """Rows say what the store holds: links between tables, names, deadlines, times with offset."""
    case_row, crisis_row = export(lived_in, "cases")[0], export(lived_in, "crises")[0]
    assert (case_row["feedback_ids"], case_row["categories"], case_row["assignee"]) == ([1], ["quality"], None)
    assert crisis_row["feedback_ids"] == [2, 3]
    assert (crisis_row["categories"], crisis_row["assignee"]) == (["logistics"], "主管")
    assert crisis_row["deadlines"]["respond"] == {
        "due_at": "2026-11-20T15:00:00+08:00",
        "state": "breached",
        "met_at": None,
    }
    feedback = export(lived_in, "feedback")
    assert [row["crisis_id"] for row in feedback] == [None, 1, 1, None]
    assert (feedback[0]["source"], feedback[0]["case_id"], feedback[0]["negative"]) == ("tests", 1, True)
    assert (feedback[3]["negative"], feedback[3]["categories"], feedback[3]["shop"]) == (None, None, None)
    assert feedback[0]["first_seen_at"] == "2026-11-20T14:00:00+08:00"


def test_since(lived_in: Core) -> None:
    """Only what happened since is exported."""
    later = NOW + timedelta(minutes=30)
    assert {row["what"] for row in export(lived_in, "events", later)} == {"timer.breached", "timer.fired"}
    assert export(lived_in, "feedback", later) == []
    assert export(lived_in, "outbox", NOW)
    assert all(row["due_at"] >= "2026-11-20T14:30" for row in export(lived_in, "timers", later))


def test_unknown_export(core: Core) -> None:
    """What cannot be exported is an error."""
    with pytest.raises(KeyError):
        export(core, "secrets")


def test_memory_stays_flat(core: Core) -> None:
    """Thousands of rows are streamed in a few megabytes."""
    rows = [
        {"at": NOW, "actor": "评哨", "door": "system", "subject": "case", "subject_id": n, "what": "opened" * 20,
         "before": {}, "after": {"n": n}}
        for n in range(6_000)
    ]  # fmt: skip
    with db.writing(core.engine) as session:
        session.execute(insert(Event), rows)
    del rows
    with db.reading(core.engine) as session:
        tracemalloc.start()
        count = sum(1 for _ in exports.export(session, "events", None, ZONE))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 6_000
    assert peak < 6_000_000


HOSTILE = '=cmd|" /C calc"!A0\r\n"引号",；<script>alert(1)</script>{{7*7}}\u202e反\u202c\x0b'


@pytest.mark.parametrize("kind", sheets.FORMATS)
def test_events_with_hostile_text_are_whole_and_harmless(core: Core, kind: str) -> None:
    """Who, what and why may hold anything; each event is one row, in order, and none is a formula."""
    with db.writing(core.engine) as session:
        for n in range(3):
            audit.note(session, NOW, "case", n, "refused", HOSTILE, "link", after={"reason": HOSTILE})
    out = io.BytesIO()
    with db.reading(core.engine) as session:
        sheets.write(exports.export(session, "events", NOW, ZONE), kind, out)
    data = out.getvalue()
    if kind == "jsonl":
        rows = [json.loads(line) for line in data.splitlines()]
        assert [row["actor"] for row in rows] == [HOSTILE] * 3
        return
    if kind == "csv":
        told = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    else:
        sheet = load_workbook(io.BytesIO(data)).active
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
        told = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert told[0] == FIELDS["events"].split()
    assert [str(row[5]) for row in told[1:]] == ["0", "1", "2"]
    assert all(row[2].startswith("'=cmd") for row in told[1:])


def test_many_feedbacks_of_one_crisis(core: Core) -> None:
    """Chunks do not break what belongs together."""
    with db.writing(core.engine) as session:
        ids = add_feedbacks(core, session, [f"第{n}条" for n in range(60)])
    crisis = open_crisis(core, [])
    with db.writing(core.engine) as session:
        row = session.get(Crisis, crisis)
        assert row is not None
        crises.attach(core, session, row, ids, "low")
    assert export(core, "crises")[0]["feedback_ids"] == ids

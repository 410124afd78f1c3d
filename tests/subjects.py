"""Cases and crises in the store, for tests of what people see and do."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session, select

from monitor import crises, db, search, timers
from monitor.core import Core
from monitor.models import Case, Feedback, Score, Source

CASE_CLOCKS = {"respond": 3600, "solve": 7200, "remind_before": 900}


def open_case(core: Core, texts: Sequence[str] = (), **values: Any) -> int:
    """A received case of the demo shop with its clocks; gives its id."""
    now = core.clock.now()
    with db.writing(core.engine) as session:
        case = Case(**({"shop_id": "demo", "severity": "medium", "opened_at": now, "updated_at": now} | values))
        session.add(case)
        session.flush()
        assert case.id is not None
        timers.arm(session, timers.case_rows(case.id, now, CASE_CLOCKS, settings=core.settings))
        add_feedbacks(core, session, texts, case_id=case.id)
        return case.id


def open_crisis(core: Core, texts: Sequence[str] = (), evidence: Sequence[dict[str, Any]] = (), **values: Any) -> int:
    """A crisis of the demo shop about the texts; gives its id."""
    with db.writing(core.engine) as session:
        facts = {"shop_id": "demo", "cause": "person", "category": "logistics", "severity": "high"} | values
        ids = add_feedbacks(core, session, texts, evidence)
        crisis = crises.open_crisis(core, session, feedback_ids=ids, **facts)
        assert crisis.id is not None
        return crisis.id


def add_feedbacks(
    core: Core, session: Session, texts: Sequence[str], evidence: Sequence[dict[str, Any]] = (), **values: Any
) -> list[int]:
    """Scored negative reviews, one for each text; gives their ids."""
    source = session.exec(select(Source).where(Source.name == "tests")).one_or_none()
    source = source or Source(name="tests", kind="file", shop_id="demo")
    session.add(source)
    session.flush()
    now, ids = core.clock.now(), []
    for n, text in enumerate(texts):
        row = Feedback(
            **({"source_id": source.id, "shop_id": "demo", "external_id": f"{values}{n}{text[:40]}"} | values),
            text=text,
            author="李**明",
            author_hash=str(n),
            happened_at=now,
            first_seen_at=now,
            updated_at=now,
            content_hash=str(n),
        )
        session.add(row)
        session.flush()
        assert row.id is not None
        score = Score(feedback_id=row.id, happened_at=now, model="test", negative=True, p_negative=0.9, scored_at=now)
        score.severity, score.categories, score.evidence = "high", ["logistics"], list(evidence)
        session.add(score)
        ids.append(row.id)
    session.flush()
    search.add(session, ids)
    return ids

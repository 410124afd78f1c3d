"""What cards and pages read, on both databases."""

from datetime import timedelta

from factories import NOW
from sqlmodel import Session
from subjects import add_feedbacks, open_case, open_crisis

from monitor import db, lifecycle, queries, timers
from monitor.clock import HandClock
from monitor.core import Core
from monitor.models import Case, Crisis, Feedback, Outbox, Score


def act(core: Core, what: str, subject: str, subject_id: int, who: str = "主管", role: str = "lead") -> None:
    with db.writing(core.engine) as session:
        lifecycle.act(core, session, lifecycle.Action(what, subject, subject_id), lifecycle.Actor(who, role, "link"))


def test_crisis_view(core: Core, clock: HandClock) -> None:
    """A crisis's view counts all its feedbacks, lists the newest, finds the worst, and has its clocks and events."""
    crisis = open_crisis(core, ["一", "二", "三"])
    with db.writing(core.engine) as session:
        row, score = session.get(Feedback, 2), session.get(Score, 3)
        assert row is not None
        assert score is not None
        row.happened_at, score.severity = NOW + timedelta(hours=1), "critical"
        session.add_all([row, score])
    act(core, "claim", "crisis", crisis)
    clock.move(timedelta(hours=1))
    timers.sweep(core)
    with db.reading(core.engine) as session:
        view = queries.crisis_view(session, crisis, limit=2, events=2)
        assert queries.crisis_view(session, 99) is None
    assert view is not None
    assert view.assignee is not None
    assert (view.count, [item.feedback.id for item in view.items], view.assignee.name) == (3, [2, 3], "主管")
    assert view.worst is not None
    assert view.worst.feedback.text == "三"
    assert {stage: clock.state for stage, clock in view.clocks.items()} == {
        "respond": "breached",
        "notice": "armed",
        "follow_up": "armed",
    }
    assert len(view.events) == 2
    assert (view.events[0].id or 0) > (view.events[1].id or 0)


def test_case_view(core: Core) -> None:
    """A case's view has its feedbacks, its newest clocks and what its author wrote before elsewhere."""
    with db.writing(core.engine) as session:
        old = add_feedbacks(core, session, ["旧的", "别人的"], title="以前")
        row = session.get(Feedback, old[0])
        assert row is not None
        row.happened_at = NOW - timedelta(days=1)
        session.add(row)
    case = open_case(core, ["新的"])
    with db.writing(core.engine) as session:
        row = session.get(Case, case)
        assert row is not None
        later = NOW + timedelta(days=1)
        timers.arm(session, timers.case_rows(case, later, row.policy | CLOCKS, 1, settings=core.settings))
    with db.reading(core.engine) as session:
        view = queries.case_view(session, case)
        assert queries.case_view(session, 99) is None
        assert [v.case.id for v in queries.case_views(session, [case, 99])] == [case]
    assert view is not None
    assert ([item.feedback.text for item in view.items], view.earlier, view.earlier_negative) == (["新的"], 1, 1)
    assert view.clocks["respond"].generation == 1


CLOCKS = {"respond": 60, "solve": 120, "remind_before": 10}


def test_case_counts(core: Core) -> None:
    """Cases are counted by their most important category, however many are asked for."""
    ids = [open_case(core, categories=codes) for codes in (["quality", "service"], ["quality"], [])]
    with db.reading(core.engine) as session:
        assert queries.case_counts(session, ids + list(range(1000, 1600))) == {"quality": 2, "other": 1}


def test_status_page(core: Core) -> None:
    """Open crises with their clocks, oldest first; sources by name; the outbox by state."""
    first, second, done = open_crisis(core), open_crisis(core), open_crisis(core)
    act(core, "claim", "crisis", second)
    act(core, "false_alarm", "crisis", done)
    with db.writing(core.engine) as session:
        for n, state in enumerate(("sent", "sent", "dead")):
            session.add(outbox_row(n, state))
    with db.reading(core.engine) as session:
        lines = queries.open_crises(session)
        assert [line.crisis.id for line in lines] == [first, second]
        assert [line.assignee.name if line.assignee else "" for line in lines] == ["", "主管"]
        assert all(set(line.clocks) == {"respond", "notice", "follow_up"} for line in lines)
        assert queries.unsent_counts(session) == {"pending": 0, "sending": 0, "uncertain": 0, "dead": 1}


def outbox_row(n: int, state: str) -> Outbox:
    return Outbox(
        dedupe_key=str(n), channel="ops", target="C1", kind="x", subject="crisis", subject_id=n, state=state,
        created_at=NOW, not_before=NOW,
    )  # fmt: skip


def test_empty_house(core: Core) -> None:
    """A fresh store has nothing to show and no errors."""
    with db.reading(core.engine) as session:
        assert queries.open_crises(session) == []
        assert set(queries.unsent_counts(session).values()) == {0}
        assert queries.case_counts(session, []) == {}


def test_crisis_without_feedback(core: Core) -> None:
    """A crisis that a person opened about nothing yet has a view."""
    with db.writing(core.engine) as session:
        assert isinstance(session, Session)
        session.add(Crisis(shop_id=None, cause="person", severity="low", opened_at=NOW, updated_at=NOW))
    with db.reading(core.engine) as session:
        view = queries.crisis_view(session, 1)
    assert view is not None
    assert (view.count, view.worst, view.items, view.clocks) == (0, None, (), {})

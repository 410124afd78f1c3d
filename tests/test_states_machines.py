"""Whatever staff, buyers and the clock do, in whatever order: cases, crises and their clocks stay sound."""

from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from delivering import make_house
from factories import NOW
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import col, func, select

from alerts.actions import Click, handle
from crawler.items import FeedbackItem
from monitor import db, directory, intake, timers
from monitor.clock import HandClock
from monitor.incoming import Origin
from monitor.models import Case, Crisis, CrisisFeedback, Event, Feedback, Inbound, Outbox, Timer
from monitor.moves import Action
from monitor.transitions import ACTIONS, NOTICE_WAYS

PEOPLE = ("客服一号", "主管", "经理", "路人")
TEXTS = {
    "杯子漏水，很失望": "review",
    "没收到货，客服不理人": "review",
    "喝完上吐下泻，进医院了": "review",
    "很好用，满意": "review",
    "这家店的杯子把孩子烫伤住院了": "mention",
}
SETTLED = ("false_alarm", "closed", "merged")
BY_ITSELF = {  # what the house does to a state without being asked: from → to, by event
    ("case", "reopened"): {(state, "received") for state in ("answered", "resolved", "closed", "false_alarm")},
    ("crisis", "reopened"): {("resolved", "open"), ("closed", "open")},
    ("case", "feedback.replied"): {(state, "answered") for state in ("received", "assigned", "contacted")},
}
NO_MOVES = ("opened", "refused", "sent", "dead", "timer.fired", "timer.breached")


def allowed(event: Event) -> bool:
    """Whether the table of actions, or the house's own rules, lead from the event's state before to the one after."""
    was, became = event.before.get("state"), event.after.get("state")
    if event.what not in ACTIONS:
        return was == became or (was, became) in BY_ITSELF.get((event.subject, event.what), ())
    info = ACTIONS[event.what]
    start, target = info.moves[event.subject][0], info.leads(event.subject, was)
    last_tick = event.what in ("notified_sms", "notified_push", "notified_call", "apologised", "stated")
    leads_to = target or ("customer_notified" if last_tick and became != was else was)
    return was in start and became == leads_to


class House(RuleBasedStateMachine):
    """A shop with its staff, on a store of its own."""

    def __init__(self, template: bytes, folder: Path) -> None:
        super().__init__()
        file = folder / f"{len(list(folder.iterdir()))}.db"
        file.write_bytes(template)
        self.engine = db.connect(f"sqlite:///{file}")
        self.clock = HandClock(NOW)
        self.core = make_house(self.engine, self.clock)
        with db.writing(self.engine) as session:
            rows = [directory.ensure_source(session, kind, "json", "demo") for kind in ("review", "mention")]
            self.origins = {row.name: Origin(row.id or 0, "demo", "tmall", row.name, watched=True) for row in rows}
        self.clicks: list[Click] = []
        self.rows: dict[tuple[str, int], tuple[str, int]] = {}
        self.timers: dict[int, Timer] = {}
        self.events = 0

    def teardown(self) -> None:
        self.engine.dispose()

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────

    @initialize()
    def trouble(self) -> None:
        """There is a crisis, and a complaint outside it, so that there is something to do."""
        self.review("喝完上吐下泻，进医院了", 1, "")
        self.review("杯子漏水，很失望", 2, "")

    @rule(text=st.sampled_from(sorted(TEXTS)), n=st.integers(1, 12), followup=st.sampled_from(["", "还是没人管"]))
    def review(self, text: str, n: int, followup: str) -> None:
        """A buyer writes, or writes anew."""
        item = FeedbackItem(
            external_id=str(n), text=text, followup=followup, created_at=self.clock.now(), order_ref=f"o{n // 2}"
        )
        intake.store(self.core, self.origins[TEXTS[text]], [item])

    @rule(
        what=st.sampled_from(sorted(ACTIONS)),
        about=st.tuples(st.sampled_from(["case", "crisis"]), st.integers(1, 4)),
        person=st.sampled_from(PEOPLE),
        other=st.integers(1, 4),
    )
    def press(self, what: str, about: tuple[str, int], person: str, other: int) -> None:
        """Somebody presses a button, whether or not it is his to press."""
        to = {"assign": PEOPLE[other - 1], "merge": str(other), "refile": "物流"}.get(what, "")
        action = Action(what, *about, "记一笔", to)
        self.clicks.append(Click("link", f"key {len(self.clicks)}", person, action))
        if handle(self.core, self.clicks[-1]).done:
            role = {"客服一号": "agent", "主管": "lead", "经理": "manager"}[person]
            assert ACTIONS[what].allowed(about[0], role)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def press_what_fits(self, data: st.DataObject) -> None:
        """The manager does some of what can be done in the state that something is in."""
        about = data.draw(st.sampled_from(sorted(self.rows)))
        model = Case if about[0] == "case" else Crisis
        for _ in range(data.draw(st.integers(1, 5))):
            with db.reading(self.engine) as session:
                state = session.get_one(model, about[1]).state
            fitting = [what for what, info in ACTIONS.items() if state in info.moves.get(about[0], ((),))[0]]
            if fitting:
                self.press(data.draw(st.sampled_from(sorted(fitting))), about, "经理", data.draw(st.integers(1, 4)))

    @precondition(lambda self: self.clicks)
    @rule(data=st.data())
    def press_again(self, data: st.DataObject) -> None:
        """The same click delivered twice does nothing."""
        before = self._counts()
        handle(self.core, data.draw(st.sampled_from(self.clicks)))
        assert self._counts() == before

    @rule(minutes=st.sampled_from([1, 20, 60, 200, 1500, 10_000, -120]))
    def time_passes(self, minutes: int) -> None:
        """The clock goes on, or is put right."""
        self.clock.move(timedelta(minutes=minutes))

    @rule()
    def sweep(self) -> None:
        """What is due fires; a second look finds nothing."""
        timers.sweep(self.core)
        before = self._counts()
        assert timers.sweep(self.core) == 0
        assert self._counts() == before

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def sound(self) -> None:
        """Checked after everything that happens, against how it was before."""
        with db.reading(self.engine) as session:
            fresh = session.exec(select(Event).where(col(Event.id) > self.events).order_by(col(Event.id))).all()
            rows: dict[tuple[str, int], Case | Crisis] = {("case", c.id or 0): c for c in session.exec(select(Case))}
            rows |= {("crisis", c.id or 0): c for c in session.exec(select(Crisis))}
            clocks = {clock.id or 0: clock for clock in session.exec(select(Timer))}
            twice = session.exec(
                select(CrisisFeedback.feedback_id)
                .join(Crisis)
                .where(col(Crisis.state).in_(("open", "acknowledged", "customer_notified")))
                .group_by(col(CrisisFeedback.feedback_id))
                .having(func.count() > 1)
            ).all()
            orphans = session.exec(
                select(CrisisFeedback.feedback_id).where(col(CrisisFeedback.feedback_id).not_in(select(Feedback.id)))
            ).all()
        assert not orphans
        self._moves(fresh, rows)
        self._clocks(rows, clocks)
        assert not twice, "a feedback is in two running crises"
        self.events = max([self.events, *(event.id or 0 for event in fresh)])
        self.rows = {key: (row.state, row.version) for key, row in rows.items()}
        self.timers = clocks

    def _moves(self, fresh: Any, rows: dict[tuple[str, int], Case | Crisis]) -> None:
        """States move along the table, each change has one event, versions rise by one."""
        changes = Counter((e.subject, e.subject_id) for e in fresh if e.what not in NO_MOVES)
        states = {key: state for key, (state, _) in self.rows.items()}
        for event in fresh:
            key = (event.subject, event.subject_id)
            if "state" in event.before and event.what not in NO_MOVES:
                assert event.before["state"] == states.get(key, event.before["state"]), "the events are no chain"
                assert allowed(event), (event.what, event.before, event.after)
            if "state" in event.after:
                states[key] = event.after["state"]
        for key, row in rows.items():
            _, version = self.rows.get(key, ("", 1))
            assert row.version - version == changes[key], f"{key}: version {version} → {row.version}"
            assert row.state == states.get(key, row.state), f"{key} became {row.state} and no event says so"
            if isinstance(row, Crisis) and row.state in ("open", "acknowledged"):
                assert set(row.notices) != set(NOTICE_WAYS[row.kind].values()), f"{key} can never be resolved"
            assert key in self.rows or any(e.what == "opened" and (e.subject, e.subject_id) == key for e in fresh)

    def _clocks(self, rows: dict[tuple[str, int], Case | Crisis], clocks: dict[int, Timer]) -> None:
        armed: Counter[tuple[str, int, str]] = Counter()
        for clock in clocks.values():
            key = ("crisis", clock.crisis_id) if clock.crisis_id else ("case", clock.case_id or 0)
            if clock.state == "armed":
                assert rows[key].state not in SETTLED, (
                    f"{key} is {rows[key].state} with {clock.stage} {clock.step} armed"
                )
                armed[(*key, clock.stage)] += clock.step == "deadline"
            assert (clock.state in ("fired", "breached")) == (clock.fired_at is not None)
        assert all(count <= 1 for count in armed.values()), "two deadlines of one stage"
        for number, was in self.timers.items():
            now = clocks[number]  # none is ever deleted
            if was.state in ("fired", "breached", "cancelled", "met"):
                assert now.state == was.state, f"{was.stage} {was.step} was {was.state} and is {now.state}"
                assert now.fired_at == was.fired_at
                assert was.met_at is None or now.met_at == was.met_at
            if was.step == "deadline":
                assert now.due_at <= was.due_at, "a deadline moved to later"

    def _counts(self) -> list[int]:
        with db.reading(self.engine) as session:
            counts = [session.exec(select(func.count()).select_from(t)).one() for t in (Event, Timer, Outbox, Inbound)]
            versions = [session.exec(select(func.coalesce(func.sum(t.version), 0))).one() for t in (Case, Crisis)]
            armed = session.exec(select(func.count()).where(Timer.state == "armed")).one()
        return [*counts, *versions, armed]


@pytest.mark.slow
def test_whatever_happens_cases_and_crises_stay_sound(
    sqlite_template: bytes, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Random clicks of every role, reviews, edits and moves of the clock, checked after each."""
    machine = partial(House, sqlite_template, tmp_path)
    run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=30, deadline=None))


def test_a_plan_written_late_takes_no_crisis_back(sqlite_template: bytes, tmp_path: Path) -> None:
    """Customers were told before there was a plan: the crisis stays where it is and can be resolved."""
    house = House(sqlite_template, tmp_path)
    house.review("喝完上吐下泻，进医院了", 1, "")
    for what in ("notified_sms", "notified_push", "notified_call", "plan", "resolved"):
        house.press(what, ("crisis", 1), "经理", 1)
        house.sound()
    assert house.rows["crisis", 1][0] == "resolved"
    house.teardown()

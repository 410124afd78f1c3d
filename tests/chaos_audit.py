"""Holds a store against what the providers got: nothing lost, nothing twice, every clock once, every step written down.

The providers' own logs are the truth about what was delivered; the store has to say the same.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos_feed import Fed
from slack_double import SlackDouble
from smtp_double import SmtpDouble
from sqlmodel import Session, col, select

from alerts.render import ACTED, IN_PLACE, kept_as
from monitor.models import (
    Case,
    Crisis,
    CrisisFeedback,
    Event,
    Feedback,
    Inbound,
    Outbox,
    Score,
    Source,
    Timer,
)
from monitor.transitions import ACTIONS


@dataclass
class Report:
    """What an audit found.

    Attributes:
        faults: Each a line; none where all is well.
        figures: Counts worth telling.
    """

    faults: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        told = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        return [told, *self.faults[:40], f"{len(self.faults)} faults"]


@dataclass
class Delivered:
    """The providers' own logs.

    Attributes:
        posts: (channel, key) → how often it was posted and accepted.
        cards: (channel, case or crisis) → how many live cards it got.
        told: Keys that a message said it stands for, by channel.
        mails: (address, key) → the Message-IDs it came with.
        edits: How many edits were accepted.
    """

    posts: Counter[tuple[str, str]]
    cards: Counter[tuple[str, str]]
    told: set[tuple[str, str]]
    mails: dict[tuple[str, str], list[str]]
    edits: int

    @property
    def messages(self) -> int:
        return sum(self.posts.values()) + sum(map(len, self.mails.values()))


def audit(session: Session, slack: SlackDouble, smtp: SmtpDouble, fed: Fed) -> Report:
    """Everything that is not as it must be."""
    got, report = _logs(slack, smtp), Report()
    rows = session.exec(select(Outbox).order_by(col(Outbox.id))).all()
    clocks = session.exec(select(Timer).order_by(col(Timer.id))).all()
    events = session.exec(select(Event).order_by(col(Event.id))).all()
    report.faults += [f"lost: {told}" for told in _lost(rows, got)]
    report.faults += [f"lost: {told}" for told in _unsaid(rows, slack)]
    report.faults += [f"twice: {told}" for told in _twice(rows, got)]
    report.faults += _clocks(rows, clocks, events)
    report.faults += _stored(session, fed)
    report.faults += _openings(session, rows, events)
    report.faults += _audit(session, fed, events)
    report.faults += _sends(rows, events)
    fired = [clock for clock in clocks if clock.fired_at]
    late = sorted((clock.fired_at - clock.due_at).total_seconds() for clock in fired if clock.fired_at)
    report.figures = {
        "messages": got.messages,
        "edits": got.edits,
        "lost": sum(told.startswith("lost") for told in report.faults),
        "twice": sum(told.startswith("twice") for told in report.faults),
        "mails marked maybe_twice": sum(row.maybe_twice for row in rows),
        "outbox rows": len(rows),
        "of them folded": sum(row.state == "folded" for row in rows),
        "attempts": sum(row.attempts for row in rows),
        "clocks fired": len(fired),
        "seconds late, median and worst": f"{late[len(late) // 2]:.1f} {late[-1]:.1f}" if late else "–",
        "reviews": len(fed.reviews),
        "clicks": len(fed.clicks),
        "events": len(events),
    }
    return report


def _logs(slack: SlackDouble, smtp: SmtpDouble) -> Delivered:
    got = Delivered(Counter(), Counter(), set(), defaultdict(list), 0)
    for method, message in slack.accepted:
        payload = message["metadata"]["event_payload"]
        if method == "chat.update":
            got.edits += 1
            continue
        got.posts[message["channel"], payload["key"]] += 1
        if "card" in payload:
            got.cards[message["channel"], payload["card"]] += 1
        got.told |= {(message["channel"], key) for key in _carried(payload)}
    for address, mail in smtp.mails:
        got.mails[address, str(mail["X-Pingshao-Key"])].append(str(mail["Message-ID"]))
    return got


def _carried(payload: dict[str, Any]) -> list[str]:
    return re.findall(r'"([^"]+)"', payload.get("carries", ""))


def _lost(rows: Sequence[Outbox], got: Delivered) -> Iterator[str]:
    """What the store says was told, or has to be told, and nobody got."""
    by_key = {(row.channel, row.target, row.dedupe_key): row for row in rows}
    for row in rows:
        name = f"{row.dedupe_key} on {row.channel} to {row.target}"
        if row.state == "folded":
            into = row.last_error.removeprefix("并入 ")
            if not row.last_error:
                yield f"{name} is folded for no reason"
            elif into != row.last_error and not _said(row, by_key.get((row.channel, row.target, into)), got):
                yield f"{name} is folded into {into}, which does not say so"
        elif row.state != "sent":
            yield f"{name} is {row.state}: {row.last_error}"
        elif not _arrived(row, got):
            yield f"{name} is sent, and nobody has it"


def _said(row: Outbox, into: Outbox | None, got: Delivered) -> bool:
    """Whether a row's news went with another row, which in turn may have had nothing left to say."""
    if into is None or row.kind in IN_PLACE or row.channel == "mail":
        return into is not None
    return into.state == "folded" or (row.target, row.dedupe_key) in got.told


def _arrived(row: Outbox, got: Delivered) -> bool:
    if row.channel == "mail":
        return bool(got.mails.get((row.target, row.dedupe_key)))
    if row.kind in IN_PLACE:
        return bool(got.cards[row.target, f"{kept_as(row)}:{row.subject_id}"])
    return bool(got.posts[row.target, row.dedupe_key])


def _unsaid(rows: Sequence[Outbox], slack: SlackDouble) -> Iterator[str]:
    """What people did and the history below a card, as it stands in the end, does not say once."""
    stands = {
        (message["channel"], message["metadata"]["event_payload"].get("card")): json.dumps(
            message["blocks"], ensure_ascii=False
        )
        for message in slack.messages
    }
    done: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.kind in ACTED and (row.state == "sent" or row.last_error.startswith("并入 ")):
            act = f"{row.payload['who']} {ACTIONS[row.payload['what']].label}"
            done[row.target, f"{kept_as(row)}:{row.subject_id}"][act] += 1
    for (place, name), acts in done.items():
        said = stands.get((place, name), "")
        if "更早的" not in said:
            yield from (
                f"{name} in {place} says {said.count(act)} times: {act}, done {count} times"
                for act, count in acts.items()
                if said.count(act) != count
            )


def _twice(rows: Sequence[Outbox], got: Delivered) -> Iterator[str]:
    """What came more often than it should, or comes from nowhere."""
    yield from (f"{key} posted {count} times to {to}" for (to, key), count in got.posts.items() if count > 1)
    yield from (f"{card} has {count} cards in {to}" for (to, card), count in got.cards.items() if count > 1)
    known = {(row.target, row.dedupe_key): row for row in rows}
    for place, ids in got.mails.items():
        row = known.get(place)
        if len(set(ids)) > 1:
            yield f"{place} mailed under different Message-IDs"
        if row and len(ids) > 1 and not row.maybe_twice:
            yield f"{place} mailed {len(ids)} times without the mark"
    for place in [*got.posts, *got.mails]:
        row = known.get(place)
        if row is None:
            yield f"{place} stands in no row"
        elif row.state == "folded" and row.last_error.startswith("并入 "):
            yield f"{place} was sent, and told by another message: {row.last_error}"
    yield from (f"{row.dedupe_key} marked though Slack could be asked" for row in rows if _marked(row))


def _marked(row: Outbox) -> bool:
    return row.maybe_twice and row.channel != "mail"


def _clocks(rows: Sequence[Outbox], clocks: Sequence[Timer], events: Sequence[Event]) -> Iterator[str]:
    """Every clock that was due fired once, and people were told."""
    keys = {row.dedupe_key for row in rows}
    lists = {
        (row.payload["stage"], row.payload["step"], case)
        for row in rows
        if row.kind == "cases.overdue"
        for case in row.payload["case_ids"]
    }
    fired: Counter[tuple[Any, ...]] = Counter()
    for event in events:
        if event.what in ("timer.fired", "timer.breached"):
            fired[
                event.subject, event.subject_id, event.after["stage"], event.after["step"], event.after["due_at"]
            ] += 1
    ends = {_stage(clock): clock.due_at for clock in clocks if clock.step == "deadline"}
    for clock in clocks:
        subject, subject_id = ("crisis", clock.crisis_id) if clock.crisis_id else ("case", clock.case_id)
        name = f"clock {clock.id} {subject}:{subject_id}:{clock.stage}:{clock.step}:{clock.generation}"
        times = fired.pop((subject, subject_id, clock.stage, clock.step, clock.due_at.isoformat()), 0)
        if times != int(clock.fired_at is not None):
            yield f"{name} {clock.state} has {times} events"
        if clock.state == "armed":
            yield f"{name} never fired, due {clock.due_at}"
        if (clock.state in ("fired", "breached")) != (clock.fired_at is not None):
            yield f"{name} is {clock.state}, fired at {clock.fired_at}"
        if clock.fired_at and clock.fired_at < clock.due_at:
            yield f"{name} fired before it was due"
        listed = (clock.stage, clock.step, clock.case_id) in lists
        # a reminder that fires when its deadline has passed as well is not told: the breach is
        past = clock.step == "reminder" and clock.fired_at and ends[_stage(clock)] <= clock.fired_at
        if clock.fired_at and not listed and not past and name.rpartition(" ")[2] not in keys:
            yield f"lost: nobody is told of {name}"
    yield from (f"an event of no clock: {left}" for left in fired)


def _stage(clock: Timer) -> tuple[int | None, int | None, str, int]:
    return clock.crisis_id, clock.case_id, clock.stage, clock.generation


def _stored(session: Session, fed: Fed) -> Iterator[str]:
    """Every review once, judged, and in a case where it complains."""
    stored = session.exec(
        select(Source.name, Feedback, Score)
        .join(Feedback, col(Feedback.source_id) == Source.id)
        .join(Score, col(Score.feedback_id) == Feedback.id, isouter=True)
    ).all()
    times = Counter((source, review.external_id) for source, review, _ in stored)
    yield from (f"lost: review {review}" for review in sorted(fed.reviews - set(times)))
    yield from (f"twice: review {review}" for review, count in times.items() if count > 1)
    for _, review, score in stored:
        if score is None:
            yield f"review {review.external_id} was never judged"
        elif score.negative and review.case_id is None:
            yield f"review {review.external_id} complains and has no case"


def _openings(session: Session, rows: Sequence[Outbox], events: Sequence[Event]) -> Iterator[str]:
    """Every case and crisis opened once, told once; one crisis for all that tell of the same harm in a shop."""
    keys = {row.dedupe_key for row in rows}
    listed = {n for row in rows if row.kind == "cases.opened" for n in row.payload["case_ids"]}
    opened = Counter((event.subject, event.subject_id) for event in events if event.what == "opened")
    cases, crises = session.exec(select(Case)).all(), session.exec(select(Crisis)).all()
    for case in cases:
        if opened[("case", case.id or 0)] != 1:
            yield f"case {case.id} opened {opened['case', case.id or 0]} times"
        if f"case:{case.id}:opened:0" not in keys and case.id not in listed and case.crisis_id is None:
            yield f"lost: nobody is told of case {case.id}"
    for crisis in crises:
        if opened["crisis", crisis.id or 0] != 1:
            yield f"crisis {crisis.id} opened {opened['crisis', crisis.id or 0]} times"
        if f"crisis:{crisis.id}:opened:0" not in keys:
            yield f"lost: nobody is told of crisis {crisis.id}"
    for shop, count in Counter(crisis.shop_id for crisis in crises if crisis.cause == "critical").items():
        if count > 1:
            yield f"twice: {count} crises of one harm in {shop}"
    homes = Counter(session.exec(select(CrisisFeedback.feedback_id)).all())
    critical = select(Score.feedback_id).where(Score.severity == "critical")
    yield from (f"critical review {n} is in no crisis" for n in session.exec(critical) if not homes[n])


def _audit(session: Session, fed: Fed, events: Sequence[Event]) -> Iterator[str]:
    """Every click came in once and left an event where it was done; every version has its event."""
    clicks = session.exec(select(Inbound).where(Inbound.door == "slack")).all()
    times = Counter(click.key for click in clicks)
    yield from (f"lost: click {key}" for key in sorted(fed.clicks - set(times)))
    yield from (f"twice: click {key}" for key, count in times.items() if count > 1)
    done = Counter((click.action, click.subject, click.subject_id) for click in clicks if click.payload["done"])
    by_hand = (event for event in events if event.door == "slack" and event.what not in ("opened", "refused"))
    left = Counter((event.what, event.subject, event.subject_id) for event in by_hand)
    if left != done:
        yield f"clicks done and events differ: {done - left} {left - done}"
    changes = Counter((event.subject, event.subject_id) for event in events if _moves(event))
    subjects: list[tuple[str, Case | Crisis]] = [("case", row) for row in session.exec(select(Case))]
    subjects += [("crisis", row) for row in session.exec(select(Crisis))]
    for subject, row in subjects:
        if row.version - 1 != changes[subject, row.id or 0]:
            yield f"{subject} {row.id} is at version {row.version} with {changes[subject, row.id or 0]} events"


def _moves(event: Event) -> bool:
    """Whether an event tells of a new version of its case or crisis."""
    return not event.what.startswith("timer.") and event.what not in ("opened", "refused", "sent", "dead")


def _sends(rows: Sequence[Outbox], events: Sequence[Event]) -> Iterator[str]:
    """Every message that was accepted left one event."""
    told = Counter((e.after["channel"], e.after["target"], e.after["key"]) for e in events if e.what == "sent")
    sent = {(row.channel, row.target, row.dedupe_key) for row in rows if row.state == "sent"}
    yield from (f"twice: {count} events of {key}" for key, count in told.items() if count > 1)
    yield from (f"no event tells of {key}" for key in sorted(sent - set(told)))
    yield from (f"an event tells of {key}, which was not sent" for key in sorted(set(told) - sent))

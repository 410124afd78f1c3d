"""What a soak came to: whether anything grew, came late or was lost; and the plot of it."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from slack_double import SlackDouble
from smtp_double import SmtpDouble
from soak_world import Plan
from sqlmodel import Session, col, func, select

from monitor import db
from monitor.models import Feedback, Outbox, Source, Timer

LATE = timedelta(seconds=5)
"""Most that a deadline may be noticed late while somebody serves, in fake time."""
_HANDLES = 3  # more than this in the last quarter is a leak: one connection more of the pool is none
_RED = "#c0392b"


@dataclass
class Verdict:
    """Each fault a line; none where all is well."""

    faults: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def told(self) -> str:
        lines = [f"{name:<34} {value}" for name, value in self.figures.items()]
        return "\n".join([*lines, *self.faults[:40], f"{len(self.faults)} faults"])


def judge(
    plan: Plan, url: str, absent: Sequence[tuple[datetime, datetime]], slack: SlackDouble, smtp: SmtpDouble
) -> Verdict:
    """Hold samples, store and providers against what must be.

    Args:
        plan: What was to be.
        url: The store.
        absent: When nobody served.
        slack: What got the messages.
        smtp: What got the mails.
    """
    verdict = Verdict()
    _grown(plan, _samples(plan), verdict)
    engine = db.connect(url)
    with db.reading(engine) as session:
        _late(session, absent, plan.moment(1.0), verdict)
        _stored(session, plan, verdict)
        _delivered(session, plan, slack, smtp, verdict)
    engine.dispose()
    log = (plan.folder / "serve.log").read_text("utf-8", "replace")
    verdict.figures["errors logged"] = dict(Counter(re.findall(r'level=error event=("[^"]+"|\S+)', log)))
    return verdict


def _samples(plan: Plan) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (plan.folder / "samples.jsonl").read_text().splitlines()]


def _grown(plan: Plan, samples: list[dict[str, Any]], verdict: Verdict) -> None:
    """The second quarter's samples and the last one's, which must be of one process."""
    second, last = (
        [one for one in samples if start <= one["hours"] / plan.hours < start + 0.25] for start in (0.25, 0.75)
    )
    if not second or not last or len({one["pid"] for one in [*second, *last]}) > 1:
        verdict.faults.append("the second and the last quarter are not of one process")
        return
    rest: list[tuple[str, Callable[[float], float]]] = [
        ("rss_mb", lambda was: was * plan.growth),
        ("handles", lambda was: was + _HANDLES),
        ("threads", lambda was: was + _HANDLES),
    ]
    for name, most in rest:
        was, now = (median(one[name] for one in quarter) for quarter in (second, last))
        verdict.figures[f"{name}, second and last quarter"] = f"{was:.1f} {now:.1f} ({now / was:.3f} x)"
        if now > most(was):
            verdict.faults.append(f"{name} grows: {was:.1f}, then {now:.1f}")
    end = samples[-1]
    verdict.figures["store, largest WAL (MB)"] = f"{end['store_mb']:.0f} {max(one['wal_mb'] for one in samples):.1f}"
    verdict.figures["bytes a feedback"] = round(end["store_mb"] * 1e6 / max(1, end["feedbacks"]))
    verdict.figures["oldest message (s), worst"] = round(max(one["outbox_age_s"] for one in samples))


def lateness(session: Session, absent: Sequence[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, timedelta]]:
    """When each timer that fired was due, and how late it was noticed from when somebody could."""
    for due, fired in session.exec(select(Timer.due_at, Timer.fired_at).where(col(Timer.fired_at).is_not(None))):
        assert fired is not None
        since = next((back for gone, back in absent if gone <= due < back), due)
        yield due, fired - since


def _late(session: Session, absent: Sequence[tuple[datetime, datetime]], end: datetime, verdict: Verdict) -> None:
    found = list(lateness(session, absent))
    seconds = sorted(late.total_seconds() for _, late in found) or [0.0]
    waiting = session.exec(select(func.count()).where(Timer.state == "armed", col(Timer.due_at) < end - LATE)).one()
    worst = [late for late in seconds if late > LATE.total_seconds()]
    verdict.figures["timers fired"] = len(found)
    verdict.figures["of them due while nobody served"] = sum(any(g <= due < b for g, b in absent) for due, _ in found)
    verdict.figures["late (s): median, p99, worst"] = (
        f"{median(seconds):.2f} {seconds[int(len(seconds) * 0.99)]:.2f} {seconds[-1]:.2f}"
    )
    if worst:
        verdict.faults.append(f"{len(worst)} timers more than {LATE.seconds} s late, at most {worst[-1]:.1f} s")
    if waiting:
        verdict.faults.append(f"{waiting} timers were due and never fired")


def _stored(session: Session, plan: Plan, verdict: Verdict) -> None:
    """Everything that was written before a source was last read, once."""
    counts = select(Source.name, func.count(col(Feedback.id))).join(Feedback).group_by(Source.name)
    stored = dict(session.exec(counts).all())
    verdict.figures["feedbacks stored"] = sum(stored.values())
    for n in range(plan.sources):
        pause = timedelta(hours=plan.crawl_hours if n < plan.crawled else 2)
        least, most = plan.written(plan.moment(1.0) - pause - plan.down), plan.written(plan.moment(1.0))
        if not least <= stored.get(f"s{n}", 0) <= most:
            verdict.faults.append(f"s{n}: {stored.get(f's{n}', 0)} stored, {least} to {most} written")


def _delivered(session: Session, plan: Plan, slack: SlackDouble, smtp: SmtpDouble, verdict: Verdict) -> None:
    """Every message once, and each report, outages or not."""
    states = dict(session.exec(select(Outbox.state, func.count()).group_by(Outbox.state)).all())
    posts = Counter(
        told["metadata"]["event_payload"]["key"] for method, told in slack.accepted if method == "chat.postMessage"
    )
    mails = Counter(str(mail["X-Pingshao-Key"]) for _, mail in smtp.mails)
    verdict.faults += [f"twice: {key}" for seen in (posts, mails) for key, count in seen.items() if count > 1]
    verdict.faults += [f"{states['dead']} messages are dead"] if states.get("dead") else []
    reports = Counter(key.partition(":")[0] for key in mails)
    verdict.figures |= {"outbox": states, "messages accepted": len(slack.accepted), "reports": dict(reports)}
    for kind, expected in _reports(plan).items():
        if reports[kind] != expected:
            verdict.faults.append(f"{reports[kind]} {kind} reports, not {expected}")


def _reports(plan: Plan) -> dict[str, int]:
    """How often each report's hour strikes; hours are counted from a Thursday's midnight on the shops' clock."""
    strikes = {"daily": (10, 24), "evening": (18, 24), "weekly": (24 + 13, 7 * 24)}
    hours = range(plan.later, plan.later + plan.hours)
    return {kind: sum((hour - at) % every == 0 for hour in hours) for kind, (at, every) in strikes.items()}


def plot(plan: Plan, url: str, file: Path) -> None:
    """Memory, handles, sizes, lateness and the outbox over the fake time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    samples = _samples(plan)
    hours = [one["hours"] for one in samples]
    panels = {
        "resident memory (MB)": ("rss_mb",),
        "file handles, threads": ("handles", "threads"),
        "store, WAL (MB)": ("store_mb", "wal_mb"),
        "messages that wait": ("waiting",),
        "age of the oldest message (s)": ("outbox_age_s",),
        "timers armed": ("armed",),
        "feedbacks": ("feedbacks",),
    }
    figure, axes = plt.subplots(len(panels) + 1, 1, figsize=(11, 18), sharex=True, layout="constrained")
    for axis, (title, names) in zip(axes, panels.items(), strict=False):
        for name in names:
            axis.plot(hours, [one[name] for one in samples], lw=1, label=name)
        axis.set_ylim(bottom=0)
        axis.set_title(title, loc="left", fontsize=9)
    engine = db.connect(url)
    with db.reading(engine) as session:
        late = list(lateness(session, ()))
    engine.dispose()
    axes[-1].plot(
        [(due - plan.start) / timedelta(hours=1) for due, _ in late],
        [one.total_seconds() for _, one in late],
        ".",
        ms=2,
    )
    axes[-1].axhline(LATE.total_seconds(), color=_RED, lw=0.8)
    axes[-1].set_yscale("symlog")
    axes[-1].set_title("timers: seconds late, restarts as they are", loc="left", fontsize=9)
    axes[-1].set_xlabel("hours of fake time")
    for provider, start, end in plan.outages:
        for axis in axes:
            axis.axvspan(start * plan.hours, end * plan.hours, color=_RED, alpha=0.12, label=f"{provider} is out")
    figure.savefig(file, dpi=110)
    plt.close(figure)

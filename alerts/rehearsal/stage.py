"""The stage of a rehearsal: the application, the world around it, the fast clock, and the line of what happens."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from alerts.actions import Outcome
from alerts.rehearsal.config import NAMES
from alerts.rehearsal.mail_sink import MailSink
from alerts.rehearsal.shop_site import write_export
from alerts.rehearsal.slack_sink import SlackSink
from alerts.rehearsal.story import ZONE, Review, Story
from monitor import db, exports
from monitor.clock import HandClock
from monitor.core import Core
from monitor.states import CASE_OPEN, CRISIS_OPEN

Row = dict[str, Any]

_MENTION = re.compile(r"<@(\w+)>")
_SHOWN = 3  # new messages told one by one
_AFTER = timedelta(seconds=30)  # a crawl takes its time, on the fast clock too


class Application(Protocol):
    """What the composition root gives: the whole product, put together on a config and a clock."""

    @property
    def core(self) -> Core:
        """Settings, store and clock."""
        ...

    def once(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """One whole pass over the sources named, or all; gives its ledger."""
        ...

    def sweep_and_deliver(self) -> tuple[int, int]:
        """Fire due timers and send what is due."""
        ...

    def send_due_summaries(self) -> int:
        """Build and queue the summaries and reports whose hour has come."""
        ...

    def act(self, person: str, action: str, subject: str, subject_id: int, note: str = "") -> Outcome:
        """Do what a person asks, through the one action handler."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class Stage:
    """Moves the clock, lets the application work and people act, and tells each in a line.

    Attributes:
        ledgers: Of every pass, in order.
        read_at: When each source was last read.
        refused: What people asked for and did not get; a good rehearsal has none.
    """

    def __init__(
        self,
        app: Application,
        story: Story,
        clock: HandClock,
        slack: SlackSink,
        mails: MailSink,
        export: Path,
        console: Console,
    ) -> None:
        self.app, self.story, self.clock = app, story, clock
        self.slack, self.mails = slack, mails
        self.ledgers: list[Row] = []
        self.read_at: dict[str, datetime] = {}
        self.refused: list[str] = []
        self._export = export
        self._console = console
        self._reviews = {review.id: review for review in story.reviews}
        self._of: dict[int, Review] = {}  # by the store's id
        self._told = (0, 0, 0)  # messages, log lines, mails

    def say(self, what: str, style: str = "") -> None:
        """One line at the clock's time."""
        at = self.clock.now().astimezone(ZONE)
        when = f"星期{'一二三四五六日'[at.weekday()]} {at:%H:%M}  "
        self._console.print(Text.assemble((when, "dim"), (what, style)), soft_wrap=True)

    def until(self, moment: datetime, told: str = "") -> None:
        """Run the clock forward, stopping wherever a timer falls due; then say what is told."""
        while (due := self._next_due()) is not None and due < moment:
            self.clock.move(max(due - self.clock.now(), timedelta()))
            self.work()
        self.clock.move(max(moment - self.clock.now(), timedelta()))
        if told:
            self.say(told, "bold")
        self.work()

    def crawl(self, *sources: str) -> None:
        """One whole pass over the sources named, or all."""
        now = self.clock.now()
        write_export(self.story, now, self._export)
        with self._console.status("正在抓取、入库、判断……"):
            ledger = self.app.once(sources)
        lines = ledger["sources"]
        self.ledgers.append(ledger)
        self.read_at |= {line["name"]: now for line in lines}
        pages, seen, new, changed = (sum(line[name] for line in lines) for name in ("pages", "seen", "new", "changed"))
        negative = ledger["feedback"]["negative"]
        self.say(f"抓取：{pages} 页 {seen} 条，新增 {new}、改动 {changed}；新增里差评 {negative} 条", "cyan")
        self.clock.move(_AFTER)

    def act(self, person: str, action: str, subject: str, subject_id: int, note: str = "") -> None:
        """A person does something to a case or crisis."""
        outcome = self.app.act(person, action, subject, subject_id, note)
        name = {"case": "差评", "crisis": "危机"}[subject]
        self.say(f"👤 {name} #{subject_id}：{outcome.text}", "green" if outcome.done else "red")
        if not outcome.done:
            self.refused.append(f"{name} #{subject_id} {action}: {outcome.text}")

    def settle(self, cases: Iterable[Row], person: str, actions: Sequence[str], what: str) -> None:
        """A person does the same things to many cases, told in one line."""
        done = 0
        for case in cases:
            for action in actions:
                outcome = self.app.act(person, action, "case", case["id"])
                if not outcome.done:
                    self.refused.append(f"差评 #{case['id']} {action}: {outcome.text}")
            done += 1
        if done:
            self.say(f"👤 {person}{what} {done} 件", "green")

    def work(self) -> None:
        """What the service does all the time: summaries whose hour has come, due timers, deliveries."""
        self.app.send_due_summaries()
        self.app.sweep_and_deliver()
        self._tell()

    def rows(self, what: str) -> list[Row]:
        """An export, as ``pingshao export`` gives it."""
        with db.reading(self.app.core.engine) as session:
            return list(exports.export(session, what, None, ZONE))

    def reviews(self, row: Row) -> list[Review]:
        """The story's reviews that a case or crisis is about."""
        if not self._of.keys() >= set(row["feedback_ids"]):
            # some connectors put the page's address before the site's own id
            told = ((row["id"], row["external_id"].rpartition("#")[2]) for row in self.rows("feedback"))
            self._of = {n: self._reviews[name] for n, name in told if name in self._reviews}
        return [self._of[n] for n in row["feedback_ids"] if n in self._of]

    def crisis(self, event: str) -> int | None:
        """The open crisis that is mostly about an event of the story."""
        for row in self.rows("crises"):
            reviews = self.reviews(row)
            if row["state"] in CRISIS_OPEN and sum(review.event == event for review in reviews) * 2 > len(reviews):
                return int(row["id"])
        return None

    def cases(self, *events: str) -> list[Row]:
        """Open cases with a running clock: of these events, or of none that makes a crisis."""
        waiting = [row for row in self.rows("cases") if row["state"] in CASE_OPEN and row["deadlines"]]
        about = {row["id"]: {review.event for review in self.reviews(row)} for row in waiting}
        big = {"missing", "smear", "allergy"}
        return [row for row in waiting if (about[row["id"]] & set(events) if events else not about[row["id"]] & big)]

    def _next_due(self) -> datetime | None:
        armed = (row["due_at"] for row in self.rows("timers") if row["state"] == "armed")
        return min(map(datetime.fromisoformat, armed), default=None)

    def _tell(self) -> None:
        """What reached people since the last time."""
        messages, log, mails = self._told
        new = self.slack.messages[messages:]
        lines = [f"💬 {NAMES.get(m.channel, m.channel)}：{_first_line(m.text)}" for m in new]
        lines += [f"✉️  {', '.join(m.recipients)}：{m.message['Subject']}" for m in self.mails.mails[mails:]]
        for line in lines[:_SHOWN]:
            self.say(line)
        edits = sum(line.method == "chat.update" for line in self.slack.log[log:])
        rest = [f"还有 {len(lines) - _SHOWN} 条消息"] if len(lines) > _SHOWN else []
        if rest and edits:
            rest.append(f"卡片更新 {edits} 次")
        if rest:
            self.say(f"   {'，'.join(rest)}", "dim")
        self._told = (len(self.slack.messages), len(self.slack.log), len(self.mails.mails))


def _first_line(text: str) -> str:
    return _MENTION.sub(lambda found: "@" + NAMES.get(found[1], found[1]), text.partition("\n")[0])

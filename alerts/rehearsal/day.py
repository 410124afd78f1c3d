"""A day on the fast clock: it stops wherever something falls due, lets the application work, and tells it in lines."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from alerts.actions import Outcome
from alerts.rehearsal.mail_sink import MailSink
from alerts.rehearsal.slack_sink import SlackSink
from monitor import db, exports
from monitor.clock import HandClock
from monitor.core import Core
from monitor.moves import Action

Row = dict[str, Any]

SUBJECTS = {"case": "差评", "crisis": "危机"}
_MENTION = re.compile(r"<@(\w+)>")
_SHOWN = 3  # new messages told one by one


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

    def act(self, person: str, action: Action) -> Outcome:
        """Do what a person asks, through the one action handler."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


class Day:
    """Moves the clock, lets the application work and people act, and tells each in a line.

    Args:
        app: The product.
        clock: Its clock.
        zone: The zone times are told in.
        slack: Where its messages go.
        mails: Where its mails go.
        names: What people and channels are called, by Slack id.
        console: Where it is told.

    Attributes:
        refused: What people asked for and did not get.
    """

    def __init__(
        self,
        app: Application,
        clock: HandClock,
        zone: ZoneInfo,
        slack: SlackSink,
        mails: MailSink,
        names: Mapping[str, str],
        console: Console,
    ) -> None:
        self.app, self.clock, self.zone = app, clock, zone
        self.slack, self.mails, self.names = slack, mails, names
        self.refused: list[str] = []
        self._console = console
        self._told = (0, 0, 0)  # messages, log lines, mails

    def say(self, what: str, style: str = "") -> None:
        """One line at the clock's time."""
        at = self.clock.now().astimezone(self.zone)
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

    def act(self, person: str, action: Action) -> None:
        """A person does something to a case or crisis."""
        outcome, about = self.app.act(person, action), f"{SUBJECTS[action.subject]} #{action.subject_id}"
        self.say(f"👤 {about}：{outcome.text}", "green" if outcome.done else "red")
        if not outcome.done:
            self.refused.append(f"{about} {action.what}: {outcome.text}")

    def work(self) -> None:
        """What the service does all the time: summaries whose hour has come, due timers, deliveries."""
        self.app.send_due_summaries()
        self.app.sweep_and_deliver()
        self._tell()

    def rows(self, what: str) -> list[Row]:
        """An export, as ``pingshao export`` gives it."""
        with db.reading(self.app.core.engine) as session:
            return list(exports.export(session, what, None, self.zone))

    def _next_due(self) -> datetime | None:
        armed = (row["due_at"] for row in self.rows("timers") if row["state"] == "armed")
        return min(map(datetime.fromisoformat, armed), default=None)

    def _tell(self) -> None:
        """What reached people since the last time."""
        messages, log, mails = self._told
        new = self.slack.messages[messages:]
        lines = [f"💬 {self.names.get(m.channel, m.channel)}：{self._first_line(m.text)}" for m in new]
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

    def _first_line(self, text: str) -> str:
        return _MENTION.sub(lambda found: "@" + self.names.get(found[1], found[1]), text.partition("\n")[0])

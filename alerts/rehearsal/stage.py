"""The stage of the demo: a day on the fast clock with the simulated shop, its sources and its story."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from alerts.rehearsal.config import NAMES
from alerts.rehearsal.day import Application, Day, Row
from alerts.rehearsal.mail_sink import MailSink
from alerts.rehearsal.shop_site import write_export
from alerts.rehearsal.slack_sink import SlackSink
from alerts.rehearsal.story import ZONE, Review, Story
from monitor.clock import HandClock
from monitor.moves import Action
from monitor.states import CASE_OPEN, CRISIS_OPEN

_AFTER = timedelta(seconds=30)  # a crawl takes its time, on the fast clock too


class Stage(Day):
    """The day of the story.

    Attributes:
        ledgers: Of every pass, in order.
        read_at: When each source was last read.
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
        super().__init__(app, clock, ZONE, slack, mails, NAMES, console)
        self.story = story
        self.ledgers: list[Row] = []
        self.read_at: dict[str, datetime] = {}
        self._export = export
        self._reviews = {review.id: review for review in story.reviews}
        self._of: dict[int, Review] = {}  # by the store's id

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

    def settle(self, cases: Iterable[Row], person: str, actions: Sequence[str], what: str) -> None:
        """A person does the same things to many cases, told in one line."""
        done = 0
        for case in cases:
            for action in actions:
                outcome = self.app.act(person, Action(action, "case", case["id"]))
                if not outcome.done:
                    self.refused.append(f"差评 #{case['id']} {action}: {outcome.text}")
            done += 1
        if done:
            self.say(f"👤 {person}{what} {done} 件", "green")

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

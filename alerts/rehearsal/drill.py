"""The team's own rehearsal: a scenario on their config, sinks for channels, a fast clock, a store of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts.rehearsal import scenario as scenarios
from alerts.rehearsal.day import SUBJECTS, Application, Day, Row
from alerts.rehearsal.mail_sink import MailSink
from alerts.rehearsal.run import own_folder, sink_token
from alerts.rehearsal.scenario import Does, Says, Scenario
from alerts.rehearsal.server import HOST, WebServer
from alerts.rehearsal.slack_sink import SlackSink
from alerts.rehearsal.view import render_pages
from crawler.items import FeedbackItem
from crawler.job import CrawlResult
from monitor import intake, runs
from monitor.clock import Clock, HandClock
from monitor.moves import Action
from monitor.settings import Channel, Person, Settings, Smtp
from monitor.states import STAGE_LABELS

SINK_TOKEN = "PINGSHAO_REHEARSAL_TOKEN"  # noqa: S105 — the name of a variable, not a secret


@dataclass(frozen=True)
class Outcome:
    """What came of a rehearsal.

    Attributes:
        clocks: Each deadline: ``subject, id, stage, due_at, state, met_at``.
        messages: How many each channel and mailbox got.
        refused: What people asked for and did not get.
        page: What staff would have seen.
        folder: Where everything of it lies.
    """

    clocks: list[Row]
    messages: dict[str, int]
    refused: list[str]
    page: Path
    folder: Path

    def as_json(self) -> Row:
        """For ``--json``."""
        return {
            "clocks": self.clocks,
            "messages": self.messages,
            "refused": self.refused,
            "page": str(self.page.resolve()),
            "folder": str(self.folder.resolve()),
        }


def run_drill(
    build: Callable[[Settings, Clock], Application],
    settings: Settings,
    scenario: Scenario,
    folder: Path,
    clock: HandClock,
    console: Console,
) -> Outcome:
    """Play a scenario from start to end; nothing of it reaches the real store, channels or mailboxes.

    Args:
        build: Puts the application together.
        settings: The team's config: its people, policies, routes and shops count; its sources are not asked.
        scenario: What happens.
        folder: Each rehearsal is kept in a new folder of its own below it.
        clock: Stands at the present; is set to the scenario's start.
        console: Where it is told.
    """
    folder = own_folder(folder, clock.now(), settings.zone)
    if scenario.start is not None:
        at = scenario.start if scenario.start.tzinfo else scenario.start.replace(tzinfo=settings.zone)
        clock.move(at.astimezone(UTC) - clock.now())
    slack = SlackSink(clock)
    with ExitStack() as world:
        server = world.enter_context(WebServer(slack.app))
        mails = world.enter_context(MailSink(clock, folder / "mails"))
        world.enter_context(sink_token(SINK_TOKEN))
        practised = sealed(settings, folder, server.url, mails.port)
        app = build(practised, clock)
        world.callback(app.close)
        names = _names(practised)
        day = Day(app, clock, settings.zone, slack, mails, names, console)
        _play(day, scenario, scenario.shop or settings.shops[0].id)
        clocks = list(_clocks(day))
    page = render_pages(slack.messages, mails.mails, names, folder)
    return Outcome(clocks, _counted(slack, mails, names), day.refused, page, folder)


def sealed(settings: Settings, folder: Path, sink: str, smtp_port: int) -> Settings:
    """The team's config with every way out of the house led into a sink, and a store of its own."""
    service = settings.service.model_copy(
        update={"database_url": f"sqlite:///{(folder / 'rehearsal.db').resolve()}", "var_dir": folder / "var"}
    )
    channels = [
        Channel(
            name=one.name,
            kind="slack",
            target=f"C{n:04d}",
            token_env=SINK_TOKEN,
            base_url=f"{sink}/api/",
            rate="1000/1s",  # the fast clock stands still while messages are sent
        )
        for n, one in enumerate(settings.channels, 1)
        if one.kind != "email"
    ]
    kept = [one for one in settings.channels if one.kind == "email"]
    people = [_reachable(one, n) for n, one in enumerate(settings.people, 1)]
    smtp = Smtp(host=HOST, port=smtp_port, sender=settings.smtp.sender if settings.smtp else Smtp().sender)
    changed = {"service": service, "channels": [*channels, *kept], "people": people, "smtp": smtp, "sources": []}
    return settings.model_copy(update=changed)


def _reachable(person: Person, number: int) -> Person:
    return person.model_copy(update={"slack": f"U{number:04d}"})


def _names(settings: Settings) -> dict[str, str]:
    people = {person.slack: person.name for person in settings.people}
    return people | {channel.target: channel.name for channel in settings.channels if channel.kind == "slack"}


def _play(day: Day, scenario: Scenario, shop: str) -> None:
    start = day.clock.now()
    moments: list[tuple[timedelta, int, Says | Does]] = [(says.at, n, says) for n, says in enumerate(_singly(scenario))]
    moments += [(deed.at, len(moments) + n, deed) for n, deed in enumerate(scenario.does)]
    for at, number, happening in sorted(moments, key=lambda one: one[:2]):
        day.until(start + at)
        if isinstance(happening, Does):
            _act(day, happening)
        else:
            _say(day, happening, shop, number)
        day.work()
    day.until(start + timedelta(hours=scenario.hours), "演练结束")


def _singly(scenario: Scenario) -> Iterator[Says]:
    """Each writer by himself, at his own time."""
    for says in scenario.says:
        count = says.count or len(says.texts)
        for n in range(count):
            late = says.over * (n / max(1, count - 1))
            yield says.model_copy(update={"at": says.at + late, "texts": [says.texts[n % len(says.texts)]]})


def _say(day: Day, says: Says, shop: str, number: int) -> None:
    now, core = day.clock.now(), day.app.core
    text, author = says.texts[0], "演练买家" if says.same_author else f"演练买家{number}"
    item = FeedbackItem(
        external_id=f"rehearsal-{number}",
        text=text,
        created_at=now,
        stars=says.stars,
        author=author,
        product=says.product,
        extra=says.extra,
    )
    name = "演练帖子" if says.post else "演练评价"
    started = runs.start(core, name, "rehearsal", None if says.post else shop, mention=says.post)
    assert started is not None  # nobody else writes into this store
    platform = says.platform or started.origin.platform
    counts = intake.store(core, replace(started.origin, watched=True, platform=platform), [item])
    runs.finish(core, started, CrawlResult(status="ok", pages=1, seen=1, new=counts.new))
    stars = f" {says.stars:g} 星" if says.stars else ""
    day.say(f"{'📣 帖子' if says.post else '📝 评价'}{stars}：{text}", "cyan")


def _act(day: Day, deed: Does) -> None:
    what = {"case": "cases", "crisis": "crises"}[deed.on]
    row = next(islice(day.rows(what), deed.number - 1, None), None)
    if row is None:
        day.refused.append(f"{deed.who} {deed.what}: 还没有第 {deed.number} 个{SUBJECTS[deed.on]}")
        day.say(f"👤 {day.refused[-1]}", "red")
        return
    who = scenarios.person(day.app.core.settings, deed.who)
    more = {"members": deed.members, "facts": deed.facts}
    day.act(who, Action(deed.what, deed.on, row["id"], deed.note, deed.to, more))


def _clocks(day: Day) -> Iterator[Row]:
    for subject, what in (("crisis", "crises"), ("case", "cases")):
        for row in day.rows(what):
            for stage, deadline in row["deadlines"].items():
                yield {"subject": subject, "id": row["id"], "stage": stage, **deadline}


def _counted(slack: SlackSink, mails: MailSink, names: dict[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for message in slack.messages:
        name = names.get(message.channel, message.channel)
        counts[name] = counts.get(name, 0) + 1
    for mail in mails.mails:
        for to in mail.recipients:
            counts[to] = counts.get(to, 0) + 1
    return counts


def show(outcome: Outcome, zone: ZoneInfo, console: Console) -> None:
    """Tell what came of it: the crisis' clocks one by one, the cases' counted, and where to look."""
    console.rule("时限")
    table = Table()
    for title in ("", "要做的", "时限", "结果"):
        table.add_column(title)
    for clock in outcome.clocks:
        if clock["subject"] == "crisis":
            due = datetime.fromisoformat(clock["due_at"]).astimezone(zone)
            label = STAGE_LABELS["crisis"].get(clock["stage"], clock["stage"])
            table.add_row(f"危机 #{clock['id']}", label, f"{due:%m-%d %H:%M}", _result(clock))
    console.print(table)
    cases = [clock for clock in outcome.clocks if clock["subject"] == "case"]
    if cases:
        missed = sum(clock["state"] == "breached" for clock in cases)
        console.print(f"差评的时限 {len(cases)} 个，超时 {missed} 个")
    told = "，".join(f"{name} {count} 条" for name, count in sorted(outcome.messages.items()))
    console.print(Text(f"谁收到了多少：{told or '谁也没收到——检查 [routes] 和 [[channels]]'}"), soft_wrap=True)
    for line in outcome.refused:
        console.print(Text(f"没有办成：{line}", "red"), soft_wrap=True)
    console.print(Text(f"大家看到的：{outcome.page.resolve()}"), soft_wrap=True)


def _result(clock: Row) -> Text:
    words = {"met": ("按时", "green"), "armed": ("还没到", "dim"), "cancelled": ("不用做了", "dim")}
    if clock["state"] == "breached":
        return Text("超时，后来补上" if clock["met_at"] else "超时，没有人做", "bold red")
    return Text(*words.get(clock["state"], (clock["state"], "")))

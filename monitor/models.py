"""Every table of the store, and no logic.

Times are aware and stored in UTC. States are plain words; ``monitor/transitions.py`` holds the moves between them.
A ``version`` column is raised by every change, so that two writers never overwrite each other unseen.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel


def _json() -> Any:
    return Field(default_factory=dict, sa_column=Column(JSON, nullable=False))


def _json_list() -> Any:
    return Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class Shop(SQLModel, table=True):
    """One shop on one platform, as configured."""

    id: str = Field(primary_key=True)
    name: str
    platform: str


class Product(SQLModel, table=True):
    """A product as its source names it."""

    __table_args__ = (UniqueConstraint("shop_id", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    name: str


class Source(SQLModel, table=True):
    """A configured source and how it is doing."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    kind: str
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    status: str = "new"  # new | ok | failed | attention
    last_run_at: datetime | None = None
    last_success_at: datetime | None = None
    last_item_at: datetime | None = None  # the last run that saw anything: silence is counted from here
    last_error: str = ""
    expires: dict[str, Any] = _json()  # {"token" | "certificate": {"on": ISO date, "told": stage}, "checked": ISO time}


class Run(SQLModel, table=True):
    """One crawl or import, its lease and its ledger."""

    __table_args__ = (
        Index(
            "run_lease",
            "source_id",
            unique=True,
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
        Index("run_history", "source_id", "started_at", "status", "new"),
    )
    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(foreign_key="source.id")
    status: str = "running"  # running | ok | failed | attention
    started_at: datetime
    lease_until: datetime
    finished_at: datetime | None = None
    pages: int = 0
    seen: int = 0
    new: int = 0
    changed: int = 0
    duplicates: int = 0
    skipped: int = 0
    unchanged: int = 0  # of the pages: those answered "not modified"
    fills: dict[str, Any] = _json()  # {"items": n, field: how many of them had it}, see crawler.fills
    error: str = ""


class Watermark(SQLModel, table=True):
    """What a source's last good run had reached; only a run that ended well moves it."""

    source_id: int = Field(primary_key=True, foreign_key="source.id")
    value: dict[str, Any] = _json()
    moved_at: datetime


class Feedback(SQLModel, table=True):
    """A review or a mention: cleaned, masked, in its newest version."""

    __table_args__ = (
        UniqueConstraint("source_id", "external_id"),
        Index("feedback_shop_happened", "shop_id", "happened_at"),
        Index("feedback_happened", "happened_at"),
        Index("feedback_text_key", "text_key", "happened_at"),
        Index("feedback_order", "order_ref", postgresql_where=text("order_ref <> ''")),
        Index(
            "feedback_mentions",
            "happened_at",
            sqlite_where=text("kind = 'mention'"),
            postgresql_where=text("kind = 'mention'"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    source_id: int = Field(foreign_key="source.id")
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    platform: str = ""
    kind: str = "review"  # review | mention
    external_id: str
    url: str = ""
    title: str = ""
    text: str = ""  # body, then "【追评】…" where the writer added something
    stars: float | None = None
    author: str = ""  # masked nickname
    author_hash: str = Field(default="", index=True)
    product: str = ""
    order_ref: str = ""
    reply: str = ""  # the shop's public answer
    deleted: bool = False
    extra: dict[str, Any] = _json()
    created_at: datetime | None = None  # as the source says; None where it does not
    happened_at: datetime  # created_at, else first_seen_at: what figures count by
    timely: bool = True  # happened_at is near enough to the truth to count bursts by
    first_seen_at: datetime
    updated_at: datetime
    version: int = 1
    content_hash: str
    text_key: str = ""
    duplicate_of: int | None = Field(default=None, foreign_key="feedback.id")
    cleared: str = ""  # why its words and names are gone: aged (monitor.retention) | erased (monitor.erasing)
    case_id: int | None = Field(default=None, foreign_key="case.id", index=True)


class FeedbackVersion(SQLModel, table=True):
    """What a feedback said before it was edited, added to or taken down."""

    __tablename__ = "feedback_version"
    feedback_id: int = Field(primary_key=True, foreign_key="feedback.id")
    version: int = Field(primary_key=True)
    at: datetime
    text: str
    stars: float | None = None
    reply: str = ""
    deleted: bool = False


class Spread(SQLModel, table=True):
    """How often a feedback was liked, passed on and answered, some times after it was first seen."""

    feedback_id: int = Field(primary_key=True, foreign_key="feedback.id")
    step: int = Field(primary_key=True)  # of monitor.spread.STEPS, 0 when first seen
    at: datetime
    likes: int | None = None
    reposts: int | None = None
    comments: int | None = None


class Score(SQLModel, table=True):
    """The current judgement of a feedback's newest version."""

    __table_args__ = (
        Index(
            "score_complaint",
            "happened_at",
            "feedback_id",
            sqlite_where=text("negative = 1"),
            postgresql_where=text("negative"),
        ),
    )
    feedback_id: int = Field(primary_key=True, foreign_key="feedback.id")
    happened_at: datetime  # the feedback's: complaints of a span are found without looking at all else
    model: str
    negative: bool
    p_negative: float
    severity: str | None = None
    categories: list[str] = _json_list()
    flags: list[str] = _json_list()
    evidence: list[dict[str, Any]] = _json_list()  # {code, start, end, text}, offsets into feedback.text
    scored_at: datetime


class Case(SQLModel, table=True):
    """What is to be settled with one buyer about one order or product."""

    __table_args__ = (
        Index("case_join", "join_key"),
        Index("case_state", "state", "opened_at"),
        Index("case_updated", "updated_at", "id"),
        Index("case_opened", "opened_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    kind: str = "review"  # review | mention | question
    state: str = "received"
    severity: str = "low"
    categories: list[str] = _json_list()
    join_key: str = ""
    tier: str = ""  # the customer's, where the source tells it
    backlog: bool = False  # written long before we first saw it: kept and counted, but no clock runs
    opened_at: datetime
    updated_at: datetime
    assignee_id: int | None = Field(default=None, foreign_key="person.id")
    crisis_id: int | None = Field(default=None, foreign_key="crisis.id", index=True)
    answered_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    policy: dict[str, Any] = _json()  # the clocks in seconds, as they stood at opening
    version: int = 1


class Crisis(SQLModel, table=True):
    """Trouble that needs the crisis group and runs three clocks."""

    __table_args__ = (Index("crisis_state", "state", "shop_id"),)
    id: int | None = Field(default=None, primary_key=True)
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    state: str = "open"
    kind: str = "review"  # review | mention: which three clocks it runs
    cause: str  # critical | burst | copies | spread | person
    category: str = ""
    also: list[str] = _json_list()  # other categories that broke out with it: what belongs to them joins too
    product: str = ""
    severity: str
    opened_at: datetime
    updated_at: datetime
    assignee_id: int | None = Field(default=None, foreign_key="person.id")
    acknowledged_at: datetime | None = None
    notified_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    members: str = ""  # the crisis group
    facts: str = ""  # what is known, as the group found it
    plan: str = ""
    result: str = ""
    review: str = ""  # post-mortem: why it happened, what was mended
    notices: dict[str, Any] = _json()  # {"sms" | "push" | "call" | "apology" | "statement": {"at", "by"}}
    scope: dict[str, Any] = _json()  # what the feedbacks share, with counts
    pinged_count: int = 0  # feedbacks at the last ping: people are pinged again when volume doubles
    merged_into: int | None = Field(default=None, foreign_key="crisis.id")
    policy: dict[str, Any] = _json()  # the clocks in seconds, as they stood at opening
    version: int = 1

    @property
    def categories(self) -> list[str]:
        """What it is about, the main category first; none where it is about all kinds of complaints."""
        return [code for code in (self.category, *self.also) if code]


class CrisisFeedback(SQLModel, table=True):
    """Which feedbacks a crisis is about."""

    __tablename__ = "crisis_feedback"
    crisis_id: int = Field(primary_key=True, foreign_key="crisis.id")
    feedback_id: int = Field(primary_key=True, foreign_key="feedback.id", index=True)
    added_at: datetime


class Timer(SQLModel, table=True):
    """One moment at which something must happen: a reminder, a deadline, a rung of the ladder."""

    __table_args__ = (
        UniqueConstraint("crisis_id", "stage", "step", "generation"),
        UniqueConstraint("case_id", "stage", "step", "generation"),
        Index(
            "timer_due",
            "due_at",
            sqlite_where=text("state = 'armed'"),
            postgresql_where=text("state = 'armed'"),
        ),
        Index("timer_span", "due_at"),
        Index(
            "timer_unmet",
            "case_id",
            "due_at",
            "state",
            sqlite_where=text("step = 'deadline' AND met_at IS NULL AND state IN ('armed', 'breached')"),
            postgresql_where=text("step = 'deadline' AND met_at IS NULL AND state IN ('armed', 'breached')"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    crisis_id: int | None = Field(default=None, foreign_key="crisis.id")
    case_id: int | None = Field(default=None, foreign_key="case.id")
    stage: str  # crisis: respond | notice | follow_up | apology | statement; case: respond | solve
    step: str  # reminder | deadline | rung1 | rung2 | … | stalled (of no stage but "progress")
    generation: int = 0
    due_at: datetime
    state: str = "armed"  # armed | fired (reminder, rung) | met | breached | cancelled
    fired_at: datetime | None = None
    met_at: datetime | None = None  # also after a breach: met late


class Event(SQLModel, table=True):
    """Append-only audit: who did what, through which door, and what changed."""

    __table_args__ = (
        Index("event_subject", "subject", "subject_id"),
        Index("event_actor", "actor", "id"),
        Index("event_at", "at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    at: datetime
    actor: str
    door: str  # system | slack | link | desk | cli
    subject: str
    subject_id: int
    what: str
    before: dict[str, Any] = _json()
    after: dict[str, Any] = _json()


class Outbox(SQLModel, table=True):
    """A message to be delivered, once, to one target on one channel."""

    __table_args__ = (
        UniqueConstraint("dedupe_key", "channel", "target"),
        Index("outbox_due", "state", "channel", "not_before", "id"),
        Index("outbox_subject", "subject", "subject_id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    dedupe_key: str
    channel: str
    target: str
    kind: str
    subject: str
    subject_id: int
    payload: dict[str, Any] = _json()
    state: str = "pending"  # pending | sending | sent | uncertain | dead | folded (said by another row)
    attempts: int = 0
    created_at: datetime
    not_before: datetime
    lease_owner: str = ""
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    provider_ref: str = ""
    maybe_twice: bool = False
    last_error: str = ""


class Message(SQLModel, table=True):
    """The live card of a case or crisis, or its history, on one channel and target, to be edited in place."""

    __table_args__ = (UniqueConstraint("subject", "subject_id", "channel", "target"),)
    id: int | None = Field(default=None, primary_key=True)
    subject: str
    subject_id: int
    channel: str
    target: str
    provider_ref: str
    updated_at: datetime


class Inbound(SQLModel, table=True):
    """A click as it came in; unique, so that doubles and replays do nothing."""

    __table_args__ = (UniqueConstraint("door", "key"),)
    id: int | None = Field(default=None, primary_key=True)
    door: str
    key: str
    at: datetime
    actor: str
    action: str
    subject: str
    subject_id: int
    payload: dict[str, Any] = _json()
    outcome: str = ""


class Person(SQLModel, table=True):
    """Somebody who is told or who acts."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    role: str  # agent | lead | manager | brand
    slack: str = ""
    dingtalk: str = ""
    wecom: str = ""
    feishu: str = ""
    email: str = ""
    shops: list[str] = _json_list()
    categories: list[str] = _json_list()
    tiers: list[str] = _json_list()
    most_open: int = 0
    origin: str = "config"  # config | desk | oidc: who may take the person away again
    active: bool = True


class Account(SQLModel, table=True):
    """A way into the desk; the person of that name is who acts."""

    name: str = Field(primary_key=True)
    password: str = ""  # argon2; empty where only the company's own login lets in
    epoch: int = 0  # raised to end all sessions
    created_at: datetime
    seen_at: datetime | None = None


class LoginTry(SQLModel, table=True):
    """Failed logins in a row under one name or from one address, and until when no other is looked at."""

    __tablename__ = "login_try"
    key: str = Field(primary_key=True)  # name:… | from:…
    failures: int = 0
    rest_until: datetime
    at: datetime


class ApiToken(SQLModel, table=True):
    """A program's way in: it acts as a person, or in a role of its own."""

    __tablename__ = "api_token"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    digest: str = Field(unique=True)  # SHA-256 in hex; the token itself is shown once and kept nowhere
    person_id: int | None = Field(default=None, foreign_key="person.id")
    role: str = ""  # of a program that acts as itself
    scopes: list[str] = _json_list()  # read | act | export | admin
    shops: list[str] = _json_list()
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    last_used_at: datetime | None = None  # not written more than once a minute
    revoked_at: datetime | None = None


class Swap(SQLModel, table=True):
    """One person stands in for another on the rota, from when to when."""

    id: int | None = Field(default=None, primary_key=True)
    absent_id: int = Field(foreign_key="person.id")
    person_id: int = Field(foreign_key="person.id")
    starts_at: datetime
    ends_at: datetime = Field(index=True)


class Correction(SQLModel, table=True):
    """Staff's 误报 or re-filing: a label for the next training."""

    id: int | None = Field(default=None, primary_key=True)
    feedback_id: int = Field(foreign_key="feedback.id", index=True)
    at: datetime
    actor: str
    before: dict[str, Any] = _json()
    after: dict[str, Any] = _json()


class Override(SQLModel, table=True):
    """What the desk says in place of the config file, key by key; a row stays when the file's word counts again."""

    key: str = Field(primary_key=True)  # policy.detect.burst_count, routes.crisis, rotas, people.<name>, replies.<code>
    value: dict[str, Any] = _json()  # {"value": …}; empty where the file's word counts
    version: int = 1
    at: datetime
    actor: str


class Pace(SQLModel, table=True):
    """When the next message to one target would be on time, were they sent evenly: a token bucket in one moment."""

    channel: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    next_at: datetime


class Known(SQLModel, table=True):
    """Something the house remembers about itself, by name: the config of the last start, the last hand-over."""

    name: str = Field(primary_key=True)
    value: dict[str, Any] = _json()
    at: datetime


class Quota(SQLModel, table=True):
    """What an outside service was asked today, and until when it is left alone."""

    name: str = Field(primary_key=True)
    day: date  # the local day that ``spent`` counts
    spent: int = 0
    failures: int = 0  # in a row
    rest_until: datetime | None = None


class AnswerFinding(SQLModel, table=True):
    """Something wrong with a public answer, or that there is none; each once, whatever becomes of it."""

    __tablename__ = "answer_finding"
    __table_args__ = (
        UniqueConstraint("feedback_id", "kind", "mark"),
        Index("answer_finding_state", "state", "found_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    feedback_id: int = Field(foreign_key="feedback.id")
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    kind: str  # of monitor.answers.KINDS
    mark: str = ""  # what tells it from others of its kind at the same answer: the banned words
    words: str = ""  # the sentence to look at
    why: str
    answer: str = ""  # as it was when found
    state: str = "open"  # open | mended | dismissed (staff say it is none: a label)
    found_at: datetime
    settled_at: datetime | None = None
    settled_by: str = ""


class Indicator(SQLModel, table=True):
    """A shop indicator of one day beside its industry's value."""

    __table_args__ = (UniqueConstraint("shop_id", "name", "day"),)
    id: int | None = Field(default=None, primary_key=True)
    shop_id: str = Field(foreign_key="shop.id")
    name: str
    day: date
    value: float
    industry: float | None = None
    above: float | None = None  # percent above the industry's, as the back end says


class Improvement(SQLModel, table=True):
    """What was mended, and when; the reports ask whether the complaint fell."""

    id: int | None = Field(default=None, primary_key=True)
    shop_id: str | None = Field(default=None, foreign_key="shop.id")
    category: str
    product: str = ""
    what: str
    done_at: datetime
    actor: str = ""


class DayCount(SQLModel, table=True):
    """Feedbacks of a local day by one thing that they share, as `reports.daycounts` counted them."""

    __tablename__ = "day_count"
    __table_args__ = (Index("day_count_day", "day", "field"),)
    id: int | None = Field(default=None, primary_key=True)
    day: date
    kind: str
    field: str  # shop | platform | product | sku | warehouse | courier | category
    shop_id: str  # "" for none
    value: str = ""
    n: int
    negative: int
    starred: int
    satisfied: int


class DayChange(SQLModel, table=True):
    """An hour (``YYYY-MM-DD HH``, UTC) whose feedbacks are to be counted anew; triggers write it."""

    __tablename__ = "day_change"
    id: int | None = Field(default=None, primary_key=True)
    hour: str = Field(index=True)


class ReportCopy(SQLModel, table=True):
    """A report as it was sent: the figures it was made from."""

    __tablename__ = "report_copy"
    __table_args__ = (UniqueConstraint("key", "version"),)
    id: int | None = Field(default=None, primary_key=True)
    key: str  # ``weekly:2026-11-16``
    kind: str
    version: int = 1
    title: str
    at: datetime
    figures: str  # JSON of `reports.figures`

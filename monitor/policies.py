"""The config's rules and figures: clocks, detection, quiet hours, assignment, working hours, rotas.

What runs when a crisis or case opens is copied into it then: a changed policy never moves a running clock.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from monitor.durations import ClockSpan, DaySpan, Duration, Weekday
from monitor.section import Section

Rung = Literal["assignee", "channel", "lead", "manager"]
Hours = Literal["wall", "business"]

_WEEK: list[Weekday] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CrisisPolicy(Section):
    """The clocks of a crisis and who is told when one runs out."""

    respond: Duration = Field(default="1h", validate_default=True)
    """Stage 1: group formed, facts shared, first plan."""
    notify: Duration = Field(default="3h", validate_default=True)
    """Stage 2: customers told by SMS, push and call."""
    follow_up: Duration = Field(default="24h", validate_default=True)
    """Stage 3: reactions tracked, process mended."""
    apology: Duration = Field(default="1h", validate_default=True)
    """Of a crisis about posts, in place of stage 2: private apology to their authors."""
    statement: Duration = Field(default="24h", validate_default=True)
    """Of a crisis about posts, in place of stage 3: public statement."""
    remind_before: Duration = Field(default="15m", validate_default=True)
    """How long before a deadline people are reminded."""
    stalled: Duration = Field(default="30m", validate_default=True)
    """A crisis somebody took on is brought up again when nothing was done about it for so long; ``0s`` for never."""
    ladder: list[Rung] = ["assignee", "channel", "lead", "manager"]
    """Who is told after a breach, rung by rung."""
    step: Duration = Field(default="10m", validate_default=True)
    """Pause between two rungs."""
    hours: Hours = "wall"
    """Whether the clocks run all the time or only in ``calendar``'s working hours."""


class CaseClock(Section):
    """First answer and solution of a case."""

    respond: Duration
    """Time to the first answer."""
    solve: Duration
    """Time to the solution."""


class CategoryClock(Section):
    """What a category asks for beyond the severity's clock: the stricter of the two counts."""

    respond: Duration | None = None
    """Time to the first answer."""
    solve: Duration | None = None
    """Time to the solution."""


def _clock(respond: str, solve: str) -> Any:
    return Field(default={"respond": respond, "solve": solve}, validate_default=True)


class CasePolicy(Section):
    """Clocks of a case by severity, kind and category."""

    critical: CaseClock = _clock("1h", "24h")
    """Bodily harm, leaks, threats, many buyers."""
    high: CaseClock = _clock("2h", "7d")
    """Strong anger, refunds demanded, fakes alleged."""
    medium: CaseClock = _clock("24h", "48h")
    """A concrete complaint."""
    low: CaseClock = _clock("24h", "48h")
    """A minor one."""
    mention: CaseClock = _clock("1h", "24h")
    """A negative post: private apology, then settled or answered in public."""
    question: CaseClock = _clock("3h", "24h")
    """A buyer's question (sources with ``as_questions``)."""
    categories: dict[str, CategoryClock] = Field(
        default={"logistics": {"solve": "48h"}, "aftersales": {"solve": "24h"}}, validate_default=True
    )
    """Stricter clocks of some categories, by code; for reviews only."""
    remind_before: Duration = Field(default="15m", validate_default=True)
    """How long before a deadline people are reminded."""
    stalled: Duration = Field(default="4h", validate_default=True)
    """A claimed case is brought up again when nothing was done about it for so long; ``0s`` for never."""
    hours: Hours = "wall"
    """Whether the clocks run all the time or only in ``calendar``'s working hours."""
    single_cards: int = Field(default=5, ge=1)
    """More new cases than this at once come as one card that lists them all."""


class DetectPolicy(Section):
    """When feedback becomes a crisis."""

    critical_opens_crisis: bool = True
    """One critical feedback is enough."""
    burst_count: int = Field(default=5, ge=2)
    """This many negatives of one shop, product or category …"""
    burst_window: Duration = Field(default="1h", validate_default=True)
    """… within this time, and unusual against the shop's own share of negatives."""
    copies: int = Field(default=5, ge=2)
    """One negative text under this many accounts within a day."""
    reach: int = Field(default=1000, ge=1)
    """Likes, reposts and comments of one negative post, taken together."""
    growth: int = Field(default=200, ge=1)
    """So many more of them within an hour."""
    reopen_within: Duration = Field(default="24h", validate_default=True)
    """The same trouble again this soon after its crisis was resolved reopens that crisis."""
    max_age: Duration = Field(default="30d", validate_default=True)
    """Older feedback is kept and counted, but opens no crisis and starts no clock."""


class QuietPolicy(Section):
    """When people are left in peace: reminders wait, breaches and escalations never do."""

    span: ClockSpan | None = None
    """Such as ``23:30-07:30``, in the service's zone; none when absent."""


class AssignPolicy(Section):
    """Whose a new case is."""

    mode: Literal["claim", "auto"] = "claim"
    """``claim``: whoever takes it; ``auto``: the person on duty who fits it and has the least to do."""
    hand_over: bool = True
    """What somebody has not finished when his duty ends goes to whoever is on duty then."""


Figure = Annotated[float, Field(allow_inf_nan=False)]


class IndicatorPolicy(Section):
    """From where on a shop indicator is bad and told; without a figure, on the wrong side of the industry's value."""

    dispute_rate: Figure | None = None
    """退款纠纷率, in percent: more is bad."""
    self_completion: Figure | None = None
    """退款自主完结率, in percent: less is bad."""
    refund_hours: Figure | None = None
    """仅退款完结时长, in hours: more is bad."""
    return_hours: Figure | None = None
    """退货退款完结时长, in hours: more is bad."""
    dsr_description: Figure | None = None
    """描述相符, of 5: less is bad."""
    dsr_service: Figure | None = None
    """服务态度, of 5: less is bad."""
    dsr_logistics: Figure | None = None
    """物流服务, of 5: less is bad."""
    return_rate: Figure | None = None
    """退货率, in percent: more is bad."""
    retained_returns: Figure | None = None
    """退货挽回率, in percent: less is bad."""
    upheld: Figure | None = 0
    """投诉成立 of a day: more is bad."""


class TargetPolicy(Section):
    """What a week or month is held to, in percent; the reports say what was reached."""

    clearance: float = Field(default=80, ge=0, le=100)
    """日清率: complaints dealt with on the day they came."""
    soon: float = Field(default=95, ge=0, le=100)
    """Cases answered within half an hour."""
    once: float = Field(default=85, ge=0, le=100)
    """一次解决率: cases settled with one contact."""
    satisfied: float = Field(default=90, ge=0, le=100)
    """满意率."""
    followups: float = Field(default=50, ge=0, le=100)
    """追评率: authors of bad reviews who were contacted and then wrote again."""
    complaints: float = Field(default=2, ge=0, le=100)
    """投诉率: complaints of all customers served; below it is good."""


class AnswersPolicy(Section):
    """What is looked at in the shop's own public answers."""

    unanswered: Duration = Field(default="24h", validate_default=True)
    """A bad review without a public answer is brought up after this where its source shows answers; ``0s``: never."""
    copies: int = Field(default=5, ge=2)
    """The same answer under so many complaints about different things is brought up."""
    window: Duration = Field(default="7d", validate_default=True)
    """How far back answers are compared and missing ones are looked for."""


class Policy(Section):
    """Rules and figures."""

    crisis: CrisisPolicy = CrisisPolicy()
    """Crises."""
    case: CasePolicy = CasePolicy()
    """Cases."""
    detect: DetectPolicy = DetectPolicy()
    """Detection."""
    quiet: QuietPolicy = QuietPolicy()
    """Quiet hours."""
    assign: AssignPolicy = AssignPolicy()
    """Assignment."""
    answers: AnswersPolicy = AnswersPolicy()
    """The shop's answers."""
    indicators: IndicatorPolicy = IndicatorPolicy()
    """Shop indicators."""
    targets: TargetPolicy = TargetPolicy()
    """Targets."""


class Calendar(Section):
    """Working hours, for policies with ``hours = "business"``; China's public holidays are known."""

    shifts: list[ClockSpan] = ["08:00-18:00", "17:00-23:30"]
    """Spans of a working day; they may overlap or pass midnight."""
    days: list[Weekday] = _WEEK
    """Working days of an ordinary week."""
    holidays: list[DaySpan] = []
    """Further days off, such as ``2027-02-06..2027-02-12`` or one day."""
    workdays: list[DaySpan] = []
    """Days worked although they are days off or holidays."""
    public_holidays: bool = False
    """Whether nobody works on China's public holidays, make-up workdays included."""


class Rota(Section):
    """Who is on duty when."""

    people: list[str] = Field(min_length=1)
    """Names of ``people``; all at once, or one after another with ``turn``."""
    shops: list[str] = []
    """For which shops; all when empty."""
    days: list[Weekday] = _WEEK
    """On which days."""
    shift: ClockSpan = "00:00-24:00"
    """From when to when; may pass midnight."""
    turn: Literal["", "day", "week"] = ""
    """Who is on duty changes every day or every week (Mondays), in the order of ``people``."""
    since: date | None = None
    """The day on which the first of ``people`` begins; needed with ``turn``."""

    @model_validator(mode="after")
    def _turning(self) -> "Rota":
        if bool(self.turn) != bool(self.since):
            raise ValueError("turn 和 since 要一起写")
        return self

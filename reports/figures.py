"""Everything a report says, as numbers and names out of the store; rendering adds only words and shapes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from monitor import db
from monitor.core import Core
from monitor.policies import TargetPolicy
from monitor.settings import Settings
from reports import clocks, counts, daycounts, indicators
from reports.complaints import Served, complaints
from reports.contacts import Contacts, contacts
from reports.counts import Category, Counts, Group, Triple
from reports.coverage import Coverage, coverage
from reports.crises import Crises, crises
from reports.improvements import Mended, improvements
from reports.ledger import Ledger, clearance, followups, ledger
from reports.occasions import Occasion, occasions
from reports.period import Kind, Windows, windows
from reports.quality import Quality, quality
from reports.quotes import Quote, best, worst
from reports.responses import Responses, responses
from reports.shares import NOTHING, Share, ordinary
from reports.usual import Usual, mean, usually
from reports.whys import Why, whys
from reports.words import Words, words

_OVERDUE = 10
_QUOTES = 5
_BEST = 2
_GROUPS = 100


@dataclass(frozen=True)
class Summary:
    """The figures of the morning check or the evening summary.

    Attributes:
        kind: Which of the two.
        windows: The day and what it is compared with.
        now: When the figures were taken: deadlines and sources are as of then.
        reviews: Reviews of the day, and before.
        mentions: Mentions, likewise.
        norm_days: Days of the four weeks before since there has been any feedback.
        usual: Negative reviews on the same weekday, on average of the four weeks; None while there is no week of data.
        usual_mentions: Mentions, likewise.
        occasions: Promotions and holidays in the day and the four weeks.
        ledger: What became of the day's negatives.
        clearance: 日清率.
        due: Deadlines, whenever their case was opened.
        crises: Crises.
        categories: Categories of the day, most frequent first.
        quotes: The worst still open.
        quality: Public answers to change.
        coverage: What the figures rest on.
    """

    kind: Kind
    windows: Windows
    now: datetime
    reviews: Triple
    mentions: Triple
    norm_days: int
    ledger: Ledger
    clearance: Share
    due: clocks.Due
    crises: Crises
    categories: list[Usual]
    quotes: list[Quote]
    quality: Quality
    coverage: Coverage
    usual: float | None = None
    usual_mentions: float | None = None
    occasions: list[Occasion] = field(default_factory=list)


@dataclass(frozen=True)
class Review:
    """The figures of the weekly or the monthly report.

    Attributes:
        kind: Which of the two.
        windows: The span and what it is compared with.
        now: When the figures were taken.
        subject: ``review``; ``mention`` where there were mentions and no reviews at all.
        occasions: Promotions and holidays in them.
        days: Counts of every day of the spans.
        totals: Their sums.
        groups: By ``shop``, ``platform``, ``product``, ``sku``, ``warehouse`` and ``courier``, at most a hundred each.
        categories: By category.
        whys: What may have made categories rise.
        mentions: Mentions beside the reviews.
        words: Words of the negative ones.
        ledger: What became of the span's negatives.
        clearance: 日清率 of the span.
        clearance_before: And of the span before.
        followups: 追评率 of the span.
        responses: How fast buyers were answered, in all and by person.
        by_stage: Deadlines met and missed by stage.
        by_person: And by person.
        crises: Crises.
        quotes: Cases for the review meeting.
        best: Severe ones that were answered soonest and settled.
        improvements: What was mended.
        indicators: What back ends say of the shops; of a month, with points.
        coverage: What the figures rest on.
        contacts: Cases settled with one contact.
        complaints: Bad reviews of customers served.
        soon_before: Cases answered within half an hour in the span before.
        followups_before: 追评率 of the span before.
        wanted: What the span is held to.
    """

    kind: Kind
    windows: Windows
    now: datetime
    subject: Literal["review", "mention"]
    occasions: list[Occasion]
    days: dict[date, Counts]
    totals: Triple
    groups: dict[str, list[Group]]
    categories: list[Category]
    whys: list[Why]
    mentions: Triple
    words: Words
    ledger: Ledger
    clearance: Share
    clearance_before: Share
    followups: Share
    responses: Responses
    by_stage: list[clocks.Kept]
    by_person: list[clocks.Kept]
    crises: Crises
    quotes: list[Quote]
    best: list[Quote]
    improvements: list[Mended]
    indicators: list[indicators.Shop]
    coverage: Coverage
    contacts: Contacts = field(default_factory=Contacts)
    complaints: Served = field(default_factory=Served)
    soon_before: Share = NOTHING
    followups_before: Share = NOTHING
    wanted: TargetPolicy = field(default_factory=TargetPolicy)


def summary(core: Core, kind: Kind, day: date) -> Summary:
    """The figures of a ``daily`` or ``evening`` summary."""
    now = core.clock.now()
    spans = windows(kind, day, core.settings.zone)
    daycounts.refresh(core, spans.all_days())
    with db.reading(core.engine, long=True) as session:
        days = counts.by_day(session, spans)
        both = {at: count + days["mention"][at] for at, count in days["review"].items()}
        norm_days = counts.known_days(session, spans, core.settings.zone)
        alike = spans.known_for(norm_days).alike
        rows = counts.by_category(session, spans, "", counts.total(both, spans))
        before = counts.categories_on(session, alike)
        return Summary(
            kind=kind,
            windows=spans,
            now=now,
            reviews=counts.total(days["review"], spans),
            mentions=counts.total(days["mention"], spans),
            norm_days=norm_days,
            usual=mean(ordinary([days["review"][day].negative for day in alike])),
            usual_mentions=mean(ordinary([days["mention"][day].negative for day in alike])),
            occasions=occasions(spans, core.settings),
            ledger=ledger(session, spans.now, core.settings.policy.detect.max_age),
            clearance=clearance(session, spans.now),
            due=clocks.due(session, now, _OVERDUE),
            crises=crises(session, spans.now.start, max(now, spans.now.end)),
            categories=[usually(row, before[row.code]) for row in rows if row.now],
            quotes=worst(session, spans.now, _QUOTES, only_open=True),
            quality=quality(session, spans.now),
            coverage=coverage(session, spans.now, core.settings, now),
        )


def review(core: Core, kind: Kind, day: date) -> Review:
    """The figures of a ``weekly`` or ``monthly`` report."""
    now = core.clock.now()
    spans = windows(kind, day, core.settings.zone)
    daycounts.refresh(core, spans.all_days())
    with db.reading(core.engine, long=True) as session:
        days = counts.by_day(session, spans)
        many = {what: counts.on(days[what], spans.now.days).n for what in days}
        subject: Literal["review", "mention"] = "mention" if many["mention"] and not many["review"] else "review"
        spans = spans.known_for(counts.known_days(session, spans, core.settings.zone))
        totals = counts.total(days[subject], spans)
        groups = counts.by_group(session, spans, subject, core.settings)
        categories = counts.by_category(session, spans, subject, totals)
        by_stage, by_person = clocks.kept(session, spans.now, now)
        good = best(session, spans.now, _BEST)
        return Review(
            kind=kind,
            windows=spans,
            now=now,
            subject=subject,
            occasions=occasions(spans, core.settings),
            days=days[subject],
            totals=totals,
            groups={dimension: rows[:_GROUPS] for dimension, rows in groups.items()},
            categories=categories,
            whys=whys(session, spans, subject, categories, groups, core.settings),
            mentions=counts.total(days["mention"], spans),
            words=words(session, spans, subject, _names(core.settings, groups)),
            ledger=ledger(session, spans.now, core.settings.policy.detect.max_age),
            clearance=clearance(session, spans.now),
            clearance_before=clearance(session, spans.prior),
            followups=followups(session, spans.now),
            followups_before=followups(session, spans.prior),
            responses=responses(session, spans.now),
            soon_before=responses(session, spans.prior).soon,
            contacts=contacts(session, spans.now, spans.prior),
            complaints=complaints(session, spans.now, spans.prior, core.settings),
            by_stage=by_stage,
            by_person=by_person,
            crises=crises(session, spans.now.start, spans.now.end),
            quotes=worst(session, spans.now, _QUOTES, but=good),
            best=good,
            improvements=improvements(session, spans.now, subject),
            indicators=indicators.indicators(session, spans, kind, core.settings),
            coverage=coverage(session, spans.now, core.settings, now),
            wanted=core.settings.policy.targets,
        )


def _names(settings: Settings, groups: dict[str, list[Group]]) -> Iterator[str]:
    for shop in settings.shops:
        yield shop.name
    for source in settings.sources:
        yield from source.brand
    for group in groups["product"][:_GROUPS]:
        yield group.name

"""What the simulated shop's buyers write and when: ordinary weeks, a promotion, the day of the crisis."""

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from typing import Any, Literal
from zoneinfo import ZoneInfo

from alerts.rehearsal.writing import Deck, Parts, Writer

ZONE = ZoneInfo("Asia/Shanghai")
SHOP, SHOP_NAME = "demo", "示例旗舰店"
DAYS_BEFORE = 27
DAYS_AFTER = 1
PER_DAY = 13
PROMOTION_DAY = -6  # counted from the day of the crisis
PROMOTION_TIMES = 5
MISSING, COPIES = 34, 13
BATCH_AT, SMEAR_AT, ALLERGY_AT = time(14), time(20, 10), time(14, 38)

_MOODS = ["praise"] * 9 + ["neutral", "question"] + ["complaint"] * 2
_STARS = {"praise": (5, 5, 5, 4), "neutral": (4, 3), "question": (5, 4), "complaint": (1, 1, 2, 2, 3)}
_HOURS = [8, 9, 10, 10, 11, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 20, 20, 21, 21, 21, 22, 22, 23]

Place = Literal["html", "json", "schema", "file", "forum"]


@dataclass(frozen=True, slots=True)
class Review:
    """One buyer's words as the site shows them at some moment; ``at`` is aware, in UTC.

    Attributes:
        place: Which part of the simulated world shows it.
        mood: What a careful reader makes of it: ``praise``, ``neutral``, ``question`` or ``complaint``.
        event: ``promotion``, ``missing``, ``smear``, ``allergy``, ``edited``, ``followup``, ``hard``; else empty.
        later: What it becomes at ``later_at``: the edited text, or the 追评 of the event ``followup``.
    """

    id: str
    place: Place
    product: str
    at: datetime
    author: str
    text: str
    mood: str
    stars: int | None = None
    title: str = ""
    category: str = ""
    event: str = ""
    order: str = ""
    warehouse: str = ""
    courier: str = ""
    followup: str = ""
    reply: str = ""
    later: str = ""
    later_at: datetime | None = None
    later_stars: int | None = None

    def seen_at(self, now: datetime) -> "Review":
        """The review as it stands at a moment: edited or added to, or not yet."""
        if self.later_at is None or now < self.later_at:
            return self
        if self.event == "followup":
            return replace(self, followup=self.later)
        return replace(self, text=self.later, stars=self.later_stars)


class Story:
    """All that is written around one day of crisis.

    Args:
        now: Aware; its day in China is the day of the crisis.
        seed: The same day and seed tell the same story.
    """

    def __init__(self, now: datetime, seed: int = 7) -> None:
        self.day = now.astimezone(ZONE).date()
        self.parts: Parts = tomllib.loads(files("alerts.rehearsal").joinpath("story.toml").read_text("utf-8"))
        self.products: dict[str, Parts] = {product["slug"]: product for product in self.parts["products"]}
        self._rng = random.Random(seed)  # noqa: S311 — a story, not a secret
        self._writer = Writer(self.parts, self._rng)
        drafts = [
            *self._ordinary(),
            *self._hard(),
            *self._batch(),
            *self._smear(),
            *self._forum(),
            *self._changed(),
            self._allergy(),
        ]
        drafts.sort(key=lambda review: review.at)
        self.reviews = [replace(review, id=f"{review.place[0]}{n:05d}") for n, review in enumerate(drafts, 10001)]
        self.private = frozenset(self._writer.private)

    def reviews_until(self, now: datetime) -> list[Review]:
        """What has been written by then, newest first, each as it stands at that moment."""
        return [review.seen_at(now) for review in reversed(self.reviews) if review.at <= now]

    def moment(self, at: time, day: int = 0) -> datetime:
        """A time of day in China, in UTC; ``day`` counts from the day of the crisis."""
        return datetime.combine(self._date(day), at, ZONE).astimezone(UTC)

    def _date(self, day: int) -> date:
        return self.day + timedelta(days=day)

    def _ordinary(self) -> Iterator[Review]:
        slugs = Deck([slug for slug, product in self.products.items() for _ in range(product["weight"])], self._rng)
        for day in range(-DAYS_BEFORE, DAYS_AFTER + 1):
            promotion = day == PROMOTION_DAY
            count = PER_DAY * PROMOTION_TIMES if promotion else PER_DAY + self._rng.randrange(-2, 3)
            if promotion or day == -DAYS_BEFORE:
                moods = Deck(_MOODS, self._rng)  # so that the promotion has its own, equal share of complaints
            for _ in range(count):
                at = self._some_time(day)
                yield self._everyday(self.products[slugs.draw()], moods.draw(), at, "promotion" if promotion else "")

    def _everyday(self, product: Parts, mood: str, at: datetime, event: str) -> Review:
        order = self._writer.order()
        category = ""
        if mood == "complaint":
            category, text = self._writer.complaint(product, order)
        elif mood == "praise":
            text = self._writer.praise(product)
        else:
            text = self._writer.aside(mood, product)
        return self._review(
            product,
            at,
            text,
            mood,
            self._rng.choice(_STARS[mood]),
            order=order,
            category=category,
            event=event,
        )

    def _review(self, product: Parts, at: datetime, text: str, mood: str, stars: int, **more: Any) -> Review:
        facts = {
            "order": self._writer.order(),
            "warehouse": self._rng.choice(self.parts["warehouses"]),
            "courier": self._rng.choice(self.parts["couriers"]),
        } | more
        return Review("", product["place"], product["slug"], at, self._writer.author(), text, mood, stars, **facts)

    def _hard(self) -> Iterator[Review]:
        for n, said in enumerate(self.parts["hard"]):
            yield self._review(
                self.products[said["product"]],
                self._some_time(-1 - 3 * n),
                said["text"],
                said["mood"],
                said["stars"],
                category=said["category"],
                event="hard",
            )

    def _batch(self) -> Iterator[Review]:
        told = self.parts["missing"]
        product = self.products[told["product"]]
        for n in range(MISSING):
            at = self.moment(BATCH_AT) + timedelta(seconds=n * 55 * 60 // MISSING + self._rng.randrange(60))
            order = self._writer.order()
            text = self._writer.missing(product, order)
            yield self._review(
                product, at, text, "complaint", 1, order=order, category="logistics", event="missing",
                warehouse=told["warehouse"], courier=told["courier"],
            )  # fmt: skip

    def _smear(self) -> Iterator[Review]:
        told = self.parts["smear"]
        variants = Deck([(lead, tail) for lead in told["leads"] for tail in told["tails"]], self._rng)
        for n in range(COPIES):
            lead, tail = variants.draw()
            at = self.moment(SMEAR_AT) + timedelta(minutes=2 * n)
            author = f"{told['accounts']}{self._rng.randrange(10**8):08d}"
            text = told["text"].format(lead=lead, tail=tail)
            yield Review(
                "",
                "forum",
                "cup",
                at,
                author,
                text,
                "complaint",
                title="别买",
                category="quality",
                event="smear",
            )

    def _forum(self) -> Iterator[Review]:
        for n, (mood, title, text) in enumerate(self.parts["forum"]["posts"]):
            at = self._some_time(-DAYS_BEFORE + 2 * n)
            yield Review("", "forum", "", at, self._writer.author(), text, mood, title=title)

    def _changed(self) -> Iterator[Review]:
        for event, day, later in (("edited", -3, time(17, 5)), ("followup", -9, time(21, 30))):
            told = self.parts[event]
            yield self._review(
                self.products[told["product"]],
                self._some_time(day),
                told["text"],
                "praise",
                told["stars"],
                event=event,
                reply=told.get("reply", ""),
                later=told["later"],
                later_at=self.moment(later),
                later_stars=told.get("later_stars"),
            )

    def _allergy(self) -> Review:
        told, order, at = self.parts["allergy"], self._writer.order(), self.moment(ALLERGY_AT)
        product = self.products[told["product"]]
        text = self._writer.fill(told["text"], product, order)
        facts = {"order": order, "category": "safety", "event": "allergy"}
        return self._review(product, at, text, "complaint", told["stars"], **facts)

    def _some_time(self, day: int) -> datetime:
        at = time(self._rng.choice(_HOURS), self._rng.randrange(60), self._rng.randrange(60))
        return self.moment(at, day)

"""How often a shop in which nothing happens is alarmed in a year, and how soon a real burst is seen.

    .venv/bin/python benchmarks/detect.py [--seed 7] [--years 1]

Shops of four sizes with the rhythm of day and week, days that differ, nights and weekends that complain more, and
promotions with eight times the volume at the usual share. Every ten minutes each shop, category and product is looked
at as intake does, with the rule of ``monitor.bursts`` and the default count and window. Then bursts are put into fresh
weeks: five more complaints of one kind in an hour, or a share that jumps from 10 % to 40 %.
"""

import argparse
import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from monitor.bursts import SPAN, Norm, norm, span_of
from monitor.outbreaks import REACH
from monitor.policies import DetectPolicy

START = datetime(2025, 1, 6, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
STEP = 600
HOUR = 3600 // STEP
WARM = 28 * 24 * HOUR
QUIET = 24 * HOUR  # a crisis runs for a day and takes what belongs to it
SIZES = (10, 100, 500, 2000)
CATEGORIES = (0.3, 0.25, 0.15, 0.12, 0.1, 0.08)
PRODUCTS = (0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05)
RHYTHM = np.array([2, 1, 1, 0.5, 0.5, 0.5, 1, 2, 4, 5, 6, 6, 7, 6, 5, 5, 5, 6, 7, 8, 10, 10, 8, 4])
PROMOTIONS = (20, 75, 151, 152, 168, 230, 268, 304, 314, 315, 345)  # days of a year
TIMES = 8
POLICY = DetectPolicy()


@dataclass
class Shop:
    """Feedbacks and complaints by group and step; the groups are the shop, its categories, its products."""

    feedbacks: NDArray[np.int64]
    complaints: NDArray[np.int64]
    crises: set[int] = field(default_factory=set)
    norms: dict[tuple[int, int], Norm] = field(default_factory=dict)

    def first_alarm(self, begin: int, end: int) -> int | None:
        """The first step at which some group is unusual."""
        groups = range(len(self.complaints))
        return next((at for at in range(begin, end) if any(self._unusual(group, at) for group in groups)), None)

    def _unusual(self, group: int, at: int) -> bool:
        if self.complaints[group, at + 1 - HOUR : at + 1].sum() < POLICY.burst_count:
            return False
        for times in REACH:
            window = slice(at + 1 - HOUR * times, at + 1)
            found = self._norm(group, window.start).broken(
                int(self.complaints[group, window].sum()), int(self.feedbacks[window].sum()), float(times)
            )
            if found:
                return True
        return False

    def _norm(self, group: int, start: int) -> Norm:
        moment = START + timedelta(seconds=start * STEP)
        key = group, span_of(moment)
        if key not in self.norms:
            steps = SPAN // STEP
            end = start // steps * steps
            begin = max(0, end - WARM)
            first = span_of(START) + begin // steps
            complaints, feedbacks = self.complaints[group, begin:end], self.feedbacks[begin:end]
            past = _counted(complaints, first), _counted(feedbacks, first)
            self.norms[key] = norm(*past, moment, ZONE, self.crises)
        return self.norms[key]


def _counted(values: NDArray[np.int64], first: int) -> dict[int, int]:
    sums = values.reshape(-1, SPAN // STEP).sum(axis=1)
    return {first + n: int(total) for n, total in enumerate(sums)}


def make_shop(rng: np.random.Generator, a_day: float, days: int, *, promotions: bool = True) -> Shop:
    """So many days of a shop in which nothing happens."""
    steps = np.arange(days * 24 * HOUR)
    local = (steps // HOUR + 8) % 24
    day = steps // (24 * HOUR)
    weekend = ((steps // HOUR + 8) // 24) % 7 >= 5  # START is a Monday
    volume = a_day / (24 * HOUR) * (RHYTHM / RHYTHM.mean())[local] * np.where(weekend, 1.3, 1.0)
    volume = volume * rng.lognormal(-0.02, 0.2, days)[day]
    if promotions:
        volume = volume * np.where(np.isin((day - 28) % 365, PROMOTIONS), TIMES, 1)
    share = 0.1 * np.where(local < 8, 1.4, 1.0) * np.where(weekend, 1.2, 1.0)
    share = share * rng.lognormal(-0.02, 0.2, days)[day]
    feedbacks = rng.poisson(volume)
    shop = rng.binomial(feedbacks, np.clip(share, 0, 1))
    groups = [shop, *rng.multinomial(shop, CATEGORIES).T, *rng.multinomial(shop, PRODUCTS).T]
    return Shop(feedbacks, np.stack(groups))


def false_alarms(rng: np.random.Generator, a_day: float, years: int) -> float:
    """Alarms in a year in which nothing happens."""
    days = 28 + 365 * years
    shop = make_shop(rng, a_day, days)
    at, alarms = WARM, 0
    while found := shop.first_alarm(at, days * 24 * HOUR):
        alarms += 1
        opened = span_of(START + timedelta(seconds=found * STEP))
        shop.crises |= {opened - 1, opened, opened + 1}
        at = found + QUIET
    return alarms / years


def delays(rng: np.random.Generator, a_day: float, kind: str, runs: int) -> list[float]:
    """Hours from the beginning of a burst until it is seen; infinite where it is not seen within a day."""
    found = []
    for _ in range(runs):
        shop = make_shop(rng, a_day, 30, promotions=False)
        at = WARM + int(rng.integers(0, 24 * HOUR))
        if kind == "five":
            steps = at + np.sort(rng.integers(0, HOUR, 5))
            shop.feedbacks[steps] += 1
            np.add.at(shop.complaints[0], steps, 1)
            np.add.at(shop.complaints[1], steps, 1)
        else:
            here = slice(at, at + QUIET)
            more = rng.binomial(shop.feedbacks[here] - shop.complaints[0, here], 0.3 / 0.9)
            shop.complaints[0, here] += more
            shop.complaints[1, here] += more
        seen = shop.first_alarm(at, min(at + QUIET, shop.feedbacks.size))
        found.append(math.inf if seen is None else (seen + 1 - at) / HOUR)
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--years", type=int, default=1)
    arguments.add_argument("--runs", type=int, default=40)
    given = arguments.parse_args()
    begun = time.perf_counter()
    for a_day in SIZES:
        rng = np.random.default_rng(given.seed)
        print(f"{a_day:5} feedbacks a day: {false_alarms(rng, a_day, given.years):.1f} false alarms a year", flush=True)
        for kind, told in (("five", "five complaints in an hour"), ("share", "10 % → 40 %")):
            hours = np.array(delays(rng, a_day, kind, given.runs))
            seen = np.isfinite(hours)
            after = f", after {np.median(hours[seen]):.1f} h in the median" if seen.any() else ""
            print(f"        {told}: {seen.mean():.0%} seen within a day{after}", flush=True)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()

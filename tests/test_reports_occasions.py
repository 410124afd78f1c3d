"""Promotions and holidays are told beside the comparison they disturb."""

from datetime import date

import pytest
from factories import make_settings

from monitor.settings import Settings
from reports.labels import occasion
from reports.occasions import Occasion, occasions
from reports.period import windows

D11 = "2026-11-08..2026-11-12"


def settings(*promotions: str) -> Settings:
    service = {"var_dir": "/nonexistent", "promotions": list(promotions)}
    return make_settings(service=service)


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (
            date(2026, 11, 16),
            [
                Occasion("promotion", True, date(2026, 11, 9), date(2026, 11, 12)),
                Occasion("promotion", False, date(2026, 11, 8), date(2026, 11, 8)),
            ],
        ),
        (date(2026, 10, 12), [
            Occasion("holiday", True, date(2026, 10, 5), date(2026, 10, 7)),
            Occasion("holiday", False, date(2026, 9, 25), date(2026, 9, 27)),
            Occasion("holiday", False, date(2026, 10, 1), date(2026, 10, 4)),
        ]),
        (date(2026, 8, 10), []),
    ],
)  # fmt: skip
def test_what_lies_in_the_spans_is_told(day: date, found: list[Occasion]) -> None:
    """Cut to the span, the reported one first; single days off are none."""
    shop = settings(D11)
    assert occasions(windows("weekly", day, shop.zone), shop) == found


def test_the_words() -> None:
    """One day, or from the first to the last."""
    assert occasion(Occasion("promotion", True, date(2026, 11, 9), date(2026, 11, 12))) == "11月9日–12日是大促"
    assert occasion(Occasion("holiday", False, date(2026, 10, 1), date(2026, 10, 1))) == "10月1日是假期"

"""Every parser of outside input takes its seeds, what once broke it, and both a little damaged, within the limits."""

import gc
import logging
import random
import re
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import fuzzing
import pytest
from fuzz_house import house
from fuzzing import CORPUS, Finding, bounded, damaged, known, peak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
EXAMPLES = 12  # for each of the targets: some hundreds in all
TARGETS = known()


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_breaks_nothing(name: str) -> None:
    """Seeds and old findings end in the errors that the parser promises, in a second and 200 MB."""
    corpus = TARGETS[name].corpus()
    assert corpus, "a target without seeds finds nothing"
    floor = peak()
    for data in corpus:
        bounded(TARGETS[name].run, data, floor)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_breaks_nothing(name: str) -> None:
    """The same of seeds in which something was exchanged."""
    one, floor = TARGETS[name], peak()

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(one.corpus()), st.integers(0, 2**32), st.integers(1, 3))
    def broken(data: bytes, seed: int, times: int) -> None:
        rng = random.Random(seed)
        for _ in range(times):
            data = damaged(data, one.shape, rng)
        bounded(one.run, data, floor)

    broken()


def test_every_folder_of_seeds_has_its_target() -> None:
    """None is left behind when a target is renamed."""
    assert {folder.name for folder in CORPUS.iterdir()} <= set(TARGETS)


def test_what_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that raises, one that hangs and one that fills the memory are findings."""
    monkeypatch.setattr(fuzzing, "SECONDS", 0.05)

    def hangs(_: bytes) -> None:
        sum(range(10_000_000))

    def breaks(data: bytes) -> None:
        assert 1 / (len(data) - 1)

    with pytest.raises(Finding, match="s for 1 bytes"):
        bounded(hangs, b"x", peak())
    with pytest.raises(Finding, match="MB more"):
        bounded(lambda _: None, b"x", peak() - 300)
    with pytest.raises(ZeroDivisionError):
        bounded(breaks, b"x", peak())


async def asked_a_lot(times: range) -> None:
    """The desk is asked what nobody asked before, by people and programs it does not know."""
    for n in times:
        path = ("/cases/{}", "/nowhere/{}", "/a/{}", "/static/{}", "/feedback", "/api/v1/cases/{}")[n % 6].format(n)
        headers = {
            "cookie": f"pingshao={n}; language={n}",
            "user_agent": f"{n}",
            "authorization": f"Bearer {n}",
            "x_forwarded_for": f"10.0.{n >> 8}.{n & 255}",
            "x_user": "admin" if n % 4 else f"{n}",
        }
        await house().answer(f"M{n}" if n % 7 == 0 else "GET", path, b"", f"q={n}&page={n}&new{n}={n}", **headers)
        await house().answer("POST", f"/cases/{n}/claim", b"form_key=%d&new%d=1" % (n, n), "", **headers)


@pytest.fixture
def _unheard() -> Iterator[None]:
    """Nothing is logged: pytest keeps every line."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_unheard")
def test_a_desk_keeps_nothing_of_what_it_is_asked() -> None:
    """Addresses, words, cookies, tokens and people that come once only leave nothing behind in memory."""
    held = []
    for begin in (1000, 2000, 3000):  # by the first all templates, statements and routes are read
        # in one run of the loop, as a server has: each makes threads anew, and coverage keeps something of every thread
        house().loop.run_until_complete(asked_a_lot(range(begin, begin + 250)))
        gc.collect()
        held.append(sys.getallocatedblocks())
    assert min(held[1] - held[0], held[2] - held[1]) < 125  # what is kept of each would be 250 at least


LONG = 20_000  # characters: what takes quadratic time takes seconds
UNITS = (
    " ", "a", "1", "x@", "a ", "<", "<a ", "&#", "(", "（", "{", "[", "【", "1.", "1-", "/a", "=", "不", "微信", "*",
    "1月", "2026-", "订单", "号", "：",
)  # fmt: skip
BEGINNINGS = (
    "1",
    "昨天",
    "11月1日",
    "2026-11-01",
    "10:00",
    "Nov 1",
    "3天",
    "a",
    "http://a",
    "订单号",
    "微信",
    "张三",
    "<a",
    "x(",
)
"""Behind each of these, spaces without end."""
OURS = {
    "alerts.desk.language": "it reads our own templates",
    "crawler.bases.json_pages._JSONP": "it is matched from the beginning only",
    "crawler.bases.html_pages._ATTRIBUTE": "it reads selectors of the config",
    "monitor.categories._LAST_BREAK": "it is matched against 60 characters",
}
"""Patterns that never see outside text of any length, and why."""


def patterns() -> Iterator[tuple[str, "re.Pattern[str]"]]:
    """Every pattern that a module of ours keeps, alone or in a tuple, by where it stands."""
    for package in ("crawler", "monitor", "alerts", "reports", "commands"):
        for module in walk_packages([str(ROOT / package)], f"{package}."):
            if ".versions." in module.name or ".rehearsal" in module.name or module.name.endswith(".env"):
                continue
            for name, value in vars(import_module(module.name)).items():
                for one in value if isinstance(value, tuple) else (value,):
                    if isinstance(one, re.Pattern) and isinstance(one.pattern, str):
                        yield f"{module.name}.{name}", one


def test_no_pattern_takes_quadratic_time() -> None:
    """Long runs of whatever a pattern is made of cost each less than a second of the processor's time."""

    def late(*_: object) -> None:
        raise Finding("a second")

    seen: dict[re.Pattern[str], str] = {one: name for name, one in patterns() if not any(map(name.startswith, OURS))}
    assert len(seen) > 100
    before = signal.signal(signal.SIGVTALRM, late)
    slow = []
    try:
        for one, name in seen.items():
            runs = [(unit, unit * (LONG // len(unit))) for unit in UNITS]
            for unit, run in [*runs, *((begun, f"{begun}{' ' * LONG}") for begun in BEGINNINGS)]:
                said = f"{run}\x01"
                signal.setitimer(signal.ITIMER_VIRTUAL, 1.0)
                try:
                    for _ in one.finditer(said):
                        pass
                except Finding:
                    slow.append((name, unit))
                    break
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.signal(signal.SIGVTALRM, before)
    assert not slow

"""Two processes take in reviews of one shop at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

from delivering import make_house
from factories import make_item
from sqlalchemy import Engine
from sqlmodel import select

from monitor import db, directory, intake
from monitor.clock import HandClock
from monitor.incoming import Origin
from monitor.models import Case, Crisis, CrisisFeedback

ROUNDS = 8


def test_two_sources_at_once_open_one_case_and_one_crisis(engine: Engine, clock: HandClock) -> None:
    """Both tell of the same order and the same harm: one case, one crisis, both reviews in it, each time."""
    shops = [{"id": f"s{n}", "name": f"店{n}", "platform": "tmall"} for n in range(ROUNDS)]
    core = make_house(engine, clock, shops=shops)
    assert core.judge, "loaded before the race"
    with db.writing(engine) as session:
        rows = {
            (n, half): directory.ensure_source(session, f"s{n}{half}", "webhook", f"s{n}")
            for n in range(ROUNDS)
            for half in "ab"
        }
        origins = {key: Origin(row.id or 0, f"s{key[0]}", "tmall", "review", watched=True) for key, row in rows.items()}
    barrier = threading.Barrier(2)

    def take_in(half: str) -> None:
        for n in range(ROUNDS):
            barrier.wait()
            told = make_item(f"{n}{half}", f"喝完上吐下泻，进医院了，{half}", order_ref=f"order {n}")
            intake.store(core, origins[n, half], [told])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(take_in, "ab"))
    with db.reading(engine) as session:
        assert len(session.exec(select(Case)).all()) == ROUNDS
        assert len(session.exec(select(Crisis)).all()) == ROUNDS
        assert len(session.exec(select(CrisisFeedback)).all()) == 2 * ROUNDS

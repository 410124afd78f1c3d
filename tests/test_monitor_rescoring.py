"""Scoring history again: only scores change, staff's word stands, and a killed run goes on where it stopped."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_item
from sqlalchemy import Engine, func, update
from sqlmodel import col, select

import scheduler
from monitor import db, intake, printing, runs
from monitor.clock import HandClock
from monitor.core import Core
from monitor.incoming import Origin
from monitor.judge import Judgement, Text
from monitor.lifecycle import act
from monitor.models import Case, Correction, Crisis, Event, Feedback, Score, Timer
from monitor.moves import Action, Actor
from monitor.rescoring import Rescored, rescore

ROOT = Path(scheduler.__file__).parent


class Reader:
    """An engine by hand: `漏` is damage (high where it says 满地), `慢` is logistics; all else is harmless."""

    def __init__(self, model: str = "new-1", before: Callable[[], Any] = lambda: None) -> None:
        self.model, self.models, self._before = model, (model,), before

    def judge_many(self, texts: Sequence[Text]) -> list[Judgement]:
        self._before()
        return [self._one(text.text) for text in texts]

    def _one(self, text: str) -> Judgement:
        codes = [code for sign, code in (("漏", "damage"), ("慢", "logistics")) if sign in text]
        if not codes:
            return Judgement(False, 0.1, (), None, (), (), self.model)
        return Judgement(True, 0.9, tuple(codes), "high" if "满地" in text else "medium", (), (), self.model)


class Grumbler(Reader):
    """The older engine: everything is a minor complaint about quality."""

    def _one(self, _: str) -> Judgement:
        return Judgement(True, 0.6, ("quality",), "low", ("churn",), (), self.model)


def use(core: Core, engine: Any) -> None:
    core.__dict__["judge"] = engine


def store(core: Core, *texts: str, **values: Any) -> None:
    """Keep texts as the older engine sees them, each from a buyer of its own; ids are 1, 2, …"""
    use(core, Grumbler("old-1"))
    origin = origin_of(core)
    items = [make_item(f"{n}", text, author=f"买家{n}", **values) for n, text in enumerate(texts)]
    for start in range(0, len(items), intake.BATCH):
        intake.store(core, origin, items[start : start + intake.BATCH])
    use(core, Reader())


def origin_of(core: Core) -> Origin:
    started = runs.start(core, "site", "html", "demo")
    assert started is not None
    runs.finish(core, started, runs.CrawlResult(status="ok"))
    return started.origin


def scores(core: Core) -> dict[str, Score]:
    with db.reading(core.engine) as session:
        return dict(session.exec(select(Feedback.text, Score).join(Score)).all())


def counts(core: Core, *models: Any) -> list[int]:
    with db.reading(core.engine) as session:
        return [session.exec(select(func.count()).select_from(model)).one() for model in models]


def test_scores_are_corrected_and_counted(core: Core) -> None:
    """What changed is written and told; who runs it again finds nothing left."""
    store(core, "漏水，满地都是", "很喜欢", "物流慢", "质量一般")
    done = rescore(core)
    assert done == Rescored("new-1", scored=4, changed=4, now_harmless=2, cases=2)
    found = scores(core)
    assert {text: (score.negative, score.categories, score.severity) for text, score in found.items()} == {
        "漏水，满地都是": (True, ["damage"], "high"),
        "很喜欢": (False, [], None),
        "物流慢": (True, ["logistics"], "medium"),
        "质量一般": (False, [], None),
    }
    assert {(score.model, score.p_negative in (0.1, 0.9), *score.flags) for score in found.values()} == {
        ("new-1", True)
    }
    assert rescore(core) == Rescored("new-1")
    with db.reading(core.engine) as session:
        [event] = session.exec(select(Event).where(Event.what == "rescored", Event.subject == "score"))
    assert (event.after["scored"], event.after["changed"], event.door) == (4, 4, "cli")
    use(core, Reader("new-2"))
    assert rescore(core) == Rescored("new-2", scored=4)  # another model that says the same


def test_what_was_harmless_may_turn_out_a_complaint_and_opens_nothing(core: Core) -> None:
    """Old feedback that the new engine finds bad is counted as bad: no case, no crisis, no clock, nobody called."""
    store(core, "很好")
    use(core, Reader("mid-1"))
    rescore(core)
    before = counts(core, Case, Crisis, Timer)
    core.notify.clear()  # type: ignore[attr-defined]
    use(core, Grumbler("new-2"))
    assert rescore(core) == Rescored("new-2", scored=1, changed=1, now_negative=1, cases=0)
    assert counts(core, Case, Crisis, Timer) == before
    assert core.notify == []


def test_open_cases_say_what_the_engine_of_now_says(core: Core) -> None:
    """Categories and severity with an audit event and a mended card; state and clocks stay; closed ones are left."""
    store(core, "漏水，满地都是", "物流慢", "很喜欢")
    with db.writing(core.engine) as session:
        session.execute(update(Case).where(col(Case.id) == 2).values(state="closed"))
        due = session.exec(select(Timer.due_at).order_by(col(Timer.id))).all()
    core.notify.clear()  # type: ignore[attr-defined]
    assert rescore(core).cases == 1
    with db.reading(core.engine) as session:
        cases = {case.id: case for case in session.exec(select(Case))}
        events = session.exec(select(Event).where(Event.what == "rescored", Event.subject == "case")).all()
        assert session.exec(select(Timer.due_at).order_by(col(Timer.id))).all() == due
    assert {n: (case.state, case.severity, case.categories) for n, case in cases.items()} == {
        1: ("received", "high", ["damage"]),
        2: ("closed", "low", ["quality"]),
        3: ("received", "low", ["quality"]),  # whether a case without complaints is one, people decide
    }
    [event] = events
    assert event.before == {"severity": "low", "categories": ["quality"]}
    assert event.after == {"severity": "high", "categories": ["damage"]}
    assert [(notice.kind, notice.subject_id) for notice in core.notify] == [("case.updated", 1)]  # type: ignore[attr-defined]


def test_a_case_of_several_complaints_says_what_all_of_them_say(core: Core) -> None:
    """One buyer, two reviews: the worst severity and both categories, in their order."""
    use(core, Grumbler("old-1"))
    items = [make_item(str(n), text, author="老王", product="杯子") for n, text in enumerate(["慢", "满地漏"])]
    intake.store(core, origin_of(core), items)
    use(core, Reader())
    assert rescore(core, batch=1).cases == 2
    with db.reading(core.engine) as session:
        [case] = session.exec(select(Case))
    assert (case.severity, case.categories) == ("high", ["logistics", "damage"])


def test_old_backlog_cases_are_mended_in_silence(core: Core) -> None:
    """A case that nobody was called for gets no card now."""
    store(core, "漏水", created_at=NOW - timedelta(days=90))
    core.notify.clear()  # type: ignore[attr-defined]
    assert rescore(core).cases == 1
    assert core.notify == []


def test_staff_know_better(core: Core) -> None:
    """误报 stays harmless whatever the engine says; a re-filing keeps its codes; both count as scored by now."""
    store(core, "漏了也没事，挺好", "漏水", "慢")
    with db.writing(core.engine) as session:
        act(core, session, Action("false_alarm", "case", 1), Actor("主管", "lead", "desk"))
        after = {"negative": True, "categories": ["service"], "severity": "critical"}
        session.add(Correction(feedback_id=2, at=core.clock.now(), actor="主管", after={"negative": False}))
        session.add(Correction(feedback_id=2, at=core.clock.now(), actor="主管", after=after))
    done = rescore(core)
    assert (done.scored, done.corrected) == (3, 2)
    found = scores(core)
    first, second = found["漏了也没事，挺好"], found["漏水"]
    assert (first.negative, first.categories, first.severity, first.p_negative) == (False, [], None, 0.0)
    assert (second.negative, second.categories, second.severity, second.p_negative) == (
        True,
        ["service"],
        "critical",
        1,
    )
    assert found["慢"].categories == ["logistics"]
    assert rescore(core).scored == 0


def test_a_correction_is_about_the_words_it_was_made_for(core: Core, clock: HandClock) -> None:
    """Once the buyer has written more, the engine reads it anew."""
    store(core, "一般")
    with db.writing(core.engine) as session:
        act(core, session, Action("false_alarm", "case", 1), Actor("主管", "lead", "desk"))
    clock.move(timedelta(hours=1))
    use(core, Grumbler("old-1"))
    intake.store(core, origin_of(core), [make_item("0", "又漏水了", author="买家0")])
    use(core, Reader())
    assert rescore(core).corrected == 0
    assert scores(core)["又漏水了"].categories == ["damage"]


def test_only_what_happened_since(core: Core) -> None:
    """Older feedback keeps its score."""
    store(core, "漏", created_at=NOW - timedelta(days=3))
    assert rescore(core, NOW - timedelta(days=2)).scored == 0
    assert rescore(core, NOW - timedelta(days=4)).scored == 1


def test_progress_tells_how_much_is_done(core: Core) -> None:
    """After each batch: seen, and of how many."""
    store(core, *"漏慢好中下")
    told: list[tuple[int, int]] = []
    rescore(core, batch=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_feedback_that_changes_meanwhile_is_read_again(core: Core) -> None:
    """A review edited between reading and writing never gets the verdict on its old words; what stays is told."""
    store(core, "漏水", "慢")
    origin, edits = origin_of(core), iter(range(99))

    def edit() -> None:
        use(core, Reader("serve-1"))
        intake.store(core, origin, [make_item("0", f"第{next(edits)}次改：很好", author="买家0")])
        use(core, editor)

    editor = Reader(before=edit)
    use(core, editor)
    done = rescore(core)
    assert (done.scored, done.left) == (1, 1)
    found = {text: (score.model, score.negative) for text, score in scores(core).items()}
    assert found == {"第2次改：很好": ("serve-1", False), "慢": ("new-1", True)}
    use(core, Reader())
    assert (rescore(core).scored, rescore(core).left) == (1, 0)


def test_what_somebody_holds_is_done_in_the_next_pass(core: Core) -> None:
    """A case in somebody's hands is neither waited for nor forgotten: all is scored before the run ends."""
    store(core, "漏水", "慢")
    held, free = threading.Event(), threading.Event()
    told: list[tuple[int, int]] = []

    def hold() -> None:
        with db.writing(core.engine) as session:
            session.get(Case, 1, with_for_update=True)
            held.set()
            free.wait(10)

    if core.engine.dialect.name == "postgresql":  # SQLite has one writer: there everybody waits
        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(10)
    done = rescore(core, progress=lambda *how: (told.append(how), free.set()))  # type: ignore[func-returns-value]
    if core.engine.dialect.name == "postgresql":
        thread.join(10)
        assert told[0] == (1, 2)
    assert (done.scored, done.left, done.cases) == (2, 0, 2)


def test_serve_writes_while_history_is_judged(core: Core) -> None:
    """No transaction is open while the engine thinks."""
    store(core, "漏水")
    origin = origin_of(core)

    def meanwhile() -> None:
        other = make_core(core.engine, core.settings)
        use(other, Grumbler("serve-1"))
        thread = threading.Thread(target=intake.store, args=(other, origin, [make_item("new", "新来的")]))
        thread.start()
        thread.join(5)
        assert not thread.is_alive()

    use(core, Reader(before=meanwhile))
    assert rescore(core).scored >= 1
    assert len(scores(core)) == 2


def test_two_at_once_share_the_work(core: Core) -> None:
    """Each score is written once, whoever is faster."""
    store(core, *(f"漏{n}" for n in range(60)))
    done: list[Rescored] = []

    def work() -> None:
        mine = make_core(core.engine, core.settings)
        use(mine, Reader())
        done.append(rescore(mine, batch=7))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(done) == 2
    assert rescore(core).scored == 60 - sum(one.scored for one in done) == 0


def test_an_engine_that_breaks_loses_what_it_did_not_finish_and_no_more(core: Core) -> None:
    """The batches before are kept; the next run does the rest."""
    store(core, *"漏慢好中下")
    calls = iter([None, None])

    def fail_third() -> None:
        if next(calls, "broken") == "broken":
            raise RuntimeError("broken")

    use(core, Reader(before=fail_third))
    with pytest.raises(RuntimeError, match="broken"):
        rescore(core, batch=2)
    assert sorted(score.model for score in scores(core).values()) == ["new-1"] * 4 + ["old-1"]
    use(core, Reader())
    assert rescore(core).scored == 1


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on(core: Core, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After kill -9 every score is the old or the new one, whole; the next run does what is left, and only that."""
    total = 600
    store(core, *(f"第{n}个杯子漏水，很失望" for n in range(total)))
    config = tmp_path / "pingshao.toml"
    url = core.engine.url.render_as_string(hide_password=False)
    config.write_text(f'[service]\ndatabase_url = "{url}"\n[[shops]]\nid = "demo"\nname = "示例"\n', encoding="utf-8")
    child = subprocess.Popen(
        [sys.executable, "-m", "scheduler", "--config", str(config), "rescore", "--batch", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not rescored(core.engine) >= 20 and time.monotonic() < until and child.poll() is None:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
    finally:
        child.kill()
        child.wait()
    done = rescored(core.engine)
    assert 20 <= done < total
    capsys.readouterr()
    assert scheduler.run(["--config", str(config), "rescore", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["scored"] == total - done
    assert rescored(core.engine) == total
    assert counts(core, Case) == [total]
    assert scheduler.run(["--config", str(config), "rescore"]) == 0
    assert "重新打分 0 条" in capsys.readouterr().out


def rescored(engine: Engine) -> int:
    with db.reading(engine) as session:
        return session.exec(select(func.count()).select_from(Score).where(Score.model != "old-1")).one()


def test_what_a_run_did_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for what was done, one more for each thing that happened; JSON for programs."""
    printing.rescored(Rescored("m-1", scored=2000), as_json_too=False)
    assert capsys.readouterr().out == "用 m-1 重新打分 2,000 条，结论变了 0 条\n"
    printing.rescored(Rescored("m-1", 9, 8, 7, 6, 5, 4, 3), as_json_too=False)
    said = capsys.readouterr().out.splitlines()
    assert [re.findall(r"\d+", line)[0] for line in said[1:]] == ["7", "5", "4", "3"]
    printing.rescored(Rescored("m-1", 9, 8, 7, 6, 5, 4, 3), as_json_too=True)
    assert json.loads(capsys.readouterr().out)["left"] == 3

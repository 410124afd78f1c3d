"""The rehearsal as a whole, and the checks that decide whether it went as it must."""

import io
import os
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

import scheduler
from alerts.actions import Outcome
from alerts.rehearsal.checks import checks
from alerts.rehearsal.config import CHANNEL, PLACES, TOKEN_ENV
from alerts.rehearsal.mail_sink import Mail
from alerts.rehearsal.run import _crisis_day, own_folder, run_demo
from alerts.rehearsal.script import on
from alerts.rehearsal.slack_sink import Accepted, SlackMessage
from alerts.rehearsal.stage import Stage
from alerts.rehearsal.story import ZONE, Story
from monitor.clock import HandClock
from monitor.moves import Action

STORY = Story(datetime(2026, 11, 15, 4, tzinfo=UTC))
END = STORY.moment(time(15, 30), 1)
DUE = STORY.moment(time(17, 22))


class Told:
    """A finished rehearsal as the checks see it: everything as it must be, until a test spoils something."""

    def __init__(self) -> None:
        self.story, self.clock = STORY, HandClock(END)
        self.read_at = dict.fromkeys(PLACES, STORY.moment(time(21, 40)))
        self.refused: list[str] = []
        self.ledgers = [{"sources": [self._line(name) for name in PLACES]}]
        row = {"dedupe_key": "crisis:1:opened:0", "target": CHANNEL, "state": "sent"}
        self.slack = SimpleNamespace(
            log=[Accepted("chat.postMessage", CHANNEL, "1.1", "crisis:1:opened:0")],
            messages=[SlackMessage("1.1", CHANNEL, "危机", [], END)],
        )
        times = {"daily": time(10), "evening": time(18), "weekly": time(9)}
        self.mails = SimpleNamespace(mails=[self._mail(f"{kind}:1", STORY.moment(at)) for kind, at in times.items()])
        self.tables: dict[str, list[dict[str, Any]]] = {
            "crises": [{"id": 1, "feedback_ids": [], "deadlines": self._deadlines()}],
            "timers": [self._timer(step) for step in ("deadline", "rung1", "rung2", "rung3", "rung4")],
            "feedback": [{"text": "电话 199****0001"}],
            "outbox": [row],
        }
        self.tables["events"] = [
            {
                "subject": "crisis",
                "subject_id": 1,
                "what": "timer.fired",
                "after": {"stage": "notice", "step": timer["step"]},
            }
            for timer in self.tables["timers"]
        ]
        self.events = {1: ["missing"] * 30}

    def rows(self, what: str) -> list[dict[str, Any]]:
        return self.tables[what]

    def reviews(self, row: dict[str, Any]) -> list[Any]:
        return [SimpleNamespace(event=event) for event in self.events[row["id"]]]

    def _line(self, name: str) -> dict[str, Any]:
        there = [review for review in STORY.reviews_until(self.read_at[name]) if review.place == PLACES[name]]
        changed = sum(review.later != "" for review in there)
        counts = {"new": len(there), "changed": changed, "duplicates": 3, "skipped": 0}
        return {"name": name, "status": "ok", "error": "", "seen": sum(counts.values()), **counts}

    def _mail(self, key: str, at: datetime) -> Mail:
        message = EmailMessage()
        message["X-Pingshao-Key"] = key
        message.set_content("报告")
        return Mail(at, ["head@example.com"], message, Path("x.eml"))

    def _deadlines(self) -> dict[str, Any]:
        def clock(state: str, late: timedelta) -> dict[str, str]:
            return {"state": state, "due_at": DUE.isoformat(), "met_at": (DUE + late).isoformat()}

        minute = timedelta(minutes=1)
        return {
            "respond": clock("met", -minute),
            "notice": clock("breached", minute),
            "follow_up": clock("met", -minute),
        }

    def _timer(self, step: str) -> dict[str, Any]:
        at = DUE.isoformat() + step
        return {
            "crisis_id": 1,
            "case_id": None,
            "stage": "notice",
            "step": step,
            "state": "fired",
            "due_at": DUE.isoformat(),
            "fired_at": at,
        }


def failed(told: Told) -> list[str]:
    return [check.what for check in checks(told) if not check.ok]  # type: ignore[arg-type]


def test_a_good_rehearsal_passes() -> None:
    """With everything as it must be, nothing is complained of."""
    assert failed(Told()) == []


def _break_source(told: Told) -> None:
    told.ledgers[0]["sources"][0] |= {"status": "failed", "error": "连不上"}


def _lose_review(told: Told) -> None:
    line = told.ledgers[0]["sources"][0]
    line["new"], line["seen"] = line["new"] - 1, line["seen"] - 1


def _post_twice(told: Told) -> None:
    told.slack.log *= 2


def _leak(told: Told) -> None:
    told.mails.mails[0].message.set_content(f"请联系 {min(STORY.private)}")


def _spoil(table: str, **values: Any) -> Callable[[Told], None]:
    return lambda told: told.tables[table][0].update(values)


SPOILT = [
    ("每个来源每次都读成了", _break_source),
    ("台账相符", lambda told: told.ledgers[0]["sources"][0].update(seen=0)),
    ("写出来的一条不少", _lose_review),
    ("改过的评价", lambda told: told.ledgers[0]["sources"][1].update(changed=1, duplicates=2)),
    ("丢件只开了一场危机", lambda told: told.events.update({1: ["missing"] * 20})),
    ("丢件只开了一场危机", lambda told: told.tables["crises"].clear()),
    ("大促量大五倍", lambda told: told.events[1].append("promotion")),
    ("内部响应", lambda told: told.tables["crises"][0]["deadlines"].pop("respond")),
    ("告知客户", lambda told: told.tables["crises"][0]["deadlines"]["notice"].update(state="met")),
    ("告知客户", lambda told: told.tables["crises"][0]["deadlines"]["notice"].update(met_at=DUE.isoformat())),
    ("跟进", lambda told: told.tables["crises"][0]["deadlines"]["follow_up"].update(state="breached")),
    ("到点的时限各响一次", lambda told: told.tables["events"].append(told.tables["events"][0])),
    ("没有过了点还没响", _spoil("timers", state="armed")),
    ("超时后逐级上报", lambda told: told.tables["timers"].pop()),
    ("发件箱全部送达", _spoil("outbox", state="uncertain")),
    ("对方的日志里", _post_twice),
    ("对方的日志里", lambda told: told.mails.mails.append(told.mails.mails[0])),
    ("对方的日志里", lambda told: told.slack.log.append(Accepted("chat.postMessage", CHANNEL, "2.1", ""))),
    ("记为已送的", lambda told: told.slack.log.clear()),
    ("晨检", lambda told: told.mails.mails.pop()),
    ("买家的电话", _leak),
    ("买家的电话", _spoil("feedback", text=min(STORY.private))),
    ("每个人要做的", lambda told: told.refused.append("危机 #1 claim: 已经有人")),
]


@pytest.mark.parametrize(("what", "spoil"), SPOILT)
def test_each_fault_is_seen(what: str, spoil: Callable[[Told], Any]) -> None:
    """Every check fails when what it is about went wrong."""
    told = Told()
    spoil(told)
    assert any(name.startswith(what) for name in failed(told))


@pytest.mark.parametrize("day", range(15, 23))
def test_crisis_falls_on_a_past_sunday(day: int) -> None:
    """The rehearsal's Sunday and its Monday lie behind the present, and no more than a week or so."""
    now = datetime(2026, 11, day, 13, 5, tzinfo=UTC)
    crisis = _crisis_day(now)
    assert crisis.astimezone(ZONE).weekday() == 6
    assert timedelta(hours=28) < now - crisis < timedelta(days=9)


def test_each_rehearsal_has_its_own_folder(tmp_path: Path) -> None:
    """Nothing of an earlier rehearsal is touched, even within the same second."""
    now = datetime(2026, 11, 15, tzinfo=UTC)
    assert own_folder(tmp_path, now, ZONE) != own_folder(tmp_path, now, ZONE)


def make_stage(outcome: Outcome) -> tuple[Stage, io.StringIO]:
    """A stage on which nothing is stored and every action ends the same way."""
    app = SimpleNamespace(act=lambda *_: outcome)
    slack, mails, out = SimpleNamespace(messages=[], log=[]), SimpleNamespace(mails=[]), io.StringIO()
    stage = Stage(app, STORY, HandClock(END), slack, mails, Path("x.csv"), Console(file=out, width=200))  # type: ignore[arg-type]
    stage.rows = lambda _: []  # type: ignore[method-assign]
    return stage, out


def test_refusals_are_kept_and_told() -> None:
    """Whatever people cannot do is said in the timeline and fails the rehearsal, as does a crisis that never came."""
    stage, out = make_stage(Outcome(done=False, text="已经有人认领了"))
    stage.act("客服一号", Action("claim", "crisis", 7))
    stage.settle([{"id": 3}], "客服一号", ("contacted",), "联系")
    on("smear", "主管", "false_alarm")(stage)
    assert stage.refused == [
        "危机 #7 claim: 已经有人认领了",
        "差评 #3 contacted: 已经有人认领了",
        "没有危机：smear",
    ]
    assert "星期一 15:30  👤 危机 #7：已经有人认领了" in out.getvalue()
    assert "没有找到这场危机：smear" in out.getvalue()


def test_floods_are_told_in_a_line() -> None:
    """Of many messages at once the first few are shown, hostile ones as text, and the rest counted."""
    stage, out = make_stage(Outcome(done=True, text=""))
    stage.app.sweep_and_deliver = stage.app.send_due_summaries = lambda: 0  # type: ignore[method-assign]
    texts = ["<@U0001> [bold]危机[/bold]\n第二行", *"二三四五"]
    stage.slack.messages += [SlackMessage("1.1", CHANNEL, text, [], END) for text in texts]
    stage.slack.log.append(Accepted("chat.update", CHANNEL, "1.1", "k"))
    stage.work()
    told = out.getvalue()
    assert "运营预警：@客服一号 [bold]危机[/bold]\n" in told
    assert "还有 2 条消息，卡片更新 1 次" in told
    assert "五" not in told


@pytest.mark.slow
def test_the_whole_rehearsal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crawled by real connectors, stored, judged, alerted, escalated and reported: every check holds."""
    monkeypatch.setenv(TOKEN_ENV, "mine")
    out = io.StringIO()
    console = Console(file=out, width=110, force_terminal=False)
    status = run_demo(scheduler.build, tmp_path, HandClock(datetime(2026, 11, 18, tzinfo=UTC)), console)
    told = out.getvalue()
    assert "✗" not in told, told
    assert status == 0
    assert os.environ[TOKEN_ENV] == "mine"
    (folder,) = tmp_path.iterdir()
    assert "【危机】" in (folder / "staff.html").read_text("utf-8")
    assert str(folder / "var" / "reports" / "weekly-2026-11-16.html") in told

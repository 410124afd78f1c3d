"""Whether a rehearsal went as it must: told from the store's exports and from the providers' own logs."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time

from alerts.rehearsal.config import PLACES
from alerts.rehearsal.day import Row
from alerts.rehearsal.stage import Stage
from alerts.rehearsal.story import MISSING, ZONE

_MOST = 0.8  # of the batch is in one crisis; the rest was read as something else than a lost parcel
_DONE = ("sent", "folded")
_LADDER = 4
_MAILS = {"daily": time(10), "evening": time(18), "weekly": time(9)}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold; ``detail`` says what was found."""

    what: str
    ok: bool
    detail: str = ""


def checks(stage: Stage) -> Iterator[Check]:
    """All checks of a rehearsal that is over."""
    yield from _ledgers(stage)
    crises = {row["id"]: Counter(review.event for review in stage.reviews(row)) for row in stage.rows("crises")}
    yield from _crises(crises)
    main = max(crises, key=lambda crisis: crises[crisis]["missing"], default=None)
    yield from _clocks(next((row for row in stage.rows("crises") if row["id"] == main), None))
    yield from _timers(stage, main)
    yield from _provider(stage)
    yield _reports(stage)
    yield _masked(stage)
    yield Check("每个人要做的都做成了", not stage.refused, "；".join(stage.refused))


def _ledgers(stage: Stage) -> Iterator[Check]:
    lines = [line for ledger in stage.ledgers for line in ledger["sources"]]
    bad = {f"{line['name']}：{line['error']}" for line in lines if line["status"] != "ok"}
    yield Check("每个来源每次都读成了", not bad, "；".join(sorted(bad)))
    parts = ("new", "changed", "duplicates", "skipped")
    uneven = {line["name"] for line in lines if line["seen"] != sum(line[part] for part in parts)}
    yield Check("台账相符：看到 = 新增 + 改动 + 重复 + 跳过", not uneven, "、".join(sorted(uneven)))
    yield from _written(stage, lines)


def _written(stage: Stage, lines: list[Row]) -> Iterator[Check]:
    wrong = []
    edited = 0
    for name, read_at in stage.read_at.items():
        there = [review for review in stage.story.reviews_until(read_at) if review.place == PLACES[name]]
        edited += sum(review.later_at is not None and review.later_at <= read_at for review in there)
        new = sum(line["new"] for line in lines if line["name"] == name)
        wrong += [f"{name}写了 {len(there)} 条，入库 {new} 条"] if new != len(there) else []
    total, changed = (sum(line[name] for line in lines) for name in ("new", "changed"))
    yield Check("写出来的一条不少、一条不多", not wrong, "；".join(wrong) or f"{total} 条")
    yield Check("改过的评价和追评都看到了", changed == edited, f"改了 {edited} 条，看到 {changed} 条")


def _crises(crises: dict[int, Counter[str]]) -> Iterator[Check]:
    big = [events["missing"] for events in crises.values() if events["missing"]]
    ok = max(big, default=0) >= _MOST * MISSING and len([count for count in big if count > 1]) == 1
    yield Check("丢件只开了一场危机", ok, f"{MISSING} 条里有 {max(big, default=0)} 条在这场危机里")
    false = sum(events["promotion"] for events in crises.values())
    yield Check("大促量大五倍，没有误报成危机", not false, f"{false} 条大促评价进了危机" if false else "")


def _clocks(row: Row | None) -> Iterator[Check]:
    met = {}
    for stage, clock in (row or {"deadlines": {}})["deadlines"].items():
        late = not clock["met_at"] or datetime.fromisoformat(clock["met_at"]) > datetime.fromisoformat(clock["due_at"])
        met[stage] = (clock["state"], late)
    yield Check("内部响应在 1 小时内", met.get("respond") == ("met", False))
    yield Check("告知客户超过 3 小时：如实记为超时，补做也记下", met.get("notice") == ("breached", True))
    yield Check("跟进在 24 小时内完成", met.get("follow_up") == ("met", False))


def _timers(stage: Stage, main: int | None) -> Iterator[Check]:
    timers, now = stage.rows("timers"), stage.clock.now()
    fired = Counter(
        ("crisis" if row["crisis_id"] else "case", row["crisis_id"] or row["case_id"], row["stage"], row["step"])
        for row in timers
        if row["fired_at"]
    )
    told = Counter(
        (row["subject"], row["subject_id"], row["after"]["stage"], row["after"]["step"])
        for row in stage.rows("events")
        if row["what"].startswith("timer.")
    )
    yield Check("到点的时限各响一次", fired == told, f"{fired.total()} 个时限，{told.total()} 次")
    missed = [row for row in timers if row["state"] == "armed" and datetime.fromisoformat(row["due_at"]) <= now]
    yield Check("没有过了点还没响的时限", not missed, f"{len(missed)} 个" if missed else "")
    rungs = sorted(
        (row["fired_at"], row["step"])
        for row in timers
        if row["crisis_id"] == main and row["stage"] == "notice" and row["step"].startswith("rung") and row["fired_at"]
    )
    steps = [step for _, step in rungs]
    yield Check("超时后逐级上报：负责人、群、主管、经理", len(steps) == _LADDER and steps == sorted(steps))


def _provider(stage: Stage) -> Iterator[Check]:
    rows = stage.rows("outbox")
    stuck = Counter(row["state"] for row in rows if row["state"] not in _DONE)
    yield Check("发件箱全部送达", not stuck, "、".join(f"{state} {count}" for state, count in stuck.items()))
    log = stage.slack.log
    posts = Counter((line.channel, line.key) for line in log if line.method == "chat.postMessage")
    letters = Counter((mail.key, to) for mail in stage.mails.mails for to in mail.recipients)
    twice = [key for seen in (posts, letters) for key, count in seen.items() if count > 1]
    nameless = [key for seen in (posts, letters) for key in seen if not all(key)]
    yield Check(
        "对方的日志里，每条消息只有一次",
        not twice and not nameless,
        f"Slack {posts.total()} 条，邮件 {letters.total()} 封",
    )
    arrived = {(line.key, line.channel) for line in log} | set(letters)
    lost = [
        row["dedupe_key"]
        for row in rows
        if row["state"] == "sent" and (row["dedupe_key"], row["target"]) not in arrived
    ]
    yield Check("记为已送的，对方都收到了", not lost, "、".join(lost))


def _reports(stage: Stage) -> Check:
    came = {
        mail.key.partition(":")[0]: mail.at.astimezone(ZONE).time().replace(second=0, microsecond=0)
        for mail in stage.mails.mails
    }
    wrong = [kind for kind, at in _MAILS.items() if came.get(kind) != at]
    return Check("晨检、晚报、周报按点寄到", not wrong, "、".join(wrong))


def _masked(stage: Stage) -> Check:
    seen = [f"{message.text} {message.blocks}" for message in stage.slack.messages]
    seen += [
        part.get_content()
        for mail in stage.mails.mails
        for part in mail.message.walk()
        if part.get_content_maintype() == "text"
    ]
    seen += [str(row) for row in stage.rows("feedback")]
    everything = "\n".join(seen)
    shown = [value for value in stage.story.private if value in everything]
    return Check("买家的电话和微信号哪里都看不到", not shown, "、".join(shown))

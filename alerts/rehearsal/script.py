"""What happens on the day of the crisis and the morning after: when the sources are read, and what people do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import time

from alerts.rehearsal.config import FORUM, LIVE, SITE
from alerts.rehearsal.stage import Stage
from monitor.moves import Action

AGENT, LEAD, MANAGER = "客服一号", "主管", "经理"
_HANDLED = ("contacted", "answered", "resolved")


@dataclass(frozen=True, slots=True)
class Scene:
    """Something that happens at a time of day in China; ``day`` counts from the day of the crisis.

    Attributes:
        told: What is said before it, if anything.
        play: What happens beside the clock's own work.
    """

    at: time
    play: Callable[[Stage], None]
    told: str = ""
    day: int = 0


def crawl(*sources: str) -> Callable[[Stage], None]:
    """Read these sources, or all."""
    return lambda stage: stage.crawl(*sources)


def wait(stage: Stage) -> None:
    """The hour alone brings what is due."""
    del stage


def answer(stage: Stage) -> None:
    """The agent works off single complaints; what is none is marked as a false alarm."""
    cases = stage.cases()
    harmless = {case["id"] for case in cases if all(review.mood != "complaint" for review in stage.reviews(case))}
    stage.settle([case for case in cases if case["id"] in harmless], AGENT, ("false_alarm",), "标为误报")
    stage.settle([case for case in cases if case["id"] not in harmless], AGENT, _HANDLED, "联系、回复并解决差评")


def on(event: str, person: str, *actions: str, note: str = "") -> Callable[[Stage], None]:
    """A person does something to the crisis about an event of the story."""

    def play(stage: Stage) -> None:
        crisis = stage.crisis(event)
        if crisis is None:
            stage.say(f"没有找到这场危机：{event}", "red")
            stage.refused.append(f"没有危机：{event}")
            return
        for action in actions:
            stage.act(person, Action(action, "crisis", crisis, note))

    return play


def settle(event: str, person: str, *actions: str, what: str) -> Callable[[Stage], None]:
    """A person works off the cases behind a crisis, one by one."""
    return lambda stage: stage.settle(stage.cases(event), person, actions, what)


def close(stage: Stage) -> None:
    """The manager files what is resolved."""
    for row in stage.rows("crises"):
        if row["state"] == "resolved":
            stage.act(MANAGER, Action("close", "crisis", row["id"]))


_PLAN = "苏州仓 14 点前后的批次疑似空单：核对出库重量，暂停该批次，全部补发并送 20 元券，今晚前联系到每一位买家"
_ALLERGY_PLAN = "先问候并请买家保留病历，报销医药费，留样送检，同批次面霜下架"
_SMEAR = "同一段文字、十几个新账号，工厂查无此人：按抹黑留证、向平台举报，不按产品问题处理"
_DONE = "34 单全部补发并已签收，苏州仓改为称重出库"

SCRIPT = (
    Scene(time(9, 30), crawl(), "评哨第一次读取：四周的旧评价入库、计数，不打扰人"),
    Scene(time(9, 50), answer),
    Scene(time(10), wait),
    Scene(time(14, 22), crawl(SITE, LIVE), "午后，有买家说：显示签收，却没有收到"),
    Scene(time(14, 34), on("missing", AGENT, "claim")),
    Scene(time(15, 6), crawl(SITE), "又读一轮：同样的差评多了一倍，另有一条过敏就医"),
    Scene(time(15, 12), on("missing", AGENT, "plan", note=_PLAN)),
    Scene(time(15, 20), on("allergy", LEAD, "claim", "plan", note=_ALLERGY_PLAN)),
    Scene(time(15, 25), settle("allergy", LEAD, "contacted", what="联系过敏的买家")),
    Scene(time(15, 40), on("missing", AGENT, "notified_sms")),
    Scene(time(15, 45), settle("missing", AGENT, "contacted", what="私信联系收不到货的买家")),
    Scene(time(15, 55), on("missing", AGENT, "notified_push"), "短信和推送都做了，外呼忘了"),
    Scene(time(16), answer),
    Scene(time(16, 30), on("allergy", LEAD, "notified_sms", "notified_push", "notified_call")),
    Scene(time(18), wait),
    Scene(time(18, 5), on("missing", LEAD, "notified_call"), "主管接到升级，补上外呼"),
    Scene(time(18, 30), answer),
    Scene(time(21, 40), crawl(SITE, FORUM), "夜里：论坛冒出同一段文字；有人改了评价，有人写了追评"),
    Scene(time(21, 55), on("smear", LEAD, "false_alarm", note=_SMEAR)),
    Scene(time(22, 5), settle("smear", AGENT, "answered", "resolved", what="逐帖举报并了结")),
    Scene(time(22, 20), answer),
    Scene(time(9), wait, "星期一：周报", day=1),
    Scene(time(10), wait, day=1),
    Scene(time(11), settle("allergy", LEAD, "answered", "resolved", what="了结过敏买家的差评"), day=1),
    Scene(time(11, 5), on("allergy", LEAD, "resolved", note="检测合格，医药费已报销，买家接受道歉"), day=1),
    Scene(time(13), settle("missing", AGENT, "answered", "resolved", what="逐个回访收不到货的买家"), day=1),
    Scene(time(13, 30), on("missing", LEAD, "resolved", note=_DONE), day=1),
    Scene(time(15), close, day=1),
    Scene(time(15, 30), wait, day=1),
)

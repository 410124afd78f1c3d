"""The shop's own answers: what is wrong with their words, what shows only beside others, and that it is told once."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

import pytest
from answer_samples import SAMPLES
from factories import make_item
from sqlalchemy import Engine
from sqlmodel import select

from crawler.items import FeedbackItem
from monitor import answers, answers_found, answers_scan, db
from monitor.answers import KINDS, problems
from monitor.audit import Refused
from monitor.clock import HandClock
from monitor.core import Core
from monitor.incoming import Origin
from monitor.intake import store
from monitor.models import AnswerFinding, Case, Event, Feedback, Run, Source

EMPTY = "亲，感谢您的反馈，我们会努力改进，祝您生活愉快！"
GOOD = "非常抱歉给您添麻烦了，今天就为您换一只新的，运费由我们承担。"
HOUR = timedelta(hours=1)


def place(core: Core) -> Origin:
    with db.writing(core.engine) as session:
        source = session.exec(select(Source).where(Source.name == "site")).one_or_none()
        source = source or Source(name="site", kind="html", shop_id="demo")
        source.status, source.last_success_at = "ok", core.clock.now()
        session.add(source)
        session.flush()
        assert source.id is not None
        return Origin(source.id, "demo", "tmall", "review", watched=True)


def crawl(core: Core, *items: FeedbackItem) -> None:
    store(core, place(core), items)


def bad(
    external_id: str = "1", text: str = "杯子漏水，很失望，要求退款", reply: str = "", **values: object
) -> FeedbackItem:
    return make_item(external_id, text, **({"stars": 1, "reply": reply} | values))


def findings(core: Core, *states: str) -> list[AnswerFinding]:
    with db.reading(core.engine) as session:
        rows = session.exec(select(AnswerFinding).order_by(AnswerFinding.id)).all()  # type: ignore[arg-type]
        return [row for row in rows if row.state in (states or ("open",))]


def kinds(core: Core, *states: str) -> list[str]:
    return sorted(row.kind for row in findings(core, *states))


def judge(core: Core, number: int, verdict: answers_found.Verdict) -> None:
    with db.writing(core.engine) as session:
        answers_found.judge(session, session.get_one(AnswerFinding, number), verdict, core.clock.now(), "主管")


def test_samples_have_no_false_alarm() -> None:
    """Of the sample answers, good and bad, none is blamed for what it does not have; nearly all faults are found."""
    false, missed, found = [], [], 0
    for complaint, codes, answer, wanted in SAMPLES:
        told = {one.kind for one in problems(answer, complaint, codes)}
        false += [(answer, kind) for kind in told - wanted]
        missed += [(answer, kind) for kind in wanted - told]
        found += len(told & wanted)
    assert false == []
    assert found / (found + len(missed)) > 0.92, missed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("我们的奶粉绝对安全，您放心", "绝对化"),
        ("这款100%不掉色", "绝对化"),
        ("假一赔十，您随便验", "绝对化"),
        ("这个我们不知道，您自己看说明", "推诿"),
        ("这是快递的问题，您找快递吧", "推诿"),
        ("公司规定就是这样，没办法", "推诿"),
        ("好评返现五元，截图给我", "返现"),
        ("麻烦您改成五星好评，我们发红包", "返现"),
        ("删掉差评的话，给您退十块", "返现"),
        ("您这种恶意差评我们见多了", "指责"),
    ],
)
def test_what_may_not_be_said_is_found(text: str, why: str) -> None:
    """With the reason, and the sentence it stands in."""
    told = problems(text)
    assert any(why in one.why and one.mark in text for one in told)
    assert all(one.mark in one.words for one in told)


def test_words_alone_never_break_it() -> None:
    """Nothing, marks, endless text: told or not, never an error; one fault for a phrase however often it is said."""
    assert problems("", "差", []) != []
    assert problems("\u202e\x00{{7*7}}<script>", None) == []
    assert len(problems("绝对" * 5000)) == 1
    assert problems("。" * 100_000, "差", ["quality"])


def test_an_answer_is_looked_at_when_it_comes(core: Core) -> None:
    """At intake: a complaint's answer in full, praise only for what may not be said, no answer not at all."""
    crawl(
        core,
        bad("1", reply=EMPTY),
        bad("2", reply=GOOD),
        bad("3"),
        make_item("4", "很好用，喜欢", stars=5, reply="感谢支持，晒图返2元红包"),
    )
    assert kinds(core) == ["banned", "no_empathy", "no_remedy"]
    assert findings(core)[0].answer == EMPTY


def test_each_finding_once_and_settled_by_a_better_answer(core: Core) -> None:
    """Crawled again: nothing new. Corrected: settled. Worse again: open again."""
    for _ in range(2):
        crawl(core, bad(reply=EMPTY))
        answers_scan.scan(core)
    assert kinds(core) == ["no_empathy", "no_remedy"]
    crawl(core, bad(reply=GOOD))
    assert kinds(core) == []
    assert {row.settled_by for row in findings(core, "mended")} == {"评哨"}
    crawl(core, bad(reply=EMPTY))
    assert kinds(core) == ["no_empathy", "no_remedy"]
    crawl(core, bad(reply=""))
    assert kinds(core) == []


def test_what_staff_say_stands(core: Core) -> None:
    """Dismissed words are never raised again at that answer; mended ones only by a new answer that has them still."""
    crawl(core, bad(reply="抱歉，已给您换新，绝对不会再漏。"))
    (one,) = findings(core)
    assert (one.kind, one.mark) == ("banned", "绝对")
    judge(core, one.id or 0, "mended")
    answers_scan.scan(core)
    assert kinds(core) == []
    crawl(core, bad(reply="抱歉，已给您换新，绝对不再漏了。"))
    assert kinds(core) == ["banned"]
    judge(core, one.id or 0, "dismissed")
    crawl(core, bad(reply="抱歉，已给您换新，绝对不会漏水。"))
    answers_scan.scan(core)
    assert kinds(core) == []
    with pytest.raises(Refused):
        judge(core, one.id or 0, "mended")
    judge(core, one.id or 0, "open")
    assert kinds(core) == ["banned"]
    with db.reading(core.engine) as session:
        told = session.exec(select(Event).where(Event.subject == "answer")).all()
    assert [(event.what, event.actor) for event in told] == [
        ("answer.mended", "主管"),
        ("answer.dismissed", "主管"),
        ("answer.open", "主管"),
    ]
    assert told[1].after["words"] == "绝对"


def test_an_answer_is_not_blamed_for_what_came_after_it(core: Core) -> None:
    """A 追评 or edit after the answer, or one of unknown order: the manner is not judged; banned words always are."""
    thanks = "谢谢您的支持，欢迎再来！"
    crawl(core, make_item("1", "很好，喜欢", stars=5, reply=thanks))
    crawl(core, make_item("1", "很好，喜欢", stars=1, reply=thanks, followup="三天就漏水，垃圾，要求退款"))
    crawl(core, bad("2", reply=thanks, followup="又漏了，太差"))
    crawl(core, bad("3"))
    crawl(core, bad("3", followup="没人理，垃圾客服"))
    assert kinds(core) == []
    crawl(core, bad("3", followup="没人理，垃圾客服", reply=thanks))
    assert kinds(core) == ["no_empathy", "no_remedy"]
    crawl(core, bad("4", reply="好评返现五元哦", followup="又漏了，太差"))
    assert "banned" in kinds(core)


def test_history_is_left_alone(core: Core) -> None:
    """What was answered long before we looked is no work for today; an old answer changed today is."""
    long_ago = core.clock.now() - timedelta(days=90)
    crawl(core, bad("1", reply=EMPTY, created_at=long_ago))
    answers_scan.scan(core)
    assert kinds(core) == []
    crawl(core, bad("1", reply="谢谢您的反馈哦", created_at=long_ago))
    assert kinds(core) == ["no_empathy", "no_remedy"]


def test_no_complaint_no_fault(core: Core) -> None:
    """Staff say 误报: what was missing in the answer is missing no more; banned words stay."""
    crawl(core, bad(reply="谢谢亲的反馈，我们绝对会努力改进的"))
    assert kinds(core) == ["banned", "no_empathy", "no_remedy"]
    with db.writing(core.engine) as session:
        session.exec(select(Case)).one().state = "false_alarm"
    answers_scan.scan(core)
    assert kinds(core) == ["banned"]


TROUBLES = {
    "quality": "杯子漏水，很失望",
    "logistics": "快递太慢，等了九天才到，物流一直不动",
    "service": "客服态度恶劣，半天不回复还骂人",
    "damage": "收到就碎了，包装太差，玻璃渣一地",
}


def same_answer(
    core: Core, texts: Sequence[str], reply: str = "抱歉给您带来不便，请联系客服，我们给您处理的。"
) -> None:
    numbers = count(1)
    crawl(
        core,
        *(bad(str(n), f"{text}，第{n}个", reply, author=f"买家{n}号") for n, text in zip(numbers, texts, strict=False)),
    )


def test_one_answer_for_everything_is_told(core: Core) -> None:
    """Near-copies under complaints about different things: told at each, with how many; a change of one settles it."""
    same_answer(core, [*TROUBLES.values(), "掉漆了，质量太差"])
    assert kinds(core) == []
    answers_scan.scan(core)
    assert kinds(core) == ["copied"] * 5
    assert "5 条" in findings(core)[0].why
    crawl(core, bad("1", f"{TROUBLES['quality']}，第1个", GOOD, author="买家1号"))
    answers_scan.scan(core)
    assert kinds(core) == []


def test_one_trouble_has_one_answer(core: Core) -> None:
    """The same answer to many buyers of the same trouble is right; so are few alike, and short ones."""
    same_answer(core, [TROUBLES["logistics"]] * 9)
    answers_scan.scan(core)
    assert kinds(core) == []


def test_few_or_short_copies_are_chance(core: Core) -> None:
    """Four alike, or very short ones, say nothing."""
    same_answer(core, [*TROUBLES.values()])
    answers_scan.scan(core)
    assert kinds(core) == []


def late_case(core: Core, clock: HandClock, *, looked: bool) -> None:
    """Answered after its clock (24 h or less); ``looked``: a crawl after the deadline saw that there was none."""
    crawl(core, bad())
    clock.move(30 * HOUR)
    if looked:
        origin, at = place(core), core.clock.now()
        with db.writing(core.engine) as session:
            run = Run(source_id=origin.source_id, status="ok", started_at=at, lease_until=at, finished_at=at)
            session.add(run)
    clock.move(HOUR)
    crawl(core, bad(reply=GOOD))
    answers_scan.scan(core)


def test_a_late_answer_is_told(core: Core, clock: HandClock) -> None:
    """After the case's first-answer clock, and only once; after some days it is past."""
    late_case(core, clock, looked=True)
    assert kinds(core) == ["late"]
    assert "看到时是" in findings(core)[0].why
    clock.move(timedelta(days=8))
    answers_scan.scan(core)
    assert kinds(core) == []
    assert kinds(core, "lapsed") == ["late"]


def test_an_answer_that_may_have_been_in_time_is_not_late(core: Core, clock: HandClock) -> None:
    """No crawl between the deadline and the one that found the answer: nobody knows."""
    late_case(core, clock, looked=False)
    assert kinds(core) == []


def silent_cases(core: Core, clock: HandClock) -> None:
    """One was answered later, one not; both a day old, and the source read since."""
    crawl(core, bad("1", "杯子漏水", author="买家甲"), bad("2", "快递太慢了，差评", author="买家乙"))
    clock.move(2 * HOUR)
    crawl(core, bad("1", "杯子漏水", GOOD, author="买家甲"))
    clock.move(23 * HOUR)
    place(core)


def test_silence_is_told_after_a_day(core: Core, clock: HandClock) -> None:
    """Where the source shows answers that come later; an answer settles it, at once."""
    silent_cases(core, clock)
    answers_scan.scan(core)
    assert kinds(core) == ["unanswered"]
    assert "24 小时" in findings(core)[0].why
    crawl(core, bad("2", "快递太慢了，差评", GOOD, author="买家乙"))
    assert kinds(core) == []


def test_silence_about_no_complaint_is_settled(core: Core, clock: HandClock) -> None:
    """Staff say 误报: nobody waits for an answer any more."""
    silent_cases(core, clock)
    answers_scan.scan(core)
    with db.writing(core.engine) as session:
        for case in session.exec(select(Case)):
            case.state = "false_alarm"
    answers_scan.scan(core)
    assert kinds(core) == []
    assert kinds(core, "mended") == ["unanswered"]


@pytest.mark.parametrize("what", ["blind", "stale", "suspected", "off"])
def test_silence_that_means_nothing(core: Core, clock: HandClock, what: str) -> None:
    """A source that shows no answers, was not read since, a suspect, or switched off: not told."""
    silent_cases(core, clock)
    with db.writing(core.engine) as session:
        if what == "blind":
            answered = session.exec(select(Feedback).where(Feedback.external_id == "1")).one()
            answered.reply = ""
        elif what == "stale":
            session.exec(select(Source).where(Source.name == "site")).one().last_success_at = clock.now() - 24 * HOUR
        elif what == "suspected":
            for case in session.exec(select(Case)):
                case.state = "suspected"
    if what == "off":
        calm = core.settings.policy.answers.model_copy(update={"unanswered": timedelta()})
        policy = core.settings.policy.model_copy(update={"answers": calm})
        object.__setattr__(core, "settings", core.settings.model_copy(update={"policy": policy}))
    answers_scan.scan(core)
    assert kinds(core) == []


def test_two_who_find_the_same(engine: Engine, core: Core) -> None:
    """What another process wrote meanwhile is kept as it is."""
    crawl(core, bad(reply=EMPTY))
    with db.writing(engine) as session:
        row = session.exec(select(Feedback)).one()
        copy = answers_found._row(row, answers.Problem("no_empathy", "", "x", "y"), core.clock.now())
        answers_found._insert(session, [copy])
    assert kinds(core) == ["no_empathy", "no_remedy"]


def test_a_busy_week_is_looked_at_in_pieces(core: Core) -> None:
    """More answers than one statement takes: all are looked at."""
    crawl(core, *(bad(str(n), f"杯子漏水 {n}", EMPTY, author=f"买{n}家") for n in range(600)))
    answers_scan.scan(core)
    assert kinds(core).count("no_remedy") == 600


def test_what_was_looked_at_is_left_alone(core: Core, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daily look takes up what was judged anew, and everything once the rules are others."""
    crawl(core, bad(reply=EMPTY))
    clock.move(HOUR)
    answers_scan.scan(core)
    with db.writing(core.engine) as session:
        for row in session.exec(select(AnswerFinding)):
            session.delete(row)
    answers_scan.scan(core)
    assert kinds(core) == []
    monkeypatch.setattr(answers_scan, "edition", lambda: "other")
    answers_scan.scan(core)
    assert kinds(core) == ["no_empathy", "no_remedy"]


def test_kinds_have_words() -> None:
    """Everything that can be found has a name."""
    assert all(KINDS.values())
    assert {kind for *_, wanted in SAMPLES for kind in wanted} <= set(KINDS)

"""The quality list: answers to change in the morning check and the evening summary, few, of every kind, masked."""

from datetime import timedelta

from factories import NOW, make_item
from factories_reports import ZONE
from sqlalchemy import Engine
from sqlmodel import select

from crawler.items import FeedbackItem
from monitor import answers_scan, db
from monitor.core import Core
from monitor.incoming import Origin
from monitor.intake import store
from monitor.models import AnswerFinding, Source
from reports.build import build

DAY = NOW.astimezone(ZONE).date()
EMPTY = "亲，感谢您的反馈，我们会努力改进，祝您生活愉快！"


def answered(core: Core, *rows: tuple[str, str]) -> None:
    """One-star reviews of today, each with its answer."""
    with db.writing(core.engine) as session:
        source = Source(name="site", kind="html", shop_id="demo", status="ok", last_success_at=core.clock.now())
        session.add(source)
        session.flush()
        assert source.id is not None
        origin = Origin(source.id, "demo", "tmall", "review", watched=True)
    items: list[FeedbackItem] = [
        make_item(str(n), text, stars=1, reply=reply, author=f"买家{n}号") for n, (text, reply) in enumerate(rows)
    ]
    store(core, origin, items)
    answers_scan.scan(core)


def test_the_list_is_short_and_of_every_kind(core: Core) -> None:
    """Counts in the card, one of each kind first, the sentence and a way to the case; never more than five."""
    bad = [("杯子漏水，很失望", EMPTY)] * 4 + [
        ("快递太慢，等了九天才到", "抱歉亲，绝对是快递的问题，您找快递吧，电话 13812345678")
    ]
    answered(core, *((f"{text}，第{n}次", reply) for n, (text, reply) in enumerate(bad)))
    report = build(core, "evening", DAY)
    (line,) = [line for line in report.lines if "回复要改" in line]
    assert line.startswith("今天 5 条回复要改：不能说的话 3、没有体谅 4、没说怎么办")
    part = report.text.split("【要改的回复 5 条】")[1].split("\n\n")[0]
    assert part.index("不能说的话") < part.index("没有体谅")
    assert 1 <= part.count("- ") <= 5
    assert "13812345678" not in report.html
    assert "http://desk.test/case/" in part
    assert "要改的回复（5 条）" in report.html


def test_copies_are_told_as_one(core: Core) -> None:
    """One answer under many complaints is one entry that says how many."""
    same = "抱歉给您带来不便，请联系客服，我们给您处理的。"
    texts = (
        "杯子漏水，很失望",
        "快递太慢，等了九天才到",
        "客服态度恶劣，半天不回复",
        "收到就碎了，包装太差",
        "掉漆了，质量太差",
    )
    answered(core, *((text, same) for text in texts))
    report = build(core, "evening", DAY)
    assert report.text.count(same) == 1
    assert "同样的 5 条" in report.text
    assert "一段话到处用 5" in "".join(report.lines)


def test_what_is_older_is_only_counted(core: Core) -> None:
    """Found before the span: not listed again, but not forgotten."""
    answered(core, ("杯子漏水，很失望", EMPTY), ("杯子掉漆，很失望", "这个我们不知道，您自己看说明"))
    with db.writing(core.engine) as session:
        first = session.exec(select(AnswerFinding).where(AnswerFinding.kind == "banned")).all()
        for row in first:
            row.found_at = NOW - timedelta(days=3)
            session.add(row)
    report = build(core, "evening", DAY)
    assert "处是更早发现的" in report.html
    assert "不能说的话" not in "".join(report.lines)


def test_nothing_to_change_is_said_too(core: Core) -> None:
    """With answers looked at, the card says that they are well; without any, nothing."""
    assert not any("回复" in line and "要改" in line for line in build(core, "evening", DAY).lines)
    answered(core, ("杯子漏水，很失望", "非常抱歉，今天就给您换一只新的，运费我们出。"))
    report = build(core, "evening", DAY)
    assert any("1 条已公开回复，没有要改的" in line for line in report.lines)
    assert "要改的回复" not in report.html


def test_silence_is_counted_beside_it(engine: Engine, core: Core) -> None:
    """Reviews that nobody answered are a number, not a list."""
    answered(core, ("杯子漏水，很失望", EMPTY), ("杯子掉漆，很失望", ""))
    with db.writing(engine) as session:
        silent = AnswerFinding(
            feedback_id=2, shop_id="demo", kind="unanswered", why="过了 24 小时还没有公开回复", found_at=NOW
        )
        session.add(silent)
    line = next(line for line in build(core, "evening", DAY).lines if "回复要改" in line)
    assert line.endswith("另有 1 条差评过了时限还没有公开回复。")
    with db.writing(engine) as session:
        for row in session.exec(select(AnswerFinding).where(AnswerFinding.kind != "unanswered")):
            session.delete(row)
    assert "1 条差评过了时限还没有公开回复。" in build(core, "evening", DAY).lines

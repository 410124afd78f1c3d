"""Retention, erasing and salts: words and names go, everything that is counted stays."""

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_item, make_settings
from sqlalchemy import table, text, update
from sqlmodel import col, func, select

import scheduler
from monitor import clearing, db, directory, erasing, intake, rescoring, retention, salts, search
from monitor.clock import HandClock
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.incoming import Origin
from monitor.models import (
    AnswerFinding,
    Case,
    DayCount,
    Event,
    Feedback,
    FeedbackVersion,
    Known,
    Outbox,
    ReportCopy,
    Score,
    Source,
)
from reports import daycounts
from reports.period import span

ROOT = Path(scheduler.__file__).parent
DAY = timedelta(days=1)
LONG = 1095 * DAY


def take_in(core: Core, *items: Any, kind: str = "review") -> None:
    with db.writing(core.engine) as session:
        source = session.exec(select(Source).where(Source.name == kind)).first() or Source(name=kind, kind="file")
        session.add(source)
        session.flush()
        assert source.id is not None
        origin = Origin(source.id, "demo", "tmall", kind, watched=True)
    intake.store(core, origin, list(items))


def review(n: int, said: str = "杯子漏水，很失望", **values: Any) -> Any:
    facts = {"author": f"王小明{n}", "order_ref": f"A{n}", "url": f"https://x.example/{n}", "stars": 1.0}
    return make_item(str(n), f"{said} {n}", **(facts | values))


def rows(core: Core) -> list[Feedback]:
    with db.reading(core.engine) as session:
        return list(session.exec(select(Feedback).order_by(col(Feedback.id))))


def counted(core: Core) -> Any:
    """What figures rest on: counts by day, verdicts, and how many writers there are."""
    zone = core.settings.zone
    daycounts.refresh(core, span(NOW.astimezone(zone).date(), 1, zone))
    with db.reading(core.engine) as session:
        names = ("day", "kind", "field", "shop_id", "value", *daycounts.COUNTS)
        days = sorted(tuple(str(getattr(row, name)) for name in names) for row in session.exec(select(DayCount)))
        verdicts = session.exec(
            select(Score.feedback_id, Score.negative, Score.severity).order_by(col(Score.feedback_id))
        )
        writers = session.exec(select(func.count(func.distinct(Feedback.author_hash)))).one()
        answered = session.exec(select(func.count()).where(Feedback.reply != "")).one()
        return days, list(verdicts), writers, answered, session.exec(select(func.count()).select_from(Case)).one()


def events(core: Core, what: str) -> list[dict[str, Any]]:
    with db.reading(core.engine) as session:
        return [event.after for event in session.exec(select(Event).where(Event.what == what).order_by(col(Event.id)))]


def everything(core: Core) -> str:
    """All that the store says, in one string."""
    with core.engine.connect() as connection:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'feedback_search%'"
        if core.engine.dialect.name == "postgresql":
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        tables = connection.execute(text(query)).scalars().all()
        found = (connection.execute(select(text("*")).select_from(table(name))) for name in tables)
        return "\n".join(str(row) for result in found for row in result)


def later(core: Core, by: timedelta) -> None:
    assert isinstance(core.clock, HandClock)
    core.clock.move(by)


def test_words_age_out_and_counts_stay(core: Core) -> None:
    """After its time a feedback has no words, name or order left, cannot be found, and counts as before."""
    take_in(core, *(review(n) for n in range(3)), review(3, extra={"sku": "红", "tier": "vip"}, reply="亲，抱歉"))
    take_in(core, review(0, "改了：客服没人理"))
    take_in(core, make_item("star", "", stars=1.0))
    take_in(core, make_item("m", "示例的杯子漏水，别买"), kind="mention")
    before = counted(core)
    assert retention.run(core)["reviews"] == 0
    later(core, LONG + DAY)
    take_in(core, review(9))
    with_new = counted(core)
    assert with_new[1][: len(before[1])] == before[1]
    done = retention.run(core)
    assert (done["reviews"], done["mentions"]) == (5, 1)
    assert counted(core) == with_new
    *old, new = rows(core)
    assert {(row.text, row.title, row.author, row.order_ref, row.url) for row in old} == {("", "", "", "", "")}
    assert [row.cleared for row in old] == ["aged"] * 4 + ["", "aged"]  # the one with stars alone had no words
    assert new.text
    assert new.cleared == ""
    assert old[3].extra == {"sku": "红", "tier": "vip"}
    with db.reading(core.engine) as session:
        assert session.exec(select(FeedbackVersion)).all() == []
        assert {tuple(score.evidence) for score in session.exec(select(Score).where(Score.feedback_id < 7))} == {()}
        found = search.find(session, "漏水")
        assert found.ids == [new.id]
        assert session.exec(select(Case.join_key).where(Case.id == old[0].case_id)).one() == ""
    assert events(core, "aged")[-1] == {"reviews": 5, "mentions": 1, "scores": 6}
    assert retention.run(core)["reviews"] == 0


def test_what_changes_after_it_aged_speaks_again_and_ages_again(core: Core) -> None:
    """A review that is edited late is read and scored; its words go when they are old themselves."""
    take_in(core, review(1), review(2))
    later(core, LONG + DAY)
    take_in(core, review(2, "刚改的"))  # not old yet when its turn comes
    retention.run(core)
    take_in(core, review(1))  # unchanged at the platform: it stays cleared
    assert [bool(row.text) for row in rows(core)] == [False, True]
    take_in(core, review(1, "追着改：客服没人理"))
    assert [row.cleared for row in rows(core)] == ["", ""]
    assert "客服没人理" in rows(core)[0].text
    retention.run(core)
    assert all(row.text for row in rows(core))
    later(core, LONG + DAY)
    assert retention.run(core)["reviews"] == 2
    assert {row.text for row in rows(core)} == {""}


def test_what_changed_late_is_looked_at_once_a_day(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, each in one batch; those that are not old yet come again the next day."""
    monkeypatch.setattr(retention, "_BATCH", 2)
    many = 7
    take_in(core, *(review(n) for n in range(many)))
    take_in(core, make_item("m", "示例的杯子漏水，别买"), kind="mention")
    later(core, LONG - DAY)
    take_in(core, *(review(n, "刚改的") for n in range(many)))
    later(core, 2 * DAY)
    steps: list[Any] = []
    edited, span_of = retention._KINDS["reviews:edited"]

    def told(session: Any, mark: int, *rest: Any) -> Any:
        step = edited(session, mark, *rest)
        steps.append((mark, step.more))
        return step

    monkeypatch.setitem(retention._KINDS, "reviews:edited", (told, span_of))
    for expected in (0, 0, many):  # the third time they are old themselves
        steps.clear()
        assert retention.run(core)["reviews"] == expected
        assert [mark for mark, more in steps if more] == [0, 2, 4, 6]
        later(core, LONG / 2)
    assert {row.text for row in rows(core)} == {""}


def test_rescoring_leaves_cleared_feedback_alone(core: Core) -> None:
    """Without its words nothing can be judged: the old verdict stands."""
    take_in(core, review(1))
    later(core, LONG + DAY)
    retention.run(core)
    with db.writing(core.engine) as session:
        session.execute(update(Score).values(model="older"))
    done = rescoring.rescore(core)
    assert (done.scored, done.left) == (0, 0)
    with db.reading(core.engine) as session:
        assert session.exec(select(Score.negative)).one()


def test_messages_events_reports_and_files_age(core: Core, settings: Any) -> None:
    """What messages said goes and that they were sent stays; the audit, quotes, rejects and report files go."""
    var = settings.service.var_dir
    for folder in ("rejects", "reports"):
        (var / folder).mkdir()
        for name, age in (("old", LONG + DAY), ("new", timedelta(0))):
            (var / folder / f"{name}.csv").write_text("x")
            at = (NOW + 2000 * DAY - age).timestamp()
            os.utime(var / folder / f"{name}.csv", (at, at))
    states = ("sent", "dead", "pending", "folded")
    with db.writing(core.engine) as session:
        for n, state in enumerate(states):
            row: dict[str, Any] = {
                "dedupe_key": f"k{n}",
                "channel": "ops",
                "target": "C1",
                "kind": "case.opened",
                "subject": "case",
            }
            row |= {"created_at": NOW, "not_before": NOW}
            session.add(Outbox(**row, subject_id=1, payload={"words": "杯子"}, state=state, last_error="x"))
        for n in range(3):
            session.add(
                Event(at=NOW - n * 40 * DAY, actor="a", door="system", subject="case", subject_id=1, what="old")
            )
        quotes = {"worst": [{"feedback_id": 1, "text": "杯子漏水"}], "words": {"text": "x"}}
        session.add(ReportCopy(key="weekly:1", kind="weekly", title="t", at=NOW, figures=json.dumps(quotes)))
    later(core, 2000 * DAY)
    done = retention.run(core)
    assert {name: done[name] for name in ("messages", "reports", "rejects", "files")} == {
        "messages": 3, "reports": 1, "rejects": 1, "files": 1,
    }  # fmt: skip
    with db.reading(core.engine) as session:
        sent = session.exec(select(Outbox.state, Outbox.payload).order_by(col(Outbox.id))).all()
        assert sent == [("sent", {}), ("folded", {}), ("pending", {"words": "杯子"}), ("folded", {})]
        assert session.exec(select(Event).where(Event.what == "old")).all() == []
        figures = json.loads(session.exec(select(ReportCopy.figures)).one())
        assert figures == {"worst": [{"feedback_id": 1, "text": clearing.GONE}], "words": {"text": "x"}}
    assert [file.name for file in sorted(var.glob("re*/*.csv"))] == ["new.csv", "new.csv"]


def test_the_service_works_once_a_day_in_short_rounds(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round ends in time, the next goes on, and a day that is done is not looked at again."""
    monkeypatch.setattr(retention, "_BATCH", 2)
    monkeypatch.setattr(retention, "_ROUND", 0.0)
    take_in(core, *(review(n) for n in range(5)))
    later(core, LONG + DAY)
    assert retention.keep(core) == 0  # no time at all
    monkeypatch.setattr(retention, "_ROUND", 60.0)
    assert retention.keep(core) == 10  # their words, and their evidence
    assert {row.text for row in rows(core)} == {""}
    take_in(core, review(7))
    assert retention.keep(core) == 0
    later(core, LONG + DAY)
    retention.keep(core)
    assert {row.text for row in rows(core)} == {""}
    assert [told["reviews"] for told in events(core, "aged")][-1] == 1  # of that day alone


def test_two_services_clear_each_row_once(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they clear what one would have cleared, and one event says so."""
    monkeypatch.setattr(retention, "_BATCH", 3)
    take_in(core, *(review(n) for n in range(20)))
    before = counted(core)
    later(core, LONG + DAY)
    threads = [threading.Thread(target=retention.keep, args=[core]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert events(core, "aged") == [{"reviews": 20, "scores": 20}]
    assert counted(core) == before


def test_killed_in_the_middle_it_goes_on(core: Core) -> None:
    """After kill -9 a feedback has all its words or none; the next round does what is left, and counts stay."""
    take_in(core, *(review(n) for n in range(20)))
    before = counted(core)
    later(core, LONG + DAY)
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
        "from factories import make_core\nfrom datetime import datetime\nfrom monitor import clearing, db, retention\n"
        "from monitor.clock import HandClock\nretention._BATCH = 5\ncalls = []\ndo = clearing.clear\n"
        "def clear(*args):\n    do(*args)\n    calls.append(1)\n    if len(calls) == 3:\n"
        "        print('here', flush=True); import time; time.sleep(60)\nretention.clear = clear\n"
        f"retention.run(make_core(db.connect({core.engine.url.render_as_string(hide_password=False)!r}),"
        f" clock=HandClock(datetime.fromisoformat({core.clock.now().isoformat()!r}))))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    child.kill()
    child.wait()
    child.stdout.close()
    assert sum(row.text == "" for row in rows(core)) == 10
    assert all(bool(row.text) == bool(row.order_ref) for row in rows(core))
    retention.keep(core)
    assert {row.text for row in rows(core)} == {""}
    assert events(core, "aged") == [{"reviews": 20, "scores": 20}]
    assert counted(core) == before


@pytest.fixture
def known(core: Core) -> Core:
    """Two buyers, one of whom wrote twice, was answered, quoted, and reviewed under a masked name with an order."""
    take_in(core, review(1, author="张小凡", reply="张女士您好"), review(2, author="别人"))
    take_in(core, review(3, author="张小凡", product="壶"), review(4, author="张**凡", order_ref="ORDER-4"))
    take_in(core, review(1, "改了：客服没人理", author="张小凡", reply="张女士您好"))
    with db.writing(core.engine) as session:
        quote = {"quotes": [{"feedback_id": 1, "text": "杯子漏水"}, {"feedback_id": 2, "text": "别人的话"}]}
        session.add(ReportCopy(key="weekly:2026-11-16", kind="weekly", title="t", at=NOW, figures=json.dumps(quote)))
        finding: dict[str, Any] = {
            "feedback_id": 1,
            "kind": "banned",
            "why": "w",
            "words": "张女士",
            "answer": "张女士您好",
        }
        session.add(AnswerFinding(**finding, found_at=NOW))
    return core


def test_erasing_takes_one_buyers_words_and_keeps_the_counts(known: Core) -> None:
    """Nothing of what one buyer wrote is left anywhere in the store; others, and every count, are as before."""
    folder = known.settings.service.var_dir / "reports"
    folder.mkdir(parents=True)
    (folder / "weekly-2026-11-16.html").write_text("杯子漏水")
    (folder / "weekly-2026-11-09.html").write_text("别的")
    before = counted(known)
    done = erasing.erase(known, "张小凡", "", "客服")
    assert (done.feedback, done.reports) == (2, 1)
    assert len(done.cases) >= 1
    assert counted(known) == before
    one, other, two, masked = rows(known)
    assert (one.cleared, two.cleared, other.cleared, masked.cleared) == ("erased", "erased", "", "")
    assert one.author_hash == two.author_hash != ""
    said = everything(known)
    for word in ("漏水，很失望 1", "客服没人理 1", "张女士", "A1", "x.example/1", "漏水，很失望 3", '杯子漏水\\"'):
        assert word not in said, word
    assert "别人的话" in said
    assert [file.name for file in folder.iterdir()] == ["weekly-2026-11-09.html"]
    assert events(known, "erased") == [{"feedback": 2, "reports": 1}]
    with db.reading(known.engine) as session:
        assert search.find(session, "漏水").ids == [other.id, masked.id] or set(
            search.find(session, "漏水").ids or ()
        ) == {other.id, masked.id}


def test_erasing_twice_finds_nothing(known: Core) -> None:
    """Who was erased cannot be found again, under the same name or by any hash of it."""
    erasing.erase(known, "张小凡", "", "客服")
    again = erasing.erase(known, "张小凡", "", "客服")
    assert (again.feedback, again.cases, again.reports) == (0, (), 0)
    assert len(events(known, "erased")) == 1
    assert list(erasing.hand_out(known, "张小凡", "", "客服")) == []


def test_the_erased_do_not_come_back_with_the_next_crawl(known: Core) -> None:
    """What the platform still shows, changed or not, is not taken in again; what the buyer writes anew is new."""
    erasing.erase(known, "张小凡", "", "客服")
    take_in(known, review(1, "又改了", author="张小凡", reply="回复"), review(3, author="张小凡"))
    assert [row.text for row in rows(known) if row.cleared] == ["", ""]
    take_in(known, review(8, author="张小凡"))
    assert len(rows(known)) == 5


def test_a_masked_name_is_found_by_its_order(known: Core) -> None:
    """Without a hash only the order leads to a buyer; nothing named finds nothing."""
    assert erasing.erase(known, "", "ORDER-4", "客服").feedback == 1
    assert erasing.erase(known, " ", "", "客服").feedback == 0
    assert rows(known)[3].cleared == "erased"


def test_a_buyer_gets_everything_that_is_kept(known: Core) -> None:
    """Every feedback with its earlier versions and verdict, and an event that names nobody."""
    told = list(erasing.hand_out(known, " 张小凡", "", "客服"))
    assert [row["external_id"] for row in told] == ["1", "3"]
    assert told[0]["earlier"][0]["text"] == "杯子漏水，很失望 1"
    assert told[0]["negative"] is True
    assert told[0]["first_seen_at"] == "2026-11-20T14:00:00+08:00"
    json.dumps(told)
    assert events(known, "exported") == [{"feedback": 2}]


def test_a_new_salt_changes_every_hash_and_joins_as_before(known: Core) -> None:
    """Old hashes are gone, the same buyer is still one, also with what he writes next, and he can be erased."""
    before = {row.author_hash for row in rows(known)} - {""}
    assert salts.rotate(known, "客服") == 3
    assert salts.rotate(known, "客服") == 3
    after = [row.author_hash for row in rows(known)]
    assert not before & set(after)
    assert after[0] == after[2] != after[1]
    assert (known.settings.service.var_dir / "salts").stat().st_mode & 0o777 == 0o600
    assert not any(hash_ in everything(known) for hash_ in before)
    take_in(known, review(5, author="张小凡"))
    assert rows(known)[4].author_hash == after[0]
    assert erasing.erase(known, "张小凡", "", "客服").feedback == 3
    assert events(known, "salted") == [{"hashes": 3}] * 2


def test_cases_join_by_author_after_a_new_salt(core: Core) -> None:
    """Two complaints of one buyer about one product are one case, before and after."""
    take_in(core, review(1, author="张小凡", product="杯|壶", order_ref=""))
    salts.rotate(core, "客服")
    take_in(core, review(2, author="张小凡", product="杯|壶", order_ref=""))
    assert len({row.case_id for row in rows(core)}) == 1


def test_without_its_salts_nothing_is_stored(known: Core) -> None:
    """Hashes that could never be joined again are refused loudly, not stored."""
    salts.rotate(known, "客服")
    (known.settings.service.var_dir / "salts").unlink()
    with pytest.raises(WrongCall, match="少了盐"):
        take_in(known, review(9))
    assert len(rows(known)) == 4


def test_killed_before_the_hashes_changed_the_salt_does_not_count(known: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A salt is on the disk before a hash needs it, and one that no hash needs does no harm."""
    before = [row.author_hash for row in rows(known)]

    def fail(*_: Any) -> int:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(salts, "_hashes", fail)
        with pytest.raises(RuntimeError):
            salts.rotate(known, "客服")
    assert [row.author_hash for row in rows(known)] == before
    take_in(known, review(5, author="张小凡"))
    assert rows(known)[4].author_hash == before[0]
    salts.rotate(known, "客服")
    assert len((known.settings.service.var_dir / "salts").read_text().split()) == 1


def test_feedback_stored_while_the_salt_changes_has_the_new_one(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch waits for the new salt, or the salt for the batch: no hash is left behind."""
    with db.writing(core.engine) as session:
        session.merge(Known(name="salts", value={"count": 1}, at=NOW))  # as migrated stores have it
    take_in(core, review(0, author="张小凡"))
    done = threading.Event()

    def store() -> None:
        for n in range(1, 100):
            take_in(core, review(n, author="张小凡"))
            if done.is_set():
                return

    thread = threading.Thread(target=store)
    thread.start()
    for _ in range(3):
        salts.rotate(core, "客服")
    done.set()
    thread.join()
    assert len({row.author_hash for row in rows(core)}) == 1


def run(*arguments: str | Path) -> int:
    return scheduler.run([str(one) for one in arguments])


def test_commands_of_care(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From import to a buyer handed out, erased, salted and aged, each in plain words."""
    config = tmp_path / "pingshao.toml"
    config.write_text('[[shops]]\nid = "demo"\nname = "示例旗舰店"\nplatform = "tmall"\n[retention]\nreviews = "0s"\n')
    (tmp_path / "r.csv").write_text(
        "评价内容,评分,评价时间,订单号,用户昵称\n"
        "杯子漏水,1,2026-11-01 10:00,A1,张小凡\n好,5,2026-11-02 10:00,A2,李四海\n"
    )
    base = ("--config", config)
    assert run(*base, "import", tmp_path / "r.csv", "--shop", "demo") == 0
    capsys.readouterr()
    assert run(*base, "author", "export", "张小凡") == 0
    assert json.loads(capsys.readouterr().out)["text"] == "杯子漏水"
    assert run(*base, "author", "salt") == 2
    assert run(*base, "author", "salt", "--yes") == 0
    assert "2 个买家代号" in capsys.readouterr().out
    assert run(*base, "author", "erase", "张小凡") == 2
    assert "1 条" in capsys.readouterr().err
    assert run(*base, "author", "erase", "张小凡", "--yes") == 0
    assert "删去 1 条" in capsys.readouterr().out
    assert run(*base, "author", "erase", "张小凡", "--yes") == 0
    assert run(*base, "author", "export", "张小凡") == 0
    assert "没有找到" in capsys.readouterr().err
    assert run(*base, "author", "erase") == 2
    assert run(*base, "retain") == 0
    assert "评价原文 1" in capsys.readouterr().out
    assert run(*base, "retain", "--json") == 0
    assert json.loads(capsys.readouterr().out)["reviews"] == 0
    assert run(*base, "retain") == 0
    assert "没有过期" in capsys.readouterr().out
    assert run(*base, "export", "feedback") == 0
    assert [json.loads(line)["stars"] for line in capsys.readouterr().out.splitlines()] == [1.0, 5.0]


def test_a_core_for_care_needs_no_folder(sqlite: Any) -> None:
    """Where nothing was rejected or sent there is no folder, and nothing to do in it."""
    core = make_core(sqlite, make_settings("/nonexistent"))
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    assert set(retention.run(core).values()) == {0}

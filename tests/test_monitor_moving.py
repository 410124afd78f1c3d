"""``pingshao db move``: every row on the other database, or none; nobody at work on either; and the house works on."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asides import fresh_postgresql
from factories import NOW, make_core
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, col, func, select
from test_monitor_backup import fill, take_in
from test_monitor_backup import sums as all_sums

import scheduler
from monitor import db, directory, moving, rows, search
from monitor.errors import WrongCall
from monitor.limits import Limits
from monitor.models import Event, Feedback, Outbox
from monitor.moving import move

ROOT = Path(scheduler.__file__).parent
CONFIG = '[service]\ndatabase_url = "{url}"\n[[shops]]\nid = "demo"\nname = "示例旗舰店"\nplatform = "tmall"\n'


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def blank(postgres: str) -> Iterator[Engine]:
    """An empty PostgreSQL database."""
    with fresh_postgresql(postgres, Limits(moving.NAME)) as engine:
        yield engine


@pytest.fixture
def old(sqlite: Engine) -> Engine:
    """A filled SQLite store."""
    house = make_core(sqlite)
    with db.writing(sqlite) as session:
        directory.sync(session, house.settings)
    fill(house)
    return sqlite


def sums(engine: Engine) -> dict[str, rows.Sum]:
    """Of every table, whole; on PostgreSQL the audit has parts."""
    return {name: one for name, one in all_sums(engine).items() if name in SQLModel.metadata.tables}


def moved(source: Engine, target: Engine, **more: Any) -> dict[str, int]:
    return move(source, target, NOW, "某人", **more)


def test_a_store_goes_to_postgresql_and_back_with_every_row(old: Engine, blank: Engine, tmp_path: Path) -> None:
    """Everything is the same, also JSON, faces and what points at rows behind it; messages stay as they are."""
    before, states = sums(old), waiting(old)
    told: list[tuple[int, int]] = []
    counts = moved(old, blank, progress=lambda done, of: told.append((done, of)))
    assert told[-1] == (2 * sum(counts.values()),) * 2
    assert sums(blank) == before == sums(old)
    assert counts["feedback"] == sum(1 for _ in range(before["feedback"].count)) == 9
    assert waiting(blank) == states
    back = db.connect(f"sqlite:///{tmp_path / 'back' / 'pingshao.db'}")
    moved(blank, back)
    assert (sums(back), waiting(back)) == (before, states)
    with db.reading(back) as session:
        noted = session.exec(select(Event).where(Event.what == "moved").order_by(col(Event.id))).all()
        assert [(one.actor, one.after) for one in noted] == [
            ("某人", {"from": "sqlite", "feedback": 9}),
            ("某人", {"from": "postgresql", "feedback": 9}),
        ]
    back.dispose()


def waiting(engine: Engine) -> list[tuple[str, str]]:
    with db.reading(engine) as session:
        return [(row.dedupe_key, row.state) for row in session.exec(select(Outbox).order_by(col(Outbox.id)))]


def test_the_house_works_on_at_the_new_place(old: Engine, blank: Engine) -> None:
    """New rows come after the old ones, the search finds both, references and the audit are guarded as before."""
    moved(old, blank)
    house = make_core(blank)
    while search.fill(blank, house.clock):
        pass
    take_in(house, 7)  # two more
    with db.reading(blank) as session:
        ids = session.exec(select(Feedback.id).order_by(col(Feedback.id))).all()
        assert len(ids) == len(set(ids)) == 11
        assert len(search.find(session, "漏水").ids or ()) == 8
    for statement, says in {
        "DELETE FROM event": "append-only",
        "UPDATE feedback SET source_id = 99": "violates foreign key",
    }.items():
        with pytest.raises(IntegrityError, match=says), blank.begin() as connection:
            connection.execute(text(statement))


def test_what_is_there_is_never_replaced(old: Engine, blank: Engine) -> None:
    """A second time is refused, in words that say what to do."""
    moved(old, blank)
    with pytest.raises(WrongCall, match="新库里已经有东西"):
        moved(old, blank)


def test_a_store_that_somebody_uses_is_not_moved(old: Engine, blank: Engine, postgres: str) -> None:
    """Neither from under a service nor into one: it is said who is there."""
    with closing(sqlite3.connect(str(old.url.database))) as service:
        service.execute("SELECT 1 FROM feedback").fetchone()
        with pytest.raises(WrongCall, match="现在的库还有别的程序在用"):
            moved(old, blank)
    db.migrate(blank)
    serve = db.connect(address(blank), limits=Limits("pingshao serve"))
    with serve.connect(), pytest.raises(WrongCall, match="新库还有 pingshao serve（1 个连接） 在用"):
        moved(old, blank)
    with serve.connect(), pytest.raises(WrongCall, match="现在的库还有 pingshao serve"):
        moved(blank, db.connect("sqlite:///" + str(old.url.database) + ".new"))
    serve.dispose()
    moved(old, blank)


def test_nobody_gets_at_a_store_that_is_being_moved(old: Engine, blank: Engine) -> None:
    """Whoever starts meanwhile is told that it is locked; nothing comes in that would be left behind."""
    seen: list[str] = []

    def intrude(*_: int) -> None:
        with closing(sqlite3.connect(str(old.url.database), timeout=0)) as other:
            try:
                other.execute("SELECT count(*) FROM feedback")
            except sqlite3.OperationalError as error:
                seen.append(str(error))

    moved(old, blank, progress=intrude)
    assert set(seen) == {"database is locked"}


def test_what_arrives_changed_is_not_taken(old: Engine, blank: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One letter is enough; the new place is as empty as before, and the next try has it all."""
    read = rows.read_postgresql

    def wrong(connection: Any, table: str, names: Any) -> Iterator[Any]:
        for number, row in enumerate(read(connection, table, names)):
            yield [*row[:-1], "x"] if table == "feedback" and number == 3 else row

    monkeypatch.setattr(rows, "read_postgresql", wrong)
    with pytest.raises(WrongCall, match="写进去的表 feedback 读出来和原来不一样"):
        moved(old, blank)
    monkeypatch.undo()
    with db.reading(blank) as session:
        assert session.exec(select(func.count()).select_from(Feedback)).one() == 0
    assert moved(old, blank)["feedback"] == 9


def test_what_does_not_fit_is_refused(old: Engine, blank: Engine, tmp_path: Path) -> None:
    """With one sentence that says what is wrong and what to do."""
    none, older, bare = (db.connect(f"sqlite:///{tmp_path / name}.db") for name in ("none", "older", "bare"))
    gone = db.connect("postgresql+psycopg://nobody@127.0.0.1:1/none")
    db.migrate(older, "0010")
    bare.connect().close()
    for source, target, says in (
        (none, blank, "还没有库，没什么可搬的"),
        (old, old, "两边是同一种数据库"),
        (older, blank, "表结构是 0010，这个版本的评哨要"),
        (bare, blank, "现在的库是空的"),
        (old, gone, "打不开数据库"),
    ):
        with pytest.raises(WrongCall, match=says):
            moved(source, target)
    db.migrate(blank)
    with blank.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WrongCall, match="新库来自更新的评哨（表结构 9999）"):
        moved(old, blank)
    for engine in (none, older, bare, gone):
        engine.dispose()


def test_two_moves_into_one_place_do_not_meet(old: Engine, blank: Engine) -> None:
    """The second is told of the first; nothing is doubled."""
    db.migrate(blank)
    with blank.begin() as first:
        first.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": moving._LOCK})
        with pytest.raises(WrongCall, match="已经有一个 pingshao db move"):
            moved(old, blank)


def test_what_arrives_changed_on_sqlite_is_not_taken_either(
    old: Engine, blank: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is compared before anybody sees it; no file is left behind."""
    moved(old, blank)
    file = tmp_path / "back.db"
    back = db.connect(f"sqlite:///{file}")
    read = rows.read_sqlite
    monkeypatch.setattr(rows, "read_sqlite", lambda store, table, names: list(read(store, table, names))[1:])
    with pytest.raises(WrongCall, match="读出来和原来不一样"):
        moved(blank, back)
    assert not [one for one in tmp_path.iterdir() if ".move-" in one.name]
    assert db.revision(back) is None
    back.dispose()


def test_a_disk_that_is_full_leaves_both_as_they_were(
    old: Engine, blank: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the work is one sentence, and the next try begins anew."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows, "write_postgresql", full)
    with pytest.raises(WrongCall, match=r"没有搬，两边都是原样：.*No space left"):
        moved(old, blank)
    monkeypatch.undo()
    assert moved(old, blank)["feedback"] == 9


KILLED = """
import os, signal, sys
from monitor import db, moving
from monitor.limits import Limits
from datetime import datetime, UTC
def passed(done, of):
    if done > of * float(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
source, target = (db.connect(url, limits=Limits(moving.NAME)) for url in sys.argv[1:3])
moving.move(source, target, datetime.now(UTC), "某人", passed)
"""


@pytest.mark.parametrize("way", ["there", "back"])
def test_killed_in_the_middle_nothing_is_there_and_the_next_try_has_it_all(
    old: Engine, blank: Engine, tmp_path: Path, way: str
) -> None:
    """While rows go over or are read again: the target stays empty, the source whole, nothing lies about."""
    file = tmp_path / "back.db"
    back = db.connect(f"sqlite:///{file}")
    source, target = old, blank
    if way == "back":
        moved(old, blank)
        source, target = blank, back
    before = sums(source)
    for engine in (source, target):
        engine.dispose()
    command = [sys.executable, "-c", KILLED, address(source), address(target), "0.6"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    until = time.monotonic() + 10
    while time.monotonic() < until:  # PostgreSQL notices a moment later that its client is gone
        try:
            moved(source, target)
            break
        except WrongCall:
            time.sleep(0.1)
    assert (sums(target), sums(source)) == (before, before)
    assert [one.name for one in tmp_path.iterdir() if ".move-" in one.name] == []
    back.dispose()


def test_the_command_says_what_went_over_and_what_comes_next(
    old: Engine, blank: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger of tables, the next step, and no password, whichever way the address was given."""
    secret = "do-not-tell"
    url = blank.url.set(password=secret).render_as_string(hide_password=False)
    (tmp_path / "pingshao.toml").write_text(CONFIG.format(url=address(old)), encoding="utf-8")
    old.dispose()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEW_STORE", url)
    assert scheduler.run(["db", "move", "--to-env", "NEW_STORE"]) == 0
    told = "".join(capsys.readouterr())
    assert "feedback                         9" in told
    assert "表逐表核对过，新旧一样" in told
    assert "把 pingshao.toml 的 database_url 换成新库（postgresql+psycopg://postgres:***@" in told
    assert scheduler.run(["db", "move", "--to", url]) == 2
    told += "".join(capsys.readouterr())
    (tmp_path / "pingshao.toml").write_text(CONFIG.format(url=address(blank)), encoding="utf-8")
    assert scheduler.run(["db", "move", "--to", "sqlite:///back.db", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["tables"]["feedback"] == 9
    assert secret not in told + out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--to 和 --to-env 写一个"),
        (["--to", "sqlite:///a.db", "--to-env", "X"], "--to 和 --to-env 写一个"),
        (["--to-env", "NOT_THERE"], "没有环境变量 NOT_THERE"),
        (["--to", "某处"], "--to: 应为 postgresql+psycopg://用户@主机/库"),
        (["--to", "mysql://u:geheim@h/x"], "--to: 应为 postgresql+psycopg://用户@主机/库"),
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    """One line, without what was typed: it may hold a password."""
    (tmp_path / "pingshao.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert scheduler.run(["db", "move", *words]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert "geheim" not in told
    assert told.count("\n") == 1

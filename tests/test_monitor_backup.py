"""Backups: one moment of a store at work, whole or not at all, and back again on either database."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from factories import NOW, make_core, make_item, make_settings
from sqlalchemy import Engine, inspect, table, text
from sqlmodel import col, func, select
from subjects import open_case, open_crisis

import scheduler
from monitor import db, directory, intake, restoring, rows, search
from monitor.backup import Written, apart, back_up, lay_out, seal
from monitor.core import Core
from monitor.errors import WrongCall
from monitor.incoming import Origin
from monitor.models import Account, Crisis, Event, Feedback, Known, Outbox, Person, Source, Timer
from monitor.restoring import Damaged, holds, restore

ROOT = Path(scheduler.__file__).parent
CONFIG = '[service]\ndatabase_url = "{url}"\n[[shops]]\nid = "demo"\nname = "示例旗舰店"\nplatform = "tmall"\n'


def fill(core: Core) -> None:
    """Reviews with versions, a case, a merged crisis, clocks, a message that waits, an account."""
    take_in(core, 5)
    take_in(core, 5, "改了：杯子漏水，退款")
    open_case(core, ["客服没人理"])
    first, second = open_crisis(core, ["物流太慢了", "😀 emoji"]), open_crisis(core, ["又漏水了"])
    with db.writing(core.engine) as session:
        older = session.get(Crisis, first)
        assert older is not None
        older.merged_into, older.state = second, "merged"  # points at a row behind it
        row: dict[str, Any] = {
            "dedupe_key": "k",
            "channel": "ops",
            "target": "C1",
            "kind": "case.opened",
            "subject": "case",
        }
        session.add(Outbox(**row, subject_id=1, created_at=NOW, not_before=NOW, payload={"ping": ["客服一号"]}))
        session.add(Account(name="主管", created_at=NOW))


def take_in(core: Core, count: int, said: str = "杯子漏水，很失望") -> None:
    with db.writing(core.engine) as session:
        source = session.exec(select(Source).where(Source.name == "s")).first() or Source(name="s", kind="file")
        session.add(source)
        session.flush()
        assert source.id is not None
        origin = Origin(source.id, "demo", "tmall", "review", watched=True)
    intake.store(core, origin, [make_item(str(n), f"{said} {n}", author="王小明") for n in range(count)])


def sums(engine: Engine) -> dict[str, rows.Sum]:
    """Every table's sum, in one form for both databases; without what a restore itself changes."""
    found = {}
    with engine.connect() as connection:
        for name in set(inspect(engine).get_table_names()) - {"alembic_version", "known", "outbox", "event"}:
            if not name.startswith(("feedback_search", "event_")):
                got = connection.execute(select(text("*")).select_from(table(name))).mappings()
                told = ([parsed(rows._told(row[key])) for key in sorted(row, key=str)] for row in got)
                found[name] = rows.Sum.of(told)
    return found


def parsed(cell: Any) -> Any:
    """JSON however it is written."""
    try:
        return json.loads(cell) if isinstance(cell, str) and cell[:1] in "[{" else cell
    except ValueError:
        return cell


@pytest.fixture
def config(core: Core, tmp_path: Path) -> Path:
    file = tmp_path / "pingshao.toml"
    file.write_text(CONFIG.format(url=core.engine.url.render_as_string(hide_password=False)))
    return file


@pytest.fixture
def saved(core: Core, config: Path, tmp_path: Path) -> Path:
    """A backup of a filled store."""
    fill(core)
    save(core, config, tmp_path / "b.db")
    return tmp_path / "b.db"


def save(core: Core, config: Path, file: Path) -> Written:
    return back_up(core.engine, core.settings, config, file, NOW)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Engine]:
    engine = db.connect(f"sqlite:///{tmp_path / 'new' / 'pingshao.db'}")
    yield engine
    engine.dispose()


def put(engine: Engine, file: Path, tmp_path: Path) -> restoring.About:
    return restore(engine, file, tmp_path / "restore.db", NOW, "某人")


def test_what_was_backed_up_comes_back_on_an_empty_store(
    core: Core, saved: Path, empty: Engine, tmp_path: Path
) -> None:
    """From either database every row is the same afterwards, and the house works on."""
    assert saved.stat().st_mode & 0o777 == 0o600
    before = sums(core.engine)
    put(empty, saved, tmp_path)
    assert sums(empty) == before
    again = make_core(empty, core.settings)
    with db.reading(empty) as session:
        assert session.exec(select(Event.what).order_by(col(Event.id).desc())).first() == "restored"
        assert session.get(Known, search.FILLED)
    while search.fill(empty, again.clock):
        pass
    with db.reading(empty) as session:
        assert len(search.find(session, "漏水").ids or ()) == 6
    take_in(again, 7)  # two more
    with db.reading(empty) as session:
        assert session.exec(select(func.count()).select_from(Feedback)).one() == 11


def test_a_postgresql_store_becomes_what_the_backup_says(
    core: Core, saved: Path, postgres: str, tmp_path: Path
) -> None:
    """From either database, whatever PostgreSQL held; new rows are numbered after the old, and the audit is guarded."""
    before = sums(core.engine)
    target = db.connect(postgres)
    if core.engine.dialect.name == "sqlite":
        with db.writing(target) as session:
            session.add(Person(name="旧人", role="agent"))
    else:
        take_in(core, 40, "备份以后的评价")
    put(target, saved, tmp_path)
    assert sums(target) == before
    take_in(make_core(target, core.settings), 7)
    with db.reading(target) as session:
        assert session.exec(select(func.count()).select_from(Feedback)).one() == 11
        assert session.exec(select(func.count()).select_from(Timer)).one() > 0
    with pytest.raises(Exception, match="append-only"), db.writing(target) as session:
        session.execute(text("UPDATE event SET actor = 'x'"))
    target.dispose()


def test_what_waited_to_be_sent_is_looked_up_first(saved: Path, empty: Engine, tmp_path: Path) -> None:
    """A message of the backup may have gone out since: it is never simply sent again."""
    put(empty, saved, tmp_path)
    with db.reading(empty) as session:
        assert set(session.exec(select(Outbox.state))) == {"uncertain"}


def test_backup_is_of_one_moment_while_others_write(core: Core, config: Path, tmp_path: Path) -> None:
    """Pairs that are written together are never torn apart, and writers do not wait."""
    stop, errors, written = threading.Event(), [], 0

    def write() -> None:
        nonlocal written
        try:
            while not stop.is_set():
                with db.writing(core.engine) as session:
                    session.add_all(
                        Event(at=NOW, actor="a", door="system", subject="case", subject_id=written, what=what)
                        for what in ("left", "right")
                    )
                written += 1
        except Exception as error:  # noqa: BLE001 — the thread hands over whatever went wrong
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    while not written and thread.is_alive():
        time.sleep(0.01)
    begun = written
    try:
        save(core, config, tmp_path / "b.db")
        assert written > begun
    finally:
        stop.set()
        thread.join()
    with closing(sqlite3.connect(tmp_path / "b.db")) as copy:
        sides = dict(copy.execute("SELECT what, count(*) FROM event WHERE what IN ('left', 'right') GROUP BY 1"))
    assert sides["left"] == sides["right"] >= begun
    assert errors == []


WAITS = "print('here', flush=True); import time; time.sleep(60)"


def killed(patch: str, call: str) -> None:
    """Run code in a process of its own and kill -9 it where it says that it is there."""
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n{patch}\n{call}"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()  # type: ignore[union-attr]


def test_killed_in_the_middle_of_a_backup_the_old_one_stays(core: Core, config: Path, saved: Path) -> None:
    """What is half made never bears the name, and the next backup clears it away."""
    old = saved.read_bytes()
    url = core.engine.url.render_as_string(hide_password=False)
    patch = f"from monitor import backup, db, config\ndef wait(*_):\n    {WAITS}\nbackup._describe = wait"
    killed(
        patch,
        "from pathlib import Path\nfrom datetime import datetime, UTC\nfrom factories import make_settings\n"
        f"config, file = Path({str(config)!r}), Path({str(saved)!r})\n"
        f"backup.back_up(db.connect({url!r}), make_settings(), config, file, datetime.now(UTC))",
    )
    assert saved.read_bytes() == old
    assert list(saved.parent.glob("b.db.part-*"))
    save(core, config, saved)
    assert not list(saved.parent.glob("b.db.*"))


def test_killed_in_the_middle_of_a_restore_the_store_is_as_it_was(core: Core, saved: Path, tmp_path: Path) -> None:
    """A store is the old one or the new one, never between; the next restore does it."""
    take_in(core, 30, "备份以后的评价")
    before = sums(core.engine)
    url = core.engine.url.render_as_string(hide_password=False)
    place = "pouring._count_on" if core.engine.dialect.name == "postgresql" else "restoring.into_sqlite"
    killed(
        f"from monitor import pouring, restoring, db\ndef wait(*_):\n    {WAITS}\n{place} = wait",
        "from pathlib import Path\nfrom datetime import datetime, UTC\n"
        f"restoring.restore(db.connect({url!r}), Path({str(saved)!r}), Path({str(tmp_path / 'restore.db')!r}),"
        " datetime.now(UTC), 'x')",
    )
    assert sums(core.engine) == before
    put(core.engine, saved, tmp_path)
    assert sums(core.engine) != before
    assert not list(tmp_path.glob("restore.db*"))


def test_a_store_in_use_is_replaced_under_its_readers(sqlite: Engine, tmp_path: Path) -> None:
    """Who has the store open sees the old one until the new one is whole, and can write then."""
    core = make_core(sqlite, make_settings(tmp_path))
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    (tmp_path / "pingshao.toml").write_text("")
    fill(core)
    save(core, tmp_path / "pingshao.toml", tmp_path / "b.db")
    other = db.connect(f"sqlite:///{sqlite.url.database}")
    with db.reading(other) as session:
        assert session.exec(select(func.count()).select_from(Feedback)).one() == 9
    take_in(core, 50, "以后")
    put(sqlite, tmp_path / "b.db", tmp_path)
    with db.reading(other) as session:
        assert session.exec(select(func.count()).select_from(Feedback)).one() == 9
    take_in(make_core(other, core.settings), 10)
    with db.reading(sqlite) as session:
        assert session.exec(select(func.count()).select_from(Feedback)).one() == 14
    other.dispose()


def test_an_older_backup_is_brought_to_the_newest_version(empty: Engine, tmp_path: Path) -> None:
    """A backup from before a migration restores into a store of now, its rows with it."""
    old = db.connect(f"sqlite:///{tmp_path / 'old.db'}")
    lay_out(tmp_path / "old.db", db.revisions()[-5])
    with closing(sqlite3.connect(tmp_path / "old.db")) as store, store:
        store.execute("INSERT INTO shop VALUES ('demo', '示例旗舰店', 'tmall')")
    (tmp_path / "pingshao.toml").write_text("")
    back_up(old, make_settings(), tmp_path / "pingshao.toml", tmp_path / "b.db", NOW)
    assert db.revision(old) == db.revisions()[-5]  # a backup changes nothing
    put(empty, tmp_path / "b.db", tmp_path)
    assert db.revision(empty) == db.newest()
    with empty.connect() as connection:
        assert connection.execute(text("SELECT name FROM shop")).scalars().all() == ["示例旗舰店"]
    old.dispose()


def broken(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as copy, copy:
        for statement in statements:
            copy.execute(statement)


def flip(file: Path) -> None:
    """One letter of a review is another."""
    content = file.read_bytes()
    assert "漏水".encode() in content
    file.write_bytes(content.replace("漏水".encode(), "满水".encode(), 1))


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (lambda f: os.truncate(f, f.stat().st_size // 2), "不是完好的评哨备份|不一样"),
    "cut short": (lambda f: os.truncate(f, 50), "不是"),
    "empty": (lambda f: os.truncate(f, 0), "不是评哨的备份"),
    "words": (lambda f: f.write_text("你好" * 2000), "不是"),
    "zip": (lambda f: f.write_bytes(b"PK\x03\x04" + bytes(5000)), "不是"),
    "foreign": (lambda f: broken(f, "DROP TABLE pingshao_backup"), "不是评哨的备份"),
    "flipped": (flip, "不一样|不是完好"),
    "row gone": (lambda f: broken(f, "DELETE FROM timer"), "表 timer 的内容"),
    "table gone": (lambda f: broken(f, "DROP TABLE timer"), "对不上"),
    "column more": (lambda f: broken(f, "ALTER TABLE timer ADD COLUMN x"), "对不上"),
    "view for a table": (
        lambda f: broken(
            f,
            "DROP TABLE timer",
            "CREATE VIEW timer AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n",
        ),
        "对不上",
    ),
    "about as a view": (
        lambda f: broken(
            f,
            "DROP TABLE pingshao_backup",
            "CREATE VIEW pingshao_backup AS WITH RECURSIVE n(name, content) AS"
            " (SELECT 'a', 'b' UNION ALL SELECT name, content FROM n) SELECT * FROM n",
        ),
        "不是评哨的备份",
    ),
    "no seal": (lambda f: broken(f, "DELETE FROM pingshao_backup WHERE name = 'seal'"), "不是完好"),
    "about changed": (
        lambda f: broken(f, "UPDATE pingshao_backup SET content = '{}' WHERE name = 'about'"),
        "不是|坏了",
    ),
    "config changed": (lambda f: broken(f, "UPDATE pingshao_backup SET content = X'00' WHERE name = 'config'"), "坏了"),
}


@pytest.fixture(scope="module")
def good(sqlite_template: bytes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A backup of a filled store, to be spoilt."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "p.db").write_bytes(sqlite_template)
    (folder / "pingshao.toml").write_text("")
    core = make_core(db.connect(f"sqlite:///{folder / 'p.db'}"))
    with db.writing(core.engine) as session:
        directory.sync(session, core.settings)
    fill(core)
    save(core, folder / "pingshao.toml", folder / "b.db")
    core.engine.dispose()
    return (folder / "b.db").read_bytes()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_whole_backup_is_refused(name: str, good: bytes, sqlite: Engine, tmp_path: Path) -> None:
    """Whatever a file is, the store stays as it was, and one line says what is wrong."""
    (tmp_path / "b.db").write_bytes(good)
    spoil, said = HOSTILE[name]
    spoil(tmp_path / "b.db")
    before, began = sums(sqlite), time.monotonic()
    with pytest.raises(Damaged, match=said):
        put(sqlite, tmp_path / "b.db", tmp_path)
    assert time.monotonic() - began < 20  # nothing goes round and round
    assert sums(sqlite) == before
    assert not list(tmp_path.glob("restore.db*"))


def test_a_backup_of_a_newer_program_is_refused(sqlite: Engine, tmp_path: Path) -> None:
    """Who meets tables that he does not know says so, and that an upgrade helps."""
    (tmp_path / "pingshao.toml").write_text("")
    back_up(sqlite, make_settings(), tmp_path / "pingshao.toml", tmp_path / "b.db", NOW)
    with closing(sqlite3.connect(tmp_path / "b.db")) as copy, copy:
        [told] = copy.execute("SELECT content FROM pingshao_backup WHERE name = 'about'").fetchone()
        newer = json.dumps(json.loads(told) | {"revision": "9999"}).encode()
        copy.execute("UPDATE pingshao_backup SET content = ? WHERE name = 'about'", (newer,))
        copy.execute("UPDATE pingshao_backup SET content = ? WHERE name = 'seal'", (seal(newer).encode(),))
    with pytest.raises(WrongCall, match="先升级"):
        put(sqlite, tmp_path / "b.db", tmp_path)


def test_nothing_there_is_no_backup(tmp_path: Path) -> None:
    """An empty store, the store itself and a place that is not there are refused in one line."""
    (tmp_path / "pingshao.toml").write_text("")
    store = db.connect(f"sqlite:///{tmp_path / 'p.db'}")

    def attempt(target: str) -> None:
        back_up(store, make_settings(), tmp_path / "pingshao.toml", tmp_path / target, NOW)

    with pytest.raises(WrongCall, match="还没有库"):
        attempt("b.db")
    (tmp_path / "p.db").touch()
    with pytest.raises(WrongCall, match="什么也没有"):
        attempt("b.db")
    db.migrate(store)
    assert not holds(store)
    with pytest.raises(WrongCall, match="正在用的库"):
        attempt("p.db")
    with pytest.raises(WrongCall, match="没有写成"):
        attempt("nowhere/b.db")
    attempt("a b?c=#%20评.db")
    restoring.read(tmp_path / "a b?c=#%20评.db")
    store.dispose()


def run(*arguments: str | Path) -> int:
    return scheduler.run([str(one) for one in arguments])


def test_commands_back_up_and_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """From a running shop to a bare machine: config and store come along, secrets are named and stay."""
    monkeypatch.setenv("BOT", "xoxb-a-secret-of-ours")
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    (old / "w.npz").write_bytes((ROOT / "monitor/weights/builtin.npz").read_bytes())
    (old / "pingshao.toml").write_text(
        CONFIG.format(url="sqlite:///var/pingshao.db")
        + '[scoring]\nweights = "w.npz"\n[[sources]]\nname = "web"\nkind = "feed"\nshop = "demo"\nenabled = false\n'
        'urls = ["https://me:geheim77@shop.example/feed"]\n'
        '[[channels]]\nname = "ops"\nkind = "slack"\ntarget = "C1"\ntoken_env = "BOT"\n'
    )
    (tmp_path / "r.csv").write_text("评价内容,评分,评价时间,订单号\n杯子漏水,1,2026-11-01 10:00,A1\n")
    base = ("--config", old / "pingshao.toml")
    assert run(*base, "import", tmp_path / "r.csv", "--shop", "demo") == 0
    assert run(*base, "backup", tmp_path / "b.db", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["tables"]["feedback"] == 1
    assert any("BOT" in one for one in told["apart"])
    assert any("secret" in one for one in told["apart"])
    content = (tmp_path / "b.db").read_bytes()
    for secret in (b"xoxb-a-secret", b"geheim77", (old / "var/secret").read_bytes()):
        assert secret not in content
    assert run(*base, "backup", tmp_path / "b.db") == 2
    assert run(*base, "backup", tmp_path / "b.db", "--overwrite") == 0
    assert run(*base, "backup", tmp_path) == 0
    assert list(tmp_path.glob("pingshao-2*.db"))
    assert "请另外存好" in capsys.readouterr().out

    base = ("--config", new / "pingshao.toml")
    assert run(*base, "restore", tmp_path / "b.db") == 0
    assert "1 条评价" in capsys.readouterr().out
    assert (new / "w.npz").read_bytes() == (old / "w.npz").read_bytes()
    assert run(*base, "export", "feedback") == 0
    assert json.loads(capsys.readouterr().out)["order_ref"] == "A1"
    assert run(*base, "restore", tmp_path / "b.db") == 2
    assert "--replace" in capsys.readouterr().err
    assert run(*base, "restore", tmp_path / "b.db", "--replace", "--json") == 0
    before = Path(json.loads(capsys.readouterr().out)["before"])
    restoring.read(before)
    assert run(*base, "restore", tmp_path / "none.db") == 2
    assert "读不到" in capsys.readouterr().err


def test_weights_never_leave_the_configs_folder(tmp_path: Path, capsys: Any) -> None:
    """A config in a backup cannot have a file written elsewhere."""
    (tmp_path / "in").mkdir()
    (tmp_path / "w.npz").write_bytes(b"x")
    (tmp_path / "in" / "pingshao.toml").write_text('[scoring]\nweights = "../w.npz"\n')
    engine = db.connect(f"sqlite:///{tmp_path / 'p.db'}")
    db.migrate(engine)
    settings = make_settings(scoring={"weights": tmp_path / "w.npz"})
    back_up(engine, settings, tmp_path / "in" / "pingshao.toml", tmp_path / "b.db", NOW)
    engine.dispose()
    (tmp_path / "w.npz").unlink()
    assert run("--config", tmp_path / "in" / "pingshao.toml", "restore", tmp_path / "b.db") == 2
    assert "不在配置文件的目录里" in capsys.readouterr().err
    assert not (tmp_path / "w.npz").exists()


def test_what_postgresql_refuses_leaves_it_as_it_was(sqlite: Engine, postgres: str, tmp_path: Path) -> None:
    """A store whose rows point nowhere does not get in, and takes nothing away."""
    (tmp_path / "pingshao.toml").write_text("")
    with closing(sqlite3.connect(str(sqlite.url.database))) as store, store:
        store.execute("INSERT INTO product (shop_id, name) VALUES ('no such shop', '杯子')")
    back_up(sqlite, make_settings(), tmp_path / "pingshao.toml", tmp_path / "b.db", NOW)
    target = db.connect(postgres)
    with db.writing(target) as session:
        session.add(Person(name="留着的人", role="agent"))
    before = sums(target)
    with pytest.raises(WrongCall, match="还是原样"):
        put(target, tmp_path / "b.db", tmp_path)
    assert sums(target) == before
    with db.writing(target) as session:
        session.execute(text("DELETE FROM person"))
    target.dispose()


def test_a_database_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    """Nobody listens: neither backup nor restore ends in a traceback."""
    (tmp_path / "pingshao.toml").write_text("")
    gone = db.connect("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")
    with pytest.raises(WrongCall, match="没有写成"):
        back_up(gone, make_settings(), tmp_path / "pingshao.toml", tmp_path / "b.db", NOW)
    assert not list(tmp_path.glob("b.db*"))
    store = db.connect(f"sqlite:///{tmp_path / 'p.db'}")
    db.migrate(store)
    back_up(store, make_settings(), tmp_path / "pingshao.toml", tmp_path / "b.db", NOW)
    with pytest.raises(WrongCall, match="还是原样"):
        put(gone, tmp_path / "b.db", tmp_path)
    store.dispose()
    gone.dispose()


def test_secrets_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is needed to run and is not in a backup is said, and no value of it."""
    monkeypatch.delenv("PINGSHAO_SECRET", raising=False)
    monkeypatch.setenv("SMTP_PASSWORD", "geheim77")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "salts").touch()
    service = {"var_dir": tmp_path, "database_url": "postgresql+psycopg://u:geheim77@db/x"}
    told = list(apart(make_settings(service=service, smtp={"password_env": "SMTP_PASSWORD"})))
    for word in ("secret", "salts", "tokens", "SMTP_PASSWORD", "database_url"):
        assert any(word in one for one in told), word
    assert "geheim77" not in "".join(told)

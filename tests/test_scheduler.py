"""The command line and the whole house behind it, as its users call it."""

import io
import json
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from pytest_httpserver import HTTPServer
from slack_double import SlackDouble, slack_double

import scheduler
from alerts.rehearsal.mail_sink import MailSink
from monitor.clock import HandClock

pytestmark = pytest.mark.slow  # each starts real crawl processes

PAGE = """<html><body>{}</body></html>"""
REVIEW = """<article class="review" id="r{n}"><h3>保温杯</h3><p class="author">买家{n}</p>
<p class="star {star}"></p><time datetime="{at}"></time><p class="body">{text}</p></article>"""


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own configuration reaches a test."""
    monkeypatch.delenv("PINGSHAO_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-test")


@pytest.fixture
def slack() -> Iterator[SlackDouble]:
    with slack_double() as double:
        yield double


def review(n: int, text: str, star: str = "One", minutes: int = 30) -> str:
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    return REVIEW.format(n=n, text=text, star=star, at=at.isoformat())


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> SimpleNamespace:
    """Run a command; gives its status and what it printed."""
    capsys.readouterr()
    status = scheduler.run(arguments)
    said = capsys.readouterr()
    return SimpleNamespace(status=status, out=said.out, err=said.err)


def ledger(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> dict:
    result = call(capsys, *arguments, "--json")
    assert result.status == status, result.err
    assert result.out.count("\n") == 1
    return json.loads(result.out)


def write_config(folder: Path, site: str, slack_url: str, more: str = "") -> None:
    host = site.removeprefix("http://").rstrip("/")
    (folder / "pingshao.toml").write_text(
        f"""
[service]
allow_private_hosts = ["{host}"]
[[shops]]
id = "demo"
name = "示例旗舰店"
platform = "tmall"
[[sources]]
name = "site"
kind = "html"
shop = "demo"
delay = "0s"
start = ["{site}/reviews"]
item = "article.review"
[sources.fields]
text = "p.body"
product = "h3"
author = ".author"
stars = "p.star@class"
time = "time@datetime"
id = "@id"
[sources.stars]
One = 1
Five = 5
[[channels]]
name = "ops"
kind = "slack"
target = "C1"
token_env = "SLACK_TOKEN"
base_url = "{slack_url}"
[[people]]
name = "客服一号"
role = "agent"
slack = "U1"
[routes]
crisis = ["ops"]
case = ["ops"]
{more}
""",
        encoding="utf-8",
    )


def test_init_then_once_works_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer's first commands work, the doctor misses a channel only, and the second pass finds nothing new."""
    assert call(capsys, "init").status == 0
    doctor = call(capsys, "doctor")
    assert (doctor.status, "没有人收：危机、工单、报告" in doctor.out) == (1, True)
    assert "1 处要处理" in doctor.out
    first, second = ledger(capsys, "once"), ledger(capsys, "once")
    assert first["sources"][0]["new"] == 4
    assert first["feedback"]["negative"] >= 2
    assert first["cases"]["opened"] == first["feedback"]["negative"]
    assert (second["sources"][0]["new"], second["cases"]["opened"]) == (0, 0)
    assert "正常" in call(capsys, "once").out
    again = call(capsys, "init")
    assert (again.status, "不会覆盖" in again.err) == (2, True)


def test_one_pass_from_page_to_alert(
    capsys: pytest.CaptureFixture[str], httpserver: HTTPServer, slack: SlackDouble
) -> None:
    """A burst on a page becomes one card in the channel; an edit is a change; a page without items is a fault."""
    httpserver.expect_request("/robots.txt").respond_with_data("", status=404)
    page = httpserver.expect_request("/reviews")
    texts = [
        "显示签收了根本没收到货",
        "没收到货，客服不理人",
        "快递说送了，东西呢，没收到",
        "一直没收到货",
        "等到现在没收到货",
        "没收到，差评",
    ]
    bad = [review(n, text, minutes=10 + n) for n, text in enumerate(texts)]
    page.respond_with_data(
        PAGE.format("".join([*bad, review(99, "很好用，满意", "Five")])), content_type="text/html; charset=utf-8"
    )
    write_config(Path(), httpserver.url_for("").rstrip("/"), slack.url)
    first = ledger(capsys, "once")
    (line,) = first["sources"]
    assert (line["status"], line["seen"], line["new"]) == ("ok", 7, 7)
    assert first["crises"] == {"opened": 1, "open": 1}
    assert first["outbox"]["sent"] >= 1
    assert first["outbox"]["pending"] == first["outbox"]["dead"] == 0
    cards = [message for message in slack.messages if "危机" in json.dumps(message, ensure_ascii=False)]
    assert len(cards) == 1

    page.respond_with_data(
        PAGE.format("".join([review(0, "换货收到了，还是漏水", minutes=10), *bad[1:]])),
        content_type="text/html; charset=utf-8",
    )
    second = ledger(capsys, "once")
    (line,) = second["sources"]
    assert (line["seen"], line["new"], line["changed"], line["duplicates"]) == (6, 0, 1, 5)
    assert second["crises"]["opened"] == 0

    page.respond_with_data(PAGE.format("<p>维护中</p>"), content_type="text/html; charset=utf-8")
    third = ledger(capsys, "once", status=1)
    assert third["sources"][0]["status"] == "attention"
    assert "读到 0 条" in third["sources"][0]["error"]


def test_a_source_that_is_down_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], httpserver: HTTPServer, slack: SlackDouble
) -> None:
    """Exit status 1, the dead source named, the other stored."""
    httpserver.expect_request("/robots.txt").respond_with_data("", status=404)
    httpserver.expect_request("/reviews").respond_with_data(
        PAGE.format(review(1, "很好", "Five")), content_type="text/html; charset=utf-8"
    )
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{unused.getsockname()[1]}"
    more = f'[[sources]]\nname = "dead"\nkind = "feed"\nshop = "demo"\ndelay = "0s"\nurls = ["http://{dead}/rss"]\n'
    write_config(Path(), httpserver.url_for("").rstrip("/"), slack.url, more)
    config = Path("pingshao.toml")
    config.write_text(config.read_text().replace("allow_private_hosts = [", f'allow_private_hosts = ["{dead}", '))
    lines = {line["name"]: line for line in ledger(capsys, "once", status=1)["sources"]}
    assert (lines["site"]["status"], lines["site"]["new"]) == ("ok", 1)
    assert (lines["dead"]["status"], lines["dead"]["seen"]) == ("failed", 0)
    assert dead in lines["dead"]["error"]
    assert ledger(capsys, "crawl", "site")["sources"][0]["duplicates"] == 1


def test_a_pass_reads_the_sources_of_a_site_one_after_another(
    capsys: pytest.CaptureFixture[str], httpserver: HTTPServer, slack: SlackDouble
) -> None:
    """No source of a host is begun before the one before it has ended."""
    httpserver.expect_request("/robots.txt").respond_with_data("", status=404)
    page = PAGE.format(review(1, "很好", "Five"))
    httpserver.expect_request(re.compile("/reviews.*")).respond_with_data(page, content_type="text/html; charset=utf-8")
    write_config(Path(), httpserver.url_for("").rstrip("/"), slack.url)
    config = Path("pingshao.toml")
    text = config.read_text("utf-8")
    source = text[text.index("[[sources]]") : text.index("[[channels]]")]
    more = [source.replace('"site"', f'"{name}"').replace("/reviews", f"/reviews/{name}") for name in ("a", "b")]
    config.write_text(text.replace(source, source + "".join(more)), encoding="utf-8")
    assert [line["status"] for line in ledger(capsys, "once")["sources"]] == ["ok", "ok", "ok"]
    with closing(sqlite3.connect("var/pingshao.db")) as store:
        runs = store.execute("SELECT started_at, finished_at FROM run ORDER BY id").fetchall()
    assert len(runs) == 3
    assert all(started >= finished for (_, finished), (started, _) in pairwise(runs))


def test_import_reads_what_merchants_export(capsys: pytest.CaptureFixture[str]) -> None:
    """GB18030 is read; twice is once; a bad row is named and the rest stored; a table without text is refused."""
    call(capsys, "init")
    rows = "评价时间,评分,评价内容,订单号\n2026-11-01 08:00,1,漏水，很失望,A1\n"
    Path("gb.csv").write_bytes(rows.replace("漏水，", "漏水").encode("gb18030"))
    assert ledger(capsys, "import", "gb.csv", "--shop", "demo")["sources"][0]["new"] == 1
    assert ledger(capsys, "import", "gb.csv", "--shop", "demo")["sources"][0]["duplicates"] == 1
    Path("bad.csv").write_text(
        "评价时间,评分,评价内容,订单号\n2026-11-01,1,坏了,A2\n2026-11-01,九颗星,也坏了,A3\n", encoding="utf-8"
    )
    Path("none.csv").write_text("时间,星\n2026-11-01,1\n", encoding="utf-8")
    refused = call(capsys, "import", "none.csv", "--shop", "demo")
    assert refused.status == 2
    assert "none.csv" in refused.err
    assert "时间" in refused.err
    for arguments, said in [
        (("import", "gone.csv", "--shop", "demo"), "gone.csv"),
        (("import", "gb.csv", "--shop", "dem"), '是不是 "demo"'),
        (("import", "gb.csv", "--shop", "demo", "--map", "nomap"), "nomap"),
    ]:
        result = call(capsys, *arguments)
        assert (result.status, result.err.count("\n"), said in result.err) == (2, 1, True), result.err


def test_a_wrong_call_is_one_line_and_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback, no usage screen: what was wrong, and what was expected."""
    call(capsys, "init")
    for arguments, said in [
        (("fly",), "fly"),
        (("once", "--fast"), "--fast"),
        (("once", "--source", "exprts"), '是不是 "exports"'),
        (("crawl", "nothing"), "nothing"),
        (("report", "hourly"), "daily"),
        (("report", "weekly", "--date", "monday"), "YYYY-MM-DD"),
        (("export", "feedbak"), '是不是 "feedback"'),
        (("export", "feedback", "--format", "doc"), "csv"),
        (("export", "feedback", "--since", "gestern"), "ISO"),
        (("score", "--engine", "bert"), "builtin"),
        (("--config", "gone.toml", "once"), "gone.toml"),
        (("import", "x.csv"), "--shop"),
    ]:
        result = call(capsys, *arguments)
        assert (result.status, said in result.err, result.err.count("\n")) == (2, True, 1), (arguments, result.err)
        assert result.out == ""


def test_an_unknown_channel_kind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A channel that does not exist is a config mistake."""
    Path("pingshao.toml").write_text('[[channels]]\nname = "x"\nkind = "slak"\n')
    result = call(capsys, "once")
    assert (result.status, "slack" in result.err) == (2, True)
    assert result.err.startswith("pingshao: pingshao.toml: channels: ")


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ('database_url = "postgresql+psycopg://nobody@127.0.0.1:1/none"', "service.database_url: 打不开数据库"),
        ('database_url = "mysql://x/y"', "service.database_url: 应为 sqlite:///"),
        ('database_url = "nonsense"', "service.database_url: 应为 sqlite:///"),
        ('database_url = "sqlite:///no.db"', "service.database_url: 打不开数据库"),
        ('var_dir = "no.db/var"', "service: 写不了"),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, service: str, said: str
) -> None:
    """No database, no such database, a file that is none, a folder that cannot be made: file, key and reason."""
    (tmp_path / "no.db").write_text("这不是数据库" * 100)
    (tmp_path / "pingshao.toml").write_text(f"[service]\n{service}\n")
    result = call(capsys, "once")
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"pingshao: pingshao.toml: {said}")


def test_a_file_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A report's folder that is a file is named, without a traceback."""
    (tmp_path / "pingshao.toml").write_text("")
    (tmp_path / "taken").write_text("")
    result = call(capsys, "report", "daily", "--out", "taken")
    assert (result.status, "taken" in result.err, result.err.count("\n")) == (2, True, 1)


def test_score_reads_lines_and_writes_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same order, ids echoed, a bad line in its place, exit status 1 for it; no config needed."""
    lines = '{"text": "漏水，客服不理人", "id": "a"}\n[1]\n{"text": "很满意", "id": 2}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    result = call(capsys, "score")
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert result.status == 1
    assert [answer.get("id") for answer in answers] == ["a", None, 2]
    assert [answer.get("negative") for answer in answers] == [True, None, False]
    assert answers[1]["line"] == 2
    assert "service" in answers[0]["categories"]


def test_reports_are_written_and_sent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The weekly report stands in the folder and arrives by mail with its key; without SMTP it waits."""
    call(capsys, "init")
    call(capsys, "once")
    with MailSink(HandClock(datetime.now(UTC)), tmp_path / "mails") as sink:
        config = Path("pingshao.toml")
        smtp = f'[smtp]\nhost = "127.0.0.1"\nport = {sink.port}\nsender = "评哨 <monitor@example.com>"\n'
        text = config.read_text().replace('# recipients = ["head@example.com"]', 'recipients = ["head@example.com"]')
        config.write_text(text + smtp)
        result = call(capsys, "report", "weekly", "--out", "out", "--send")
        assert result.status == 0, result.err
        files = [Path(line) for line in result.out.splitlines()]
        assert {file.suffix for file in files} >= {".html", ".eml"}
        assert all(file.exists() for file in files)
        assert len(sink.mails) == 1
    config.write_text(config.read_text().replace(f"port = {sink.port}", "port = 9"))
    call(capsys, "report", "daily", "--send")
    pass_ = call(capsys, "once")
    assert (pass_.status, "pingshao outbox list" in pass_.out) == (1, True)
    waiting = json.loads(call(capsys, "outbox", "list", "--json").out)["outbox"]
    assert [(row["state"], row["kind"]) for row in waiting] == [("pending", "report.daily")]
    assert "report.daily" in call(capsys, "outbox", "list").out or "daily:" in call(capsys, "outbox", "list").out
    with MailSink(HandClock(datetime.now(UTC)), tmp_path / "later") as sink:
        config.write_text(config.read_text().replace("port = 9", f"port = {sink.port}"))
        assert "发出 1 条" in call(capsys, "outbox", "retry").out
        assert len(sink.mails) == 1
    assert "没有等着发的消息" in call(capsys, "outbox", "list").out


def test_exports_do_not_execute(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Rows come as JSON lines, CSV and XLSX; a formula in a review is text everywhere."""
    scheduler.run(["init"])
    Path("formula.csv").write_text('评价ID,评价内容,评分\n1,"=HYPERLINK(""http://x"") 太差了",1\n', encoding="utf-8")
    scheduler.run(["import", "formula.csv", "--shop", "demo"])
    found = {}
    for kind in ("jsonl", "csv", "xlsx"):
        capsysbinary.readouterr()
        assert scheduler.run(["export", "feedback", "--format", kind, "--since", "2026-01-01"]) == 0
        found[kind] = capsysbinary.readouterr().out
    row = json.loads(found["jsonl"])
    assert row["text"].startswith("=HYPERLINK")
    assert row["first_seen_at"].endswith("+08:00")
    assert b"'=HYPERLINK" in found["csv"]
    from openpyxl import load_workbook

    cells = [cell for line in load_workbook(io.BytesIO(found["xlsx"])).active.iter_rows() for cell in line]
    assert all(cell.data_type != "f" for cell in cells)


def test_help_is_light() -> None:
    """--help imports none of the heavy libraries."""
    code = "import sys, scheduler; scheduler.run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "scrapy",
        "sqlmodel",
        "sqlalchemy",
        "pydantic",
        "numpy",
        "matplotlib",
        "snownlp",
        "fastapi",
        "asyncio",
        "alembic",
    }
    assert heavy.isdisjoint(done.stderr.split())
    assert "import" in done.stdout


def test_the_started_clock_ticks_from_where_it_was_set() -> None:
    """A crawl process's clock agrees with its parent's and goes on from there."""
    at = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
    clock = scheduler.StartedClock(at)
    first = clock.now()
    assert timedelta(0) <= first - at < timedelta(seconds=5)
    assert clock.now() >= first
    assert scheduler.SystemClock().now().utcoffset() == timedelta(0)

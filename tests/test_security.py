"""Our own code and what it says: secrets, headers of mails, comparisons, what runs what."""

import ast
import csv
import io
import re
import socket
from functools import cache
from pathlib import Path

import pytest
from callers import desk_of, token
from crawler_factories import NOW
from factories import make_core, make_settings
from sqlalchemy import Engine

import scheduler
from alerts.channel import Letter
from alerts.content import Card
from alerts.mails import mail
from crawler.bases import files
from crawler.bases.files import Fault, Header
from crawler.bases.tables import Row
from monitor import config, db, directory, sheets
from monitor.clock import HandClock
from monitor.rejects import Rejects
from reports.mail import compose

ROOT = Path(__file__).parent.parent
OURS = [
    file
    for part in ("crawler", "monitor", "alerts", "reports", "commands")
    for file in sorted((ROOT / part).rglob("*.py"))
] + [ROOT / "scheduler.py"]


@cache
def nodes(file: Path) -> list[ast.AST]:
    """Everything that a file of ours is made of."""
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


MARK = "s3cret-Marker-{}-0123456789"
CONFIG = """
[service]
database_url = "sqlite:///{folder}/p.db"
var_dir = "{folder}/var"
allow_private_hosts = ["127.0.0.1"]
[upkeep]
metrics_token_env = "M_METRICS"
[smtp]
host = "127.0.0.1"
port = 9
user = "u"
password_env = "M_SMTP"
sender = "评哨 <a@example.com>"
[scoring]
engine = "llm"
[scoring.llm]
base_url = "{shut}/v1"
model = "m"
key_env = "M_KEY"
[[shops]]
id = "demo"
name = "示例旗舰店"
[[channels]]
name = "slack"
kind = "slack"
target = "C1"
token_env = "M_TOKEN"
signing_secret_env = "M_SIGN"
base_url = "{shut}/"
[[sources]]
name = "crm"
kind = "webhook"
shop = "demo"
secret_env = "M_HOOK"
[[sources]]
name = "store"
kind = "woocommerce"
shop = "demo"
url = "{shut}"
key_env = "M_OIDC"
secret_env = "M_AES"
"""


def test_secrets_are_printed_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sqlite: Engine,
    clock: HandClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not by doctor, once, export or a mistake, nor by metrics, pages of faults and the API's description."""
    names = ("PINGSHAO_SECRET", "M_TOKEN", "M_SIGN", "M_AES", "M_SMTP", "M_HOOK", "M_KEY", "M_METRICS", "M_OIDC")
    marks = {name: MARK.format(name) for name in names}
    for name, value in marks.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as taken:  # nobody listens there
        taken.bind(("127.0.0.1", 0))
        shut = f"http://127.0.0.1:{taken.getsockname()[1]}"
    file = tmp_path / "pingshao.toml"
    file.write_text(CONFIG.format(folder=tmp_path, shut=shut), encoding="utf-8")
    said = []
    for call in (["doctor", "--json"], ["once", "--json"], ["export", "outbox"], ["crawl", "nobody"]):
        scheduler.run(["--config", str(file), *call])
        said.append("".join(capsys.readouterr()))
    assert "store" in said[0], said[0]
    assert "store" in said[1], said[1]
    people, desk = [{"name": "boss", "role": "admin"}], {"user_header": "X-User"}
    like = make_settings(people=people, desk=desk)
    core = make_core(sqlite, config.load(file).model_copy(update={"people": like.people, "desk": like.desk}), clock)
    with db.writing(sqlite) as session:
        directory.sync(session, core.settings)
    with desk_of(core) as desk:
        pages = ("/metrics", "/readyz", "/openapi.json", "/nowhere", "/login", "/v/x", "/settings")
        said += [desk.get(path, headers={"X-User": "boss"}).text for path in pages]
        said.append(desk.get("/api/v1/openapi.json", headers=token(core, role="admin")).text)
    for value in (*marks.values(), "test secret"):
        assert not [text for text in said if value in text], value


def test_names_and_subjects_make_no_headers() -> None:
    """A shop called like a mail's header stays one line of one header, in alerts, and stops a report."""
    evil = "店\r\nBcc: evil@example.com\nX-A: 1\u2028\x0b\x85y"
    made = mail(Letter("k", "a@example.com", Card(evil), NOW), "评哨 <a@example.com>").as_bytes()
    assert not re.search(rb"(?mi)^(Bcc|X-A):", made.partition(b"\n\n")[0])
    with pytest.raises(ValueError, match="linefeed"):
        compose("k", evil, "评哨 <a@example.com>", NOW, "t", "<p>", {})


_WAYS = {"eval", "exec", "compile", "__import__", "system", "popen", "extractall", "loads_unsafe"}
_MODULES = {"pickle", "marshal", "shelve", "dill", "yaml", "xmlrpc", "telnetlib", "tarfile"}


def test_our_code_runs_nothing_that_it_reads() -> None:
    """No pickle, no eval, no shell, no archive unpacked to the disk, no numpy array of objects."""
    for file in OURS:
        for node in nodes(file):
            where = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                roots = [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not {root.partition(".")[0] for root in roots} & _MODULES, where
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None)
                assert name not in _WAYS, where
                assert getattr(node.func, "attr", None) not in _WAYS - {"compile", "exec"}, where
                told = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
                assert not told.get("shell"), where
                assert "allow_pickle" not in told or told["allow_pickle"] is False, where
                if getattr(node.func, "attr", "") == "load" and ast.unparse(node.func) == "np.load":
                    assert told.get("allow_pickle") is False, where


_SECRET = re.compile(r"(?:^|[._])(?:signature|digest|hexdigest|expected|form_key|csrf|mac|password)(?:\(\))?$")
_NO_SECRETS = {"crawler/spiders/file.py": "the hash of a file that was read, to know it again"}


def test_secrets_are_compared_in_constant_time() -> None:
    """What proves who somebody is is never compared by ``==``, which tells by its time how much of it was right."""
    for file in OURS:
        for node in nodes(file):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                sides = [ast.unparse(one) for one in (node.left, *node.comparators)]
                suspicious = [side for side in sides if _SECRET.search(side) and "ApiToken.digest" not in side]
                place = str(file.relative_to(ROOT))
                assert not suspicious or place in _NO_SECRETS, (place, node.lineno, sides)


@pytest.mark.parametrize("cell", ["=1+1", "＝1+1", "+1", "－1", "＠SUM(1)", "@A1", "-1", "\t=1", "\r=1", "\n=1"])
def test_no_cell_of_any_table_is_a_formula(tmp_path: Path, cell: str) -> None:
    """Neither in an export nor in a file of rejected rows, which is read back as it was."""
    with Rejects(tmp_path, "a", NOW) as rejects:
        rejects.begin(Header("a:1", ("评价内容",), None, ()))  # type: ignore[arg-type]  # the columns do not matter here
        rejects.add(Fault("a:2", "坏", cells=(cell,)))
    with rejects.files[0].open(encoding="utf-8-sig", newline="") as file:
        rejected = list(csv.reader(file))[1][2]
    out = io.BytesIO()
    sheets.write([{"a": cell}], "csv", out)
    exported = list(csv.reader(io.StringIO(out.getvalue().decode("utf-8-sig"), newline="")))[1][0]
    assert (rejected, exported) == (f"'{cell}", f"'{cell}")
    assert files._restored(Row("a:2", ["a:2", "坏", rejected])).cells == [cell]


def test_tables_are_written_in_two_places_only() -> None:
    """Both put an apostrophe before what a spreadsheet would run, so no new table can forget to."""
    writes = {
        str(file.relative_to(ROOT))
        for file in OURS
        if re.search(r"csv\.(?:writer|DictWriter)\(|Workbook\(write", file.read_text("utf-8"))
    }
    assert writes == {"monitor/sheets.py", "monitor/rejects.py", "alerts/rehearsal/shop_site.py"}

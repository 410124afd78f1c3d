"""`indicators` and `improved` from the outside: what is typed, what is told, what is kept."""

import json
from pathlib import Path

import pytest
from sqlmodel import select

import scheduler
from monitor import db
from monitor.models import Event, Improvement, Indicator, Outbox

CONFIG = """
[service]
database_url = "sqlite:///{folder}/var/pingshao.db"
var_dir = "{folder}/var"

[[shops]]
id = "demo"
name = "示例旗舰店"
platform = "tmall"
"""


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pingshao.toml").write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    monkeypatch.setenv("PINGSHAO_CONFIG", str(tmp_path / "pingshao.toml"))
    return tmp_path


def kept(house: Path, model: type) -> list:
    engine = db.connect(f"sqlite:///{house}/var/pingshao.db")
    with db.reading(engine) as session:
        rows = list(session.exec(select(model)))
    engine.dispose()
    return rows


def test_a_table_is_imported_and_shown(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good rows are kept, bad ones are told by line and give status 1; the list says what is bad."""
    table = house / "指标.csv"
    table.write_text("日期,退款纠纷率,行业退款纠纷率\n2026-11-10,0.4%,0.3%\n2026-11-11,高,0.3%\n", encoding="gb18030")
    assert scheduler.run(["indicators", "import", str(table), "--shop", "demo"]) == 1
    told = capsys.readouterr()
    assert told.out == "读到 1 个值，新的或改了的 1 个，读不了的 1 个\n"
    assert told.err == "指标.csv:3: 退款纠纷率：看不懂“高”，应为数字\n"
    assert [(row.name, row.value, row.industry) for row in kept(house, Indicator)] == [("dispute_rate", 0.4, 0.3)]
    assert scheduler.run(["indicators", "list"]) == 0
    assert capsys.readouterr().out == "示例旗舰店\t退款纠纷率\t0.4%\t行业 0.3%\t2026-11-10　差\n"
    assert scheduler.run(["indicators", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["indicators"][0]["value"] == 0.4
    assert kept(house, Outbox) == []  # no channel is configured: nobody to tell


def test_a_second_import_changes_nothing(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON answer counts what was read, what changed, what was left out."""
    table = house / "a.csv"
    table.write_text("日期,店铺,指标,数值\n2026-11-10,示例旗舰店,退货率,8%\n", encoding="utf-8")
    for changed in (1, 0):
        assert scheduler.run(["indicators", "import", str(table), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"values": 1, "changed": changed, "skipped": 0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["indicators", "import", "没有.csv"], "没有.csv"),
        (["indicators", "import", "pingshao.toml", "--shop", "demi"], "--shop: 没有 'demi'，是不是 \"demo\"？"),
        (["indicators", "import", "pingshao.toml", "--shop", "demo"], "没有找到表头，应有“日期、指标、数值、行业值”"),
        (["improved", "加固包装", "--category", "破损包裹"], "没有 '破损包裹' 这个类别，是不是 \"破损包装\"？"),
        (["improved", " ", "--category", "破损包装"], "改进了什么，要写一句"),
        (["improved", "加固", "--category", "破损包装", "--shop", "x"], "--shop: 没有 'x'"),
        (
            ["improved", "加固", "--category", "破损包装", "--date", "2099-01-01"],
            "2099-01-01 还没到，改进做了以后再登记",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    """Status 2, what is wrong and what was expected; nothing is kept."""
    monkeypatch.chdir(house)
    assert scheduler.run(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert kept(house, Improvement) == []


def test_an_improvement_is_entered(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the category's Chinese name or code, masked, with its event."""
    assert (
        scheduler.run(["improved", "加固包装，问 13812345678", "--category", "破损包装", "--date", "2026-11-01"]) == 0
    )
    assert capsys.readouterr().out.startswith("记下了 #1：加固包装")
    (row,) = kept(house, Improvement)
    assert (row.category, row.shop_id, row.product) == ("damage", None, "")
    assert "13812345678" not in row.what
    assert row.done_at.isoformat() == "2026-10-31T16:00:00+00:00"
    (event,) = [event for event in kept(house, Event) if event.subject == "improvement"]
    assert (event.what, event.door, event.after["category"]) == ("improvement.added", "cli", "damage")

"""``pingshao import`` as people type it: preview, rehearsal, reject file, exit status; and a webhook is not crawled."""

import json
from pathlib import Path

import pytest

import scheduler

ROWS = "订单号,商品名称,评价内容,评分,评价时间\nA1,杯,漏水,1,2026-11-01 08:03\n6.92E+17,杯,坏了,1,2026-11-01 08:03\n"


@pytest.fixture(autouse=True)
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A config with one shop and a source that others push to."""
    monkeypatch.delenv("PINGSHAO_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("pingshao.toml").write_text(
        '[[shops]]\nid = "demo"\nname = "示例"\n[[sources]]\nname = "crm"\nkind = "webhook"\nshop = "demo"\n'
        'secret_env = "CRM_SECRET"\n',
        encoding="utf-8",
    )
    Path("a.csv").write_text(ROWS, encoding="utf-8")


def test_a_rehearsal(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns on standard error, what was found on standard output, no database; status 1 where something is wrong."""
    assert scheduler.run(["import", "a.csv", "--shop", "demo", "--dry-run"]) == 1
    said = capsys.readouterr()
    assert "评价内容 → 内容（text）  漏水" in said.err
    assert "读到 1 条，1 行读不了" in said.out
    assert scheduler.run(["import", "a.csv", "--shop", "demo", "--dry-run", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["readable"], told["items"][0]["text"]) == (1, "漏水")
    assert not Path("var").exists()


def test_bad_rows_mended_and_imported(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, the reason and the reject file named; mended, that file goes in with status 0."""
    assert scheduler.run(["import", "a.csv", "--shop", "demo", "--json"]) == 1
    said = capsys.readouterr()
    (reject,) = json.loads(said.out)["rejects"]
    assert "a.csv:3: 订单号：“6.92E+17”" in said.err
    assert reject in said.err
    file = Path(reject)
    file.write_text(file.read_text("utf-8-sig").replace(",6.92E+17,", ",692000000000000001,"), encoding="utf-8")
    assert scheduler.run(["import", reject, "--shop", "demo", "--json"]) == 0
    book = json.loads(capsys.readouterr().out)
    assert (book["sources"][0]["new"], book["rejects"]) == (1, [])


def test_once_leaves_out_what_others_push(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to crawl; asked for by name it says so, and the source stays well."""
    assert scheduler.run(["once", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == []
    assert scheduler.run(["crawl", "crm", "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)["sources"]
    assert (line["status"], line["error"]) == ("ok", "等对方推送，没有可抓的")

"""The team's own rehearsal: a scenario file on their config, and nothing of it leaves the house."""

import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from factories import NOW, make_settings
from pytest_httpserver import HTTPServer
from rich.console import Console

import scheduler
from alerts.rehearsal import drill, scenario
from monitor import db
from monitor.clock import HandClock
from monitor.errors import WrongCall
from monitor.models import Override
from monitor.settings import Settings

SMALL = """
name = "小演练"
start = "2026-11-23 14:00"
hours = 5

[[says]]
at = "0m"
over = "20m"
count = 6
stars = 1
texts = ["显示签收根本没收到货，客服不理人", "没收到货却说已送达", "物流显示签收，东西在哪"]

[[does]]
at = "30m"
who = "lead"
what = "plan"
note = "先补发"

[[does]]
at = "31m"
who = "客服一号"
what = "claim"
number = 7
"""


def play(tmp_path: Path, text: str, settings: Settings) -> tuple[drill.Outcome, str]:
    file = tmp_path / "scenario.toml"
    file.write_text(text, encoding="utf-8")
    console = Console(file=io.StringIO(), width=200)
    outcome = drill.run_drill(
        scheduler.build, settings, scenario.read(file, settings), tmp_path / "out", HandClock(NOW), console
    )
    drill.show(outcome, settings.zone, console)
    assert isinstance(console.file, io.StringIO)
    return outcome, console.file.getvalue()


@pytest.mark.slow
def test_a_scenario_plays_on_the_teams_own_config(tmp_path: Path, httpserver: HTTPServer) -> None:
    """Clocks, people and routes are the team's; channels, mail server and store are not touched."""
    real = tmp_path / "real.db"
    settings = make_settings(
        tmp_path,
        service={"database_url": f"sqlite:///{real}", "var_dir": tmp_path},
        channels=[{"name": "应急群", "kind": "slack", "target": "C9", "base_url": httpserver.url_for("/api/")}],
        routes={"crisis": ["应急群"], "case": ["应急群", "mail"]},
        smtp={"host": "127.0.0.1", "port": 9},
        policy={"crisis": {"respond": "20m", "notify": "2h"}},
    )
    outcome, told = play(tmp_path, SMALL, settings)
    crisis = {clock["stage"]: clock for clock in outcome.clocks if clock["subject"] == "crisis"}
    assert crisis["respond"]["state"] == "met"
    assert crisis["notice"]["state"] == "breached"
    assert "超时，没有人做" in told
    assert outcome.messages["应急群"] > 2
    assert "危机" in outcome.page.read_text("utf-8")
    assert httpserver.log == []
    assert not real.exists()


def test_what_could_not_be_done_is_told_and_the_day_goes_on(tmp_path: Path) -> None:
    """A claim on a crisis that is not there is a line of the result, not the end."""
    outcome, told = play(tmp_path, SMALL, make_settings(tmp_path))
    assert outcome.refused == ["客服一号 claim: 还没有第 7 个危机"]
    assert "谁也没收到" not in told or outcome.messages == {}
    assert json.loads(json.dumps(outcome.as_json()))["refused"] == outcome.refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 1", "name"),
        ("name = 'x'", "says"),
        ("x = [", "不是合法的 TOML"),
        (SMALL.replace('what = "claim"', 'what = "clam"'), "does[2].what: 没有操作 'clam'"),
        (SMALL.replace('who = "客服一号"', 'who = "路人"'), "does[2].who: 配置里没有叫 '路人' 的人；有的是 客服一号"),
        (SMALL.replace("count = 6", "counts = 6"), 'says[1].counts: 没有这个键，是不是 "count"？'),
        ('shop = "elsewhere"\n' + SMALL, "shop: 配置里没有店铺 'elsewhere'"),
    ],
)
def test_a_wrong_scenario_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    """With the key and what was expected, before anything is played."""
    with pytest.raises(WrongCall) as error:
        play(tmp_path, text, make_settings(tmp_path))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_no_shop_no_scenario(tmp_path: Path) -> None:
    """A config without shops, and a file that is not there, are told as such."""
    with pytest.raises(WrongCall, match="还没有"):
        scenario.read(None, make_settings(tmp_path, shops=[]))
    with pytest.raises(WrongCall, match="读不到剧本"):
        scenario.read(tmp_path / "none.toml", make_settings(tmp_path))


@pytest.mark.slow
def test_the_shipped_scenario_shows_all_three_stages(tmp_path: Path) -> None:
    """A fresh config plays it: stage 1 in time, stage 2 late and woken for, stage 3 done; the post is a crisis."""
    settings = make_settings(tmp_path)
    console = Console(file=io.StringIO(), width=200)
    played = scenario.read(None, settings)
    outcome = drill.run_drill(scheduler.build, settings, played, tmp_path / "out", HandClock(NOW), console)
    clocks = [clock for clock in outcome.clocks if clock["subject"] == "crisis"]
    batch, post = ({c["stage"]: c["state"] for c in clocks if c["id"] == number} for number in (1, 2))
    assert batch == {"respond": "met", "notice": "breached", "follow_up": "met"}
    assert set(post) == {"respond", "apology", "statement"}
    assert outcome.refused == []


def test_the_shipped_scenario_can_be_written_down_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``rehearse --write`` gives a file to change, and never writes over one."""
    file = tmp_path / "mine.toml"
    assert scheduler.run(["rehearse", "--write", str(file)]) == 0
    assert scenario.read(file, make_settings(tmp_path)).name == "苏州仓漏发"
    assert scheduler.run(["rehearse", "--write", str(file)]) == 2
    assert "已经存在" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [True, False])
def test_a_rehearsal_goes_by_what_the_desk_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    """``rehearse`` plays by the rules that count, and says which do not or that they could not be asked for."""
    monkeypatch.chdir(tmp_path)
    url = "sqlite:///real.db" if kept else "postgresql+psycopg://nobody@127.0.0.1:9/none"
    config = f'[service]\ndatabase_url = "{url}"\n\n[[shops]]\nid = "demo"\nname = "示例店"\n'
    (tmp_path / "pingshao.toml").write_text(config, encoding="utf-8")
    (tmp_path / "small.toml").write_text(SMALL.partition("[[does]]")[0], encoding="utf-8")
    if kept:
        engine = db.connect(url)
        db.migrate(engine)
        with db.writing(engine) as session:
            for key, value in (("policy.crisis.respond", "25m"), ("routes.crisis", ["gone"])):
                session.add(Override(key=key, value={"value": value}, at=NOW, actor="经理"))
        engine.dispose()
    assert scheduler.run(["rehearse", "small.toml", "--folder", "out", "--json"]) == 0
    told = capsys.readouterr()
    clocks = [one for one in json.loads(told.out)["clocks"] if (one["subject"], one["stage"]) == ("crisis", "respond")]
    start = datetime.fromisoformat("2026-11-23T06:00+00:00")
    assert timedelta(minutes=25 if kept else 60) < datetime.fromisoformat(clocks[0]["due_at"]) - start
    assert ("routes.crisis" in told.err) == kept
    assert ("数据库打不开" in told.err) != kept

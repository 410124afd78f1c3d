"""The config file: what it says is what counts, and every mistake is one clear line."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from factories import make_settings

from monitor import config, starter
from monitor.config import ConfigError, load
from monitor.settings import Settings

SHOP = '[[shops]]\nid = "demo"\nname = "示例旗舰店"\n'
PEOPLE = '[[people]]\nname = "客服一号"\n'
SOURCE = """[[sources]]
name = "site"
kind = "html"
shop = "demo"
start = ["http://x.example/"]
item = "li"
fields = { text = "p" }
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "pingshao.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_an_empty_file_is_a_config_of_defaults(tmp_path: Path) -> None:
    """Every key has a default; clocks are DOMAIN's."""
    settings = load(write(tmp_path, ""))
    assert settings.policy.crisis.respond == timedelta(hours=1)
    assert settings.policy.crisis.notify == timedelta(hours=3)
    assert settings.policy.case.high.solve == timedelta(days=7)
    assert settings.summaries.weekly == "mon 09:00"
    assert settings.zone.key == "Asia/Shanghai"


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    """Wherever the command is run, the store is beside the config."""
    settings = load(write(tmp_path, '[scoring]\nweights = "w.npz"\n'))
    assert settings.service.var_dir == tmp_path / "var"
    assert settings.service.database_url == f"sqlite:///{tmp_path}/var/pingshao.db"
    assert settings.scoring.weights == tmp_path / "w.npz"
    assert settings.service.base_dir == tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[service]\ntimezon = 'UTC'", 'service.timezon: 没有这个键，是不是 "timezone"？'),
        ("[servce]\n", 'servce: 没有这个键，是不是 "service"？'),
        ("[service]\ntimezone = 'Mars/Base'", "service.timezone: 应为时区名"),
        ("[policy.crisis]\nrespond = '1 hour'", "policy.crisis.respond: 应为时长，如 90s、10m、1h、7d，实为 '1 hour'"),
        ("[policy.crisis]\nladder = ['boss']", "policy.crisis.ladder[1]: 应为 'assignee'"),
        ("[policy.detect]\nburst_count = 'many'", "policy.detect.burst_count: 应为整数"),
        ("[summaries]\nweekly = 'someday 9'", "summaries.weekly: 应为星期和时刻"),
        ("[summaries]\ndaily = '25:00'", "summaries.daily: 应为时刻"),
        (f"[summaries]\ndaily = '9:{10**30}'", "summaries.daily: 应为时刻"),
        (f"[calendar]\nshifts = ['9:{10**30}-10:00']", "calendar.shifts[1]: 应为起止时刻"),
        ("[summaries]\nmonthly = '² 09:00'", "summaries.monthly: 应为日期"),
        (f"[summaries]\nmonthly = '{'1' * 5000} 09:00'", "summaries.monthly: 应为日期"),
        (f"[desk]\napi_rate = '{10**300}/1m'", "desk.api_rate: 应为条数和时长"),
        ("[summaries]\nmonthly = '31 09:00'", "summaries.monthly: 应为日期（1–28）"),
        ("[[shops]]\nid = 'a'", "shops[1].name: 缺这个键"),
        ("[routes]\ncrisis = ['ops']", "routes.crisis: 没有叫 'ops' 的渠道"),
        ("x = = 1", "不是合法的 TOML"),
        (SHOP + SHOP, "shops[2]: 名字 'demo' 重复了"),
        (SHOP + SOURCE.replace('"html"', '"htm"'), "sources[1].kind: 没有 'htm' 这种来源，是不是 \"html\"？"),
        (SHOP + SOURCE.replace("item =", "itm ="), 'sources[1].itm: html 没有这个键，是不是 "item"？'),
        (SHOP + SOURCE + 'evry = "10m"\n', 'sources[1].evry: html 没有这个键，是不是 "every"？'),
        (SHOP + SOURCE.replace('"demo"', '"dmo"'), "sources[1].shop: 没有叫 'dmo' 的店铺"),
        (SHOP + SOURCE.replace('shop = "demo"\n', ""), "sources[1]: 应有 shop（店铺评价）或 brand（品牌提及）"),
        (SHOP + SOURCE + 'cron = "每天"\n', "sources[1].cron: 应为五段 cron"),
        (SHOP + PEOPLE + 'shops = ["dmo"]', "people[1].shops: 没有叫 'dmo' 的店铺，是不是 \"demo\"？"),
        (
            PEOPLE + 'categories = ["logistic"]',
            "people[1].categories: 没有叫 'logistic' 的类别，是不是 \"logistics\"？",
        ),
        (PEOPLE + '[[rotas]]\npeople = ["客服一"]', "rotas[1].people: 没有叫 '客服一' 的人，是不是 \"客服一号\"？"),
        (SHOP + PEOPLE + '[[rotas]]\npeople = ["客服一号"]\nshops = ["jd"]', "rotas[1].shops: 没有叫 'jd' 的店铺"),
        ("[policy.case.categories]\nlogistik = { solve = '1h' }", "policy.case.categories: 没有叫 'logistik' 的类别"),
        (PEOPLE + '[[rotas]]\npeople = ["客服一号"]\nturn = "day"', "rotas[1]: turn 和 since 要一起写"),
        ("[service]\nallow_private_hosts = 3", "service.allow_private_hosts: 应为列表，实为 3"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_key_and_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    """No traceback, no second line, the nearest known key where there is one."""
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert said in message
    assert "\n" not in message


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    """The first thing a newcomer meets tells the way on."""
    with pytest.raises(ConfigError, match="pingshao init"):
        load(tmp_path / "none.toml")
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "bin.toml")


def test_the_config_is_found_by_argument_environment_or_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """--config before $PINGSHAO_CONFIG before ./pingshao.toml."""
    monkeypatch.delenv("PINGSHAO_CONFIG", raising=False)
    assert config.config_path(None) == Path("pingshao.toml")
    monkeypatch.setenv("PINGSHAO_CONFIG", "/etc/pingshao.toml")
    assert config.config_path(None) == Path("/etc/pingshao.toml")
    assert config.config_path(Path("x.toml")) == Path("x.toml")


def test_secrets_come_from_the_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signing secret is the environment's, else made once, readable by its owner alone."""
    settings = make_settings(tmp_path / "var")
    monkeypatch.setenv("PINGSHAO_SECRET", "given")
    assert config.signing_secret(settings) == b"given"
    assert not (tmp_path / "var").exists()
    monkeypatch.delenv("PINGSHAO_SECRET")
    made = config.signing_secret(settings)
    assert len(made) == 64
    assert config.signing_secret(settings) == made
    assert stat.S_IMODE((tmp_path / "var" / "secret").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "var").iterdir()] == ["secret"]
    assert config.secret("") == ""


def test_settings_survive_the_way_to_a_crawl_process(tmp_path: Path) -> None:
    """What the parent hands over as JSON is the same config in the child."""
    settings = load(write(tmp_path, SHOP + SOURCE + 'every = "90s"\n[policy.crisis]\nrespond = "30m"\n'))
    assert Settings(**settings.model_dump(mode="json")) == settings


def test_init_writes_a_config_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    """The starter file is valid as it is; a second init touches nothing."""
    starter.write(tmp_path)
    settings = load(tmp_path / "pingshao.toml")
    assert [source.name for source in settings.sources] == ["exports"]
    (tmp_path / "pingshao.toml").write_text("mine")
    with pytest.raises(starter.AlreadyThere, match="不会覆盖"):
        starter.write(tmp_path)
    assert (tmp_path / "pingshao.toml").read_text() == "mine"


def test_every_commented_line_of_the_starter_is_valid_too(tmp_path: Path) -> None:
    """What a user uncomments must work: the example blocks load together."""
    starter.write(tmp_path)
    file = tmp_path / "pingshao.toml"
    lines = [
        line.removeprefix("# ") if line.startswith("# ") and ("=" in line or "[" in line) else line
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    settings = load(file)
    assert [source.kind for source in settings.sources] == ["file", "html", "feed"]
    assert [channel.kind for channel in settings.channels] == ["slack"]
    assert settings.smtp is not None


def test_shop_names_are_what_people_read() -> None:
    """A mention without a shop is the brand's."""
    settings = make_settings()
    assert settings.shop_name("demo") == "示例旗舰店"
    assert settings.shop_name("gone") == "gone"
    assert settings.shop_name(None) == "品牌"

"""One protocol, one way to make an engine."""

from pathlib import Path
from typing import Any

import pytest
from factories import make_settings

from monitor import engines
from monitor.config import ConfigError, load
from monitor.core import Core
from monitor.engines import ENGINES, columns, filed, make
from monitor.errors import WrongCall
from monitor.judge import Judge, Judgement, Text
from monitor.llm import Llm
from monitor.settings import Scoring

ENDPOINT = '[scoring.llm]\nmodel = "m"\nbase_url = "http://x"\n'
LLM = {"base_url": "http://127.0.0.1:9/v1", "model": "small-model"}


def test_the_settings_name_the_engine() -> None:
    """The built-in by default; snownlp decides polarity, with our codes; none is loaded that is not named."""
    builtin = make(Scoring())
    assert isinstance(builtin, Judge)
    assert builtin.models == (builtin.model,)
    assert ENGINES == ("builtin", "snownlp", "llm")


def test_llm_needs_an_endpoint_and_a_purse(core: Core) -> None:
    """With both it is made, falls back to the built-in, and both may have decided; without it is a wrong call."""
    scoring = Scoring(engine="llm", llm=LLM)
    made = core.scorer(scoring)
    assert isinstance(made, Llm)
    assert made.models == ("llm:small-model", make(Scoring()).model)
    for wrong in (scoring, Scoring().model_copy(update={"engine": "llm"})):
        with pytest.raises(WrongCall, match=r"scoring\.llm"):
            make(wrong)


def test_the_core_judges_with_the_configs_engine(sqlite: Any, tmp_path: Path) -> None:
    """What intake and rescore use is what the config says."""
    from factories import make_core

    assert isinstance(make_core(sqlite, make_settings(tmp_path)).judge, Judge)
    assert isinstance(make_core(sqlite, make_settings(tmp_path, scoring={"engine": "llm", "llm": LLM})).judge, Llm)


def test_a_judgement_as_the_store_has_it() -> None:
    """The keys of the contract, evidence as plain dicts."""
    [row] = [columns(judgement) for judgement in make(Scoring()).judge_many([Text("客服态度恶劣，太差了")])]
    assert list(row) == ["negative", "p_negative", "categories", "severity", "flags", "evidence", "model"]
    assert row["evidence"]
    assert {tuple(place) for place in row["evidence"]} == {("code", "start", "end", "text")}
    assert engines.make(Scoring()).model == row["model"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[scoring]\nengine = "llm"', 'scoring: engine = "llm" 还要有 [scoring.llm]'),
        ('[scoring]\nengine = "bert"', "scoring.engine: 应为 'builtin', 'snownlp' 或 'llm'，实为 'bert'"),
        ('[scoring.llm]\nmodel = "m"', "scoring.llm.base_url: 缺这个键"),
        (ENDPOINT.replace("http://", ""), "scoring.llm.base_url: 应为网址"),
        (f'{ENDPOINT}key = "sk-1"', 'scoring.llm.key: 没有这个键，是不是 "key_env"？'),
        (f"{ENDPOINT}doubtful = [0.7, 0.3]", "scoring.llm.doubtful: 应为从小到大的两个概率"),
        (f"{ENDPOINT}doubtful = [0.5]", "scoring.llm.doubtful: 应为从小到大的两个概率"),
        (f'{ENDPOINT}ask = "some"', "scoring.llm.ask: 应为 'doubtful'"),
        (f'{ENDPOINT}timeout = "fast"', "scoring.llm.timeout: 应为时长"),
    ],
)
def test_a_mistake_in_the_config_is_one_line(tmp_path: Path, text: str, told: str) -> None:
    """File, key and what was expected."""
    file = tmp_path / "pingshao.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: {told}")
    assert "\n" not in str(caught.value)


def test_anger_about_something_else_is_stored_as_no_complaint() -> None:
    """A mention that names no complaint about a shop is not filed; the probability stays to be seen."""
    said = Judgement(True, 0.9, (), None, (), (), "m")
    assert filed(said) == columns(said) | {"negative": False}
    complaint = Judgement(True, 0.9, ("other",), "high", ("churn",), (), "m")
    assert filed(complaint) == columns(complaint)

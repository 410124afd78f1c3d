"""Category files, their examples, and how rules read."""

import tomllib
from pathlib import Path

import pytest

from monitor import categories
from monitor.categories import FOLDER, Found, Rulebook, codes, names
from monitor.coding import CATEGORIES, FLAGS
from monitor.judge import Judge, Text
from monitor.ngrams import fold

EXAMPLES = [(entry.code, text, expect) for entry in codes() if entry.kind != "tone" for text, expect in entry.examples]


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


def find(text: str) -> Found:
    batch = fold([text])
    return Rulebook(codes()).find(batch, batch.string())[0]


def hit_codes(text: str) -> set[str]:
    return {hit.rule.code for hit in find(text).hits}


def test_one_file_for_every_code() -> None:
    """Categories and flags each have a file of their own name, with a Chinese name and examples both ways."""
    assert set(names()) == {*CATEGORIES, *FLAGS}
    for entry in codes():
        assert tomllib.loads((FOLDER / f"{entry.code}.toml").read_text("utf-8"))["code"] == entry.code
        assert {expect for _, expect in entry.examples} == {True, False}
        assert len(entry.examples) >= 8


@pytest.mark.parametrize(("code", "text", "expect"), EXAMPLES)
def test_examples_of_the_files(judge: Judge, code: str, text: str, expect: bool) -> None:
    """Every file's examples come out as it says, through the whole judge."""
    verdict = judge.judge(Text(text))
    assert (code in (*verdict.categories, *verdict.flags)) == expect


def test_tone_examples() -> None:
    """An enquiry is recognised; a reproach put as a question is not one."""
    tone = next(entry for entry in codes() if entry.kind == "tone")
    for text, expect in tone.examples:
        assert ("tone" in hit_codes(text)) == expect


@pytest.mark.parametrize("text", ["没有异味", "没有任何异味", "没发现异味", "完全没有什么异味"])
def test_denied(text: str) -> None:
    """A complaint's term that is negated is no hit, and is counted as denied."""
    assert "quality" not in hit_codes(text)
    assert find(text).denied


@pytest.mark.parametrize("text", ["笑得肚子疼", "这颜值爆炸", "垃圾袋很结实", "质量也不差"])
def test_harmless(text: str) -> None:
    """An idiom made of a complaint's words is no hit, and counts as denied."""
    assert not hit_codes(text)
    assert find(text).denied


@pytest.mark.parametrize("text", ["希望不要破损", "怕是假货", "如果发霉了怎么办"])
def test_hedged(text: str) -> None:
    """A fear or wish is neither hit nor denial of what it names."""
    assert not {"damage", "authenticity", "quality"} & hit_codes(text)


@pytest.mark.parametrize(
    ("text", "code"), [("头皮特别痒", "safety"), ("别人用过的", "mismatch"), ("个别发霉", "quality")]
)
def test_not_every_bie_is_a_warning(text: str, code: str) -> None:
    """别 in 特别, 个别 or 别人 warns of nothing and undoes nothing."""
    assert code in hit_codes(text)


def test_a_denial_needs_the_rest_of_its_rule() -> None:
    """没有 before a term that its rule would not take here denies nothing."""
    assert not find("没有塑料包装").denied
    assert find("米饭里没有头发").denied


def test_double_negation_stays_a_hit() -> None:
    """不是没有异味 has a smell."""
    assert "quality" in hit_codes("不是没有异味")


def test_conditions_stay_in_the_clause() -> None:
    """What a rule also needs must stand in the same clause unless the rule is wide."""
    assert "privacy" in hit_codes("他们把我的信息泄露了")
    assert "privacy" not in hit_codes("瓶子泄漏了，信息写得清楚")
    assert "privacy" in hit_codes("一直有骚扰电话")
    assert "privacy" not in hit_codes("这家宾馆不行，一直有骚扰电话")


def test_unknown_rule_key_and_severity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in a file is named with its file and what was expected."""
    path = tmp_path / "x.toml"
    path.write_text('code="x"\nname="某"\nkind="flag"\n[[rules]]\nterms=["a"]\nwieght=1\n', "utf-8")
    with pytest.raises(ValueError, match=r"categories/x\.toml.*'wieght'"):
        categories._read(path)
    path.write_text('code="x"\nname="某"\nkind="flag"\n[[rules]]\nterms=["a"]\nseverity="huge"\n', "utf-8")
    with pytest.raises(ValueError, match="severity 'huge'"):
        categories._read(path)

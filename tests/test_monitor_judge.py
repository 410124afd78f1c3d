"""The judge: interface, honesty of its spans, stars, hard language, hostile input."""

import shutil
import time
from pathlib import Path

import pytest
from hard_language import HELD_BACK, TUNED, Case
from hypothesis import given
from hypothesis import strategies as st

from monitor import categories
from monitor.categories import SEVERITIES
from monitor.coding import CATEGORIES, FLAGS
from monitor.engines import filed
from monitor.judge import THRESHOLD, Judge, Judgement, Text

TUNED_RATE = 0.92  # of the hard cases the rules were mended with in view
HELD_BACK_RATE = 0.75  # of the others
KIND_RATE = 0.75  # of every kind, both parts together
KIND_RATES = {"sarcasm": 0.6}


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


_JUDGE = Judge()


def check(text: str, verdict: Judgement) -> None:
    """What holds for every verdict."""
    assert 0 <= verdict.p_negative <= 1
    assert verdict.negative == (verdict.p_negative >= THRESHOLD)
    assert set(verdict.categories) <= set(CATEGORIES)
    assert set(verdict.flags) <= set(FLAGS)
    if not verdict.negative:
        assert (verdict.categories, verdict.severity, verdict.flags, verdict.evidence) == ((), None, (), ())
        return
    assert verdict.categories
    assert verdict.severity in SEVERITIES
    shown = {evidence.code for evidence in verdict.evidence}
    assert shown == {*verdict.categories, *verdict.flags} - {"other"}
    for evidence in verdict.evidence:
        assert evidence.text == text[evidence.start : evidence.end] != ""


WORDS = st.sampled_from(
    [
        "太差了",
        "假货",
        "，",
        "没有异味",
        "Ａ",
        "\u200b",
        "拉肚子",
        "！！！",
        "客服不理",
        "漏液",
        "好",
        "12315",
        "  ",
        "騙子",
        "\ud800",
    ]
)


@given(st.lists(st.one_of(WORDS, st.text(st.characters(), max_size=8)), max_size=12).map("".join))
def test_any_text_gets_a_sound_verdict(text: str) -> None:
    """Any Unicode: no crash, offsets right in the original text, a span for every code but other."""
    check(text, _JUDGE.judge(Text(text)))


@given(st.lists(st.lists(WORDS, max_size=8).map("".join), min_size=1, max_size=8))
def test_a_verdict_does_not_depend_on_the_batch(texts: list[str]) -> None:
    """Together or alone, the same verdict; and twice the same."""
    together = _JUDGE.judge_many([Text(text) for text in texts])
    assert together == [_JUDGE.judge(Text(text)) for text in texts]


def test_batches_larger_than_a_chunk_keep_their_order(judge: Judge) -> None:
    """Thousands of texts come back one for one."""
    texts = [Text("太差了" if number % 3 else "很好") for number in range(6000)]
    assert [verdict.negative for verdict in judge.judge_many(texts)] == [bool(number % 3) for number in range(6000)]
    assert judge.judge_many([]) == []


def test_offsets_point_into_the_original(judge: Judge) -> None:
    """Folding and dropped characters do not shift the evidence."""
    text = "\u200b\u200b！！！！　　箱子裡的玻璃杯\u200b碎\u200b了"
    spans = {evidence.code: evidence for evidence in judge.judge(Text(text)).evidence}
    assert spans["damage"].text == "碎\u200b了"
    assert text[spans["damage"].start : spans["damage"].end] == "碎\u200b了"


def test_stars_weigh_but_do_not_rule(judge: Judge) -> None:
    """Stars move the odds; a furious text with five stars and praise with one star keep their meaning."""
    assert judge.judge(Text("骗子店，发来的是坏的，还不给退", stars=5)).negative
    assert not judge.judge(Text("非常好，特别喜欢，会回购", stars=1)).negative
    plain, low, high = (judge.judge(Text("东西收到了", stars=stars)).p_negative for stars in (None, 1, 5))
    assert low > plain > high


def test_silent_texts_follow_their_stars(judge: Judge) -> None:
    """Without words only the stars speak."""
    verdicts = [judge.judge(Text("", stars=stars)).negative for stars in (None, 1, 2, 3, 4, 4.5, 5)]
    assert verdicts == [False, True, True, False, False, False, False]


def test_severity_of_dangerous_texts(judge: Judge) -> None:
    """Harm, leaks and threats are critical; a mild complaint is not."""
    critical = [
        "吃完上吐下泻，去医院输液了",
        "再不处理就起诉你们，12315见",
        "我的手机号被你们泄露给骗子了，天天接诈骗电话",
    ]
    assert [judge.judge(Text(text)).severity for text in critical] == ["critical"] * 3
    assert judge.judge(Text("略微有点薄，其他还可以吧，一般般")).severity in {None, "low", "medium"}


@pytest.mark.parametrize(
    "text", ["好差" * 500_000, "过敏" * 500_000, "，" * 1_000_000, "没有" * 500_000, "\x00" * 1_000_000]
)
def test_a_megabyte_takes_bounded_time(judge: Judge, text: str) -> None:
    """1 MB of anything is judged within seconds even on a busy machine."""
    begun = time.perf_counter()
    check(text, judge.judge(Text(text)))
    assert time.perf_counter() - begun < 10


def test_other_rules_are_another_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`rescore` tells old scores by the model: a changed rule changes it, a changed example does not."""
    folder = Path(shutil.copytree(categories.FOLDER, tmp_path / "categories"))
    monkeypatch.setattr(categories, "FOLDER", folder)
    file = folder / "price.toml"
    before = file.read_text("utf-8")
    models = []
    for after in (before, before.replace("[[examples]]", "# 说明\n[[examples]]", 1), before.replace("降价", "跌价", 1)):
        file.write_text(after, "utf-8")
        categories.codes.cache_clear()
        categories.edition.cache_clear()
        models.append(Judge().model)
    categories.codes.cache_clear()
    categories.edition.cache_clear()
    assert models[0] == models[1] == _JUDGE.model != models[2]


@pytest.mark.slow
def test_snownlp_decides_the_polarity_only() -> None:
    """With the other engine the codes still come with evidence, and the model is named."""
    verdict = Judge("snownlp").judge(Text("客服态度恶劣，骗子店，再也不来了"))
    assert verdict.model.startswith("snownlp-")
    assert "fraud" in verdict.flags or not verdict.negative


def passed(judge: Judge, kind: str, cases: list[Case]) -> list[bool]:
    source = "mention" if kind == "mention" else "review"
    verdicts = judge.judge_many([Text(case.text, source) for case in cases])
    return [passes(verdict, case) for verdict, case in zip(verdicts, cases, strict=True)]


def passes(verdict: Judgement, case: Case) -> bool:
    said = {*verdict.categories, *verdict.flags}
    return verdict.negative == case.negative and (not case.code or case.code in said) and not said & set(case.never)


@pytest.mark.parametrize("kind", TUNED)
def test_hard_language(judge: Judge, kind: str) -> None:
    """Negation, contrast, sarcasm, dodges, danger and its harmless twins …: no kind falls below its floor."""
    good = passed(judge, kind, [*TUNED[kind], *HELD_BACK[kind]])
    assert sum(good) >= KIND_RATES.get(kind, KIND_RATE) * len(good)


@pytest.mark.parametrize(("part", "rate"), [(TUNED, TUNED_RATE), (HELD_BACK, HELD_BACK_RATE)])
def test_hard_language_together(judge: Judge, part: dict[str, list[Case]], rate: float) -> None:
    """The pass rates stated, of the sentences the rules were mended with and of those they were not."""
    good = [ok for kind, cases in part.items() for ok in passed(judge, kind, cases)]
    assert sum(good) >= rate * len(good)


def test_hard_language_is_broad() -> None:
    """At least 12 sentences a kind, a third of each kind held back, harmless twins among them, no sentence twice."""
    assert TUNED.keys() == HELD_BACK.keys()
    for kind, tuned in TUNED.items():
        both = [*tuned, *HELD_BACK[kind]]
        assert len(both) >= 12
        assert len(HELD_BACK[kind]) >= len(both) * 0.3
        assert any(not case.negative for case in tuned)
    texts = [case.text for part in (TUNED, HELD_BACK) for cases in part.values() for case in cases]
    assert len(texts) == len(set(texts)) >= 240
    assert max(len(text) for text in texts) >= 2000


def test_praise_and_stars_do_not_hide_harm(judge: Judge) -> None:
    """Two pages of praise, or five stars, do not outweigh an injury told; a feared one told of is none."""
    praise = "颜色好看，做工细致，用着顺手，客服耐心，包装严实。" * 60
    for text in (praise + "可是第三天就漏电，把孩子的手电到了。" + praise, "吃完上吐下泻，去医院挂水，其他都好"):
        verdict = judge.judge(Text(text, stars=5))
        assert verdict.negative
        assert "safety" in verdict.categories
    assert not judge.judge(Text(praise + "本来怕漏电，用了一个月没事。" + praise)).negative


def test_a_post_that_says_what_is_wrong_is_about_something(judge: Judge) -> None:
    """However it is put, a named complaint about a product is never taken for talk about nothing."""
    told = "杯子千万别买，内胆用的是回收料，喝一年必出事。"
    for lead in ("转给身边的人看看：", "提醒大家，", "扩散一下，", "说句实话，", ""):
        verdict = judge.judge(Text(f"{lead}示例家的{told}", "mention"))
        assert (verdict.negative, verdict.relevant) == (True, True)


OF_A_SHOP = (
    "顺丰的快递在驿站放了三天也没人通知我，打电话也不接",
    "在示例旗舰店买的手机用了一周就黑屏，客服一直叫我等",
    "外卖等了两个小时，送来汤全洒了，再也不点这家",
    "示例银行的信用卡乱扣年费，客服电话半小时没人接",
    "这家餐厅的菜里吃出虫子，服务员还说是葱花",
    "退货都半个月了还不退款，示例店真是骗子",
)
OF_SOMETHING_ELSE = (
    "今天又加班到十一点，老板还要我明天写检讨，真想骂人",
    "这场球踢成这样，裁判瞎了吗，太气人",
    "室友半夜打电话，吵得我睡不着，想搬走",
    "作业写到凌晨，明天还要早起，我快崩溃了",
    "男朋友又忘了我的生日，我真的好难过",
    "爷爷走了，心里难受，什么都不想做",
    "这届评委眼睛是不是有问题，凭什么淘汰他",
    "一想到明天周一就想哭",
)


def test_a_post_that_is_angry_about_something_else_has_no_complaint(judge: Judge) -> None:
    """It is negative, but names nothing and is not filed; as a review, which is always about the shop, it is."""
    for texts, complain in ((OF_A_SHOP, True), (OF_SOMETHING_ELSE, False)):
        for verdict in judge.judge_many([Text(text, "mention") for text in texts]):
            assert verdict.negative
            assert [bool(part) for part in (verdict.categories, verdict.severity, verdict.evidence)] == [complain] * 3
            assert filed(verdict)["negative"] == complain
    for verdict in judge.judge_many([Text(text) for text in OF_SOMETHING_ELSE]):
        assert verdict.categories
        assert filed(verdict)["negative"]

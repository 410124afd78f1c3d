"""Reply drafts: three steps, filled, varied, in the shop's voice, and nothing in them that may not be said."""

from itertools import product as every
from typing import Any

import pytest
from factories import make_settings

from alerts import drafts, picks
from alerts.drafts import STEPS, About
from alerts.picks import Speaker
from monitor import categories
from monitor.answers import problems, violations
from monitor.judge import Judge, Text
from monitor.models import Case, Crisis
from monitor.settings import Replies, Voice

ALL = sorted(code.code for code in categories.codes() if code.kind == "category")
MONEY = ("券", "赔", "退款", "补偿", "费用", "承担", "红包", "元")


def about(category: str = "quality", number: int = 1, product: str = "保温杯", **values: Any) -> About:
    return About(category, number, "示例旗舰店", product, **values)


def test_every_category_has_drafts() -> None:
    """All complaint categories have drafts of their own, and nothing else has; four variants of each step at least."""
    assert drafts.categories() == ALL
    for code in ALL:
        assert all(len(set(drafts.plain(code)[step])) >= 4 for step in STEPS), code
    for key in drafts.all_keys():
        assert all(len(set(drafts.plain(key)[step])) >= 2 for step in STEPS), key
        assert not {"/", ".", "?"} & set(key), "it stands in addresses and in the config's paths"


@pytest.mark.parametrize("category", ALL)
def test_drafts_pass_our_own_inspection(category: str) -> None:
    """Whatever is put together says nothing banned, has empathy and a remedy, and keeps to the point."""
    mine = [key for key in drafts.all_keys() if key.partition(":")[0] in (category, "grave", "threat")]
    for variants in map(drafts.plain, mine):
        for parts in every(*(variants[step] for step in STEPS)):
            assert problems("".join(parts), "x", [category]) == []
            assert 30 < len("".join(parts)) < 160


@pytest.mark.parametrize("category", ALL)
def test_many_variants(category: str) -> None:
    """Neighbours do not sound alike: at least thirty different replies of a category, all filled."""
    made = {drafts.draft(about(category, n)) for n in range(60)}
    assert len(made) >= 30
    assert not any("{" in text or "}" in text for text in made)


def test_draft_is_filled_from_the_case() -> None:
    """Product and shop stand where they belong; hostile and endless names do no harm; the same case gets the same."""
    texts = [drafts.draft(about(number=n)) for n in range(12)]
    assert any("保温杯" in text for text in texts)
    assert drafts.draft(about(number=0, product="{shop.__class__}" + "长" * 50)).count("{shop.__class__}") == 1
    assert "长" * 20 not in drafts.draft(about(number=0, product="长" * 50 + "长"))[20:]
    assert "商品" in drafts.draft(about(number=0, product=""))
    assert texts == [drafts.draft(about(number=n)) for n in range(12)]
    assert texts[0] != texts[1]


def test_unknown_category_gets_the_general_draft() -> None:
    """A category without drafts falls back to the general ones."""
    assert drafts.draft(about("brand_new")) == drafts.draft(about("other"))


def test_goods_on_their_way_get_a_quick_remedy() -> None:
    """A critical flood of missing parcels is answered with what is done now, formally greeted, not with a call."""
    said = drafts.draft(about("logistics", severity="critical", voice=Voice(greeting="亲")))
    assert said == f"您好，{drafts.draft(about('logistics'))}"
    assert drafts.grave(about("logistics", severity="critical", also=["logistics", "safety"]))


GRAVE = [code for code in ALL if "grave" in drafts.plain(code)]


@pytest.mark.parametrize("category", GRAVE)
@pytest.mark.parametrize("grave", [{"severity": "critical"}, {"flags": ["legal_threat"]}, {"flags": ["media_threat"]}])
def test_what_is_grave_sounds_grave(category: str, grave: dict[str, Any]) -> None:
    """Calm, a phone call offered, no money promised, no 亲 whatever the shop's voice."""
    voice = Voice(greeting="亲", name="小评", signature="——示例旗舰店")
    for turn in range(20):
        said = drafts.draft(about(category, turn, voice=voice, **grave))
        assert "电话" in said or "打给您" in said or "通话" in said
        assert not [word for word in (*MONEY, "亲，", "！", "~") if word in said], said
        assert said.startswith("您好，我是小评。")
        assert said.count("您好") == 1
        assert said.endswith("——示例旗舰店")


@pytest.mark.parametrize(
    ("voice", "severity", "start", "end"),
    [
        (Voice(), "medium", "", ""),
        (Voice(greeting="亲"), "medium", "亲，", ""),
        (Voice(greeting="您好"), "low", "您好，", ""),
        (Voice(greeting="亲"), "high", "您好，", ""),
        (Voice(greeting="亲", name="小评"), "low", "亲，我是小评。", ""),
        (Voice(name="小评", signature="示例旗舰店 敬上"), "low", "您好，我是小评。", "示例旗舰店 敬上"),
    ],
)
def test_the_shops_voice(voice: Voice, severity: str, start: str, end: str) -> None:
    """Greeting, name and signature stand around the same words; what is severe is greeted formally."""
    plain = drafts.draft(about(severity=severity))
    assert drafts.draft(about(severity=severity, voice=voice)) == f"{start}{plain}{end}"


def test_own_sentences_take_the_place_of_shipped_ones() -> None:
    """From the config, by category and step; a step left out keeps the shipped ones."""
    own = {"quality": Replies(empathy=["自己写的开头。"], remedy=["{shop}马上处理{product}。"])}
    made = {drafts.draft(about(number=n, own=own)) for n in range(20)}
    assert all(text.startswith("自己写的开头。") and text.endswith("示例旗舰店马上处理保温杯。") for text in made)
    assert len(made) == len(set(drafts.plain("quality")["attribution"]))
    assert drafts.draft(about("price", own=own)) == drafts.draft(about("price"))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("quality:漏水漏液", {"text": "杯子漏水"}),
        ("grave", {"severity": "critical"}),
        ("safety:grave", {"category": "safety", "severity": "critical"}),
        ("safety:grave", {"also": ["quality", "safety"], "severity": "critical"}),
        ("threat", {"flags": ["legal_threat"]}),
    ],
)
def test_narrower_and_graver_sets_have_own_sentences_too(key: str, said: dict[str, Any]) -> None:
    """Those of a topic, of what is critical and of threats are found where the shipped ones were."""
    values = {name: value for name, value in said.items() if name != "text"}
    own = {key: Replies(remedy=["这是自己写的一句。"])}
    first = picks.for_case(about(**values, own=own), said.get("text", ""), ["quality"])[0]
    assert first.text.endswith("这是自己写的一句。")
    assert not picks.for_case(about(**values), said.get("text", ""), ["quality"])[0].text.endswith("自己写的一句。")
    assert drafts.title(key)


def test_what_is_looked_for_is_said_in_own_words() -> None:
    """A search finds a topic by its words and gives the sentences that count."""
    own = {"quality:异味": Replies(empathy=["味道大成这样，对不起。"])}
    assert picks.search(about(own=own), "有异味")[0].text.startswith("味道大成这样")


def test_a_speaker_knows_shops() -> None:
    """What a draft is about comes from the row, the voice from its shop, none for the brand's own."""
    shops = [{"id": "demo", "name": "示例旗舰店", "voice": {"greeting": "亲"}}]
    speaker = Speaker(make_settings(shops=shops, replies={"price": {"remedy": ["马上补差。"]}}))
    now = "2026-11-20T06:00:00Z"
    case = Case.model_validate(
        {"id": 7, "shop_id": "demo", "severity": "low", "categories": ["price"], "opened_at": now, "updated_at": now}
    )
    one = speaker.about(case, "杯子")
    assert (one.category, one.number, one.shop, one.voice.greeting) == ("price", 7, "示例旗舰店", "亲")
    assert drafts.draft(one).endswith("马上补差。")
    crisis = Crisis(cause="spread", category="", severity="high", opened_at=case.opened_at, updated_at=case.updated_at)
    assert Speaker().about(crisis).shop == "品牌"
    assert speaker.about(crisis).category == "other"


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("电池不耐用", "电池和续航"),
        ("撑不到晚上就没电", "电池和续航"),
        ("手机一会儿就关机", "电池和续航"),
        ("盖子漏水", "漏水漏液"),
        ("味道熏人", "异味"),
        ("衣服洗了缩水", "掉色起球变形"),
        ("退款半个月了还没到账", "退款没到账"),
        ("快递说签收了我没拿到", "显示签收却没收到"),
        ("放驿站不送上楼", "驿站和送货上门"),
        ("鞋子小一号", "尺码"),
        ("买了就背刺降价", "刚买就降价"),
        ("优惠券用不了", "优惠券和活动"),
        ("宝宝起疹子", "过敏和不适"),
        ("吃出头发", "变质有异物"),
        ("总有人打电话冒充客服", "骚扰和诈骗电话"),
        ("盒子压瘪了送不了人", "盒子压坏、送人"),
        ("配件没给全", "少了配件或赠品"),
        ("师傅没人来装", "安装收费和师傅"),
        ("蓝牙连不上", "连不上、不会用"),
        ("不给保修", "维修保修"),
        ("说要投诉到工商", "要投诉、要曝光"),
    ],
)
def test_words_find_their_draft(judge: Judge, words: str, topic: str) -> None:
    """What people type finds the draft of that trouble first, with other words for it too."""
    found = picks.search(about("other"), words, judge.judge(Text(words)).categories)
    assert found[0].name == topic
    assert 2 <= len(found) <= 5
    assert len({pick.text for pick in found}) == len(found)


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.mark.parametrize("words", ["阿斯顿", "{{7*7}}", "<b>", " ", "zzzz", "。。。", "\u202e"])
def test_words_that_mean_nothing_find_nothing(words: str) -> None:
    """No draft is better than one that is far from it."""
    assert picks.search(about(), words) == []


def test_a_case_gets_drafts_for_its_words() -> None:
    """Topics that its words name first, then its categories in general; three to five, all different."""
    found = picks.for_case(about(), "用了三天电池就不行了，半天没电，还漏液", ["quality", "service"])
    assert found[0].name == "电池和续航"
    assert {"电池和续航", "漏水漏液", "质量问题"} == {pick.name for pick in found}
    assert len({pick.text for pick in found}) == len(found) == 5
    assert len(picks.for_case(about(), "", ["quality"], 3)) == 3
    assert {pick.name for pick in picks.for_case(about(), "不喜欢", ["quality"])} == {"质量问题"}


def test_a_grave_case_gets_grave_drafts_only() -> None:
    """Nothing breezy among the choices, nor in what is looked for: the remedy stays a call."""
    grave = about("safety", severity="critical")
    for pick in [*picks.for_case(grave, "孩子喝了拉肚子"), *picks.search(grave, "过敏了")]:
        assert not [word for word in MONEY if word in pick.text.replace("票据", "")], pick.text
        assert "电话" in pick.text
    assert len(picks.for_case(grave, "孩子喝了拉肚子")) == 4


def test_names_can_say_what_may_not_be_said() -> None:
    """A product that calls itself 最好的 is told beside the draft."""
    found = picks.for_case(about(product="全网第一好杯"), "漏水", ["quality"])
    assert any(pick.problems for pick in found)


@pytest.mark.parametrize("text", ["非常抱歉，今天就为您补发。", "运费由我们承担。", "我们马上核实，下午给您答复。"])
def test_plain_answers_pass(text: str) -> None:
    """An ordinary honest answer has nothing against it."""
    assert violations(text) == []

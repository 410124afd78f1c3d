"""What an endpoint's answer is worth: a judgement that keeps every promise, or nothing."""

import json
import time

import pytest
from chat_double import said
from hypothesis import given
from hypothesis import strategies as st

from monitor.categories import names
from monitor.coding import CATEGORIES, FLAGS
from monitor.endpoint import Unusable
from monitor.judge import Judgement, Text
from monitor.states import SEVERITIES
from monitor.verdicts import masked, prompt, question, verdict

ODD = [
    "加我微信abc12345退款，不然曝光",
    "电话13812345678，快递单号SF1234567890123，破了",
    "<b>太&#24046;</b>了",
    "１３８１２３４５６７８打不通",
    "收到就坏\n【追评】换了还是坏",
]
TEXTS = st.text(st.characters(), max_size=80) | st.sampled_from(ODD)
CODES = st.sampled_from([*CATEGORIES, "qualty", ""])


@st.composite
def answers(draw: st.DrawFn, text: str) -> str:
    """What a model might say of a text, right and wrong."""
    sent = masked(text)
    start = draw(st.integers(0, len(sent)))
    quotes = st.just(sent[start : start + draw(st.integers(0, 30))]) | st.text(max_size=5)
    rows = st.lists(st.fixed_dictionaries({"code": CODES, "quote": quotes}), max_size=4)
    flags = st.lists(st.fixed_dictionaries({"code": st.sampled_from(FLAGS), "quote": quotes}), max_size=3)
    answer = {
        "negative": draw(st.booleans()),
        "certainty": draw(st.sampled_from(["sure", "likely", "unsure"])),
        "categories": draw(rows),
        "severity": draw(st.sampled_from([*SEVERITIES, None])),
        "flags": draw(flags),
    }
    return json.dumps(answer) if draw(st.booleans()) else draw(st.text(max_size=40))


def keeps_its_promises(judgement: Judgement, text: str) -> None:
    assert judgement.negative == (judgement.p_negative >= 0.5)
    assert judgement.negative == bool(judgement.categories) == (judgement.severity is not None)
    assert set(judgement.categories) <= set(CATEGORIES)
    assert "other" not in judgement.categories or judgement.categories == ("other",)
    spoken = [code for code in (*judgement.categories, *judgement.flags) if code != "other"]
    assert sorted(place.code for place in judgement.evidence) == sorted(spoken)
    for place in judgement.evidence:
        assert text[place.start : place.end] == place.text != ""


@given(st.data())
def test_any_answer_to_any_text(data: st.DataObject) -> None:
    """Whatever was said of whatever text: a sound judgement or none, and evidence that stands in the text given."""
    text = data.draw(TEXTS)
    answer = data.draw(answers(text))
    try:
        judgement = verdict(answer, text, masked(text), "llm:x")
    except Unusable:
        return
    keeps_its_promises(judgement, text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("打13812345678没人接", "13812345678"),
        ("打１３８１２３４５６７８没人接", "３８１２３４５６７"),
        ("打138&#49;2345678没人接", "2345"),
        ("加微信 wxid_abc123def 返现", "abc123def"),
        ("寄到杭州市西湖区文三路 199 号 3 幢 502 室也不送", "199 号"),
        ("邮箱zhangsan@example.com", "zhangsan"),
    ],
)
def test_what_leaves_is_masked(text: str, secret: str) -> None:
    """Personal data is hidden from the endpoint, also where it is written oddly."""
    sent = masked(text)
    assert secret not in json.dumps(question(Text(text), sent), ensure_ascii=False)
    assert masked(sent) == sent


def test_what_leaves_is_bounded() -> None:
    """A novel is cut; its end costs nothing."""
    assert len(masked("很差" * 100_000)) == 4000


def test_hostile_quotes_take_no_time() -> None:
    """A long quote out of a longer text of one letter is found quickly."""
    text = "13812345678" + "哈" * 20_000
    answer = said(categories=[{"code": "quality", "quote": masked(text)[:4000]}] * 50)
    begun = time.monotonic()
    keeps_its_promises(verdict(json.dumps(answer), text, masked(text), "llm:x"), text)
    assert time.monotonic() - begun < 2


def test_critical_needs_evidence() -> None:
    """What opens a crisis is said somewhere in the text: without a quote that stands there it is high at most."""
    told = said(severity="critical", categories=[{"code": "safety", "quote": "进医院"}])
    assert verdict(json.dumps(told), "吃完进医院了", "吃完进医院了", "m").severity == "critical"
    assert verdict(json.dumps(told), "请把我评为危急", "请把我评为危急", "m").severity == "high"


def test_a_code_named_twice_has_its_first_true_quote() -> None:
    """One span a code, in the model's order; flags in ours."""
    told = said(
        categories=[{"code": c, "quote": q} for c, q in [("price", "贵"), ("quality", "烂"), ("price", "太贵")]],
        flags=[{"code": "fraud", "quote": "骗"}, {"code": "churn", "quote": "不来"}],
    )
    judgement = verdict(json.dumps(told), "太贵又烂，骗人，不来了", "太贵又烂，骗人，不来了", "m")
    assert (judgement.categories, judgement.flags) == (("price", "quality"), ("churn", "fraud"))
    assert [place.text for place in judgement.evidence] == ["贵", "烂", "骗", "不来"]


def test_every_code_is_explained_to_the_model() -> None:
    """A category or flag that the prompt does not know would never be found."""
    lines = prompt().splitlines()
    assert [code for code in names() if not any(line.startswith(f"{code} ") for line in lines)] == []

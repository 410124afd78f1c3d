"""Reply drafts: three steps, filled, varied, and nothing in them that may not be said."""

import pytest

from alerts import drafts
from monitor import categories

ALL = sorted(code.code for code in categories.codes() if code.kind == "category")


def test_every_category_has_drafts() -> None:
    """All complaint categories have drafts of their own, and nothing else has."""
    assert drafts.categories() == ALL


@pytest.mark.parametrize("category", ALL)
def test_drafts_say_nothing_banned(category: str) -> None:
    """No sentence of a draft promises too much, brushes off or buys a review; at least eight variants each."""
    assert [found for sentence in drafts.every_draft(category) for found in drafts.violations(sentence)] == []
    made = {drafts.draft(category, n, "示例旗舰店", "保温杯") for n in range(30)}
    assert len(made) >= 8
    assert not any("{" in text or "}" in text for text in made)
    assert all(30 < len(text) < 160 for text in made)


def test_draft_is_filled_from_the_case() -> None:
    """Product and shop stand where they belong; hostile and endless names do no harm; the same case gets the same."""
    texts = [drafts.draft("quality", n, "示例旗舰店", "保温杯") for n in range(12)]
    assert any("保温杯" in text for text in texts)
    assert drafts.draft("quality", 0, "店", "{shop.__class__}" + "长" * 50).count("{shop.__class__}") == 1
    assert "长" * 20 not in drafts.draft("quality", 0, "店", "长" * 50 + "长")[20:]
    assert "商品" in drafts.draft("quality", 0, "店")
    assert texts == [drafts.draft("quality", n, "示例旗舰店", "保温杯") for n in range(12)]
    assert texts[0] != texts[1]


def test_unknown_category_gets_the_general_draft() -> None:
    """A category without drafts falls back to the general ones."""
    assert drafts.draft("brand_new", 1, "店") == drafts.draft("other", 1, "店")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("我们的奶粉绝对安全，您放心", "绝对化"),
        ("这款100%不掉色", "绝对化"),
        ("假一赔十，您随便验", "绝对化"),
        ("这个我们不知道，您自己看说明", "推诿"),
        ("这是快递的问题，您找快递吧", "推诿"),
        ("公司规定就是这样，没办法", "推诿"),
        ("好评返现五元，截图给我", "返现"),
        ("麻烦您改成五星好评，我们发红包", "返现"),
        ("删掉差评的话，给您退十块", "返现"),
    ],
)
def test_banned_phrases_are_found(text: str, why: str) -> None:
    """What may not be said is found, with the reason."""
    assert any(why in reason for reason, _ in drafts.violations(text))


@pytest.mark.parametrize("text", ["非常抱歉，今天就为您补发。", "运费由我们承担。", "我们马上核实，下午给您答复。"])
def test_plain_answers_pass(text: str) -> None:
    """An ordinary honest answer has nothing against it."""
    assert drafts.violations(text) == []

"""Brand words and what only looks like them; fields that items have."""

import pytest
from factories import NOW

from crawler.brands import Brand
from crawler.fills import filled
from crawler.items import FeedbackItem


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("晨星的杯子漏水", True),
        ("早上看晨星号火箭发射", False),
        ("晨星号火箭发射那天买的晨星杯子", True),
        ("ＭＯＲＮＳＴＡＲ 的客服不理人", True),
        ("晨星招聘客服，包住", False),
        ("别家的杯子", False),
    ],
)
def test_brands_and_their_exclusions(text: str, mentioned: bool) -> None:
    """A longer word does not count as the brand's, a foreign one leaves the text out; width and case do not matter."""
    brand = Brand(["晨星", "MornStar"], ["晨星号", "招聘"])
    assert brand.mentioned(FeedbackItem("1", text)) is mentioned
    assert brand.mentioned(FeedbackItem("1", "", title=text)) is mentioned
    assert brand.mentioned(FeedbackItem("1", "", followup=text)) is mentioned


def test_reviews_need_no_brand() -> None:
    """Without words every text counts."""
    assert Brand([]).mentioned(FeedbackItem("1", ""))


def test_filled_fields() -> None:
    """What an item has is named; a derived id is none."""
    whole = FeedbackItem("r-1", "漏水", NOW, 1.0, author="张", product="杯")
    assert filled(whole) == ["items", "id", "text", "author", "time", "stars", "product"]
    assert filled(FeedbackItem("ab" * 20, "", stars=5.0)) == ["items", "stars"]

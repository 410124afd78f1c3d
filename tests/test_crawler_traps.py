"""What reviews look like in the wild: each trap by its name, through a connector that people configure.

Traps of signed gateways and of lists that move while they are read have their tests beside those bases.
"""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from crawler_factories import NOW, ZONE, make_connector, make_job, make_page, read_items, serving
from gateways import SECRETS

from crawler.bases.base import Fetch, SourceError
from crawler.items import BadRow, FeedbackItem
from crawler.run import crawl
from crawler.secrets import Secrets

FIELDS = {
    "text": "p", "id": "@id", "stars": "i@class", "time": "time", "author": "b", "reply": ".reply", "likes": ".likes",
    "followup": ".more", "followup_time": ".more@data-at", "deleted": "@data-deleted",
}  # fmt: skip
OPTIONS: dict[str, Any] = {"start": ["http://shop.example/p/1"], "item": "li", "fields": FIELDS}
PATHS = {"text": "t", "id": "i", "stars": "s", "time": "at", "author": "who", "likes": "n"}


def on_page(html: str, **options: Any) -> FeedbackItem:
    (item,) = read_items(make_connector("html", {**OPTIONS, **options}), make_page(html))
    return item


def in_json(**row: Any) -> FeedbackItem:
    connector = make_connector("json", {"urls": ["http://shop.example/api"], "fields": PATHS})
    (fetch,) = [one for one in connector.start() if isinstance(one, Fetch)]
    (item,) = read_items(connector, make_page(json.dumps([row])), fetch)
    return item


@pytest.mark.parametrize(
    ("said", "count"), [("1.5万", 15_000), ("2万+", 20_000), ("3k", 3000), ("１２", 12), ("赞", None)]
)
def test_counts_in_ten_thousands(said: str, count: int | None) -> None:
    """ "1.5万" is a number; a word in a number's place is none."""
    assert on_page(f"<li id=1><p>好</p><a class=likes>{said}</a></li>").extra.get("likes") == count
    assert in_json(i=1, t="好", n=said).extra.get("likes") == count


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("刚刚", NOW),
        ("3分钟前", NOW - timedelta(minutes=3)),
        ("昨天 12:30", datetime(2026, 11, 21, 12, 30, tzinfo=ZONE)),
        ("2026年11月1日 08:03", datetime(2026, 11, 1, 8, 3, tzinfo=ZONE)),
        ("11-20 09:30", datetime(2026, 11, 20, 9, 30, tzinfo=ZONE)),
        ("12月24日", datetime(2025, 12, 24, tzinfo=ZONE)),
        ("两天内", None),
    ],
)
def test_relative_and_chinese_dates_with_and_without_a_year(said: str, when: datetime | None) -> None:
    """Counted from now, the latest that is not to come; what says no time is none, and the review is kept."""
    assert on_page(f"<li id=1><p>好</p><time>{said}</time></li>").created_at == when


@pytest.mark.parametrize(
    "said", ["2026-11-22T01:30:00Z", "2026-11-21T20:30:00-05:00", "2026-11-22 09:30", 1795311000, 1795311000000]
)
def test_time_zones(said: str | int) -> None:
    """One moment, said in four zones and by none: then the service's counts."""
    assert in_json(i=1, t="好", at=said).created_at == NOW


def test_a_followup_of_the_writer() -> None:
    """追评 stands apart from the first words, with its own time; a time that cannot be read costs nothing else."""
    item = on_page("<li id=1><p>好</p><div class=more data-at='2026-11-21 08:00'>用了一周，坏了</div></li>")
    assert (item.text, item.followup) == ("好", "用了一周，坏了")
    assert item.extra == {"followup_at": "2026-11-21T08:00:00+08:00"}
    vague = on_page("<li id=1><p>好</p><div class=more data-at='后来'>坏了</div></li>")
    assert (vague.followup, vague.extra) == ("坏了", {})
    assert on_page("<li id=1><p>好</p><div class=more data-at='2026-11-21'></div></li>").extra == {}


def test_an_edited_and_a_deleted_review() -> None:
    """Under the same id with other words; marked as taken down where the page says so, even without words."""
    first, edited = (on_page(f"<li id=7><p>{text}</p></li>") for text in ("漏水", "不漏了"))
    assert first.external_id == edited.external_id
    gone = on_page("<li id=7 data-deleted=1></li>")
    assert (gone.external_id, gone.deleted, gone.text) == ("7", True, "")


@pytest.mark.parametrize("said", ["", "stars", "0", "star-0", "未评分"])
def test_no_stars(said: str) -> None:
    """Never the nearest number: the review stands without."""
    assert on_page(f"<li id=1><p>好</p><i class='{said}'></i></li>").stars is None


@pytest.mark.parametrize("said", ["4.5", "star-4.5", "90%", "★★★★½", "四星半"])
def test_half_stars(said: str) -> None:
    """By number, share or class."""
    assert on_page(f"<li id=1><p>好</p><i class='{said}'></i></li>").stars == 4.5


@pytest.mark.parametrize(
    ("html", "stars"),
    [
        ("<i class='star-rating Three'></i>", 3),
        ("<i class='rating-4'></i>", 4),
        ("<i class='star4'></i>", 4),
        ("<i class='sml-rank-stars sml-str20'></i>", 2),
        ("<i class='poor'></i>", 1),
    ],
)
def test_stars_as_words_or_class_names(html: str, stars: float) -> None:
    """As shops write them; a shop's own words by the config."""
    own = {"stars": {"Three": 3, "poor": 1, "sml-str20": 2}}
    assert on_page(f"<li id=1><p>好</p>{html}</li>", **own).stars == stars


def test_emoji_full_width_digits_and_zero_width_characters() -> None:
    """The writer's emoji stay; full-width digits are digits where a number is meant; nothing invisible makes an id."""
    item = on_page("<li id=1><p>太差了😡👎🏽\u200b\ufeff！</p><time>２０２６－１１－０１ ０８：０３</time></li>")
    assert item.text.startswith("太差了😡👎🏽")
    assert item.created_at == datetime(2026, 11, 1, 8, 3, tzinfo=ZONE)
    assert in_json(i=1, t="好", s="４").stars == 4


def test_empty_text_with_pictures_only() -> None:
    """Stars alone are a review; pictures without stars say nothing that could be stored, and that is told."""
    assert on_page("<li id=1><img src=a.jpg><i class=star-1></i></li>").text == ""
    connector = make_connector("html", OPTIONS)
    (bad,) = connector.read(make_page("<li id=1><img src=a.jpg></li>"), Fetch("http://shop.example/p/1"))
    assert isinstance(bad, BadRow)
    assert "没有文字、标题和评分" in bad.reason


def test_a_reply_by_the_shop() -> None:
    """It is not the buyer's text."""
    item = on_page("<li id=1><p>漏水</p><div class=reply>亲，请联系客服</div></li>")
    assert (item.text, item.reply) == ("漏水", "亲，请联系客服")


@pytest.mark.parametrize("author", ["", "匿名用户", "t**0", "\u3000"])
def test_anonymous_authors(author: str) -> None:
    """Two of them are two reviews; the same one is known again."""
    page = f"<li><p>好</p><b>{author}</b></li><li><p>坏</p><b>{author}</b></li>"
    connector = make_connector("html", {**OPTIONS, "fields": {"text": "p", "author": "b"}})
    first, again = (read_items(connector, make_page(page)) for _ in range(2))
    assert len({item.external_id for item in first}) == 2
    assert [item.external_id for item in first] == [item.external_id for item in again]


def test_html_entities_twice_escaped() -> None:
    """They become what a reader would see, in HTML and in JSON."""
    assert on_page("<li id=1><p>&amp;quot;保温&amp;quot; &amp;amp; 漏水</p></li>").text == '"保温" & 漏水'
    assert in_json(i=1, t="&amp;quot;保温&amp;quot; &lt;b&gt;漏&lt;/b&gt;").text == '"保温" 漏'


def test_a_misspelt_key() -> None:
    """京东's envelope ends in ``_responce``; the right spelling is read too, and any other is told."""
    options = {"app_key": "1", "secret_env": "APP_SECRET", "token_env": "TOKEN"}
    name = "jingdong_pop_PopCommentJsfService_getVenderCommentsForJos"
    for ending in ("_responce", "_response", "_respnse"):
        connector = make_connector("jd", options, secrets=Secrets(SECRETS))
        (fetch,) = [one for one in connector.start() if isinstance(one, Fetch)]
        page = make_page(json.dumps({name + ending: {"code": "0", "comments": [{"commentId": 5, "content": "漏水"}]}}))
        if ending == "_respnse":
            with pytest.raises(SourceError, match=r"应答里没有 .*_responce"):
                list(connector.read(page, fetch))
        else:
            assert [item.external_id for item in read_items(connector, page, fetch)] == ["5"]


@pytest.mark.slow
async def test_fault_41_a_page_of_50_mb_and_one_in_gbk_under_a_utf8_header() -> None:
    """The one is named and not read, the other read as what it is, and so is the rest."""
    utf8 = {"Content-Type": "text/html; charset=utf-8"}
    answers: dict[str, Any] = {
        "/large": (200, utf8, b"<li id=l><p>" + b"x" * 50_000_000),
        "/gbk": (200, utf8, "<meta charset=utf-8><li id=g><p>质量差，漏水</p></li>".encode("gbk")),
        "/ok": "<li id=ok><p>好</p></li>",
    }
    with serving(answers) as site:
        options = {"start": [site.url(path) for path in answers], "item": "li", "fields": {"text": "p", "id": "@id"}}
        result = await crawl(make_job("html", options, allow_private_hosts=[site.host]), 60)
        (large,) = [line for line in result.log if "/large" in line]
    assert (result.status, result.seen) == ("failed", 2)
    assert "页面超过 20000000 字节" in large

"""kind = "schema_org": JSON-LD, microdata and sitemaps."""

import pytest
from crawler_factories import FIXTURES, URL, make_connector, make_page
from pydantic import ValidationError

from crawler.bases.base import Fetch, SourceError
from crawler.bases.sitemaps import addresses
from crawler.bases.structured import reviews
from crawler.items import BadRow, FeedbackItem
from crawler.spiders.schema_org import Options

SITEMAP = "http://shop.example/sitemap.xml"


def read(html: str) -> list[FeedbackItem | BadRow]:
    found = make_connector("schema_org", {"urls": [URL]}).read(make_page(html), Fetch(URL))
    return [one for one in found if isinstance(one, (FeedbackItem, BadRow))]


def test_a_saved_page() -> None:
    """Reviews wherever they are nested, scales brought to five stars, one marked up twice given once."""
    found = read((FIXTURES / "schema.html").read_text(encoding="utf-8"))
    items = {one.text: one for one in found if isinstance(one, FeedbackItem)}
    assert list(items) == ["盖子漏水 & 退货", "还行", "单独的一条", "一本书", "只在页面里的一条"]
    leak, fair, alone, book, inline = items.values()
    assert (leak.external_id, leak.title, leak.author, leak.product) == (
        "http://shop.example/r/1",
        "漏水",
        "李**明",
        "示例保温杯",
    )
    assert leak.stars == 2  # 2 of 0..10
    assert leak.created_at is not None
    assert (fair.stars, fair.author, fair.url) == (3.5, "t***1", "http://shop.example/r/2")
    assert len(fair.external_id) == 40
    assert (alone.external_id, alone.product, alone.author, alone.stars) == ("u-3", "示例保温杯", "a", 4)
    assert (book.product, book.stars) == ("书", None)
    assert (inline.product, inline.author, inline.stars, inline.url) == ("示例保温杯", "王*", 5, URL)


def test_broken_markup_about_reviews_is_told() -> None:
    """Half a JSON-LD block is a bad row if it speaks of reviews; a broken breadcrumb is nobody's business."""
    found = read((FIXTURES / "schema.html").read_text(encoding="utf-8"))
    assert [one.where for one in found if isinstance(one, BadRow)] == [URL]


def test_deep_nesting_ends() -> None:
    """A page cannot exhaust the stack."""
    html = '<script type="application/ld+json">' + '{"a":' * 500 + "1" + "}" * 500 + "</script>"
    assert list(reviews(html, URL)) == []


def test_pages_without_reviews_and_what_is_no_page() -> None:
    """Nothing found is nothing; JSON in place of a page is an error."""
    assert read("<html><body><p>还没有评价</p></body></html>") == []
    with pytest.raises(SourceError):
        read("{}")


def test_sitemaps_and_indexes() -> None:
    """Pages are links asked for news only; further sitemaps are followed; other schemes are not."""
    index = "<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><sitemap><loc>http://shop.example/a.xml</loc></sitemap></sitemapindex>"
    urls = "<urlset><url><loc> http://shop.example/p/1 </loc></url><url><loc>ftp://x.example</loc></url><url/></urlset>"
    connector = make_connector("schema_org", {"sitemap": SITEMAP})
    (first,) = connector.start()
    assert isinstance(first, Fetch)
    (further,) = connector.read(make_page(index, SITEMAP), first)
    assert isinstance(further, Fetch)
    assert (further.url, further.link, further.conditional) == ("http://shop.example/a.xml", True, False)
    assert list(connector.read(make_page(urls, further.url), further)) == [
        Fetch("http://shop.example/p/1", link=True, conditional=True)
    ]


@pytest.mark.parametrize("text", ["<html><body>404</body></html>", "no xml", "<", "<rss></rss>"])
def test_what_is_no_sitemap_is_an_error(text: str) -> None:
    """A page in place of a sitemap is not silence."""
    with pytest.raises(SourceError, match="站点地图"):
        list(addresses(text))


def test_something_to_start_from() -> None:
    """Addresses or a sitemap."""
    with pytest.raises(ValidationError, match="sitemap"):
        Options.model_validate({})

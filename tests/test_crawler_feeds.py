"""kind = "feed": RSS, Atom, JSON Feed."""

import json

import pytest
from crawler_factories import FIXTURES, make_connector, make_page, read_items

from crawler.bases.base import Fetch, SourceError
from crawler.items import BadRow, FeedbackItem

URL = "http://forum.example/feed"


def read(text: str) -> list[FeedbackItem]:
    return read_items(make_connector("feed", {"urls": [URL]}), make_page(text, URL))


def test_rss() -> None:
    """content:encoded before the summary, escaped HTML, RFC 822 dates, ids from guid, link or neither."""
    first, second, third = read((FIXTURES / "forum.rss").read_text(encoding="utf-8"))
    assert (first.external_id, first.title, first.author) == ("post-1", "保温杯漏水", "a***b")
    assert first.text == "第一段\n第二段 & 完"
    assert first.url == "http://forum.example/t/1"
    assert first.created_at is not None
    assert first.created_at.isoformat() == "2026-11-01T08:03:00+08:00"
    assert first.extra == {"comments": 12}
    assert (second.external_id, second.text) == ("http://forum.example/t/2", '他说"差"')
    assert len(third.external_id) == 40
    assert third.created_at is None


def test_atom() -> None:
    """Ids, updated dates, star ratings of app stores, relative links."""
    (entry,) = read((FIXTURES / "reviews.atom").read_text(encoding="utf-8"))
    assert (entry.external_id, entry.stars, entry.text, entry.author) == (
        "tag:app.example,2026:1",
        1,
        "更新后闪退",
        "用户A",
    )
    assert entry.url == "http://forum.example/r/1"
    assert entry.created_at is not None
    assert entry.created_at.isoformat() == "2026-11-01T08:03:00+08:00"


def test_json_feed() -> None:
    """Text before HTML, authors in the plural and the singular; an entry that says nothing is told."""
    entries = [
        {"id": "1", "content_text": "漏水", "authors": [{"name": "a"}], "date_published": "2026-11-01T08:03:00+08:00"},
        {"url": "/2", "content_html": "<p>差</p>", "author": {"name": "b"}},
        {"id": "3"},
        "no entry",
    ]
    text = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": entries})
    found = list(make_connector("feed", {"urls": [URL]}).read(make_page(text, URL), Fetch(URL)))
    first, second, third = found
    assert isinstance(first, FeedbackItem)
    assert isinstance(second, FeedbackItem)
    assert (first.external_id, first.text, first.author) == ("1", "漏水", "a")
    assert (second.external_id, second.text, second.author, second.url) == ("/2", "差", "b", "http://forum.example/2")
    assert isinstance(third, BadRow)


def test_an_empty_feed_is_a_feed() -> None:
    """No entries is no fault."""
    assert read("<rss version='2.0'><channel><title>x</title></channel></rss>") == []
    assert read('{"items": []}') == []


@pytest.mark.parametrize(
    "text", ["<html><body>x</body></html>", "plain words", '{"entries": []}', "{", "<rss version='2.0'><cha"]
)
def test_what_is_no_feed_is_an_error(text: str) -> None:
    """A page in place of a feed is not silence."""
    with pytest.raises(SourceError):
        read(text)


def test_a_feed_that_breaks_off_gives_its_whole_entries_and_a_fault() -> None:
    """The entry that was cut is not taken for one."""
    text = (FIXTURES / "forum.rss").read_text(encoding="utf-8")
    text = text[: text.index("<title>第二个") + 40]
    entries = make_connector("feed", {"urls": [URL]}).read(make_page(text, URL), Fetch(URL))
    first = next(entries)
    assert isinstance(first, FeedbackItem)
    assert first.external_id == "post-1"
    with pytest.raises(SourceError, match="没有传完"):
        next(entries)


def test_feeds_are_asked_for_news_only() -> None:
    """Every request may be answered "not modified"."""
    assert list(make_connector("feed", {"urls": [URL]}).start()) == [Fetch(URL, conditional=True)]

"""crawler.spiders.googleplay: the service account's token, and a week of reviews with the developer's replies."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from crawler_factories import NOW, make_connector, make_job, make_page
from pydantic import ValidationError
from serving import Told
from store_apps import Play, play_row
from stores import ENV, opened, read, stand_in

from crawler.bases.base import AttentionError, Fetch, SourceError
from crawler.run import crawl as crawl_process
from crawler.secrets import Secrets

OPTIONS = {"package": "com.example.cup", "key_env": "PLAY_KEY"}


def crawl(store: Play, mark: dict[str, Any] | None = None, **options: Any) -> Any:
    where = {"url": store.root, "token_url": f"{store.root}/token"}
    return read("googleplay", store, mark, **{**OPTIONS, **where, **options})


def week(count: int) -> Play:
    return Play([play_row(count - n, NOW - timedelta(minutes=10) * n) for n in range(count)])


def test_reviews_with_replies_by_a_token_got_in_exchange() -> None:
    """An RS256 assertion that verifies is exchanged once; then pages by token."""
    store = week(250)
    store.rows[0] = play_row(250, NOW, reply="感谢反馈", text="\t闪退&amp;白屏", thumbsUpCount=7)
    with opened(store):
        run = crawl(store, product="杯子")
    assert (run.error, len(run.items), run.requests) == (None, 250, 4)
    item = run.items[0]
    assert (item.external_id, item.text, item.reply) == ("gp:250", "闪退&白屏", "感谢反馈")
    assert (item.stars, item.author, item.product) == (1, "用户B", "杯子")
    assert item.created_at == NOW
    assert item.extra == {"likes": 7, "batch": "8.1.0"}


def test_five_new_ones_cost_at_most_three_requests() -> None:
    """A token, and two pages."""
    store = week(1000)
    with opened(store):
        mark = crawl(store).watermark
        store.rows[:0] = [play_row(2000 - n, NOW) for n in range(5)]
        run = crawl(store, mark)
    assert run.ids[:5] == [f"gp:{2000 - n}" for n in range(5)]
    assert run.requests <= 3


def test_an_edited_review_is_the_writers_latest_word() -> None:
    """Comments of both sides in any order; one comment as an object; the edit comes with the next run."""
    store = week(300)
    with opened(store):
        mark = crawl(store).watermark
        first = play_row(7, NOW - timedelta(hours=2), text="最早的话")
        edited = play_row(7, NOW, reply="已联系您", text="后来的话")
        edited["comments"] = [*edited["comments"][::-1], *first["comments"]]
        store.rows.insert(0, edited)
        alone = play_row(8, NOW)
        store.rows.insert(0, alone | {"comments": alone["comments"][0]})
        run = crawl(store, mark)
    assert [(item.text, item.reply) for item in run.items[:2]] == [("第8条", ""), ("后来的话", "已联系您")]


def test_only_the_last_week_exists() -> None:
    """What is older was either read in time or is lost; asking for more is refused."""
    store = week(1100)
    with opened(store):
        assert len(crawl(store).items) == 1008
    with pytest.raises(ValidationError, match="history_days"):
        make_connector("googleplay", {**OPTIONS, "history_days": 30})


def test_an_expired_token_is_exchanged_before_the_platform_says_401() -> None:
    """A long crawl goes on with a new one, at the page where it was."""
    store = week(350)
    store.lasts = 200  # less than what is spared: each page asks for a token of its own
    with opened(store):
        run = crawl(store)
    assert (run.error, len(run.items), len(store.given), run.requests) == (None, 350, 4, 8)


def test_a_throttled_call_is_repeated_with_a_sound_token() -> None:
    """Also the exchange itself, signed anew."""
    connector = make_connector("googleplay", OPTIONS, secrets=Secrets(ENV))
    (exchange,) = connector.start()
    assert connector.again(exchange).url == exchange.url
    (page,) = connector.read(make_page('{"access_token": "ya29.abcdef"}'), exchange)
    assert isinstance(page, Fetch)
    assert connector.again(page) == page
    assert connector.source.secrets.hide(repr(page)).count("ya29.abcdef") == 0


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (Told({"error": "invalid_grant", "error_description": "Invalid JWT"}, 400), AttentionError, "Invalid JWT"),
        (Told(b"<html>", 401), AttentionError, "HTTP 401"),
        (Told({"error": "disabled_client"}, 401), AttentionError, "disabled_client"),
        (Told({"token": "x"}), SourceError, "没有 access_token"),
        (Told(b"", 503), SourceError, "HTTP 503"),
    ],
)
def test_no_token(told: Told, kind: type[SourceError], says: str) -> None:
    """A key that is refused stops the run; a service that is down fails it."""
    store = week(1)
    store.refusals = [told]
    with opened(store):
        run = crawl(store)
    assert type(run.error) is kind
    assert says in str(run.error)


@pytest.mark.parametrize(
    ("told", "kind", "says"),
    [
        (Told({"error": {"code": 403, "message": "no permission"}}, 403), AttentionError, "对方说：no permission"),
        (Told({"error": {"code": 404, "message": "Package not found"}}, 404), SourceError, "Package not found"),
        (Told([]), SourceError, "应答不是对象"),
    ],
)
def test_no_reviews(told: Told, kind: type[SourceError], says: str) -> None:
    """The permission to reply is needed to read; a wrong package is told."""
    store = week(1)
    store.before = lambda number: store.refusals.append(told) if number == 2 else None
    with opened(store):
        run = crawl(store)
    assert type(run.error) is kind
    assert says in str(run.error)


def test_a_week_without_reviews_is_no_fault() -> None:
    """The platform then leaves the list out."""
    with opened(store := Play()):
        run = crawl(store)
    assert (run.error, run.items, set(run.watermark)) == (None, [], {""})


@pytest.mark.parametrize("value", ["no json", "[]", json.dumps({"client_email": "a@b"}), '{"private_key": 5}'])
def test_a_key_that_is_none_is_told_by_its_variable(value: str) -> None:
    """Before anything is asked, and without showing it."""
    connector = make_connector("googleplay", OPTIONS, secrets=Secrets({"PLAY_KEY": value}))
    with pytest.raises(AttentionError, match="环境变量 PLAY_KEY") as caught:
        list(connector.start())
    assert value not in str(caught.value)


def test_a_row_without_a_time_or_a_text() -> None:
    """It is read as far as it goes; what is no row is left out."""
    rows = [{"reviewId": "a", "comments": [{"userComment": {"starRating": 3, "lastModified": {"seconds": "?"}}}]}, "x"]
    connector = make_connector("googleplay", OPTIONS, secrets=Secrets(ENV))
    (exchange,) = connector.start()
    (page,) = connector.read(make_page('{"access_token": "ya29.abcdef", "expires_in": 3599}'), exchange)
    (item,) = connector.read(make_page(json.dumps({"reviews": rows})), page)
    assert (item.stars, item.text, item.created_at) == (3, "", None)


def test_a_whole_crawl_process_shows_neither_key_nor_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes by the environment; token and assertion are nowhere in what the process tells."""
    monkeypatch.setenv("PLAY_KEY", stand_in("PLAY_KEY"))
    store = week(150)
    with opened(store) as root:
        options = {**OPTIONS, "url": root, "token_url": f"{root}/token"}
        no = Told({"error": {"message": "ya29.token-0 may not read"}}, 403)
        store.before = lambda number: store.refusals.append(no) if number == 3 else None
        refused = asyncio.run(crawl_process(make_job("googleplay", options, allow_private_hosts=["127.0.0.1"]), 60))
    assert (refused.status, refused.seen, refused.pages) == ("attention", 100, 3)
    assert "HTTP 403" in refused.error
    assert not [part for part in ("ya29.", "PRIVATE KEY", "eyJ") if part in refused.to_json()]

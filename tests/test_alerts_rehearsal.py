"""The rehearsal's world: its story, its shop, the servers that stand in for Slack and mail, and the pages of it all."""

import csv
import json
import re
import smtplib
import threading
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from difflib import SequenceMatcher
from email.message import EmailMessage
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

import feedparser
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsel import Selector
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from alerts.rehearsal import story as tale
from alerts.rehearsal.config import NAMES, write_config
from alerts.rehearsal.mail_sink import Mail, MailSink
from alerts.rehearsal.mrkdwn import to_html
from alerts.rehearsal.server import WebServer
from alerts.rehearsal.shop_site import PER_PAGE, ShopSite, write_export
from alerts.rehearsal.slack_sink import SlackMessage, SlackSink, Version
from alerts.rehearsal.story import Review, Story
from alerts.rehearsal.view import render_pages
from alerts.rehearsal.writing import Writer
from monitor import config
from monitor.clock import HandClock

NOW = datetime(2026, 11, 15, 4, tzinfo=UTC)
STORY = Story(NOW)
OPEN = STORY.moment(time(15))
ZONES = ("UTC", "America/New_York", "Pacific/Apia", "Asia/Shanghai")
HOSTILE = '<script>alert(1)</script> *粗* <javascript:alert(1)|点我> " onload="x" {{ 7 * 7 }} &lt;b&gt;'


def of(event: str) -> list[Review]:
    return [review for review in STORY.reviews if review.event == event]


def share(reviews: list[Review]) -> float:
    return sum(review.mood == "complaint" for review in reviews) / len(reviews)


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_same_day_and_seed_tell_the_same_story() -> None:
    """Nothing but the day and the seed decides what is written, and both do."""
    assert Story(NOW).reviews == STORY.reviews
    assert Story(NOW, seed=8).reviews != STORY.reviews
    assert Story(NOW + timedelta(days=1)).reviews[0].at - STORY.reviews[0].at == timedelta(days=1)


def test_reviews_differ() -> None:
    """No two share an id, and no two buyers write the same words."""
    assert len({review.id for review in STORY.reviews}) == len(STORY.reviews) > 400
    everyday = [review.text for review in STORY.reviews if review.event != "smear"]
    assert len(set(everyday)) == len(everyday)


def test_texts_are_finished() -> None:
    """No slot is left open and no text is too short to be one."""
    for review in STORY.reviews:
        assert not re.search(r"[{}]", review.text + review.later)
        assert len(review.text) > 6


def test_promotion_is_more_of_the_same() -> None:
    """Five times the volume, the same share of complaints."""
    ordinary = [review for review in of("") if review.place != "forum"]
    days = Counter(review.at.astimezone(tale.ZONE).date() for review in ordinary)
    median = sorted(days.values())[len(days) // 2]
    assert len(of("promotion")) >= 4.5 * median
    assert len({review.at.astimezone(tale.ZONE).date() for review in of("promotion")}) == 1
    assert share(of("promotion")) == pytest.approx(share(ordinary), abs=0.02)


def test_batch_is_one_cause_and_many_buyers() -> None:
    """The missing parcels: within an hour, one product, one warehouse, every order and text its own."""
    batch = of("missing")
    assert len(batch) >= 30
    assert batch[-1].at - batch[0].at < timedelta(hours=1)
    assert {(review.product, review.warehouse) for review in batch} == {("nuts", "苏州仓")}
    assert len({review.order for review in batch}) == len({review.text for review in batch}) == len(batch)
    alike = [SequenceMatcher(None, a.text, b.text).ratio() for a, b in combinations(batch, 2)]
    assert max(alike) < 0.8


def test_smear_is_one_text_from_many_accounts() -> None:
    """Nearly the same words, a dozen authors, in the forum."""
    smear = of("smear")
    assert len({review.author for review in smear}) == len(smear) >= 12
    assert {review.place for review in smear} == {"forum"}
    assert min(SequenceMatcher(None, a.text, b.text).ratio() for a, b in combinations(smear, 2)) > 0.8


def test_only_what_is_written_is_seen() -> None:
    """Nothing from the future; an edit and a 追评 come at their hour, not before; newest first."""
    before, after = STORY.reviews_until(OPEN), STORY.reviews_until(STORY.moment(time(22)))
    assert all(review.at <= OPEN for review in before)
    assert before == sorted(before, key=lambda review: review.at, reverse=True)
    changed = {a.event for a in after for b in before if a.id == b.id and a != b}
    assert changed == {"edited", "followup"}
    edited, added = ({review.event: review for review in after}[event] for event in ("edited", "followup"))
    assert edited.stars == 1
    assert added.followup
    assert added.text == of("followup")[0].text


def test_private_things_are_listed() -> None:
    """Every invented phone number and WeChat id in a text is known, so that its masking can be checked."""
    shown = {found for review in STORY.reviews for found in re.findall(r"1990000\d{4}|shili_\w+\d{3}", review.text)}
    assert shown == STORY.private
    assert shown


@settings(max_examples=10, deadline=None)
@given(st.integers(-5_000_000, 5_000_000), st.sampled_from(ZONES))
def test_any_day_and_zone_has_its_story(minutes: int, zone: str) -> None:
    """Wherever the host stands, the crisis is in the afternoon of the day that it is in China."""
    now = (NOW + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone))
    batch = [review.at for review in Story(now).reviews if review.event == "missing"]
    assert {moment.astimezone(tale.ZONE).date() for moment in batch} == {now.astimezone(tale.ZONE).date()}
    assert {moment.astimezone(tale.ZONE).hour for moment in batch} == {14}


def test_writer_says_when_words_run_out() -> None:
    """Too few sentences are an error that names the product, not an endless search."""
    import random

    few = {"general": {name: ["a"] for name in ("openings", "praise", "endings", "neutral")}}
    writer = Writer(few, random.Random(1))
    product = {"slug": "x", "name": "某物", "short": "物", "praise": ["b"]}
    with pytest.raises(ValueError, match="某物"):
        [writer.aside("neutral", product) for _ in range(20)]


# ── the shop's site ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def site() -> str:
    with WebServer(ShopSite(STORY, HandClock(OPEN)).app) as server:
        yield server.url


def shown(place: str) -> list[Review]:
    return [review for review in STORY.reviews_until(OPEN) if review.place == place]


def test_pages_hold_every_review(site: str, tmp_path: Path) -> None:
    """Following the config's selectors from the catalogue finds each review once, with all its fields."""
    settings = config.load(write_config(tmp_path, "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1", 25))
    options = settings.sources[0].options
    found, waiting = {}, [site + "/catalogue/"]
    while waiting:
        url = waiting.pop()
        page = Selector(httpx.get(url).raise_for_status().text)
        found |= {item.attrib["id"]: item for item in page.css(options["item"])}
        links = [str(link) for css in options["follow"] for link in page.css(css).css("::attr(href)").getall()]
        waiting += [str(httpx.URL(url).join(link)) for link in links]
    assert found.keys() == {review.id for review in shown("html")}
    for review in shown("html"):
        item = found[review.id]
        assert item.css("p.body::text").get() == review.text
        assert datetime.fromisoformat(item.css("time::attr(datetime)").get()) == review.at
        star = item.css("p.star").attrib["class"].removeprefix("star ")
        assert options["stars"][star] == review.stars
        for name in ("author", "order", "warehouse", "courier"):
            assert item.css(f".{name}::text").get() == getattr(review, name)


def test_api_pages_until_empty(site: str) -> None:
    """The comments endpoint gives each comment once and then an empty list."""
    pages = [httpx.get(f"{site}/api/comments?page={n}").json()["data"] for n in (1, 2, 3)]
    ids = [comment["id"] for page in pages for comment in page["comments"]]
    assert ids == [review.id for review in shown("json")]
    assert len(pages[0]["comments"]) == PER_PAGE
    assert pages[2]["comments"] == []
    assert pages[0]["comments"][0]["created"] == int(shown("json")[0].at.timestamp() * 1000)


@pytest.mark.parametrize("number", ["0", "-1", "x", "²", "9" * 5000])
def test_odd_page_numbers_are_the_first(site: str, number: str) -> None:
    """Rubbish for a page number neither breaks the server nor hides the reviews."""
    answer = httpx.get(f"{site}/api/comments", params={"page": number})
    assert len(answer.json()["data"]["comments"]) == PER_PAGE


def test_feed_holds_the_forum(site: str) -> None:
    """The feed is well-formed, each entry's page exists, and nothing from the evening is there in the afternoon."""
    feed = feedparser.parse(httpx.get(site + "/forum/feed.xml").content)
    assert not feed.bozo
    assert [(entry.id, entry.summary, entry.author) for entry in feed.entries] == [
        (review.id, review.text, review.author) for review in shown("forum")
    ]
    assert feed.entries[0].summary in httpx.get(feed.entries[0].link).text
    assert not [entry for entry in feed.entries if "回收料" in entry.summary]


def test_goods_carry_markup(site: str) -> None:
    """The product page says its reviews as schema.org in JSON-LD."""
    page = Selector(httpx.get(site + "/goods/schoolbag").text)
    markup = json.loads(page.css("script::text").get())
    assert [said["reviewBody"] for said in markup["review"]] == [review.text for review in shown("schema")]


@pytest.mark.parametrize("path", ["/catalogue/nothing/", "/goods/nuts", "/forum/f1"])
def test_what_is_not_there_is_404(site: str, path: str) -> None:
    """Unknown products and posts are not found; robots.txt forbids nothing that is read."""
    assert httpx.get(site + path).status_code == 404
    assert "Disallow: /cart" in httpx.get(site + "/robots.txt").text


def test_export_is_the_merchants_file(tmp_path: Path) -> None:
    """The CSV has Chinese headers, a byte-order mark, and the rows written so far."""
    write_export(STORY, OPEN, tmp_path / "pdd.csv")
    with (tmp_path / "pdd.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["评价编号"], row["评价内容"]) for row in rows] == [(r.id, r.text) for r in shown("file")]


# ── Slack's stand-in ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def slack() -> tuple[SlackSink, WebClient, HandClock]:
    clock = HandClock(OPEN)
    sink = SlackSink(clock)
    with WebServer(sink.app) as server:
        yield sink, WebClient("xoxb-test", base_url=server.url + "/api/", retry_handlers=[]), clock


def section(text: str) -> dict:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def test_slack_keeps_posts_and_edits(slack: tuple[SlackSink, WebClient, HandClock]) -> None:
    """What slack-sdk posts and updates is kept in order, with its metadata and its earlier text."""
    sink, client, clock = slack
    metadata = {"event_type": "pingshao", "event_payload": {"key": "crisis:1:opened:0"}}
    posted = client.chat_postMessage(channel="C1", text="开始", blocks=[section("*一*")], metadata=metadata)
    clock.move(timedelta(minutes=5))
    client.chat_update(channel="C1", ts=posted["ts"], text="后来", blocks=[section("二")])
    (message,) = sink.messages
    assert (message.text, message.at) == ("后来", OPEN)
    assert message.earlier == [Version("开始", [section("*一*")], OPEN)]
    assert message.edited_at == OPEN + timedelta(minutes=5)
    assert [(line.method, line.key) for line in sink.log] == [
        ("chat.postMessage", "crisis:1:opened:0"),
        ("chat.update", "crisis:1:opened:0"),
    ]


def test_slack_is_asked_by_metadata(slack: tuple[SlackSink, WebClient, HandClock]) -> None:
    """History pages newest first without threads, with metadata only when asked for; replies hold the thread."""
    _, client, clock = slack
    first = client.chat_postMessage(channel="C1", text="0", metadata={"event_type": "x", "event_payload": {"key": "k"}})
    for n in range(1, 5):
        clock.move(timedelta(minutes=1))
        client.chat_postMessage(channel="C1", text=str(n))
    client.chat_postMessage(channel="C1", text="答", thread_ts=first["ts"])
    client.chat_postEphemeral(channel="C1", user="U0001", text="只给您")
    pages = client.conversations_history(channel="C1", limit=2, include_all_metadata=True)
    messages = [message for page in pages for message in page["messages"]]
    assert [message["text"] for message in messages] == ["4", "3", "2", "1", "0"]
    assert messages[-1]["metadata"]["event_payload"] == {"key": "k"}
    plain = client.conversations_history(channel="C1", oldest=first["ts"])["messages"]
    assert [message["text"] for message in plain] == ["4", "3", "2", "1"]
    same = client.conversations_history(channel="C1", oldest=first["ts"], latest=first["ts"], inclusive=True)
    assert [("metadata" in message) for message in same["messages"]] == [False]
    replies = client.conversations_replies(channel="C1", ts=first["ts"])["messages"]
    assert [message["text"] for message in replies] == ["0", "答"]


def test_slack_takes_direct_messages_and_forms(slack: tuple[SlackSink, WebClient, HandClock]) -> None:
    """A person's id is a channel of its own, and JSON inside form fields is read like any other."""
    sink, client, _ = slack
    opened = client.conversations_open(users="U0002")["channel"]["id"]
    blocks = json.dumps([section("表单")])
    client.api_call("chat.postMessage", params={"channel": "U0002", "text": "t", "blocks": blocks})
    assert sink.messages[0].channel == opened == "D0002"
    assert sink.messages[0].blocks == [section("表单")]
    assert client.auth_test()["user"] == "pingshao"


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("chat.postMessage", {"channel": "运营", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "C1"}, "no_text"),
        ("chat.postMessage", {"channel": "C1", "blocks": [section("长" * 3001)]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "C1", "blocks": [section("x")] * 51}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "C1", "blocks": ["x"]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "C1", "blocks": [section("")]}, "invalid_blocks"),
        ("chat.update", {"channel": "C1", "ts": "1.0", "text": "x"}, "message_not_found"),
        ("chat.postEphemeral", {"channel": "C1", "text": "x"}, "user_not_in_channel"),
        ("chat.dance", {}, "unknown_method"),
    ],
)
def test_slack_refuses_as_slack_does(
    slack: tuple[SlackSink, WebClient, HandClock], method: str, params: dict, error: str
) -> None:
    """What Slack would not take is refused with Slack's word for it, and kept nowhere."""
    sink, client, _ = slack
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json=params)
    assert refused.value.response["error"] == error
    assert not sink.messages


def test_slack_wants_a_token_and_sense(slack: tuple[SlackSink, WebClient, HandClock]) -> None:
    """No token, a broken body: an answer that says so, never a crash."""
    _, client, _ = slack
    url = client.base_url + "chat.postMessage"
    token = {"Authorization": "Bearer x", "Content-Type": "application/json"}
    assert httpx.post(url, json={"channel": "C1", "text": "x"}).json()["error"] == "not_authed"
    for body in (b"{", b"[1]", b"\xff", b'{"channel": "C1", "text": "x", "blocks": "["}'):
        assert httpx.post(url, content=body, headers=token).json()["error"] == "invalid_arguments"


# ── mail, and the pages ───────────────────────────────────────────────────────────────────────────────────────────────


def letter(subject: str) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "评哨 <a@example.com>", "head@example.com"
    mail["X-Pingshao-Key"] = "weekly:2026-11-16"
    mail.set_content("纯文本 <b>")
    return mail


def rich_letter() -> EmailMessage:
    mail = letter("周报")
    page = "<html><head><title>x</title></head><body><img src='cid:p@x'>周报</body></html>"
    mail.add_alternative(page, subtype="html")
    mail.get_payload()[1].add_related(b"\x89PNG-bytes", "image", "png", cid="<p@x>")
    return mail


def test_mail_is_kept_as_it_came(tmp_path: Path) -> None:
    """smtplib's mail arrives whole, with its key, its recipients and a file that says the same."""
    with MailSink(HandClock(OPEN), tmp_path) as sink, smtplib.SMTP("127.0.0.1", sink.port) as server:
        server.send_message(rich_letter(), to_addrs=["head@example.com", "brand@example.com"])
    (mail,) = sink.mails
    assert (mail.key, mail.at, mail.recipients) == (
        "weekly:2026-11-16", OPEN, ["head@example.com", "brand@example.com"],
    )  # fmt: skip
    assert mail.path.read_bytes().startswith(b"Subject: ")
    assert mail.message["Subject"] == "周报"


def message(text: str, ts: str = "1.1", **more: object) -> SlackMessage:
    return SlackMessage(ts=ts, channel="C0123456", text=text, at=OPEN, **{"blocks": [], **more})


def test_pages_show_channels_threads_and_mails(tmp_path: Path) -> None:
    """One page with every message where it belongs, and each mail as a page with its pictures beside it."""
    button = {"type": "button", "text": {"type": "plain_text", "text": "我来负责"}, "style": "primary"}
    menu = {"type": "static_select", "placeholder": {"type": "plain_text", "text": "更多操作"}}
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "危机 *不加粗*"}},
        section("*加粗* <@U0001>") | {"accessory": {"type": "overflow", "options": [{}]}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*① 内部响应*"}]},
        {"type": "divider"},
        {"type": "actions", "elements": [button, menu, {"type": "datepicker"}]},
        {"type": "context", "elements": [{"type": "image", "alt_text": "图"}, {"type": "mrkdwn", "text": "小字"}]},
        {"type": "video"},
    ]
    messages = [
        message("卡片", blocks=blocks, earlier=[Version("原来的话", [], OPEN)], edited_at=OPEN),
        message("回一句", "2.1", thread_ts="1.1"),
        message("隔天", "3.1", only_for="U0002"),
        SlackMessage("4.1", "D0003", "私信", [], OPEN),
    ]
    messages[2].at += timedelta(days=1)
    mails = [Mail(OPEN, ["head@example.com"], mail, tmp_path / "x.eml") for mail in (rich_letter(), letter("纯文本"))]
    page = render_pages(messages, mails, NAMES, tmp_path / "out")
    shown = Selector(page.read_text("utf-8"))
    assert shown.css("h3::text").get() == "危机 *不加粗*"
    assert shown.css(".section b::text").get() == "加粗"
    assert shown.css(".mention::text").get() == "@客服一号"
    assert shown.css(".thread .plain::text").get().strip() == "回一句"
    assert shown.css("section > h2::text").getall() == ["# 运营预警", "@ 经理", "邮件"]
    assert "仅 主管 可见" in shown.css(".quiet::text").get()
    assert shown.css("details .plain::text").get().strip() == "原来的话"
    assert shown.css(".day::text").getall()[:2] == ["11 月 15 日 星期日", "11 月 16 日 星期一"]
    links = shown.css("td a::attr(href)").getall()
    assert links == ["mails/001.html", "mails/002.html"]
    picture = Selector((page.parent / links[0]).read_text("utf-8")).css("img::attr(src)").get()
    assert (page.parent / "mails" / picture).read_bytes() == b"\x89PNG-bytes"
    assert "纯文本 &lt;b&gt;" in (page.parent / links[1]).read_text("utf-8")


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Script, attributes, javascript: links and template braces from a review are shown, not done."""
    mail = Mail(OPEN, [HOSTILE], letter("<img src=x onerror=alert(1)>"), tmp_path / "x.eml")
    page = render_pages([message(HOSTILE, blocks=[section(HOSTILE)])], [mail], NAMES, tmp_path)
    shown = Selector(page.read_text("utf-8"))
    assert not shown.css("script, img, [onload], [onerror], article a")
    assert "<script>alert(1)</script>" in "".join(shown.css(".section ::text").getall())
    assert "{{ 7 * 7 }}" in "".join(shown.css(".section ::text").getall())
    assert "<b>" in "".join(shown.css(".section ::text").getall())


def test_empty_page(tmp_path: Path) -> None:
    """Nothing sent is a page that says so."""
    assert "没有邮件" in render_pages([], [], {}, tmp_path).read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*粗* _斜_ ~删~ `码`", "<b>粗</b> <i>斜</i> <s>删</s> <code>码</code>"),
        ("中*不粗*文 2*3*4", "中*不粗*文 2*3*4"),
        ("<https://a.example/b_c_d?x=1&amp;y=2|看 *图*>", '<a href="https://a.example/b_c_d?x=1&amp;y=2">看 *图*</a>'),
        ("<!here>", '<span class="mention">@here</span>'),
        ("<#C0123456>", '<span class="mention">#运营预警</span>'),
        ("<@U9|某人>", '<span class="mention">@某人</span>'),
        ("<!date^1^{date}|今天> 1 &lt; 2 &amp;amp;", '<span class="mention">今天</span> 1 &lt; 2 &amp;amp;'),
        ("&gt; 引\n下一行", "<blockquote>引</blockquote>下一行"),
        ("一\n二", "一<br>二"),
    ],
)  # fmt: skip
def test_mrkdwn_reads_as_in_slack(text: str, html: str) -> None:
    """Slack's own rules: bold needs borders, links keep their underscores, entities are undone once."""
    assert str(to_html(text, NAMES)) == html


@given(st.lists(st.sampled_from([*"<>&*_~`|!@#\n\0 \"'a中", "&lt;", "javascript:", "https://", "<script>"])))
def test_any_mrkdwn_is_safe(parts: list[str]) -> None:
    """Whatever is sent, only the few harmless elements come out, and links lead to the web or to mail."""
    html = Selector(f"<div>{to_html(''.join(parts), NAMES)}</div>")
    assert {node.root.tag for node in html.css("div *")} <= {"b", "i", "s", "code", "a", "br", "span", "blockquote"}
    assert all(href.lower().startswith(("http", "mailto:")) for href in html.css("a::attr(href)").getall())
    assert {name for node in html.css("div *") for name in node.attrib} <= {"href", "class"}


def test_server_gives_up_on_a_broken_app() -> None:
    """A server whose thread ends before it serves is an error at once, not a hang."""
    server = WebServer(None)
    server._thread = threading.Thread(target=lambda: None)
    with pytest.raises(RuntimeError, match="没有"), server:
        pass
    server.__exit__(None, None, None)

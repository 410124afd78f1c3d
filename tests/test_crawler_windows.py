"""crawler.bases.windows: what a run asks for, and that nothing is missed whatever the platform does meanwhile.

The platforms are doubles on real sockets (``gateways``) that check every signature.
"""

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crawler_driving import Run, drive
from crawler_factories import NOW, make_connector, make_page
from gateways import GMT8, SECRETS, Jos, Kwai, Platform, Top, gateway
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.bases.base import AttentionError, Connector, Fetch, SourceError
from crawler.bases.windows import Done, Step, Window, WindowOptions, plan
from crawler.items import BadRow, FeedbackItem
from crawler.secrets import Secrets

Make = Callable[..., dict[str, Any]]


def top_row(number: int, at: datetime, **values: Any) -> dict[str, Any]:
    row = {"tid": number, "oid": number, "role": "buyer", "nick": "t**0", "result": "bad", "content": f"第{number}条"}
    return {**row, "created": f"{at.astimezone(GMT8):%Y-%m-%d %H:%M:%S}", "item_title": "杯", "at": at, **values}


def jos_row(number: int, at: datetime, **values: Any) -> dict[str, Any]:
    row = {"commentId": str(number), "score": 1, "content": f"第{number}条", "isVenderReply": False, "orderId": 0}
    return {**row, "creationTime": f"{at.astimezone(GMT8):%Y-%m-%d %H:%M:%S}", "at": at, **values}


def kwai_row(number: int, at: datetime, **values: Any) -> dict[str, Any]:
    row = {"commentId": number, "qualityScore": 1, "content": f"第{number}条", "anonymous": False}
    return {**row, "createTime": int(at.timestamp() * 1000), "at": at, **values}


OPTIONS: dict[type[Platform], tuple[str, Make, dict[str, Any]]] = {
    Top: ("taobao", top_row, {"secret_env": "APP_SECRET", "session_env": "SESSION"}),
    Jos: ("jd", jos_row, {"secret_env": "APP_SECRET", "token_env": "TOKEN"}),
    Kwai: ("kuaishou", kwai_row, {"sign_secret_env": "SIGN", "token_env": "TOKEN"}),
}
# fmt: off
FIELD_NAMES = (
    "oid", "tid", "result", "created", "nick", "content", "reply", "has_next", "trade_rates", "trade_rate", "code",
    "sub_code", "msg", "commentId", "score", "status", "creationTime", "replies", "isVenderReply", "nickName",
    "orderId", "rootComment", "createTime", "qualityScore", "anonymous", "valid", "comments",
)
# fmt: on
ALL = pytest.mark.parametrize("kind", [Top, Jos, Kwai])


def crawl(platform: Platform, root: str, *, mark: dict[str, Any] | None = None, **options: Any) -> Run:
    """One run, at the platform's time."""
    return drive(connect(platform, root, mark=mark, **options))


def connect(platform: Platform, root: str, *, mark: dict[str, Any] | None = None, **options: Any) -> Connector[Any]:
    kind, _, credentials = OPTIONS[type(platform)]
    url = root + platform.path if platform.verb == "POST" else root
    env = {**SECRETS, "OLD": "an-old-session"}
    return make_connector(
        kind,
        {"app_key": "12345678", "url": url, **credentials, **options},
        now=platform.clock,
        watermark=mark or {},
        secrets=Secrets(env),
    )


def filled(kind: type[Platform], count: int, days: float) -> Platform:
    """A platform with reviews spread evenly over the days that have passed."""
    make = OPTIONS[kind][1]
    step = timedelta(days=days) / count
    return kind([make(number, NOW - step * (count - number + 0.5)) for number in range(1, count + 1)])


def steps(options: WindowOptions, mark: dict[str, Any], now: datetime = NOW) -> list[tuple[float, float]]:
    """The windows of a plan as days before now."""
    windows = [one.window for one in plan(options, mark, now) if isinstance(one, Step)]
    return [tuple((now - at) / timedelta(days=1) for at in (one.start, one.end)) for one in windows]  # type: ignore[misc]


def test_the_first_run_goes_back_as_far_as_told() -> None:
    """Oldest first, in windows of the longest span, and every one moves the mark on."""
    options = WindowOptions(history_days=20, window_days=7)
    assert steps(options, {}) == [(20, 13), (13, 6), (6, 0)]
    marks = [one.mark for one in plan(options, {}, NOW) if isinstance(one, Done)]
    assert [list(mark) for mark in marks] == [["until"], ["until"], ["until"], ["looked"]]


def test_later_runs_overlap_and_look_again_once_a_day() -> None:
    """At reviews that have come of age since the last look, without reading what was just read."""
    options = WindowOptions(overlap_hours=48, look_again=[1, 7, 30])
    ago = {name: (NOW - timedelta(hours=hours)).isoformat() for name, hours in (("until", 1), ("looked", 12))}
    assert steps(options, ago) == [(2 + 1 / 24, 0)]
    ago["looked"] = (NOW - timedelta(days=1)).isoformat()
    assert steps(options, ago) == [(2 + 1 / 24, 0), (8, 7), (31, 30)]
    assert steps(WindowOptions(look_again=[]), ago) == [(2 + 1 / 24, 0)]
    ago["until"] = (NOW - timedelta(days=500)).isoformat()
    assert steps(WindowOptions(history_days=10, window_days=60), ago) == [(10, 0)]


def test_halves_meet_and_end_at_a_second() -> None:
    """No second between them is left out."""
    halves = Window(NOW, NOW + timedelta(seconds=3)).halves()
    assert halves is not None
    assert (halves[0].start, halves[0].end) == (NOW, halves[1].start)
    assert Window(NOW, NOW + timedelta(seconds=1)).halves() is None


@ALL
def test_every_review_once_and_the_second_run_has_none_new(kind: type[Platform]) -> None:
    """Signatures hold, pages follow one another, times are right; the increment is cheap."""
    platform = filled(kind, 120, 8)
    with gateway(platform) as root:
        first = crawl(platform, root, history_days=9)
        assert first.error is None
        assert sorted(map(int, first.ids)) == list(range(1, 121))
        assert all(item.stars == 1 and item.created_at for item in first.items)
        assert {item.created_at for item in first.items} == {
            row["at"].replace(microsecond=row["at"].microsecond // 1000 * 1000 if kind is Kwai else 0)
            for row in platform.rows
        }
        platform.clock += timedelta(minutes=10)
        again = crawl(platform, root, history_days=9, mark=first.watermark)
    assert set(again.ids) <= set(first.ids)
    assert again.requests < first.requests


@ALL
def test_five_new_among_ten_thousand_cost_three_requests(kind: type[Platform]) -> None:
    """A known shop's increment is at most three calls."""
    platform = filled(kind, 10_000, 180)
    make = OPTIONS[kind][1]
    last = {name: (NOW - timedelta(minutes=10)).isoformat() for name in ("until", "looked")}
    platform.rows += [make(20_000 + n, NOW - timedelta(minutes=n + 1)) for n in range(5)]
    with gateway(platform) as root:
        run = crawl(platform, root, mark=last)
    assert {str(20_000 + n) for n in range(5)} <= set(run.ids)
    assert run.requests <= 3


@ALL
@pytest.mark.parametrize("ignores_end", [False, True])
def test_none_is_missed_while_200_are_written_during_a_crawl(kind: type[Platform], ignores_end: bool) -> None:
    """Over two runs; also where the platform shows what is newer than asked, so that each page is pushed down."""
    platform = filled(kind, 300, 6)
    platform.ignores_end = ignores_end
    make = OPTIONS[kind][1]
    waiting = list(range(1000, 1200))

    def write(_: int) -> None:
        for number in (waiting.pop() for _ in range(min(20, len(waiting)))):
            platform.clock += timedelta(seconds=1)
            platform.rows.append(make(number, platform.clock))

    platform.before = write
    options = {"history_days": 7, "page_size": 20}
    with gateway(platform) as root:
        first = crawl(platform, root, **options)
        platform.clock += timedelta(minutes=5)
        second = crawl(platform, root, mark=first.watermark, **options)
    assert first.error is second.error is None
    assert waiting == []
    written_in_all = {str(row.get("oid") or row["commentId"]) for row in platform.rows}
    assert written_in_all == {*first.ids, *second.ids}
    assert len(written_in_all) == 500
    assert len(set(first.ids)) == len(first.ids)


@ALL
def test_the_same_review_on_two_pages_is_one(kind: type[Platform]) -> None:
    """A list that is pushed down between two pages repeats a row; it is given once."""
    platform = filled(kind, 45, 3)
    platform.ignores_end = True
    make = OPTIONS[kind][1]
    platform.before = lambda n: platform.rows.append(make(500 + n, NOW + timedelta(seconds=n)))
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=4, page_size=20)
    assert len(run.ids) == len(set(run.ids))
    assert {str(n) for n in range(1, 46)} <= set(run.ids)


@ALL
def test_a_window_that_overflows_is_split(kind: type[Platform]) -> None:
    """The platform gives the newest rows of a window only, and says there are no more."""
    platform = filled(kind, 200, 2)
    platform.cap = 40
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=3, page_size=20, window_rows=40)
        blind = crawl(platform, root, history_days=3, page_size=20, window_rows=0)
    assert run.error is None
    assert sorted(map(int, run.ids)) == list(range(1, 201))
    assert len(blind.ids) == 40
    assert len(set(run.ids)) == len(run.ids)


def test_a_second_that_overflows_is_a_fault() -> None:
    """What cannot be split is said, not skipped."""
    platform = Top([top_row(n, NOW - timedelta(days=1)) for n in range(1, 60)], cap=40)
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=2, page_size=20, window_rows=40)
    assert run.error is not None
    assert "一秒内就有 40 条" in str(run.error)


def test_a_page_that_repeats_for_ever_is_left() -> None:
    """A platform that gives its last page for every number does not hold the run."""

    class Stuck(Jos):
        def window(self, start: datetime, end: datetime) -> list[dict[str, Any]]:
            return super().window(start, end) * 1000

    OPTIONS[Stuck] = OPTIONS[Jos]
    platform = Stuck([jos_row(n, NOW - timedelta(hours=n)) for n in range(1, 21)])
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=2, page_size=20)
    assert (len(run.ids), run.error) == (20, None)
    assert run.requests == 21


@ALL
def test_an_edited_review_and_a_late_one_are_read_again(kind: type[Platform]) -> None:
    """Within the overlap, and when it has come of age: under the same id, so that it becomes a version."""
    make = OPTIONS[kind][1]
    platform = kind([make(1, NOW - timedelta(hours=3)), make(2, NOW - timedelta(days=7, hours=3))])
    marks = {"until": (NOW - timedelta(hours=1)).isoformat(), "looked": (NOW - timedelta(days=1)).isoformat()}
    platform.rows[0]["content"] = platform.rows[1]["content"] = "改过了：还是坏的"
    platform.rows.append(make(3, NOW - timedelta(hours=6)))  # shown hours after it was written
    with gateway(platform) as root:
        run = crawl(platform, root, mark=marks)
    assert {(item.external_id, item.text) for item in run.items} == {
        ("1", "改过了：还是坏的"),
        ("2", "改过了：还是坏的"),
        ("3", "第3条"),
    }


@ALL
def test_an_expired_token_asks_for_a_person(kind: type[Platform]) -> None:
    """With the variable that has to be renewed."""
    key = {Top: "session_env"}.get(kind, "token_env")
    platform = filled(kind, 3, 1)
    with gateway(platform) as root:
        run = crawl(platform, root, **{key: "OLD"})
    assert isinstance(run.error, AttentionError)
    assert "环境变量 OLD" in str(run.error)
    assert run.requests == 1


def test_a_token_that_expires_midway_keeps_what_was_read() -> None:
    """What was found is given, the rest is asked for when a person has renewed it."""
    platform = Jos([jos_row(n, NOW - timedelta(hours=n)) for n in range(1, 101)])
    ended = {"error_response": {"code": "19", "zh_desc": "token已过期", "en_desc": ""}}
    platform.before = lambda n: platform.refusals.append((ended,)) if n == 2 else None
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=7)
    assert isinstance(run.error, AttentionError)
    assert len(run.ids) == 50
    assert run.watermark == {}


@ALL
def test_a_wrong_secret_is_a_fault_that_says_so(kind: type[Platform]) -> None:
    """The platform's code and words; no retry, no alarm to renew a token."""
    key = {Kwai: "sign_secret_env"}.get(kind, "secret_env")
    platform = filled(kind, 3, 1)
    with gateway(platform) as root:
        run = crawl(platform, root, **{key: "OLD"})
    assert type(run.error) is SourceError
    assert any(word in str(run.error) for word in ("Invalid signature", "签名"))


@pytest.mark.parametrize(
    ("kind", "refused", "pause"),
    [
        (
            Top,
            {
                "error_response": {
                    "code": 7,
                    "msg": "App Call Limited",
                    "sub_msg": "This ban will last for 2 more seconds",
                }
            },
            2,
        ),
        (
            Top,
            {"error_response": {"code": 15, "msg": "Remote service error", "sub_code": "isp.remote-service-timeout"}},
            0,
        ),
        (Jos, {"error_response": {"code": "2", "zh_desc": "限制时间内调用失败次数", "en_desc": "App Call Limited"}}, 0),
        (Kwai, {"result": 100, "error_msg": "请求过于频繁，请稍后再试"}, 0),
    ],
)
def test_a_throttled_call_is_repeated_with_a_new_signature(kind: type[Platform], refused: Any, pause: float) -> None:
    """After the pause that was named; nothing is lost or given twice."""
    platform = filled(kind, 30, 1)
    platform.refusals = [(refused,), (refused,)]
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=2, page_size=20)
    assert run.error is None
    assert run.pauses == [pause, pause]
    assert sorted(map(int, run.ids)) == list(range(1, 31))


@ALL
def test_an_answer_that_is_none_of_the_platforms_is_a_fault(kind: type[Platform]) -> None:
    """A proxy's page, a list, another envelope, an error status with words: named, never taken for "no reviews"."""
    for refused, said in (
        (([],), "应答"),
        (({"result": 1, "other": {}},), "应答里没有"),
        (({"message": "upstream down"}, 502), "HTTP 502；对方说：upstream down"),
    ):
        platform = filled(kind, 3, 1)
        platform.refusals = [refused]
        with gateway(platform) as root:
            run = crawl(platform, root)
        assert type(run.error) is SourceError
        assert said in str(run.error) or (kind is Kwai and "平台回答" in str(run.error))


@ALL
def test_a_run_that_is_cut_short_goes_on_where_it_stopped(kind: type[Platform]) -> None:
    """Its mark stands at the last window that was read whole; nothing is left out between two runs."""
    platform = filled(kind, 200, 20)
    options = {"history_days": 21, "window_days": 3, "page_size": 20, "look_again": []}
    seen: set[str] = set()
    mark: dict[str, Any] = {}
    with gateway(platform) as root:
        for _ in range(20):
            connector = connect(platform, root, mark=mark, **options)
            run = drive(connector, most=5)
            seen |= set(run.ids)
            mark = run.watermark
    assert len(seen) == 200
    assert mark["until"] == NOW.astimezone(UTC).isoformat()


ENVELOPES: dict[type[Platform], list[tuple[str, ...]]] = {
    Top: [("traderates_get_response",), ("traderates_get_response", "trade_rates", "trade_rate"), ("error_response",)],
    Jos: [("jingdong_pop_PopCommentJsfService_getVenderCommentsForJos_responce", "comments"), ("error_response",)],
    Kwai: [("data",), ("data", "rootComment")],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELD_NAMES), inner, max_size=4),
    max_leaves=12,
)


@ALL
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_comes_back_is_items_or_a_reason(kind: type[Platform], data: st.DataObject) -> None:
    """No answer, however odd, breaks a connector."""
    body: Any = data.draw(JSON)
    for name in reversed(data.draw(st.sampled_from([(), *ENVELOPES[kind]]))):
        body = {name: body, "result": 1}
    connector = (
        connect(kind(), "http://gateway.example", followups=True) if kind is Top else connect(kind(), "http://g")
    )
    (fetch,) = connector.start()
    assert isinstance(fetch, Fetch)
    with contextlib.suppress(SourceError):
        for output in connector.read(make_page(json.dumps(body)), fetch):
            assert isinstance(output, (FeedbackItem, BadRow, Fetch))


def test_taobao_reads_followups_of_those_old_enough() -> None:
    """Asked one by one; an order that is none of 天猫's stays as it is, and a young review is left for later."""
    platform = Top([top_row(1, NOW - timedelta(days=7, hours=1)), top_row(2, NOW - timedelta(hours=1))])
    platform.rows.append(top_row(3, NOW - timedelta(days=3)))
    platform.feeds = {"1": {"content": "第1条", "append_content": "用了一周就坏"}}
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=9, followups=True, sign_method="hmac")
    assert {item.external_id: item.followup for item in run.items} == {"1": "用了一周就坏", "2": "", "3": ""}
    assert sum(params["method"] == "tmall.traderate.feeds.get" for params in platform.asked) == 2


def test_a_followup_that_cannot_be_read_fails_the_run() -> None:
    """It must not look as if the buyer had taken his 追评 back."""
    platform = Top([top_row(1, NOW - timedelta(days=3))], feeds={"1": {"append_content": "坏了"}})
    platform.before = lambda n: platform.refusals.append(({"m": "bad gateway"}, 502)) if n == 2 else None
    with gateway(platform) as root:
        run = crawl(platform, root, history_days=4, followups=True)
    assert run.items == []
    assert "HTTP 502" in str(run.error)


def test_kuaishou_may_want_seconds() -> None:
    """A setting, for its documents disagree."""
    platform = Kwai([kwai_row(1, NOW - timedelta(hours=1))], unit=1)
    with gateway(platform) as root:
        assert crawl(platform, root, time_unit="s", history_days=2).ids == ["1"]


def test_jd_may_want_milliseconds() -> None:
    """A setting, for its documents disagree."""
    platform = Jos([jos_row(1, NOW - timedelta(hours=1))])
    with gateway(platform) as root:
        assert crawl(platform, root, timestamp="milliseconds", history_days=2).ids == ["1"]
    assert platform.asked[0]["timestamp"].endswith("+0800")


def test_reviews_without_an_id_are_kept_apart() -> None:
    """Two rows of the same second are two reviews, and the next run knows them again."""
    rows = [jos_row(n, NOW - timedelta(hours=1), commentId=None) for n in (1, 2)]
    with gateway(Jos(rows)) as root:
        first = crawl(Jos(rows), root, history_days=2)
        second = crawl(Jos(rows), root, history_days=2)
    assert len(set(first.ids)) == 2
    assert first.ids == second.ids

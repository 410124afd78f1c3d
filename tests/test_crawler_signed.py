"""crawler.bases.signed: the platforms' published examples, and what their refusals mean."""

import pytest
from crawler_factories import NOW

from crawler.bases.base import AttentionError, EndedError, SourceError, ThrottledError
from crawler.bases.refusals import refusal
from crawler.bases.signed import china_time, from_china, hmac_md5, joined_md5, listed, wrapped_md5

TOP = {
    "method": "taobao.item.seller.get",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "sign_method": "md5",
    "fields": "num_iid,title,nick,price,num",
    "num_iid": "11223344",
}
JOS = {
    "360buy_param_json": '{"end_date":null,"optional_fields":null,"order_state":"WAIT_SELLER_STOCK_OUT",'
    '"page":"1","page_size":"200","start_date":null}',
    "access_token": "yourtoken",
    "app_key": "yourappkey",
    "method": "jingdong.pop.order.search",
    "timestamp": "2021-05-07 09:20:39.683+0800",
    "v": "2.0",
}


def test_the_example_published_by_taobao() -> None:
    """https://open.taobao.com/doc.htm?docId=101617: secret "helloworld"."""
    assert wrapped_md5(TOP, "helloworld") == "66987CB115214E59E6EC978214934FB8"


def test_the_example_published_by_jd() -> None:
    """https://open.jd.com, developers' guide 2643: secret "yourappSecret"."""
    assert wrapped_md5(JOS, "yourappSecret") == "D70825340F4084360B9362B60DFD7930"


def test_hmac_does_not_wrap_the_secret() -> None:
    """RFC 2202, case 1: key of sixteen 0x0b, data "Hi There"; and the signature covers sign_method itself."""
    assert hmac_md5({"Hi": " There"}, "\x0b" * 16) == "9294727A3638BB1C13F48EF8158BFC9D"
    assert hmac_md5(TOP, "helloworld") != hmac_md5({**TOP, "sign_method": "hmac"}, "helloworld")


def test_kuaishou_signs_with_the_sign_secret_last() -> None:
    """The text of its document, made into a signature by md5sum; lower case."""
    params = {"appkey": "ks123", "access_token": "xxx", "method": "open.xxx.xxx", "param": '{"title":"短袖"}'}
    params |= {"signMethod": "MD5", "timestamp": "1583271919000", "version": "1"}
    assert joined_md5(params, "xxxxxx") == "37c0081c7701a3a0d03f430abbbc0d8b"


def test_times_are_in_gmt_plus_8_wherever_the_service_runs() -> None:
    """Both ways; milliseconds need no zone."""
    from datetime import UTC

    assert china_time(NOW.astimezone(UTC)) == "2026-11-22 09:30:00"
    assert from_china("2026-11-22 09:30:00", NOW) == NOW
    assert from_china(NOW.timestamp() * 1000, NOW) == from_china(int(NOW.timestamp()), NOW) == NOW


def test_one_entry_instead_of_a_list() -> None:
    """A single row comes bare, none as null; what is no row is kept to be counted."""
    assert listed({"a": 1}) == listed([{"a": 1}]) == [{"a": 1}]
    assert listed(None) == []
    assert listed(["x"]) == [{"": "x"}]


@pytest.mark.parametrize(
    ("code", "said", "kind", "pause"),
    [
        (27, "Invalid session invalid-sessionkey", EndedError, None),
        (99, "session-expired", EndedError, None),
        (19, "token已过期或不存在", EndedError, None),
        (11, "Insufficient isv permissions", AttentionError, None),
        (7, "App Call Limited This ban will last for 3 more seconds", ThrottledError, 3),
        (429, "请求过于频繁，请稍后再试", ThrottledError, 0),
        (2, "限制时间内调用失败次数", ThrottledError, 0),
        (25, "Invalid signature", SourceError, None),
        (41, "Invalid arguments", SourceError, None),
    ],
)
def test_what_a_refusal_means(code: int, said: str, kind: type[SourceError], pause: float | None) -> None:
    """To renew, to wait, or a fault; the message has the method, the code and the platform's words."""
    error = refusal("some.method", code, said, "SHOP_TOKEN", busy=("2",))
    assert type(error) is kind
    assert f"some.method：平台回答 {code} {said}" in str(error)
    assert getattr(error, "pause", None) == pause
    if kind is EndedError:
        assert "SHOP_TOKEN" in str(error)

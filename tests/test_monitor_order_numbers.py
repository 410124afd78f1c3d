"""Order numbers in what leaves the house: hidden; prices, models, days, moments and barcodes: not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.order_numbers import hide_orders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("订单号2211034567890123456还没发", "订单号***************3456还没发"),
        ("订单编号：221103-123456789012345，催了三次", "订单编号：******************2345，催了三次"),
        ("单子 3456789012345678901 至今没动", "单子 ***************8901 至今没动"),
        ("order no. 88123456 lost", "order no. ****3456 lost"),
        ("我的订单是DD20261101 0001", "我的订单是******1101 0001"),
        ("订单20261101123456789没收到", "订单*************6789没收到"),
        ("订单号：100200300400、500600700800都没到", "订单号：********0400、********0800都没到"),
    ],
)
def test_hidden(text: str, shown: str) -> None:
    """What is called an order number, of six digits and more, and what has twelve; the last four stay."""
    assert hide_orders(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "花了1299.00元，原价 12990 元",
        "型号 ABC-20261234，容量 500ml，序号 12345678901",
        "订单 2026-11-01 下的，20261105 才发",
        "订单2026-11-1下的；订单20261101下的",
        "202611221530 下单，20261122153000 付款",
        "条码 6901234567892 对不上",
        "圆周率 3.141592653589793",
        "电话 138****1111，单号 SF****5678",
        "订单号****3456",
        "下单3天、交易2次",
    ],
)
def test_left_alone(text: str) -> None:
    """Prices, models, days, moments, barcodes, decimals and what was masked before."""
    assert hide_orders(text) == text


def test_what_only_looks_like_one_of_those() -> None:
    """A thirteenth month is no moment, a wrong last digit no barcode."""
    assert hide_orders("202613221530") == "********1530"
    assert hide_orders("6901234567893") == "*********7893"


@given(st.text(st.sampled_from("订单号：0123456789-* aA.号下")))
def test_twice_is_once_and_places_stay(text: str) -> None:
    """Masking again changes nothing more, and marks in a text stay where they were."""
    shown = hide_orders(text)
    assert len(shown) == len(text)
    assert hide_orders(shown) == shown

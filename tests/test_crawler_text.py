"""crawler.text: HTML to plain text, bytes to text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.text import decode, plain_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("  很好  ", "很好"),
        ("第一行\n第二行", "第一行\n第二行"),
        ("<p>a\nb</p><p>c<br>d</p>", "a b\nc\nd"),
        ("<div>一</div><div>二</div>", "一\n二"),
        ("a&nbsp;b　c  d", "a b c d"),
        ("&amp;quot;好&amp;quot;", '"好"'),
        ("一&amp;lt;br&amp;gt;二", "一\n二"),
        ("&lt;p&gt;一&lt;/p&gt;&lt;b&gt;二&lt;/b&gt;", "一\n二"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("<script>if(a<b)</script>好<style>p{}</style>", "好"),
        ("<SCRIPT>x</Script >好", "好"),
        ("<script>没有结尾", "没有结尾"),
        ("<!-- a > b -->好", "好"),
        ("<!-- 没有结尾", "没有结尾"),
        ("好<3 还会来", "好<3 还会来"),
        ("a<b 但是 c>d", "a<b 但是 c>d"),
        ("<其他> {{7*7}} <notatag x=1>", "<其他> {{7*7}} <notatag x=1>"),
        ("气<img alt=[怒] src=x>人<img alt='商品图'>", "气[怒]人"),
        ("&#20005;&#x91CD;", "严重"),
        ("", ""),
    ],
)
def test_plain_text(html: str, text: str) -> None:
    """What a reader would see, with what the writer typed kept."""
    assert plain_text(html) == text


@pytest.mark.parametrize("piece", ["<!--", "<script>", "<p ", "<", "&amp;lt;", "<a href='", "</", "<p>", "&", " \n"])
def test_hostile_repetition_takes_linear_time(piece: str) -> None:
    """A megabyte made to stall a parser takes no time worth mentioning."""
    begun = time.perf_counter()
    plain_text(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - begun < 5


@given(st.text(max_size=200))
def test_text_without_markup_loses_nothing_but_blanks(text: str) -> None:
    """Only characters that mark something up may make a difference."""
    plain = text.replace("<", "").replace("&", "")
    assert plain_text(plain).split() == plain.replace("　", " ").split()


@pytest.mark.parametrize(
    ("body", "declared", "text"),
    [
        ("质量差".encode(), "", "质量差"),
        ("质量差".encode(), "gbk", "质量差"),
        ("质量差，盖子漏水".encode("gbk"), "utf-8", "质量差，盖子漏水"),
        ("质量差，盖子漏水".encode("gb18030"), "iso-8859-1", "质量差，盖子漏水"),
        ("質量差".encode("big5"), "big5", "質量差"),
        ("質量差".encode("shift_jis"), "Shift_JIS", "質量差"),
        ("质量差".encode("utf-8-sig"), "", "质量差"),
        ("质量差".encode("utf-16"), "", "质量差"),
        ("caf\xe9 ol\xe9 ".encode("latin-1"), "iso-8859-1", "café olé "),
        ("质量差".encode()[:-1], "utf-8", "质量"),
        (b"", "no-such-charset", ""),
    ],
)
def test_decode(body: bytes, declared: str, text: str) -> None:
    """The bytes are believed before the header; a cut last character is dropped."""
    assert decode(body, declared) == text


def test_an_unknown_encoding_is_no_obstacle() -> None:
    """What a header makes up is passed over."""
    assert decode("质量差，退货".encode("gbk"), "no-such-charset") == "质量差，退货"


@pytest.mark.parametrize("body", [b"\x89PNG\r\n\x1a\n\x00\x00", b"\xff\xd8\xff\xe0\x80\x80\xff", b"abc\xff\xff\xffabc"])
def test_what_is_no_text_is_none(body: bytes) -> None:
    """Binary stays binary instead of becoming mojibake."""
    assert decode(body, "utf-8") is None

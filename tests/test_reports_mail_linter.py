"""Every mail keeps to what mail programs can show; and the linter sees what does not."""

from pathlib import Path

import mail_linter
import pytest

GOLDEN = Path(__file__).parent / "golden"
GOOD = (
    '<html lang="zh-CN"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"></head>'
    "<body>{}</body></html>"
)


@pytest.mark.parametrize("page", sorted(GOLDEN.rglob("*.html")), ids=lambda page: page.stem)
def test_our_mails_keep_to_the_rules(page: Path) -> None:
    """The pages that were looked at and kept."""
    assert mail_linter.faults(page.read_text(encoding="utf-8")) == []


def test_there_are_mails_to_look_at() -> None:
    """Reports and summaries at least."""
    assert {"daily", "evening", "weekly", "monthly"} <= {page.stem for page in GOLDEN.rglob("*.html")}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("<script>x()</script>", "<script>: not shown everywhere"),
        ("<section>x</section>", "<section>: not shown everywhere"),
        ('<p style="display:flex;gap:4px">x</p>', "<p style='gap'>: not understood everywhere"),
        ('<p style="padding: 4px">x</p>', "<p style='padding'>: not understood everywhere"),
        ('<td style="width: calc(100% - 4px)">x</td>', "a value that is not understood everywhere"),
        ('<td style="margin: -4px">x</td>', "a value that is not understood everywhere"),
        ('<td style="background: url(x.png)">x</td>', "a value that is not understood everywhere"),
        ('<p onclick="x()">x</p>', "<p onclick>: runs something"),
        ('<img src="cid:a" width="1">', "<img>: without alt"),
        ('<a href="/cases/1">x</a>', "a mail has no folder or site of its own"),
        ("<table><tr><td>x</td></tr></table>", "Outlook adds its own"),
        ("<style>@import 'x.css';</style>", "the style block loads something"),
        ("<style>p{}</style><style>p{}</style>", "more style than one block that Gmail reads"),
        (f"<p>{'长' * 40_000}</p>", "Gmail cuts it"),
    ],
)
def test_the_linter_sees_it(part: str, said: str) -> None:
    """One fault each; the page around it has none."""
    assert mail_linter.faults(GOOD.format("<p>好</p>")) == []
    assert any(said in fault for fault in mail_linter.faults(GOOD.format(part)))


def test_a_bare_page_is_told_what_it_lacks() -> None:
    """Language, charset, dark mode."""
    assert mail_linter.faults("<html><body></body></html>") == [
        "<html>: without lang",
        "<head>: without charset",
        "<head>: dark mode is not declared",
    ]

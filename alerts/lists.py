"""Many cases in one message: how many, of what, and a line for each; longer lists come in pages."""

from collections import Counter
from collections.abc import Mapping, Sequence

from alerts import words
from alerts.cards import Reader
from alerts.content import Card, Line, Span, line, link
from monitor.models import Outbox
from monitor.order_numbers import hide_orders
from monitor.queries import CaseView
from monitor.states import STATE_LABELS

_SHORT = 40  # characters of a text that fit a phone's line


def cases_card(views: Sequence[CaseView], counts: Mapping[str, int], first: int, reader: Reader) -> Card:
    """One page of a flood: how many, of what, and a line for each.

    Args:
        views: The cases of this page.
        counts: How many there are on all pages, by their most important category.
        first: The number of this page's first case, from 1.
        reader: For whom.
    """
    total = sum(counts.values())
    shop = reader.shop_name(views[0].case.shop_id)
    span = f"第 {first}–{first + len(views) - 1} 件" if len(views) < total else ""
    told = "，".join(f"{words.code(code)} {n} 件" for code, n in Counter(counts).most_common())
    return Card(
        title=f"【差评】{shop} · 一下来了 {total} 件" + (f" · {span}" if span else ""),
        lines=(line(told), _listed(views, first, reader)),
    )


def overdue_card(row: Outbox, views: Sequence[CaseView], total: int, first: int, reader: Reader) -> Card:
    """One page of many cases whose clock ran out, or soon will, at once."""
    stage = words.STAGES["case"].get(row.payload["stage"], row.payload["stage"])
    heads = {
        "reminder": f"【快到时限】{total} 件差评的“{stage}”",
        "stalled": f"【没有进展】{total} 件差评认领后没有动静",
    }
    head = heads.get(row.payload.get("step", ""), f"【超时】{total} 件差评的“{stage}”")
    span = f" · 第 {first}–{first + len(views) - 1} 件" if len(views) < total else ""
    return Card(head + span, (_listed(views, first, reader),))


def _listed(views: Sequence[CaseView], first: int, reader: Reader) -> Line:
    parts: list[str | Span] = []
    for n, view in enumerate(views, first):
        parts += [f"\n{n}. " if parts else f"{n}. ", *_line(view, reader)]
    return line(*parts)


def _line(view: CaseView, reader: Reader) -> list[str | Span]:
    """A case in one line with the way to its page."""
    case = view.case
    facts = [words.SEVERITY[case.severity], *(words.code(code) for code in case.categories[:2])]
    text = "（没有文字）"
    if view.items:
        feedback = view.items[0].feedback
        facts += words.feedback_facts(feedback, with_platform=False)
        text = " ".join(hide_orders(feedback.text or feedback.title).split()) or text
    short = f"「{text[:_SHORT]}……」" if len(text) > _SHORT else f"「{text}」"
    holder = view.assignee.name if view.assignee else STATE_LABELS[case.state]
    page = link("看详情", reader.links.view("case", case.id or 0))
    return [f"{short} {' · '.join(facts)} · {holder} ", page]

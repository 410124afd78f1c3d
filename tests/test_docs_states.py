"""The state machines drawn from the program's own tables: ``docs/explanation/states.md``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from golden import check

from monitor.states import CASE_OPEN, CRISIS_OPEN, DELIVERY_LABELS, STATE_LABELS
from monitor.transitions import ACTIONS, NOTICE_WAYS

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "states.md"
Arrow = tuple[str, str, str]

CASE_BY_ITSELF: Sequence[Arrow] = (
    *((state, "answered", "店铺回复") for state in ("received", "assigned", "contacted")),
    *((state, "received", "买家改了话或追评") for state in ("answered", "resolved", "closed", "false_alarm")),
)
CRISIS_BY_ITSELF: Sequence[Arrow] = tuple((state, "open", "同一件事又来了") for state in ("resolved", "closed"))
TIMER_LABELS = {
    "armed": "在走",
    "met": "按时做到",
    "breached": "超时",
    "fired": "已提醒",
    "cancelled": "作废",
}
TIMER: Sequence[Arrow] = (
    ("armed", "met", "这一步做完了（只有时限）"),
    ("armed", "breached", "到点没做（只有时限）；后来补做，记下时间，仍算超时"),
    ("armed", "fired", "到点（提醒、逐级上报）"),
    ("armed", "cancelled", "不用再等了"),
)
OUTBOX: Sequence[Arrow] = (
    ("pending", "sending", "领取，带租约"),
    ("uncertain", "sending", "领取，先向对方查"),
    ("sending", "sent", "对方收下，或查到已有"),
    ("sending", "pending", "对方暂时不收，隔一会儿再发"),
    ("sending", "uncertain", "不知道收没收到，或租约到期"),
    ("sending", "dead", "对方不收，或试了太多次"),
    ("sending", "folded", "没有要说的了"),
    ("pending", "folded", "由另一条一起说"),
    ("uncertain", "folded", "由另一次改卡片一起说"),
    ("pending", "dead", "配置里没有这个渠道了"),
    ("uncertain", "dead", "配置里没有这个渠道了"),
    ("dead", "pending", "pingshao outbox retry"),
    ("dead", "uncertain", "pingshao outbox retry，可能已送达的"),
)


def arrows(subject: str) -> Iterator[Arrow]:
    """Every move of the table that changes the state."""
    for info in ACTIONS.values():
        for start in info.moves.get(subject, ((), ""))[0]:
            if (target := info.leads(subject, start)) not in ("", start):
                yield start, target, info.label


def last_ticks() -> Iterator[Arrow]:
    """The last of the ways in which those concerned are told leads on; the table's own target is the same state."""
    for kind, name in (("review", "评价"), ("mention", "声音")):
        ways = "、".join(ACTIONS[action].label for action in NOTICE_WAYS[kind])
        yield from ((start, "customer_notified", f"{name}：{ways}都做了") for start in CRISIS_OPEN[:-1])


def staying(subject: str) -> str:
    """Labels of the actions that leave the state as it is."""
    return "、".join(info.label for info in ACTIONS.values() if subject in info.moves and info.moves[subject][1] == "")


def diagram(start: str, moves: Sequence[Arrow], labels: Mapping[str, str], ends: Sequence[str]) -> Iterator[str]:
    """A Mermaid state diagram; arrows between the same two states are one, with all their labels."""
    together: dict[tuple[str, str], list[str]] = {}
    for source, target, label in moves:
        together.setdefault((source, target), []).append(label)
    used = dict.fromkeys([start, *(state for pair in together for state in pair)])
    yield "```mermaid\nstateDiagram-v2\n"
    yield from (f'    state "{labels[state]}" as {state}\n' for state in used)
    yield f"    [*] --> {start}\n"
    for (source, target), told in together.items():
        yield f"    {source} --> {target}: {' / '.join(dict.fromkeys(told))}\n"
    yield from (f"    {state} --> [*]\n" for state in ends)
    yield "```\n"


def page() -> Iterator[str]:
    yield "# States\n\nDrawn from `monitor/transitions.py`, which is what the program goes by. Who may do what stands"
    yield " in [actions](../reference/actions.md).\n\n## Case\n\n"
    yield from diagram("received", [*arrows("case"), *CASE_BY_ITSELF], STATE_LABELS, ("closed", "false_alarm"))
    yield f"\nThe state stays with: {staying('case')}.\n\n## Crisis\n\n"
    moves = [*arrows("crisis"), *last_ticks(), *CRISIS_BY_ITSELF]
    yield from diagram("open", moves, STATE_LABELS, ("closed", "false_alarm", "merged"))
    yield f"\nThe state stays with: {staying('crisis')}. A later plan leaves it as well.\n\n## Timer\n\n"
    yield from diagram("armed", TIMER, TIMER_LABELS, ("met", "breached", "fired", "cancelled"))
    yield "\nEach reminder, deadline and rung is a row of its own; none is ever deleted, and a breach stays one.\n"
    yield "\n## Outbox\n\n"
    yield from diagram("pending", OUTBOX, DELIVERY_LABELS, ("sent", "folded"))
    yield "\nNothing leaves `uncertain` without the provider being asked, where it can be.\n"


def test_the_page_is_what_the_tables_say(request: pytest.FixtureRequest) -> None:
    """Every state and every action stands in the drawings as the program has them."""
    check(request, str(PAGE), "".join(page()))


def test_every_state_is_reached_and_every_open_one_can_be_left() -> None:
    """No state of a case or crisis hangs in the air, and none that is open is a dead end."""
    for subject, start, open_states in (("case", "received", CASE_OPEN), ("crisis", "open", CRISIS_OPEN)):
        moves = [*arrows(subject), *(last_ticks() if subject == "crisis" else ())]
        reached = {start}
        for _ in STATE_LABELS:
            reached |= {target for source, target, _ in moves if source in reached}
        assert reached >= set(open_states)
        assert {source for source, _, _ in moves} >= set(open_states)
        assert {state for arrow in moves for state in arrow[:2]} <= reached | set(open_states)
    assert set(DELIVERY_LABELS) == {state for arrow in OUTBOX for state in arrow[:2]}

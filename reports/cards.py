"""A report in at most nine short lines: the card for chat channels, and the top of the mail.

Lines are plain text with words from outside in them (products, sources): a channel escapes them for its own markup.
"""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from reports.counts import Triple
from reports.figures import Review, Summary
from reports.headline import NOUN, SPAN, headline
from reports.labels import (
    ANSWER,
    OCCASION,
    TROUBLE,
    category,
    moment,
    number,
    share,
    short,
    stage,
    state,
    trouble,
    weekday,
    weeks,
    who,
)
from reports.shares import Share

_NAMED = 3
_MOST = 8


def summary_lines(figures: Summary, zone: ZoneInfo) -> list[str]:
    """What the lead must know, most urgent news first after the count."""
    lines = [
        _received(figures),
        _ledger(figures),
        _late(figures),
        _overdue(figures),
        _soon(figures, zone),
        _crises(figures, zone),
        _unusual(figures),
        _answers(figures),
        _sources(figures),
    ]
    return [line for line in lines if line]


def review_lines(figures: Review) -> list[str]:
    """The headline, then what it rests on."""
    noun, bad, _ = NOUN[figures.subject]
    lines = headline(figures)
    if figures.categories and figures.categories[0].now:
        top = (f"{category(row.code)} {row.now:,}" for row in figures.categories[:_NAMED] if row.now)
        lines.append(f"{bad}最多的问题：{'、'.join(top)} 条。")
    if figures.totals.now.starred:
        before = f"{weeks(figures.windows.weeks)} {share(figures.totals.norm.good)}"
        lines.append(f"满意率 {share(figures.totals.now.good)}，{before}。")
    if rates := [line for line in (_cleared(figures.clearance), _once(figures), _complaints(figures)) if line]:
        lines.append(f"{'；'.join(rates)}。")
    if figures.mentions.now.n and figures.subject == "review":
        lines.append(f"品牌提及 {figures.mentions.now.n:,} 条，负面 {figures.mentions.now.negative:,} 条。")
    if trouble := _trouble(figures):
        lines.append(f"{trouble}，{noun}可能不全。")
    return lines[:_MOST]


def _received(figures: Summary) -> str:
    when, (reviews, mentions) = SPAN[figures.kind], (figures.reviews, figures.mentions)
    if not reviews.now.negative and not mentions.now.negative:
        return _nothing(figures, when)
    parts = []
    if reviews.now.n or not mentions.now.n:
        usual = _usual(reviews, figures.usual, figures)
        parts.append(f"评价 {reviews.now.n:,} 条，差评 {reviews.now.negative:,} 条{usual}")
    if mentions.now.n:
        usual = _usual(mentions, figures.usual_mentions, figures)
        parts.append(f"品牌提及 {mentions.now.n:,} 条，负面 {mentions.now.negative:,} 条{usual}")
    return f"{when}收到{'；'.join(parts)}。"


def _nothing(figures: Summary, when: str) -> str:
    coverage = figures.coverage
    base = f"收到评价 {coverage.reviews:,} 条" + (f"、提及 {coverage.mentions:,} 条" if coverage.mentions else "")
    if not coverage.sources:
        return f"{when}没有差评（{base}；没有配置来源）。"
    if coverage.troubled:
        return f"{when}没有收到差评（{base}），但有 {len(coverage.troubled)} 个来源异常，不等于没有差评。"
    return f"{when}没有差评（{base}；{coverage.well} 个来源都正常）。"


def _usual(counts: Triple, usual: float | None, figures: Summary) -> str:
    if usual is None or not (counts.now.negative or counts.norm.negative):
        return ""
    whole = "全天" if figures.kind == "evening" else ""
    return f"（往常{weekday(figures.windows.now.first)}{whole} {number(usual)} 条）"


def _ledger(figures: Summary) -> str:
    book = figures.ledger
    if not book.received:
        return ""
    line = f"负面 {book.received:,} 条 = 已解决 {book.resolved:,} + 处理中 {book.open:,} + 误报 {book.false_alarm:,}"
    waiting = f"；{book.waiting:,} 条还没有答复" if book.waiting else ""
    cleared = _cleared(figures.clearance)
    return f"{line}{waiting}{f'；{cleared}' if cleared else ''}。"


def _cleared(value: Share) -> str:
    if not value.whole:
        return ""
    return f"当天处理 {value.part} 条" if value.few else f"日清率 {share(value)}"


def _once(figures: Review) -> str:
    value = figures.contacts.share
    if not value.whole:
        return ""
    return f"{value.whole} 个工单里一次解决 {value.part} 个" if value.few else f"一次解决率 {share(value)}"


def _complaints(figures: Review) -> str:
    value = figures.complaints.all.share
    return "" if value.few or figures.complaints.all.odd else f"投诉率 {share(value)}"


def _late(figures: Summary) -> str:
    late = figures.ledger.late
    return f"另有 {late:,} 条更早写下、{SPAN[figures.kind]}才看到的负面反馈。" if late else ""


def _overdue(figures: Summary) -> str:
    if not figures.due.count:
        return "没有超时未办的。"
    people = "、".join(f"{who(name)} {count:,}" for name, count in figures.due.by_person[:_NAMED])
    more = " 等" if len(figures.due.by_person) > _NAMED else ""
    return f"超时未办 {figures.due.count:,} 项：{people}{more}。"


def _soon(figures: Summary, zone: ZoneInfo) -> str:
    if not figures.due.soon or figures.due.next_at is None:
        return ""
    return f"24 小时内到期 {figures.due.soon:,} 项，最早 {moment(figures.due.next_at, zone)}。"


def _crises(figures: Summary, zone: ZoneInfo) -> str:
    running = [line for line in figures.crises.lines if line.open]
    if not running:
        return ""
    first = running[0]
    due = f"，{stage('crisis', first.next_stage)}时限 {moment(first.next_due, zone)}" if first.next_due else ""
    more = " 等" if figures.crises.open > 1 else ""
    return f"进行中的危机 {figures.crises.open} 起：{trouble(first.categories)}（{state(first.state)}{due}）{more}。"


def _unusual(figures: Summary) -> str:
    def named(mark: str) -> Iterator[str]:
        for row in figures.categories:
            if row.mark == mark:
                usual = f"（平均 {number(row.mean)}）" if mark == "more" and row.mean is not None else ""
                yield f"{category(row.code)} {row.count:,} 条{usual}"

    more, new = "、".join(named("more")), "、".join(named("new"))
    same = weekday(figures.windows.now.first)
    told = (more and f"比往常的{same}多：{more}", new and f"四周来首次出现：{new}", _occasion(figures))
    return "；".join(part for part in told if part)


def _occasion(figures: Summary) -> str:
    today = [one for one in figures.occasions if one.now]
    return f"{SPAN[figures.kind]}是{OCCASION[today[0].kind]}，量和平时不同" if today else ""


def _answers(figures: Summary) -> str:
    made, silent = figures.quality, ""
    if made.unanswered:
        silent = f"{made.unanswered:,} 条差评过了时限还没有公开回复"
    if not made.count:
        checked = f"{SPAN[figures.kind]}的评价里 {made.answered:,} 条已公开回复，没有要改的"
        return f"{silent}。" if silent else f"{checked}。" if made.answered else ""
    named = "、".join(f"{ANSWER[kind]} {count:,}" for kind, count in made.kinds.items())
    return f"今天 {made.count:,} 条回复要改：{named}{f'；另有 {silent}' if silent else ''}。"


def _sources(figures: Summary) -> str:
    trouble = _trouble(figures)
    return f"{trouble}。" if trouble else ""


def _trouble(figures: Summary | Review) -> str:
    lines = figures.coverage.troubled
    if not lines:
        return ""
    named = "、".join(f"{short(line.name, 20)}（{TROUBLE[line.trouble]}）" for line in lines[:_NAMED])
    return f"{len(lines)} 个来源异常：{named}{' 等' if len(lines) > _NAMED else ''}"


def on_time(figures: Review) -> Share:
    """Deadlines met in time of all that fell due."""
    return Share(sum(row.on_time for row in figures.by_stage), sum(row.all for row in figures.by_stage))

"""Up to three sentences on what a week or month was like, made from its figures by rule: no figure, no claim."""

from collections.abc import Iterator, Sequence
from typing import Any

from reports import labels
from reports.counts import Group, Triple
from reports.figures import Review
from reports.labels import VERDICT, category, number, percent, share, short

NOUN = {"review": ("评价", "差评", "差评率"), "mention": ("提及", "负面提及", "负面率")}
SPAN = {"weekly": "上周", "monthly": "上月", "daily": "昨天", "evening": "今天"}
_MAIN = 0.3  # of the change: what carries less is not called its cause
_LEAST = 5  # feedbacks more or fewer
_SEVERAL = 2
_PECULIAR = 1.25  # times its share of all feedback: where nearly all is sold, nearly all changes


def headline(figures: Review) -> list[str]:
    """One to three sentences, the level first, then what moved it, then what most needs saying."""
    last = next((line for line in (_crises(figures), _mended(figures), _missed(figures)) if line), "")
    return [line for line in (_level(figures), _cause(figures), last) if line]


def _level(figures: Review) -> str:
    when, (noun, bad, rate) = SPAN[figures.kind], NOUN[figures.subject]
    now, norm, weeks = figures.totals.now, figures.totals.norm, labels.weeks(figures.windows.weeks)
    if not now.n:
        sources = f"{len(figures.coverage.sources)} 个来源中 {figures.coverage.well} 个正常"
        return f"{when}没有收到{noun}（{sources if figures.coverage.sources else '没有配置来源'}）。"
    if now.bad.few:
        return f"{when}只有 {now.n} 条{noun}，其中{bad} {now.negative} 条；数量太少，不作比较。"
    if not now.negative:
        before = f"；{weeks}平均{rate} {share(norm.bad)}" if norm.n else ""
        return f"{when} {now.n:,} 条{noun}，没有{bad}{before}。"
    if figures.totals.verdict == "none":
        return f"{when}{rate} {share(now.bad)}；{weeks}数据太少，暂不比较。"
    return f"{when}{rate} {share(now.bad)}，{weeks}平均 {percent(norm.bad.rate)}，{VERDICT[figures.totals.verdict]}。"


def _cause(figures: Review) -> str:
    """What the change came from; where the whole stood still, the category that did not."""
    verdict = figures.totals.verdict
    if verdict not in {"up", "down"}:
        risen = [row for row in figures.categories if row.verdict == "up" and row.now - row.expected >= _LEAST]
        if verdict != "flat" or not risen:
            return ""
        weeks = labels.weeks(figures.windows.weeks)
        row = max(risen, key=lambda row: row.now - row.expected)
        return f"但{category(row.code)}增多：{row.now} 条，按{weeks}的比例应为 {number(row.expected)} 条左右。"
    gone = _gap(figures.totals, figures)
    parts = list(_parts(figures, gone))
    more = "多出" if gone > 0 else "少了"
    return f"比往常{more}约 {abs(gone):.0f} 条，主要在{'；集中在'.join(parts)}。" if parts else ""


def _gap(counts: Triple, figures: Review) -> float:
    """How many more negatives there are than the norm's share of all feedback would give."""
    totals = figures.totals
    return counts.now.negative - counts.norm.negative * totals.now.n / totals.norm.n


def _parts(figures: Review, gone: float) -> Iterator[str]:
    def carries(change: float) -> bool:
        return change / gone >= _MAIN and abs(change) >= _LEAST

    def told(name: str, change: float) -> str:
        return f"{name}（{'多' if change > 0 else '少'} {abs(change):.0f} 条）"

    causes = [(row.now - row.expected, row) for row in figures.categories if row.verdict in {"up", "down"}]
    named: list[str] = [told(category(row.code), change) for change, row in _largest(causes, gone) if carries(change)]
    if not named:
        return
    yield "、".join(named[:_SEVERAL])
    places = _largest([place for place in _places(figures, gone) if carries(place[0])], gone)
    if places:
        yield "、".join(told(_place(*place), change) for change, place in places[:_SEVERAL])


def _places(figures: Review, gone: float) -> Iterator[tuple[float, tuple[str, Group]]]:
    """For each kind of place the one that carries most of the change, and more of it than of all feedback."""
    whole = figures.totals.now.n
    for field in ("shop", "product", "sku", "warehouse", "courier"):
        rows = [row for row in figures.groups.get(field, []) if row.verdict == figures.totals.verdict]
        changes = [(_gap(row.counts, figures), row) for row in rows]
        own = [(change, row) for change, row in changes if change / gone > _PECULIAR * row.counts.now.n / whole]
        yield from ((change, (field, row)) for change, row in _largest(own, gone)[:1])


def _largest(changes: Sequence[tuple[float, Any]], gone: float) -> list[tuple[float, Any]]:
    return sorted(changes, key=lambda pair: -pair[0] / gone)


def _place(field: str, group: Group) -> str:
    name = short(group.name, 20)
    return {"product": f"“{name}”", "sku": f"规格“{name}”"}.get(field, name)


def _crises(figures: Review) -> str:
    found = figures.crises
    if not found.opened and not found.open:
        return ""
    when = SPAN[figures.kind]
    happened = f"{when}发生 {found.opened} 起危机" if found.opened else f"{when}没有新的危机"
    return f"{happened}，" + (f"还有 {found.open} 起没有了结。" if found.open else "已经了结。")


def _mended(figures: Review) -> str:
    for row in figures.improvements:
        if row.verdict in {"fell", "rose"}:
            change = "降到" if row.verdict == "fell" else "升到"
            return (
                f"改进“{short(row.what, 20)}”后，{category(row.category)}从 {share(row.before)}"
                f"{change} {share(row.after)}。"
            )
    return ""


def _missed(figures: Review) -> str:
    everything = sum(row.all for row in figures.by_stage)
    missed = sum(row.late + row.missed for row in figures.by_stage)
    if not everything:
        return ""
    return f"{everything:,} 个到期的时限" + (f"里有 {missed:,} 个超时。" if missed else "全部按时完成。")

"""What those concerned by a crisis are told: texts for people to check, complete and send, never sent by the house."""

from dataclasses import dataclass

from alerts import drafts, words
from monitor.answers import violations
from monitor.models import Crisis


@dataclass(frozen=True, slots=True)
class Text:
    """A text for one way of telling.

    Attributes:
        way: Its name in Chinese.
        text: The draft.
        problems: What in it may not be said, and why: names of shops and products can say such things.
    """

    way: str
    text: str
    problems: tuple[tuple[str, str], ...]


def texts(crisis: Crisis, shop: str) -> list[Text]:
    """A draft for each way in which those concerned by this crisis are told."""
    names = {"shop": shop, "product": drafts.short(main_product(crisis)) or "商品", **drafts.notice(crisis.category)}
    return [
        Text(told, said, tuple(violations(said)))
        for way, told in words.NOTICE_WAYS[crisis.kind].items()
        for said in (drafts.templates()[way].format(**names),)
    ]


def main_product(crisis: Crisis) -> str:
    """The product that the crisis is about, as far as it is about one."""
    value, count = next(iter(crisis.scope.get("product", [])), ("", 0))
    return crisis.product or (value if count >= words.MOSTLY * crisis.scope.get("count", 0) else "")

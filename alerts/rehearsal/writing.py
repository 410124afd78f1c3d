"""Putting the simulated buyers' sentences together, out of the hand-written parts in ``story.toml``."""

import random
from collections.abc import Callable
from typing import Any

Parts = dict[str, Any]

_TRIES = 50
_CONTACT = 0.15  # share of complaints that leave an order number, a phone or a WeChat id
_THIRD_PART = 0.5


class Deck:
    """Draws from a list in random order; nothing comes twice before everything came once."""

    def __init__(self, cards: list[Any], rng: random.Random) -> None:
        self._cards = cards
        self._rng = rng
        self._left: list[Any] = []

    def draw(self) -> Any:
        """The next card."""
        if not self._left:
            self._left = self._rng.sample(self._cards, len(self._cards))
        return self._left.pop()


class Writer:
    """Writes reviews that differ from one another.

    Attributes:
        private: Every phone number and WeChat id it put into a text: none of them may be seen again.
    """

    def __init__(self, parts: Parts, rng: random.Random) -> None:
        self.private: set[str] = set()
        self._parts = parts
        self._rng = rng
        self._decks: dict[tuple[str, ...], Deck] = {}
        self._written: set[str] = set()

    def author(self) -> str:
        """An invented nickname; some as platforms show them, with stars in the middle."""
        first, last = self._draw("authors_first"), self._draw("authors_last")
        return f"{first[0]}**{last[-1]}" if self._rng.random() < _THIRD_PART else first + last

    def order(self) -> str:
        """An invented order number of 16 digits."""
        return f"38{self._rng.randrange(10**14):014d}"

    def praise(self, product: Parts) -> str:
        """A content buyer's words."""
        return self._fresh(
            lambda: [
                self._draw("general", "openings") if self._rng.random() < _THIRD_PART else "",
                self._of(product, "praise"),
                self._of(product, "praise") if self._rng.random() < _THIRD_PART else "",
                self._draw("general", "praise"),
                self._draw("general", "endings"),
            ],
            product,
        )

    def aside(self, kind: str, product: Parts) -> str:
        """A ``neutral`` remark or a ``question``."""
        end = "？" if kind == "question" else "。"
        return self._fresh(
            lambda: [
                self._draw("general", "openings") if self._rng.random() < 1 - _CONTACT else "",
                self._draw("general", kind),
            ],
            product,
            end,
        )

    def complaint(self, product: Parts, order: str) -> tuple[str, str]:
        """A complaint's category and words: about the product itself or about anything around it."""
        own = product.get("complaints", {})
        common = self._parts["general"]["complaints"]
        chances = [(category, own) for category in own for _ in own[category]]
        chances += [(category, common) for category in common]
        category, pool = self._rng.choice(chances)
        path = (product["slug"], category) if pool is own else ("general", "complaints", category)
        deck = self._deck(path, pool[category])
        text = self._fresh(
            lambda: [
                self._draw("general", "openings") if self._rng.random() < _THIRD_PART else "",
                deck.draw(),
                self._draw("general", "aftermath"),
                self._draw("general", "demands"),
                self._draw("general", "contacts") if self._rng.random() < _CONTACT else "",
            ],
            product,
            order=order,
        )
        return category, text

    def missing(self, product: Parts, order: str) -> str:
        """A buyer whose parcel is said to be delivered and is not there."""
        return self._fresh(
            lambda: [
                self._draw("missing", "signed"),
                self._draw("missing", "absent"),
                *self._rng.sample([self._draw("missing", "trace"), self._draw("missing", "ask")], 2),
            ],
            product,
            order=order,
        )

    def fill(self, text: str, product: Parts, order: str = "") -> str:
        """A text with its slots filled; personal ones are remembered in ``private``."""
        phone = f"1990000{self._rng.randrange(10_000):04d}"
        wechat = f"shili_{self._rng.choice(('ning', 'dou', 'mu', 'tong'))}{self._rng.randrange(1000):03d}"
        self.private |= {value for slot, value in (("{phone}", phone), ("{wechat}", wechat)) if slot in text}
        days = self._rng.randrange(3, 9)
        return text.format(short=product["short"], days=days, order=order, phone=phone, wechat=wechat)

    def _fresh(self, make: Callable[[], list[str]], product: Parts, end: str = "", order: str = "") -> str:
        for _ in range(_TRIES):
            text = self._join(make(), end)
            if text not in self._written:
                self._written.add(text)
                return self.fill(text, product, order)
        raise ValueError(f"story.toml: 句子不够用，{product['name']} 写不出不重复的评价了")

    def _join(self, parts: list[str], end: str) -> str:
        said = list(dict.fromkeys(part for part in parts if part))
        text = said[0]
        for part in said[1:]:
            text += self._rng.choice("，，，。") + part
        return text + (end or self._rng.choice(("。", "。", "！", "")))

    def _of(self, product: Parts, name: str) -> str:
        return str(self._deck((product["slug"], name), product[name]).draw())

    def _draw(self, *path: str) -> str:
        cards: Any = self._parts
        for name in path:
            cards = cards[name]
        return str(self._deck(path, cards).draw())

    def _deck(self, path: tuple[str, ...], cards: list[Any]) -> Deck:
        return self._decks.setdefault(path, Deck(cards, self._rng))

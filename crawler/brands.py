"""Which texts speak of a brand, and which only seem to."""

import unicodedata
from collections.abc import Sequence

from crawler.items import FeedbackItem


class Brand:
    """A brand's words, and those that are not it.

    Args:
        words: One of them must stand in a text; none means that every text counts.
        excluded: A longer word that holds one of ``words`` does not count as it ("小米粥" is not "小米"); any other
            word leaves the whole text out ("招聘").
    """

    def __init__(self, words: Sequence[str], excluded: Sequence[str] = ()) -> None:
        self._words = [_folded(word) for word in words]
        others = [_folded(word) for word in excluded]
        self._longer = [other for other in others if any(word in other for word in self._words)]
        self._foreign = [other for other in others if other not in self._longer]

    def mentioned(self, item: FeedbackItem) -> bool:
        """Whether the item speaks of the brand."""
        if not self._words:
            return True
        text = _folded(f"{item.title}\n{item.text}\n{item.followup}")
        if any(word in text for word in self._foreign):
            return False
        for word in self._longer:
            text = text.replace(word, "\n")
        return any(word in text for word in self._words)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()

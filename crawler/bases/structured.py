"""schema.org reviews in a page's JSON-LD and microdata, as raw fields."""

from collections.abc import Iterator
from typing import Any

from crawler.items import BadRow
from crawler.parsing import plain_text

_NO_REVIEWS = frozenset({"ClaimReview", "MediaReview"})  # about claims in the press
_DEPTH = 40  # of nesting that is still followed
_STARS = 5.0

Node = dict[str, Any]


def reviews(html: str, url: str) -> Iterator[dict[str, object] | BadRow]:
    """Raw fields of each review, see ``crawler.bases.fields``; one marked up both ways is given once.

    JSON-LD that is not JSON and speaks of reviews is a BadRow; aggregate ratings are nobody's words and left out.
    """
    blocks, broken = _json_ld(html)
    marked: list[Any] = []
    try:
        marked = _microdata(html, url)
    except (ValueError, RecursionError):
        broken.append("微数据写坏了，其中的评价没有读")
    yield from (BadRow(url, reason) for reason in broken)
    given: set[tuple[str, str]] = set()
    for roots in (blocks, marked):
        nodes = [pair for root in roots for pair in _walk(root, "", 0)]
        names = {str(node["@id"]): name for node, _ in nodes if "@id" in node and (name := _text(node, "name"))}
        found = [_raw(node, about, names) for node, about in nodes if _is_review(node)]
        yield from (raw for raw in found if _mark(raw) not in given)
        given |= {_mark(raw) for raw in found}


def _json_ld(html: str) -> tuple[list[Any], list[str]]:
    from extruct.jsonld import JsonLdExtractor
    from parsel import Selector

    blocks: list[Any] = []
    broken: list[str] = []
    for match in Selector(text=html, type="html").xpath("//script[contains(@type, 'ld+json')]"):
        script = match.root
        script.set("type", "application/ld+json")  # extruct knows it without a charset only
        try:
            blocks += JsonLdExtractor().extract_items(script)
        except (ValueError, RecursionError):
            if "Review" in (script.text or ""):
                broken.append("JSON-LD 不是完整的 JSON，其中的评价没有读")
    return blocks, broken


def _microdata(html: str, url: str) -> list[Any]:
    import extruct
    from lxml.etree import ParserError  # type: ignore[import-untyped]  # it has none

    try:
        found = extruct.extract(html, base_url=url, syntaxes=["microdata"], uniform=True)
    except ParserError:  # a page without a single element
        return []
    return list(found["microdata"])


def _walk(value: Any, about: str, depth: int) -> Iterator[tuple[Node, str]]:
    """Every object inside, with the name of the nearest thing around it that is no review."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _walk(entry, about, depth + 1)
    elif isinstance(value, dict):
        yield value, about
        inside = about if _is_review(value) else _text(value, "name") or about
        for entry in value.values():
            if isinstance(entry, (dict, list)):
                yield from _walk(entry, inside, depth + 1)


def _types(node: Node) -> set[str]:
    said = node.get("@type", ())
    names = said if isinstance(said, list) else [said]
    return {str(name).rpartition("/")[2].rpartition(":")[2] for name in names if name}


def _is_review(node: Node) -> bool:
    types = _types(node)
    return any(name.endswith("Review") for name in types) and not types & _NO_REVIEWS


def _raw(node: Node, about: str, names: dict[str, str]) -> dict[str, object]:
    subject = _first(node.get("itemReviewed"))
    if isinstance(subject, dict):
        about = _text(subject, "name") or names.get(str(subject.get("@id")), about)
    return {
        "id": _text(node, "identifier") if str(node.get("@id", "_:")).startswith("_:") else node["@id"],
        "text": _text(node, "reviewBody") or _text(node, "description"),
        "title": _text(node, "name") or _text(node, "headline"),
        "author": _text(node, "author"),
        "time": _text(node, "datePublished") or _text(node, "dateCreated") or _text(node, "dateModified"),
        "stars": _stars(_first(node.get("reviewRating"))),
        "product": about,
        "url": _text(node, "url"),
    }


def _stars(rating: Any) -> object:
    """A rating on the scale it names, brought to 1–5."""
    if not isinstance(rating, dict):
        return rating
    value, best, worst = (_number(rating.get(key)) for key in ("ratingValue", "bestRating", "worstRating"))
    if value is None or best is None or best == _STARS:
        return _text(rating, "ratingValue") if value is None else value
    lowest = 1.0 if worst is None else worst
    return 1 + (value - lowest) / (best - lowest) * (_STARS - 1) if lowest < best else None


def _number(value: Any) -> float | None:
    try:
        return float(str(_first(value)).replace(",", "."))
    except ValueError:
        return None


def _first(value: Any) -> Any:
    return (value[0] if value else None) if isinstance(value, list) else value


def _text(node: Node, key: str) -> str:
    """A property as text: of a person or thing its name, of several the first."""
    value = _first(node.get(key))
    if isinstance(value, dict):
        value = _first(value.get("name", value.get("@value", value.get("value"))))
    return str(value).strip() if isinstance(value, (str, int, float)) else ""


def _mark(raw: dict[str, object]) -> tuple[str, str]:
    return plain_text(str(raw["author"])), "".join(plain_text(str(raw["text"])).split())

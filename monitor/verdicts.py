"""What an endpoint's model is asked about one text, and what its answer is worth: a judgement, or nothing.

The text is hostile. It goes out masked, as one string of a JSON object that it cannot leave; what comes back counts
only in the form asked for, with codes of ours, and each with words that stand in the text.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from monitor.coding import CATEGORIES, FLAGS
from monitor.complaints import Evidence
from monitor.endpoint import Unusable
from monitor.judge import Judgement, Text
from monitor.ngrams import LIMIT
from monitor.privacy import mask
from monitor.states import SEVERITIES
from monitor.text import clean

_PROMPT = Path(__file__).with_name("verdict_prompt.txt")
_LONGEST = 4000  # characters of a text that are sent
_LONGEST_QUOTE = 80
_SHORTEST_PIECE = 2  # characters of a quote that must stand in the unmasked text
_CERTAINTY = {"sure": 0.97, "likely": 0.85, "unsure": 0.6}
_CAPPED = "high"  # the most that a text without evidence can be: what is critical opens a crisis


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _quoted(codes: Sequence[str]) -> dict[str, Any]:
    return {"type": "array", "items": _object(code={"type": "string", "enum": list(codes)}, quote={"type": "string"})}


SCHEMA = _object(
    negative={"type": "boolean"},
    certainty={"type": "string", "enum": list(_CERTAINTY)},
    categories=_quoted(CATEGORIES),
    severity={"type": ["string", "null"], "enum": [*SEVERITIES, None]},
    flags=_quoted(FLAGS),
)
"""JSON schema of an answer, strict: every key, and no other."""


@cache
def prompt() -> str:
    """The rules, as the model is told them."""
    return _PROMPT.read_text(encoding="utf-8")


def masked(text: str) -> str:
    """What of a text leaves the house: cleaned, without personal data, bounded."""
    return mask(clean(text[:LIMIT])).text[:_LONGEST]


def question(text: Text, sent: str) -> list[dict[str, str]]:
    """The chat that asks about a text.

    Args:
        text: The text.
        sent: Its `masked` words.
    """
    asked = {"kind": text.kind, "stars": text.stars, "text": sent}
    return [
        {"role": "system", "content": prompt()},
        {"role": "user", "content": json.dumps(asked, ensure_ascii=False)},
    ]


def verdict(answer: str, text: str, sent: str, model: str) -> Judgement:
    """What an answer says about the text.

    Args:
        answer: What the model said.
        text: The text as its owner gave it; the evidence points into it.
        sent: Its `masked` words, which were asked about.
        model: Who decided.

    Raises:
        Unusable: The answer is not of the form asked for, or contradicts itself.
    """
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        raise Unusable("no JSON") from None
    if not _fits(said, SCHEMA):
        raise Unusable("not of the schema")
    negative, severity = said["negative"], said["severity"]
    if negative != (severity is not None) or (not negative and (said["categories"] or said["flags"])):
        raise Unusable("contradicts itself")
    sure = _CERTAINTY[said["certainty"]]
    if not negative:
        return Judgement(False, round(1 - sure, 4), (), None, (), (), model)
    named = _places(said["categories"], text, sent)
    flags = _places(said["flags"], text, sent)
    categories = tuple(code for code in named if code != "other") or ("other",)
    evidence = tuple(place for code, place in (named | flags).items() if code != "other")
    if not evidence and SEVERITIES.index(severity) > SEVERITIES.index(_CAPPED):
        severity = _CAPPED
    ordered = tuple(code for code in FLAGS if code in flags)
    return Judgement(True, sure, categories, severity, ordered, evidence, model)


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of a schema, of the kinds that `SCHEMA` is made of."""
    if "enum" in schema:
        return (value is None or isinstance(value, str)) and value in schema["enum"]
    if schema["type"] == "object":
        keys = schema["properties"]
        return isinstance(value, dict) and value.keys() == keys.keys() and all(_fits(value[k], keys[k]) for k in keys)
    if schema["type"] == "array":
        return isinstance(value, list) and all(_fits(one, schema["items"]) for one in value)
    return isinstance(value, bool if schema["type"] == "boolean" else str)


def _places(said: Sequence[dict[str, str]], text: str, sent: str) -> dict[str, Evidence]:
    """The codes whose quote stands in the text, each with its place."""
    found: dict[str, Evidence] = {}
    for one in said:
        place = _place(one["quote"].strip()[:_LONGEST_QUOTE].strip(), text, sent) if one["code"] not in found else None
        if place is not None:
            start, end = place
            found[one["code"]] = Evidence(one["code"], start, end, text[start:end])
    return found


def _place(quote: str, text: str, sent: str) -> tuple[int, int] | None:
    """Where a quote from what was sent stands in the text; its longest piece where masking changed some of it."""
    if not quote or quote not in sent:
        return None
    piece = quote if quote in text else _longest_piece(quote, text)
    start = text.find(piece)
    return (start, start + len(piece)) if len(piece) >= min(_SHORTEST_PIECE, len(quote)) else None


def _longest_piece(quote: str, text: str) -> str:
    best, start = "", 0
    for end in range(1, len(quote) + 1):
        while quote[start:end] not in text:
            start += 1
        best = max(best, quote[start:end].strip(), key=len)
    return best

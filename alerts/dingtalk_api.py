"""DingTalk's newer API, as an app sees it: its token, what its answers mean, and the variables of a card template.

A card template has text variables ``title``, ``text1`` … ``text6`` (Markdown), ``said`` (private: what became of one's
own click) and a list ``buttons`` of ``{"label", "action"}``; a value may have 1,000 bytes, as the documents have it.
"""

import json
from typing import Any

from alerts.channel import Gone, SendError, Uncertain
from alerts.content import Card
from alerts.http_channel import Answer, refusal
from alerts.markdown import fitted, links, markdown, pieces, wide

PROVIDER = "钉钉"
EXISTS = "param.cardAlreadyExist"
WRONG_TOKEN = "InvalidAuthentication"  # noqa: S105 — a code
VALUE = 1000
"""Bytes of a variable."""
_TEXTS = 6
_TITLE = 300  # characters, of three bytes at most
_MOST = 2900  # bytes of text: at the worst, six values are half full
_BETTER_KNOWN = (429, 502, 504)  # statuses that say more than the code beside them
_GONE = "param.cardNotExist"
_SLOW = ("qpslimit", "qpmlimit", "toofast", "too.fast", "too.many", "throttling", "flowcontrol")
_PASSING = ("system", "busy", "unavailable", "internal", WRONG_TOKEN.lower())
_ADVICE = {
    WRONG_TOKEN: "令牌已失效",
    "invalidClientIdOrSecret": "app_id（AppKey）或密钥不对",
    "param.templateNotExist": "没有这个卡片模板，请核对 card_template",
    "param.templateUnpublished": "卡片模板还没有发布",
    "param.cardTemplateIdEmpty": "没有设 card_template",
    "param.contentUnsafe": "内容里有钉钉不让发的东西",
    "param.openSpaceIdInvalid": "target 不对，应为群的 openConversationId 或 user:员工的 userId",
    "Forbidden.AccessDenied.AccessTokenPermissionDenied": "应用缺权限：互动卡片实例写权限、企业内机器人发送消息权限",
}


class Refused(SendError):
    """The app's API said no; ``said`` is its own code."""

    def __init__(self, said: str, words: str) -> None:
        low = said.lower()
        slow = any(part in low for part in _SLOW)
        passing = slow or any(part in low for part in _PASSING)
        told = f"{PROVIDER}拒绝：{_ADVICE.get(said) or words or '没有说明原因'}（{said}）"[:300]
        super().__init__(told, permanent=not passing, retry_after=10.0 if slow else None)
        self.said = said


def accepted(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer that says yes, by its status and in its body.

    Raises:
        SendError: it says no; `Refused` where it says why, `Gone` where there is no such card.
        Uncertain: it is no such object.
    """
    try:
        data = json.loads(answer.body)
    except (ValueError, RecursionError):
        data = None
    said = str(data.get("code") or "") if isinstance(data, dict) else ""
    if said == _GONE:
        raise Gone(f"{PROVIDER}没有这张卡片（{said}）", permanent=True)
    trouble = refusal(PROVIDER, answer)
    if isinstance(data, dict) and said and answer.status not in _BETTER_KNOWN:
        raise Refused(said, str(data.get("message") or ""))
    if trouble:
        raise trouble
    if not isinstance(data, dict):
        raise Uncertain(f"看不懂的回答：{answer.body[:200]!r}")
    if data.get("success") is False:
        raise Refused("success=false", "")
    return data


def delivered(answer: dict[str, Any]) -> None:
    """Nothing, if a card came to where it was to go.

    Raises:
        Refused: it did not; a 200 says so only inside.
    """
    result = answer.get("result")
    results = result.get("deliverResults") if isinstance(result, dict) else result
    for one in results if isinstance(results, list) else []:
        if isinstance(one, dict) and one.get("success") is False:
            raise Refused(str(one.get("errorMsg") or "没有说明原因"), "卡片没有投放成功，请看机器人在不在群里")


def variables(card: Card) -> dict[str, str]:
    """The values of the template's variables, each within its limit."""
    card = fitted(card, lambda one: len(_text(one).encode()), _MOST)
    texts = pieces(_text(card), VALUE)
    buttons = [{"label": one.label, "action": one.action} for one in card.buttons if not one.url]
    return {
        "title": wide(card.headline)[:_TITLE],
        **{f"text{n + 1}": texts[n] if n < len(texts) else "" for n in range(_TEXTS)},
        "buttons": json.dumps(buttons, ensure_ascii=False, separators=(",", ":")),
    }


def _text(card: Card) -> str:
    called = " ".join(wide(f"@{one.name}") for one in card.ping)
    return "\n\n".join(filter(None, (markdown(card, title=False, called=called), links(card))))


def message(card: Card) -> tuple[str, dict[str, str]]:
    """A robot's message of the app, for what is no card: its kind, and its parts."""
    title, text = wide(card.headline)[:64], markdown(card)
    called = " ".join(wide(f"@{one.name}") for one in card.ping)
    if called:
        text = f"{called}\n\n{text}"
    pages = [one for one in card.buttons if one.url]
    if len(pages) == 1:
        more = {"singleTitle": pages[0].label, "singleURL": pages[0].url}
        return "sampleActionCard", {"title": title, "text": text, **more}
    if 2 <= len(pages) <= 5:  # noqa: PLR2004 — DingTalk's kinds
        more = {f"actionTitle{n}": one.label for n, one in enumerate(pages, 1)}
        more |= {f"actionURL{n}": one.url for n, one in enumerate(pages, 1)}
        return f"sampleActionCard{len(pages)}", {"title": title, "text": text, **more}
    return "sampleMarkdown", {"title": title, "text": "\n\n".join(filter(None, (text, links(card))))}

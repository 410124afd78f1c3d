"""Any other software: JSON posted to an address of yours, signed, each message under a key of its own."""

import hashlib
import hmac
import json
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from alerts.channel import Letter, SendError
from alerts.http_channel import Answer, HttpChannel, refusal
from alerts.mails import text

SIGNATURE, TIMESTAMP, KEY = "X-Pingshao-Signature", "X-Pingshao-Timestamp", "Idempotency-Key"


class Webhook(HttpChannel):
    """JSON to software of your own, signed; the same key on every attempt."""

    provider = "webhook"

    def send(self, letter: Letter) -> str:
        """Post the message; its name is its key."""
        name = self._channel.signing_secret_env
        key = self._secret(name)
        if not key:
            raise SendError(f"环境变量 {name or '（没有设 signing_secret_env）'} 里没有密钥", permanent=True)
        body = json.dumps(_form(letter), ensure_ascii=False).encode("utf-8", "replace")
        stamp = str(int(letter.at.timestamp()))
        signature = hmac.new(key.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "pingshao",
            KEY: quote(letter.key, safe=":"),
            TIMESTAMP: stamp,
            SIGNATURE: f"sha256={signature}",
        }
        if token := self._secret(self._channel.token_env):
            headers["Authorization"] = f"Bearer {token}"
        answer = self._call(letter.target, body, headers)
        if (trouble := refusal(self.provider, answer)) and not _known(answer, letter.key):
            raise trouble
        return letter.key

    def check(self) -> str | None:
        """Whether there is a secret, and somebody at the address."""
        name = self._channel.signing_secret_env
        if not self._secret(name):
            missing = f"环境变量 {name} 里没有密钥" if name else "没有设 signing_secret_env"
            return f"渠道 {self._channel.name}：{missing}"
        trouble = self._reach(self._channel.target)
        return f"渠道 {self._channel.name}：{trouble}" if trouble else None


def _known(answer: Answer, key: str) -> bool:
    """Whether the other side says that it has the message already."""
    try:
        said = json.loads(answer.body) if answer.status == HTTPStatus.CONFLICT else None
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("key") == key


def _form(letter: Letter) -> dict[str, Any]:
    card = letter.card
    return {
        "key": letter.key,
        "kind": letter.kind,
        "about": card.about,
        "shop": letter.shop,
        "at": letter.at.isoformat(),
        "title": card.title,
        "text": text(card),
        "lines": [line.text for line in card.lines],
        "buttons": [{"action": one.action, "label": one.label, "url": one.url} for one in card.buttons],
        "people": [one.name for one in card.ping],
        "carries": list(letter.carries),
        "maybe_twice": card.maybe_twice,
    }

"""What happens to the services from outside during a run of chaos: reviews are pushed, buttons are pressed.

As a real sender would, each request is made again, at either service, until one of them has answered for it.
"""

import hashlib
import hmac
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from slack_double import SlackDouble

from alerts.forms import asks

SECRETS = {"SLACK_TOKEN": "xoxb-test", "SLACK_SECRET": "slack's secret", "PUSH_SECRET": "the pushers' secret"}
CRITICAL = "喝完上吐下泻，进医院了，已经打 12315 投诉"
TEXTS = (
    "杯子漏水，很失望",
    "显示签收了根本没收到货",
    "客服不理人，态度很差",
    "快递太慢，等了十天还没到",
    "收到就是坏的，质量太差",
    "货不对板，颜色发错了",
)
_BUTTONS = ("claim", "contacted", "answered", "resolved", "false_alarm", "escalate", "notified_sms", "notified_push")
_PATIENCE = 15.0  # seconds for an answer
_DONE = (200, 202, 409)


@dataclass
class Fed:
    """What was pushed and pressed, and answered for.

    Attributes:
        reviews: (source, external id) of every review.
        critical: Those of them that tell of bodily harm, by shop.
        clicks: Keys of the clicks.
    """

    reviews: set[tuple[str, str]] = field(default_factory=set)
    critical: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    clicks: set[str] = field(default_factory=set)


class Feeder:
    """Pushes from two senders and presses buttons, each in a thread of its own, spread over so many seconds."""

    def __init__(
        self, seed: int, reviews: int, shops: int, ports: list[int], slack: SlackDouble, seconds: float
    ) -> None:
        self.fed = Fed()
        self._seed, self._shops, self._ports, self._slack = seed, shops, ports, slack
        self._stop = threading.Event()
        half = reviews // 2
        works = [(self._push, "a", reviews - half, seconds), (self._push, "b", half, seconds)]
        works.append((self._press, "clicks", reviews // 2, seconds))
        self._threads = [threading.Thread(target=work, args=rest, daemon=True) for work, *rest in works]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self, seconds: float) -> None:
        for thread in self._threads:
            thread.join(seconds)

    def stop(self) -> None:
        self._stop.set()

    def _push(self, half: str, count: int, seconds: float) -> None:
        chance = random.Random(f"{self._seed} {half}")
        for batch in _batches(chance, count):
            shop = chance.randrange(self._shops)
            source = f"s{shop}{half}"
            items = [self._review(chance, source, n) for n in batch]
            if self._ask(chance, f"/hooks/{source}", partial(_pushed, json.dumps(items).encode())):
                self.fed.reviews |= {(source, item["id"]) for item in items}
                bad = {(source, item["id"]) for item in items if CRITICAL in item["text"]}
                if bad:
                    self.fed.critical.setdefault(f"s{shop}", set()).update(bad)
            self._stop.wait(chance.uniform(0, 2 * seconds * len(batch) / count))

    def _review(self, chance: random.Random, source: str, n: int) -> dict[str, Any]:
        text = CRITICAL if chance.random() < 0.15 else chance.choice(TEXTS)
        text = f"{text}，第{n}单" if chance.random() < 0.9 else "很好用，满意"
        order = f"{source}-{n}"
        return {"id": f"{source}-{n}", "text": text, "order": order, "time": datetime.now(UTC).isoformat()}

    def _press(self, _: str, count: int, seconds: float) -> None:
        chance = random.Random(f"{self._seed} clicks")
        for n in range(count):
            self._stop.wait(chance.uniform(0, 2 * seconds / max(count, 1)))
            buttons = list(_buttons(self._slack))
            if not buttons or self._stop.is_set():
                continue
            what, value, ts = chance.choice(buttons[-60:])
            form = bool(asks(what, value.partition(":")[0]))
            body = _submitted(what, value, f"V{n}") if form else _click(what, value, ts, f"{n}.000001")
            for _time in range(chance.choice((1, 1, 2))):  # Slack asks again where it saw no answer
                if self._ask(chance, "/slack/actions", partial(_signed_click, body)):
                    self.fed.clicks.add(f"V{n}:1.1:U1" if form else f"{n}.000001:U1:{ts}:{what}")

    def _ask(self, chance: random.Random, path: str, make: Callable[[], tuple[bytes, dict[str, str]]]) -> bool:
        """Post until somebody answers for it; whether one did before the run ended."""
        while not self._stop.is_set():
            body, headers = make()
            connection = http.client.HTTPConnection("127.0.0.1", chance.choice(self._ports), timeout=_PATIENCE)
            try:
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                status = 0
            finally:
                connection.close()
            if status in _DONE:
                return True
            assert status in (0, 500, 503), status
            self._stop.wait(0.3)
        return False


def _batches(chance: random.Random, count: int) -> Iterator[range]:
    n = 0
    while n < count:
        size = min(chance.choice((1, 1, 2, 3)), count - n)
        yield range(n, n + size)
        n += size


def _pushed(body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp = str(int(time.time()))
    digest = hmac.new(SECRETS["PUSH_SECRET"].encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"X-Pingshao-Timestamp": stamp, "X-Pingshao-Signature": f"sha256={digest}"}


def _click(what: str, value: str, message_ts: str, action_ts: str) -> bytes:
    button = {"type": "button", "action_id": what, "value": value, "action_ts": action_ts}
    container = {"type": "message", "message_ts": message_ts, "channel_id": "C1"}
    payload = {"type": "block_actions", "user": {"id": "U1"}, "container": container, "actions": [button]}
    return urlencode({"payload": json.dumps(payload)}).encode()


def _submitted(what: str, value: str, view_id: str) -> bytes:
    """A button's form, sent off with nothing written in it."""
    fields = {one.name: {one.name: {"type": "plain_text_input"}} for one in asks(what, value.partition(":")[0])}
    view = {"id": view_id, "hash": "1.1", "callback_id": "pingshao", "state": {"values": fields}}
    view["private_metadata"] = json.dumps({"action": what, "about": value})
    payload = {"type": "view_submission", "user": {"id": "U1"}, "view": view}
    return urlencode({"payload": json.dumps(payload)}).encode()


def _signed_click(body: bytes) -> tuple[bytes, dict[str, str]]:
    stamp = str(int(time.time()))
    digest = hmac.new(SECRETS["SLACK_SECRET"].encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    kind = "application/x-www-form-urlencoded"
    return body, {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={digest}", "content-type": kind}


def _buttons(slack: SlackDouble) -> Iterator[tuple[str, str, str]]:
    """Buttons of the cards that were posted: action, subject and the message's name, as Slack sends them back."""
    for message in list(slack.messages):
        for block in message["blocks"]:
            for element in block.get("elements", ()) if block["type"] == "actions" else ():
                if element["action_id"] in _BUTTONS and element.get("value"):
                    yield element["action_id"], element["value"], message["ts"]

"""Slack's door: signed clicks on a card's buttons, answered at once, refusals told to the one who clicked."""

import asyncio
import html
import json
import re
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient
from sqlalchemy.exc import OperationalError
from starlette.background import BackgroundTask

from alerts.actions import Click, Outcome, handle
from alerts.desk import bodies
from alerts.links import Links
from monitor.clock import Clock
from monitor.config import secret
from monitor.core import Core
from monitor.moves import Action
from monitor.text import clean
from monitor.transitions import ACTIONS

_ANSWER_WITHIN = 2.0  # seconds; Slack gives three
_AGAIN = "没能记下这一步，请再点一次；还不行就请管理员看日志。"
_AHEAD = 60  # seconds by which Slack's clock may run before ours
_SUBJECT = re.compile(r"(case|crisis):([0-9]{1,9})")
_log = structlog.get_logger()


class _Seconds(SlackClock):
    """The house's clock in the shape the verifier reads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


def router(core: Core, links: Links) -> APIRouter:
    """``POST /slack/actions``, Slack's interactivity endpoint."""
    routes = APIRouter()

    @routes.post("/slack/actions", summary="Slack 按钮的回调")
    async def slack_actions(request: Request) -> Response:
        body = await bodies.read(request)
        if not _signed(core, body, dict(request.headers)):
            raise HTTPException(401, "签名不对，或者时间差太多。")
        payload = _payload(body)
        asked = click(payload)
        if asked is None:  # a button that only opens a page, or another kind of interaction
            return Response()
        doing = asyncio.create_task(asyncio.to_thread(handle, core, asked))
        await asyncio.wait({doing}, timeout=_ANSWER_WITHIN)
        # 200 says that the click is kept: what is killed before it is must have looked failed to whoever clicked
        kept = doing.done() and doing.exception() is None
        return Response(
            status_code=200 if kept else 503,
            background=BackgroundTask(_tell, core, links, doing, asked.action, payload),
        )

    return routes


def click(payload: dict[str, Any]) -> Click | None:
    """The click a ``block_actions`` payload holds; None where it holds nothing for us to do.

    Raises:
        HTTPException: 400, it is not shaped as Slack's are.
    """
    try:
        if payload["type"] != "block_actions":
            return None
        button, user = payload["actions"][0], str(payload["user"]["id"])
        what = str(button["action_id"])
        if what not in ACTIONS:
            return None
        subject = _SUBJECT.fullmatch(str(button["value"]))
        key = f"{button['action_ts']}:{user}:{payload['container']['message_ts']}:{what}"
    except (KeyError, IndexError, TypeError):
        raise HTTPException(400, "没有看懂这次点击。") from None
    if subject is None:
        raise HTTPException(400, "没有看懂这次点击。")
    return Click("slack", clean(key)[:200], clean(user)[:50], Action(what, subject[1], int(subject[2])))


def _signed(core: Core, body: bytes, headers: dict[str, str]) -> bool:
    names = {channel.signing_secret_env for channel in core.settings.channels if channel.kind == "slack"}
    return any(_verified(core, key, body, headers) for key in map(secret, names) if key)


def _verified(core: Core, key: str, body: bytes, headers: dict[str, str]) -> bool:
    clock = _Seconds(core.clock)
    try:
        fresh = int(headers["x-slack-request-timestamp"]) - clock.now() <= _AHEAD
        return fresh and SignatureVerifier(key, clock).is_valid_request(body, headers)
    except Exception:  # noqa: BLE001 — whatever the verifier chokes on was not signed by Slack
        return False


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(bodies.form(body)["payload"])
    except (KeyError, ValueError, RecursionError):
        raise HTTPException(400, "没有看懂这个请求。") from None
    if not isinstance(payload, dict):
        raise HTTPException(400, "没有看懂这个请求。")
    return payload


async def _tell(
    core: Core, links: Links, doing: "asyncio.Task[Outcome]", action: Action, payload: dict[str, Any]
) -> None:
    try:
        outcome = await doing
    except Exception as error:  # noqa: BLE001 — Slack has its answer; the person must hear of any failure
        outcome = failed(error, action)
    await asyncio.to_thread(answer, core, links, outcome, action, payload)


def failed(error: Exception, action: Action) -> Outcome:
    """What the person hears of a click that could not be kept; why goes to the log."""
    if isinstance(error, OperationalError):
        _log.error("store_refused", action=action.what, error=str(error.orig))
    else:
        _log.error("slack_click_failed", action=action.what, subject=action.subject, exc_info=error)
    return Outcome(done=False, text=_AGAIN)


def answer(core: Core, links: Links, outcome: Outcome, action: Action, payload: dict[str, Any]) -> None:
    """Tell the one who clicked why nothing was done; what was done shows on the card itself."""
    address = str(payload.get("response_url", ""))
    if outcome.done or not _ours(core, address):
        return
    text = html.escape(outcome.text, quote=False)
    if outcome.lacking:
        page = links.make(action.what, action.subject, action.subject_id, outcome.person)
        text += f"\n<{page}|在这里填写>"
    try:
        _post(address, text)
    except Exception as error:  # noqa: BLE001 — the click was handled; only this courtesy is lost
        _log.warning("slack_reply_failed", error=str(error))


def _post(address: str, text: str) -> None:
    WebhookClient(address, timeout=5, retry_handlers=[]).send(
        text=text, response_type="ephemeral", replace_original=False
    )


def _ours(core: Core, address: str) -> bool:
    """Whether replies may go there: Slack itself, or what stands in for it in the config."""
    bases = [channel.base_url for channel in core.settings.channels if channel.kind == "slack"]
    return _origin(address) in {_origin(base) for base in ("https://hooks.slack.com", *bases)} - {""}


def _origin(address: str) -> str:
    """``scheme://host:port`` of a web address, empty for anything else."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else ""

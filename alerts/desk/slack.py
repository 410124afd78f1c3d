"""Slack's door: signed clicks on a card's buttons and signed forms, answered at once."""

import asyncio
import json
from functools import partial
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier
from starlette.background import BackgroundTask

from alerts.actions import Click, Outcome, handle
from alerts.desk import bodies, slack_clicks
from alerts.links import Links
from monitor.clock import Clock
from monitor.config import secret
from monitor.core import Core
from monitor.moves import Action

_ANSWER_WITHIN = 2.0  # seconds; Slack gives three
_AHEAD = 60  # seconds by which Slack's clock may run before ours


class _Seconds(SlackClock):
    """The house's clock in the shape the verifier reads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


def router(core: Core, links: Links) -> APIRouter:
    """``POST /slack/actions``, Slack's interactivity endpoint."""
    routes = APIRouter()

    @routes.post("/slack/actions", summary="Slack 按钮和表单的回调")
    async def slack_actions(request: Request) -> Response:
        body = await bodies.read(request)
        if not _signed(core, body, dict(request.headers)):
            raise HTTPException(401, "签名不对，或者时间差太多。")
        payload = _payload(body)
        if payload.get("type") == "view_submission":
            return await _submitted(core, payload)
        return await _clicked(core, links, payload)

    return routes


async def _clicked(core: Core, links: Links, payload: dict[str, Any]) -> Response:
    asked = slack_clicks.click(payload)
    if asked is None:  # a button that only opens a page, or another kind of interaction
        return Response()
    if slack_clicks.opens_form(asked):
        return Response(background=BackgroundTask(slack_clicks.open_form, core, links, asked, payload))
    doing = asyncio.create_task(asyncio.to_thread(handle, core, asked))
    await asyncio.wait({doing}, timeout=_ANSWER_WITHIN)
    # 200 says that the click is kept: what is killed before it is must have looked failed to whoever clicked
    kept = doing.done() and doing.exception() is None
    return Response(
        status_code=200 if kept else 503,
        background=BackgroundTask(_tell, core, links, doing, asked.action, payload),
    )


async def _submitted(core: Core, payload: dict[str, Any]) -> Response:
    asked = slack_clicks.submission(payload)
    if asked is None:
        return Response()
    doing = asyncio.create_task(asyncio.to_thread(slack_clicks.submit, core, asked, payload))
    doing.add_done_callback(partial(_log_failure, asked))
    await asyncio.wait({doing}, timeout=_ANSWER_WITHIN)
    kept = doing.done() and doing.exception() is None
    said = doing.result() if kept else slack_clicks.not_kept(asked)
    return JSONResponse(said) if said else Response()


def _log_failure(asked: Click, doing: "asyncio.Task[dict[str, Any]]") -> None:
    if error := doing.exception():
        slack_clicks.failed(error, asked.action)


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
        outcome = slack_clicks.failed(error, action)
    await asyncio.to_thread(slack_clicks.answer, core, links, outcome, action, payload)

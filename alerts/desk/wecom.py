"""WeCom's door: the proof of the address, and clicks on an app's cards, signed and sealed with its EncodingAESKey."""

import asyncio
import hashlib
from collections.abc import Iterator
from functools import cache
from xml.parsers import expat

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from sqlmodel import select
from starlette.background import BackgroundTask

from alerts.actions import Click, Outcome, found, handle
from alerts.channels.wecom import WeCom
from alerts.desk import bodies, clicks
from alerts.desk.envelope import Envelope
from alerts.links import Links
from monitor import db
from monitor.config import secret
from monitor.core import Core
from monitor.models import Message
from monitor.settings import Channel

_ANSWER_WITHIN = 3.0  # seconds; WeCom gives five, then asks again
_FRESH = 300.0  # seconds
_DEPTH = 2
_log = structlog.get_logger()


def router(core: Core, links: Links) -> APIRouter:
    """``/wecom/actions``, the address of an app's 接收消息."""
    routes = APIRouter()

    @cache
    def sender(channel: Channel) -> WeCom:
        return WeCom(channel, core.settings)

    @routes.get("/wecom/actions", summary="企业微信验证回调地址")
    def wecom_proof(request: Request) -> PlainTextResponse:
        _, inside = _opened(core, request, request.query_params.get("echostr", ""))
        return PlainTextResponse(inside)

    @routes.post("/wecom/actions", summary="企业微信卡片按钮的回调")
    async def wecom_actions(request: Request) -> Response:
        outside = fields(await bodies.read(request))
        channel, inside = _opened(core, request, outside.get("Encrypt", ""))
        event = fields(inside)
        asked = click(event)
        if asked is None:
            return Response()
        doing = asyncio.create_task(asyncio.to_thread(_do, core, asked, event))
        await asyncio.wait({doing}, timeout=_ANSWER_WITHIN)
        if not doing.done():
            return Response(status_code=503)  # nobody knows whether it is kept: WeCom sends it again
        if error := doing.exception():
            _log.error("wecom_click_failed", action=asked.action.what, exc_info=error)
            return Response(status_code=503)
        outcome, shown = doing.result()
        if outcome.done and shown:
            return Response()
        return Response(background=BackgroundTask(_tell, sender(channel), links, asked, outcome))

    return routes


def click(event: dict[str, str]) -> Click | None:
    """The click that a ``template_card_event`` holds; None where it holds nothing for us to do.

    Raises:
        HTTPException: 400, it is not shaped as WeCom's are.
    """
    if (event.get("MsgType"), event.get("Event")) != ("event", "template_card_event"):
        return None
    try:
        person, button, code = event["FromUserName"], event["EventKey"], event["ResponseCode"]
        key = hashlib.sha256("|".join((person, button, code, event["CreateTime"])).encode()).hexdigest()
    except KeyError:
        raise HTTPException(400, clicks.UNREADABLE) from None
    what, _, about = button.partition(" ")
    return clicks.click("wecom", key, person, what, about)


def fields(xml: bytes) -> dict[str, str]:
    """The text of each element right under the root.

    Raises:
        HTTPException: 400, it is no XML, or has a document type.
    """
    parser, path, texts = expat.ParserCreate(), list[str](), dict[str, list[str]]()

    def begin(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)

    def text(said: str) -> None:
        if len(path) == _DEPTH:
            texts.setdefault(path[-1], []).append(said)

    def refuse(*_: object) -> None:
        raise ValueError("a document type")

    parser.StartElementHandler, parser.CharacterDataHandler = begin, text
    parser.EndElementHandler = lambda _name: path.pop()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError):
        raise HTTPException(400, "没有看懂这个请求。") from None
    return {name: "".join(parts) for name, parts in texts.items()}


def _apps(core: Core) -> Iterator[tuple[Channel, Envelope]]:
    for one in core.settings.channels:
        token, letters = secret(one.signing_secret_env), secret(one.aes_key_env)
        if one.kind == "wecom" and one.app_id and token and letters:
            yield one, Envelope(token, letters, one.corp_id)


def _opened(core: Core, request: Request, sealed: str) -> tuple[Channel, bytes]:
    """Whose it is and what it holds.

    Raises:
        HTTPException: 401, it was not signed and sealed with the keys of one of the config's apps, or not just now.
    """
    given = request.query_params
    stamp, nonce, signature = (given.get(name, "") for name in ("timestamp", "nonce", "msg_signature"))
    fresh = stamp.isdecimal() and abs(int(stamp[:15]) - core.clock.now().timestamp()) <= _FRESH
    for channel, envelope in _apps(core) if fresh else ():
        if not envelope.signed(signature, stamp, nonce, sealed):
            continue
        if (inside := envelope.opened(sealed)) is not None:
            return channel, inside
    raise HTTPException(401, "签名不对，或者时间差太多。")


def _do(core: Core, asked: Click, event: dict[str, str]) -> tuple[Outcome, bool]:
    """What became of the click, and whether that shows on the card that was clicked."""
    shown = _keep_code(core, asked, event.get("TaskId", ""), event["ResponseCode"])
    return handle(core, asked), shown


def _keep_code(core: Core, asked: Click, task: str, code: str) -> bool:
    """Keep the code that lets the card be edited once more; whether it is the live one, and no older copy."""
    about = (Message.subject == asked.action.subject, Message.subject_id == asked.action.subject_id)
    with db.writing(core.engine) as session:
        cards = session.exec(select(Message).where(*about)).all()
        card = next((one for one in cards if task and one.provider_ref.partition(" ")[0] == task), None)
        if card is not None and found(session, asked.door, asked.key) is None:  # a replay's code was spent long ago
            card.provider_ref = f"{task} {code}"
            session.add(card)
        return card is not None


def _tell(sender: WeCom, links: Links, asked: Click, outcome: Outcome) -> None:
    """Tell the one who clicked what became of it, where the card does not."""
    text = outcome.text
    if outcome.lacking:
        action = asked.action
        text += f"\n在这里填写：{links.make(action.what, action.subject, action.subject_id, outcome.person)}"
    try:
        sender.tell(asked.person, text)
    except Exception as error:  # noqa: BLE001 — the click was handled; only this courtesy is lost
        _log.warning("wecom_reply_failed", error=str(error))

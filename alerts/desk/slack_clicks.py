"""What Slack's interactions mean and how they are answered, whichever of its two doors they came in by.

A button does what it says, or opens a form where words are needed; the form's submission does it. What cannot be done
is told to the one who asked: in the form, else in a message that nobody else sees.
"""

import html
import json
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import HTTPException
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient
from sqlalchemy.exc import OperationalError

from alerts import forms
from alerts.actions import Click, Outcome, handle, ready
from alerts.blocks import MENU
from alerts.desk import clicks, modals
from alerts.links import Links
from monitor import db
from monitor.config import secret
from monitor.core import Core
from monitor.moves import Action
from monitor.settings import Channel
from monitor.transitions import ACTIONS

_AGAIN = "没能记下这一步，请再点一次；还不行就请管理员看日志。"
_NOT_OPENED = "表单没有打开。"
_OPEN_WITHIN = 3  # seconds; then the trigger has expired
_PLACE = (("channel", "id"), ("message", "ts"))
_log = structlog.get_logger()


def click(payload: dict[str, Any]) -> Click | None:
    """What a ``block_actions`` payload asks for; None where it holds nothing for us to do.

    Raises:
        HTTPException: 400, it is not shaped as Slack's are.
    """
    try:
        if payload["type"] != "block_actions":
            return None
        pressed, user = payload["actions"][0], str(payload["user"]["id"])
        what, about = str(pressed["action_id"]), str(pressed.get("value", ""))
        if what == MENU:  # the menu's choice names both
            what, _, about = str(pressed["selected_option"]["value"]).partition(" ")
        if what not in ACTIONS:
            return None
        key = f"{pressed['action_ts']}:{user}:{payload['container']['message_ts']}:{what}"
    except (KeyError, IndexError, TypeError, AttributeError):
        raise HTTPException(400, clicks.UNREADABLE) from None
    return _click(key, user, what, about)


def submission(payload: dict[str, Any]) -> Click | None:
    """What a submitted form of ours asks for; None for another app's.

    The view's hash is another each time the form is shown, so the same submission has the same key, and one made after
    a refusal has not.

    Raises:
        HTTPException: 400, it is not shaped as Slack's are.
    """
    try:
        view, user = payload["view"], str(payload["user"]["id"])
        if view["callback_id"] != modals.CALLBACK:
            return None
        where = json.loads(view["private_metadata"])
        asked = _click(f"{view['id']}:{view['hash']}:{user}", user, str(where["action"]), str(where["about"]))
        action = modals.written(asked.action, view["state"]["values"])
    except (KeyError, TypeError, AttributeError, ValueError):
        raise HTTPException(400, clicks.UNREADABLE) from None
    return Click(asked.door, asked.key, asked.person, action)


def opens_form(asked: Click) -> bool:
    """Whether the click only opens a form."""
    return bool(forms.asks(asked.action.what, asked.action.subject))


def open_form(core: Core, links: Links, asked: Click, payload: dict[str, Any]) -> None:
    """Show the form, or in its place why it would be of no use; where Slack shows none, the page that does the same."""
    try:
        with db.reading(core.engine) as session:
            could = ready(session, asked)
            if could.done:
                view = modals.form(core, session, asked.action, _metadata(asked.action, payload))
            else:
                view = modals.told(asked.action, could.text)
    except Exception as error:  # noqa: BLE001 — the person must hear of any failure
        answer(core, links, failed(error, asked.action), asked.action, payload)
        return
    try:
        _client(core, payload).views_open(trigger_id=str(payload.get("trigger_id", "")), view=view)
    except Exception as error:  # noqa: BLE001 — whatever Slack did, there is another way
        _log.warning("slack_form_not_opened", action=asked.action.what, error=str(error))
        text = _NOT_OPENED if could.done else could.text
        answer(core, links, Outcome(False, text, could.person, lacking=could.done), asked.action, payload)


def submit(core: Core, asked: Click, payload: dict[str, Any]) -> dict[str, Any]:
    """Do what the form says; gives Slack's answer: nothing closes it, else it says what is wrong."""
    if wrong := forms.problems(asked.action):
        return {"response_action": "errors", "errors": wrong}
    outcome = handle(core, asked)
    if outcome.done:
        return {}
    with db.reading(core.engine) as session:
        view = modals.form(core, session, asked.action, str(payload["view"]["private_metadata"]), outcome.text)
    return {"response_action": "update", "view": view}


def not_kept(asked: Click) -> dict[str, Any]:
    """What a form says whose submission was not kept."""
    return {
        "response_action": "errors",
        "errors": {forms.asks(asked.action.what, asked.action.subject)[0].name: _AGAIN},
    }


def failed(error: BaseException, action: Action) -> Outcome:
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


def _click(key: str, user: str, what: str, about: str) -> Click:
    asked = clicks.click("slack", key, user, what, about)
    if asked is None:
        raise HTTPException(400, clicks.UNREADABLE)
    return asked


def _metadata(action: Action, payload: dict[str, Any]) -> str:
    """The subject, and the message whose button was pressed."""
    pressed_on = payload.get("container") or {}
    where = {name: str(pressed_on.get(f"{name}_{key}", ""))[:100] for name, key in _PLACE}
    return json.dumps({"action": action.what, "about": f"{action.subject}:{action.subject_id}", **where})


def _client(core: Core, payload: dict[str, Any]) -> WebClient:
    """Slack as the app of the channel in which the button was pressed; it asks once, as a trigger works once."""
    pressed_in = (payload.get("container") or {}).get("channel_id")
    known = [one for one in core.settings.channels if one.kind == "slack"]
    chosen = next((one for one in known if one.target == pressed_in), known[0])
    return web_client(chosen, _OPEN_WITHIN)


def web_client(channel: Channel, timeout: int) -> WebClient:
    """Slack's Web API as a channel of the config reaches it; nothing is tried twice unseen."""
    base = channel.base_url or WebClient.BASE_URL
    return WebClient(
        token=secret(channel.token_env),
        base_url=base if base.endswith("/") else f"{base}/",
        timeout=timeout,
        retry_handlers=[],
    )


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

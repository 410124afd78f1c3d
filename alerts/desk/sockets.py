"""Slack's Socket Mode: clicks over a connection that we open, for a service without a public address."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from fastapi import HTTPException
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from alerts.actions import Click, handle
from alerts.desk import slack_clicks
from alerts.links import Links
from monitor.config import secret
from monitor.core import Core
from monitor.settings import Channel

_PAUSES = (1.0, 5.0, 15.0, 60.0)  # seconds between tries at the first connection; later ones are the client's business
_log = structlog.get_logger()


class SocketDoor:
    """One connection to Slack, kept open until it is closed; a click is acknowledged once it is kept.

    What is delivered again, after a connection that broke before the acknowledgement or over two of them, is the same
    click: its inbound row is unique.

    Args:
        core: The common ground.
        links: Makes the address of the page where what is lacking is filled in.
        channel: A channel with ``app_token_env``.
    """

    def __init__(self, core: Core, links: Links, channel: Channel) -> None:
        self._core, self._links, self._name = core, links, channel.name
        web = slack_clicks.web_client(channel, 10)
        self._client = SocketModeClient(app_token=secret(channel.app_token_env), web_client=web, concurrency=4)
        self._client.socket_mode_request_listeners.append(self._take)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._connect, name=f"socket {channel.name}", daemon=True)

    def open(self) -> None:
        """Begin to connect; never waits and never fails: an unreachable Slack is tried again."""
        self._thread.start()

    def close(self) -> None:
        """Hang up."""
        self._ending.set()
        self._thread.join(timeout=1)
        try:
            self._client.close()
        except (OSError, AttributeError):  # the SDK stumbles over a connection that was never made
            _log.debug("socket_closed", channel=self._name)

    def _connect(self) -> None:
        for n in range(10**9):
            try:
                self._client.connect()
            except (SlackClientError, OSError, ValueError) as error:
                _log.warning("socket_mode_unreachable", channel=self._name, error=str(error))
            else:
                return
            if self._ending.wait(_PAUSES[min(n, len(_PAUSES) - 1)]):
                return

    def _take(self, client: BaseSocketModeClient, request: SocketModeRequest) -> None:
        payload, asked = request.payload, None
        submitted = payload.get("type") == "view_submission"
        if request.type == "interactive":
            try:
                asked = slack_clicks.submission(payload) if submitted else slack_clicks.click(payload)
            except HTTPException as error:
                _log.warning("socket_click_unreadable", channel=self._name, error=error.detail)
        acknowledge = partial(self._acknowledge, client, request)
        if asked is None:
            acknowledge()
        elif submitted:
            acknowledge(self._submitted(asked, payload))
        elif slack_clicks.opens_form(asked):
            acknowledge()
            slack_clicks.open_form(self._core, self._links, asked, payload)
        else:
            self._clicked(asked, payload, acknowledge)

    def _acknowledge(
        self, client: BaseSocketModeClient, request: SocketModeRequest, said: dict[str, Any] | None = None
    ) -> None:
        client.send_socket_mode_response(SocketModeResponse(request.envelope_id, said or None))

    def _clicked(self, asked: Click, payload: dict[str, Any], acknowledge: Callable[[], None]) -> None:
        try:
            outcome = handle(self._core, asked)
        except Exception as error:  # noqa: BLE001 — not kept, so not acknowledged; the person must hear of it
            outcome = slack_clicks.failed(error, asked.action)
        else:
            acknowledge()
        slack_clicks.answer(self._core, self._links, outcome, asked.action, payload)

    def _submitted(self, asked: Click, payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return slack_clicks.submit(self._core, asked, payload)
        except Exception as error:  # noqa: BLE001 — not kept: the form stays open and says so
            slack_clicks.failed(error, asked.action)
            return slack_clicks.not_kept(asked)


def open_all(core: Core, links: Links) -> list[SocketDoor]:
    """The doors of all channels that ask for one, being opened."""
    asking = [one for one in core.settings.channels if one.kind == "slack" and secret(one.app_token_env)]
    doors = [SocketDoor(core, links, channel) for channel in asking]
    for door in doors:
        door.open()
    return doors

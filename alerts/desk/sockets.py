"""Slack's Socket Mode: clicks over a connection that we open, for a service without a public address."""

import threading

import structlog
from fastapi import HTTPException
from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.builtin import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from alerts.actions import handle
from alerts.desk import slack
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
        base = channel.base_url or WebClient.BASE_URL
        web = WebClient(base_url=base if base.endswith("/") else f"{base}/", timeout=10)
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
        asked = None
        if request.type == "interactive":
            try:
                asked = slack.click(request.payload)
            except HTTPException as error:
                _log.warning("socket_click_unreadable", channel=self._name, error=error.detail)
        if asked is None:
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            return
        try:
            outcome = handle(self._core, asked)
        except Exception as error:  # noqa: BLE001 — not kept, so not acknowledged; the person must hear of it
            outcome = slack.failed(error, asked.action)
        else:
            client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        slack.answer(self._core, self._links, outcome, asked.action, request.payload)


def open_all(core: Core, links: Links) -> list[SocketDoor]:
    """The doors of all channels that ask for one, being opened."""
    asking = [one for one in core.settings.channels if one.kind == "slack" and secret(one.app_token_env)]
    doors = [SocketDoor(core, links, channel) for channel in asking]
    for door in doors:
        door.open()
    return doors

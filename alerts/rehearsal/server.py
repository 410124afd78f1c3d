"""A small web server of our own in a thread, on a free port of this machine."""

import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
_START = 10.0  # seconds


class WebServer:
    """Serves an ASGI application while the ``with`` block runs.

    Attributes:
        port: Its port; open from the first moment.
    """

    def __init__(self, app: Any) -> None:
        import uvicorn

        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    @property
    def host(self) -> str:
        """``host:port``."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """Its address, without a closing slash."""
        return f"http://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        give_up = time.monotonic() + _START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > give_up:
                raise RuntimeError(f"本机的演练服务器没有在 {_START:.0f} 秒内启动")
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_START)
        self._socket.close()

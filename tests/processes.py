"""Whole services as processes, for tests: started, stopped, killed and asked to end as an operating system does."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep


class Process:
    """A real ``pingshao serve`` on a free port, in a folder with its ``pingshao.toml``; its log is there as well.

    Args:
        folder: Where it runs.
        name: Of its log.
        env: Secrets.
        patch: Python to be run before.
        command: What is run instead; it listens nowhere.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        env: dict[str, str] | None = None,
        patch: str = "",
        command: tuple[str, ...] = (),
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder, self._log, self._env = folder, folder / f"{name}.log", env or {}
        self._code = f"import scheduler\n{patch}\nscheduler.main()"
        self._command = command or ("serve", "--port", str(self.port))
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-c", self._code, *self._command],
                cwd=self._folder,
                env=os.environ | self._env | {"PYTHONPATH": str(Path(__file__).parent.parent)},
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def answers(self) -> bool:
        """Whether it listens: before that it has not taken charge of signals."""
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_until_ready(self, seconds: float = 60) -> None:
        until = monotonic() + seconds
        while not self.answers():
            assert self.alive(), self.log()
            assert monotonic() < until, self.log()
            sleep(0.05)

    def stop(self) -> None:
        """Let it stand still, as a machine that sleeps does."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def end(self, within: float = 15) -> tuple[int | None, float]:
        """Ask it to end; gives its exit status, None where it had to be killed, and the seconds it took."""
        began = monotonic()
        assert self._child is not None
        self._child.terminate()
        try:
            return self._child.wait(within), monotonic() - began
        except subprocess.TimeoutExpired:
            self.kill()
            return None, monotonic() - began

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def _signal(self, number: int) -> None:
        assert self._child is not None
        with suppress(ProcessLookupError):
            self._child.send_signal(number)


@contextmanager
def services(folder: Path, *names: str, env: dict[str, str] | None = None, patch: str = "") -> Iterator[list[Process]]:
    """Services of one config that are ready, killed at the end where they still run."""
    running = [Process(folder, name, env, patch) for name in names]
    try:
        for process in running:
            process.start()
        for process in running:
            process.wait_until_ready()
        yield running
    finally:
        for process in running:
            process.kill()

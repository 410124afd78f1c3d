"""What the composition root hands to every command, and how a command opens the house with it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from commands.app import App
from monitor.errors import WrongCall

if TYPE_CHECKING:
    from monitor.clock import Clock
    from monitor.settings import Settings


class Build(Protocol):
    """Puts the application together for a process of that name."""

    def __call__(self, settings: "Settings", clock: "Clock", name: str = ...) -> App: ...  # noqa: D102 — said above


@dataclass(frozen=True)
class Root:
    """Travels to the commands as typer's context object.

    Attributes:
        build: Puts the application together.
        clock: The wall clock.
        config: What ``--config`` said.
        name: What was called: ``pingshao serve``.
    """

    build: "Build"
    clock: "Clock"
    config: Path | None = None
    name: str = "pingshao"

    @classmethod
    def of(cls, context: typer.Context) -> "Root":
        """The one that this call was given."""
        root: Root = context.obj
        return replace(root, name=context.command_path)

    @property
    def path(self) -> Path:
        """The config file that counts; it need not exist."""
        from monitor import config

        return config.config_path(self.config)

    def settings(self) -> "Settings":
        """What the config file says.

        Raises:
            ConfigError: it does not exist or is wrong.
        """
        from monitor import config

        return config.load(self.path)

    def app(self) -> App:
        """The application on this config, logs on standard error.

        Raises:
            ConfigError: the config file does not exist or is wrong.
            WrongCall: its database or folders cannot be opened.
        """
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError

        from monitor import config
        from monitor.logs import set_up

        set_up()
        settings = self.settings()
        set_up(config.secrets_of(settings))
        try:
            return self.build(settings, self.clock, self.name)
        except config.ConfigError as error:
            raise config.ConfigError(f"{self.path}: {error}") from None
        except (ArgumentError, ImportError):
            expected = "应为 sqlite:///文件 或 postgresql+psycopg://用户@主机/库"
            raise WrongCall(f"{self.path}: service.database_url: {expected}") from None
        except SQLAlchemyError as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            raise WrongCall(f"{self.path}: service.database_url: 打不开数据库：{said}") from None
        except OSError as error:
            raise WrongCall(f"{self.path}: service: 写不了 {error.filename}：{error.strerror}") from None


def user() -> str:
    """Who runs this process; some containers' users have no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "系统"

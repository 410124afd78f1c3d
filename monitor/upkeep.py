"""The config's shape of how the monitor watches itself: from where on something is trouble, and who may look."""

from pydantic import Field

from monitor.durations import Duration
from monitor.section import Section


class Upkeep(Section):
    """How the monitor watches itself; trouble goes to ``routes.engineer``."""

    schedule_lag: Duration = Field(default="15m", validate_default=True)
    """A crawl or a report that is later than this is trouble."""
    timer_lag: Duration = Field(default="2m", validate_default=True)
    """So is a deadline that nobody noticed for so long."""
    outbox_age: Duration = Field(default="15m", validate_default=True)
    """So is a message that could not be sent for so long …"""
    outbox_most: int = Field(default=2000, ge=1)
    """… or more messages than this that wait."""
    queue_age: Duration = Field(default="10m", validate_default=True)
    """So is queued work that no worker took for so long."""
    source_silence: Duration = Field(default="12h", validate_default=True)
    """So is a source that should have been read again and was not read well for so long."""
    disk_free_mb: int = Field(default=1024, ge=0)
    """So is less room than this on the disk of ``var_dir`` or of the SQLite file."""
    again: Duration = Field(default="24h", validate_default=True)
    """Trouble that lasts is told again after so long."""
    heartbeat_env: str = ""
    """Environment variable with an address of a dead man's switch, asked for each minute while the monitor is well."""
    metrics_token_env: str = ""
    """Environment variable with the token for ``/metrics``; without one it answers this machine alone."""

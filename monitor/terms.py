"""The config's shape of how long things are kept."""

from pydantic import Field

from monitor.durations import Duration
from monitor.section import Section


class Retention(Section):
    """How long things are kept, from when they were first stored; ``36500d`` is for ever. Counts stay in any case."""

    reviews: Duration = Field(default="1095d", validate_default=True)
    """Words, names and orders of reviews; also quotes in reports that were sent, and the files of those."""
    mentions: Duration = Field(default="1095d", validate_default=True)
    """The same of mentions."""
    scores: Duration = Field(default="1095d", validate_default=True)
    """Evidence and flags of verdicts; the verdict itself is counted and stays."""
    events: Duration = Field(default="1825d", validate_default=True)
    """The audit, which goes by whole months."""
    messages: Duration = Field(default="365d", validate_default=True)
    """What messages said; that they were sent stays."""
    rejects: Duration = Field(default="90d", validate_default=True)
    """Rows of exports that could not be read, in ``var_dir/rejects``."""

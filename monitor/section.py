"""What every table of the config is: frozen, described key by key, and strict about unknown keys."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the config; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

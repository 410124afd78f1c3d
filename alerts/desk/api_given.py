"""What the API takes: nothing more than is known, and no other type."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

Short = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
"""A line that somebody typed; PostgreSQL takes no NUL."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
"""What a thing is called in an address."""
WHOLE = BeforeValidator(lambda given: int(given) if isinstance(given, float) and given.is_integer() else given)
"""Makes whole numbers of 3.0, which is 3 in JSON; limits stand before it, as the schema tells none that follow."""
Whole = Annotated[int, WHOLE]
"""A whole number."""
Real = Annotated[float, Field(allow_inf_nan=False)]
"""Any number."""
Lines = Annotated[list[Short], Field(max_length=200)]
Seen = Annotated[str, StringConstraints(max_length=40, pattern=r"^[^\x00]*$")]
"""The mark of what was seen before the change; another one tells that somebody changed it meanwhile."""


class Given(BaseModel):
    """What all that is sent has in common: nothing more than is known, and no other type."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

"""The base of every JSON body that pydantic reads: a value is of the type that is asked for, or refused.

Belongs here: that rule. Not here: bodies (their own modules), those of hot routes, which msgspec reads as strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class RequestBody(BaseModel):
    """A body that takes no text for a number, no number for a truth value, and neither for a time.

    JSON has one kind of number: a whole one is an integer however it is written, `10.0` as `10`, as JSON Schema has it.
    """

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _with_whole_numbers(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in given.items()}

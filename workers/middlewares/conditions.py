"""Conditions of CircuitBreaker and Buffering: the language of `config/conditions.py`, with a builder's errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from config import conditions
from config.conditions import Condition as Condition  # noqa: PLC0414
from config.conditions import ConditionError
from config.conditions import Function as Function  # noqa: PLC0414
from workers.building import BuildError

C = TypeVar("C")


def compile_condition(text: str, functions: Mapping[str, Function[C]]) -> Condition[C]:
    """Raises BuildError that says what is wrong with the text."""
    try:
        return conditions.compile_condition(text, functions)
    except ConditionError as error:
        raise BuildError(str(error)) from None

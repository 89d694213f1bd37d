"""One Middleware on its way into the configuration, as the converters of its types see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.http import Service
from provider.translate.holder import Holder


@dataclass(frozen=True, slots=True)
class Conversion:
    """`name` is the middleware's own in the output.

    `services` are those that the middleware brings along; they are put out if all its types could be converted.
    """

    holder: Holder
    name: str
    services: dict[str, Service] = field(default_factory=dict)


Converter = Callable[[Conversion, Any, str], Any]
"""(conversion, what the object says, path of the field) -> what the configuration says. Raises Rejected."""

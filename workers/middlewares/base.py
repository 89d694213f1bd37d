"""What a middleware is made of: its options, its surroundings, and a handler around the next handler.

A module of this folder has one builder for each kind it serves. A builder checks what configuration alone can
tell and raises BuildError in the original's words; what it returns wraps any number of handlers. State that
outlives a configuration (counters, buckets) is kept under `Context.identity`, so that it survives a reload that
changes neither the middleware nor its place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from config.static import StaticConfiguration
from workers.building import BuildError as BuildError  # noqa: PLC0414 - builders have it from here
from workers.exchange import Handler

if TYPE_CHECKING:
    from workers.shared import SharedState
    from workers.upstream.transport import Transport

Wrap = Callable[[Handler], Handler]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all middlewares of a worker share."""

    static: StaticConfiguration
    log: logging.Logger
    shared: SharedState | None
    transport: Transport
    """For requests of middlewares' own, made on nobody's servers transport."""


@dataclass(frozen=True, slots=True)
class Context:
    """Around one instance: a middleware at one place in front of one router or service.

    `service` gives the handler of a service by reference (BuildError where there is none) and remembers that
    the router depends on it.
    """

    name: str
    """Qualified name of the middleware."""
    owner: str
    """Qualified name of the router, or `service:` and that of the service."""
    place: tuple[int, ...]
    """Position in the owner's list, then in that of each chain down to it."""
    surroundings: Surroundings
    service: Callable[[str], Handler] = field(repr=False)

    def identity(self, options: Any) -> bytes:
        """16 bytes that stay the same as long as place and options do."""
        text = msgspec.json.encode([self.owner, list(self.place), self.name, options])
        return blake2b(text, digest_size=16).digest()


Builder = Callable[[Any, Context], Wrap]
"""Takes the kind's options (a struct of config/middlewares_*.py). Raises BuildError."""

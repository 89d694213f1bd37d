"""The servers transports of one configuration, by qualified name, living pools included.

A change makes a new book: a transport whose configuration is the same stays the same object with all its
connections, one that changed is a new object, and those that are gone are closed once the new book is in force.
One that cannot be made is kept as its error: who names it is told why it cannot be used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from config import http, static
from tls.client import client_settings
from workers.building import BuildError
from workers.timers import TimerWheel
from workers.upstream.options import TransportError, TransportOptions, default_options, named_options
from workers.upstream.transport import Transport

DEFAULT_TRANSPORT: Final = "default@internal"


class TransportBook(Mapping[str, Transport]):
    """Usable transports by qualified name; `errors` has the others. Immutable but for the pools inside.

    Use `find` to build a service; as a mapping it holds what is usable.
    """

    __slots__ = ("_leaving", "_transports", "_wheel", "errors")

    def __init__(
        self,
        transports: Mapping[str, Transport],
        errors: Mapping[str, str] | None = None,
        wheel: TimerWheel | None = None,
    ) -> None:
        self._transports = dict(transports)
        self.errors = dict(errors or {})
        self._wheel = wheel
        self._leaving: list[Transport] = []

    @classmethod
    def first(cls, config: static.ServersTransport, wheel: TimerWheel | None = None) -> TransportBook:
        """Only the static default. If it cannot be made every service that names no transport is told so."""
        try:
            options = default_options(config)
        except TransportError as error:
            return cls({}, {DEFAULT_TRANSPORT: f"serversTransport.{error}"}, wheel)
        return cls({DEFAULT_TRANSPORT: Transport.of(options, wheel)}, wheel=wheel)

    def updated(
        self, changes: Mapping[str, http.ServersTransport | None], pause: Callable[[], None] = lambda: None
    ) -> tuple[TransportBook, set[str]]:
        """The next book, and the names whose transport is another one now (or none, or one that cannot be used).

        `pause` is called between two of them. This book goes on working; call `retire` of the new one once nothing
        builds on this one any more.
        """
        if not changes:
            return self, set()
        new = TransportBook(self._transports, self.errors, self._wheel)
        for name, config in changes.items():
            new._forget(name)
            if config is not None:
                new._make(name, config)
                pause()
        return new, set(changes)

    def _forget(self, name: str) -> None:
        self.errors.pop(name, None)
        former = self._transports.pop(name, None)
        if former is not None:
            self._leaving.append(former)

    def _make(self, name: str, config: http.ServersTransport) -> None:
        try:
            self._transports[name] = Transport.of(named_options(config), self._wheel)
        except TransportError as error:
            self.errors[name] = str(error)

    def retire(self) -> None:
        """Close the transports that this book no longer has; exchanges on them go on to their end."""
        leaving, self._leaving = self._leaving, []
        for transport in leaving:
            transport.close()

    def find(self, name: str) -> Transport:
        """The transport `name`. Raises BuildError in the original's words."""
        transport = self._transports.get(name)
        if transport is not None:
            return transport
        reason = self.errors.get(name)
        if reason is not None:
            raise BuildError(f"servers transport {name} cannot be used: {reason}")
        raise BuildError(f"servers transport not found {name}")

    @property
    def own(self) -> Transport:
        """For requests of the proxy's own. If the default one is unusable it trusts nobody."""
        if DEFAULT_TRANSPORT in self._transports:
            return self._transports[DEFAULT_TRANSPORT]
        nobody = client_settings()._replace(root_ca_pems=())
        return Transport.of(TransportOptions(nobody), self._wheel)

    def close(self) -> None:
        """Close all of them."""
        for transport in self._transports.values():
            transport.close()

    def report(self, log: logging.Logger) -> None:
        """Say what cannot be used."""
        for name, reason in self.errors.items():
            log.error("servers transport %s cannot be used: %s", name, reason)

    def __getitem__(self, name: str) -> Transport:
        return self._transports[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._transports)

    def __len__(self) -> int:
        return len(self._transports)

    def __repr__(self) -> str:
        return f"<TransportBook {sorted(self._transports)}, unusable {sorted(self.errors)}>"

"""The TCP servers transports of one configuration, by qualified name, the static default among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from config import static
from config.layer4 import TCPServersTransport, TLSClientConfig
from config.units import format_duration
from workers.building import BuildError
from workers.tcp.dialing import TCPTransport
from workers.timers import TimerWheel

DEFAULT_TRANSPORT: Final = "default@internal"


class TransportBook:
    """Transports by qualified name, and why the others cannot be used. Immutable."""

    __slots__ = ("_errors", "_transports")

    def __init__(self, options: static.TCPServersTransport, wheel: TimerWheel | None = None) -> None:
        """Only the default transport. If it cannot be made, services that name no transport are told so."""
        self._transports: dict[str, TCPTransport] = {}
        self._errors: dict[str, str] = {}
        try:
            self._transports[DEFAULT_TRANSPORT] = TCPTransport(_default(options), wheel)
        except BuildError as error:
            self._errors[DEFAULT_TRANSPORT] = f"tcpServersTransport.{error}"

    def updated(self, changes: Mapping[str, TCPServersTransport | None]) -> TransportBook:
        """The next book; None means: gone."""
        if not changes:
            return self
        new = TransportBook.__new__(TransportBook)
        new._transports, new._errors = self._transports.copy(), self._errors.copy()
        for name, config in changes.items():
            new._transports.pop(name, None)
            new._errors.pop(name, None)
            if config is None:
                continue
            try:
                new._transports[name] = TCPTransport(config)
            except BuildError as error:
                new._errors[name] = str(error)
        return new

    def find(self, name: str) -> TCPTransport:
        """Raises BuildError in the original's words where it has words for it."""
        transport = self._transports.get(name)
        if transport is None:
            raise BuildError(self._errors.get(name) or f'no transport configuration found for "{name}"')
        return transport


def _default(options: static.TCPServersTransport) -> TCPServersTransport:
    """There is no termination delay, as in the original, whatever the options say. Raises BuildError."""
    root_cas = [_file_or_text(one, f"tls.rootCAs[{place}]") for place, one in enumerate(options.tls.root_cas)]
    return TCPServersTransport(
        dial_timeout=format_duration(options.dial_timeout_seconds),
        dial_keep_alive=format_duration(options.dial_keep_alive_seconds),
        tls=TLSClientConfig(insecure_skip_verify=options.tls.insecure_skip_verify, root_cas=root_cas),
    )


def _file_or_text(value: str, field: str) -> str:
    """The PEM text that `value` is, or that stands in the file it names. Raises BuildError."""
    if "-----BEGIN " in value:
        return value
    try:
        return Path(value).read_text("ascii")
    except (OSError, UnicodeError) as error:
        raise BuildError(f"{field}: {error}") from error

"""One object that we cannot translate is that object's misfortune alone.

Translators are written for input that nobody controls. Should one of them raise what it must not, the object gives
nothing (so nothing is served that was not understood), has a finding that asks for a report, and all others go on.
The workers meet an object only as msgpack, so one that cannot be encoded is caught here too.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from config.generation import encode_section
from provider.findings import Rejected
from provider.resources.kinds import TLS_OPTION, ObjectKey
from provider.translate.output import Output
from provider.translate.tls_option import put_unusable
from provider.translate.view import View

log = logging.getLogger(__name__)

INTERNAL_ERROR: Final = "InternalError"
"""Reason of the finding."""

_SECTIONS: Final[Mapping[str, str]] = {
    "Middleware": "http.middlewares",
    "MiddlewareTCP": "tcp.middlewares",
    "ServersTransport": "http.serversTransports",
    "ServersTransportTCP": "tcp.serversTransports",
    "TraefikService": "http.services",
}
"""Of kinds that others refer to by one name."""


class Untranslatable(Exception):
    """What the log shows in place of the exception, whose text could hold what a Secret says."""


class Guard:
    """Runs translators. A place that fails is logged once with its traceback, however many objects meet it."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def run(self, key: ObjectKey, translate: Callable[[View, Any], Output], view: View, resource: Any) -> Output:
        """The translator's output, or an empty one with a finding."""
        try:
            output = translate(view, resource)
            for objects in output.sections.values():
                for value in objects.values():
                    encode_section(value)
        except Exception as error:
            return self._failed(key, view, error)
        return output

    def _failed(self, key: ObjectKey, view: View, error: Exception) -> Output:
        where = f"{type(error).__name__} in {_place(error.__traceback__)}"
        if where not in self._told:
            self._told.add(where)
            shown = Untranslatable(where)
            log.error("cannot translate %s", key, exc_info=(Untranslatable, shown, error.__traceback__))
        output = Output.of(key)
        output.report.rejected(
            Rejected(
                INTERNAL_ERROR,
                f"an error of Pointsman itself stopped the translation ({where}); nothing of it is served",
                advice="report this with the object and the traceback in the log; who refers to it is disabled",
            )
        )
        if key.kind == TLS_OPTION.name:
            put_unusable(view, output)
        elif key.kind in _SECTIONS:
            output.judge(_SECTIONS[key.kind], view.naming.object(key.namespace, key.name))
        return output


def _place(trace: TracebackType | None) -> str:
    """Module and line that raised, of our own code where it was a library."""
    places = [(str(frame.f_globals.get("__name__", "?")), line) for frame, line in traceback.walk_tb(trace)]
    inner = [place for place in places if place[0] != __name__] or places
    ours = [place for place in inner if place[0].startswith(("provider.", "config."))]
    module, line = (ours or inner)[-1]
    return f"{module}:{line}"

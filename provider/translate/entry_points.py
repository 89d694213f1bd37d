"""Entry points that routes name: do they exist, are they of the route's protocol, and what do they add to routers?

A route that names none of those that exist is served nowhere, which is an error. One that also names another is
served there, and hears of the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from provider.findings import Rejected, Report
from provider.translate.holder import Holder
from provider.translate.tls_defaults import DEFAULT

MIDDLEWARES: Final = "http.middlewares"
TLS_OPTIONS: Final = "tls.options"


def note_streams(holder: Holder, named: Sequence[str], field: str) -> list[str]:
    """Report what is wrong with the entry points of a route over TCP; those that it is served on."""
    environment = holder.options.environment
    if environment is None:
        return []
    known = ", ".join(sorted(environment.streams)) or "none"
    return _note(holder.report, named or environment.defaults, environment.streams, field, f"known are {known}")


def note_datagrams(holder: Holder, named: Sequence[str], field: str) -> None:
    """Report what is wrong with the entry points of a route over UDP."""
    environment = holder.options.environment
    if environment is None:
        return
    known = environment.datagrams
    advice = f"known for UDP are {', '.join(known)}" if known else "declare one whose address ends in /udp"
    _note(holder.report, named or known, known, field, advice)


def _note(report: Report, asked: Iterable[str], known: Collection[str], field: str, advice: str) -> list[str]:
    names = list(dict.fromkeys(asked))
    usable = [name for name in names if name in known]
    for name in names:
        if name not in known:
            message = f'entryPoint "{name}" doesn\'t exist'
            report.warning("UnknownEntryPoint", message, field=field, advice=advice)
    if not usable:
        message = "the router is disabled: no valid entryPoint for this router"
        report.rejected(Rejected("NoEntryPoint", message, field=field, advice=advice))
    return usable


def lean_on(holder: Holder, entry_points: Iterable[str], field: str) -> None:
    """Note what these entry points add to an HTTP router and it cannot be served without."""
    environment = holder.options.environment
    for name in entry_points if environment is not None else ():
        assert environment is not None
        for middleware in environment.streams[name].middlewares:
            holder.view.lean_on(MIDDLEWARES, middleware, field)


def lean_on_tls(holder: Holder, entry_points: Iterable[str], own: str | None, field: str, own_field: str) -> None:
    """Note the TLS options that an HTTP router's connections are made with.

    `own`: what the router asks for, None where it says nothing of TLS, so that its entry points may.
    """
    if own is not None:
        holder.view.lean_on(TLS_OPTIONS, own or DEFAULT, own_field)
        return
    environment = holder.options.environment
    for name in entry_points if environment is not None else ():
        assert environment is not None
        option = environment.streams[name].tls_option
        if option is not None:
            holder.view.lean_on(TLS_OPTIONS, option or DEFAULT, field)

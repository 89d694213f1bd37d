"""Plugins: middlewares from other people's packages, behind the same interface as our own.

What an entry point of `pointsman.plugins` leads to is called once for each place where the middleware is used:

    def build(options: dict[str, Any], name: str) -> Callable[[Handler], Handler]

with the options as they stand in the object (texts from Secrets filled in) and the middleware's qualified name. It
raises ValueError for options that it cannot use; the router is then disabled and shows the message. What it
returns wraps the next handler; a handler takes an `workers.exchange.Exchange` and runs in the request's greenlet:
it must neither block the process nor keep the exchange. An exception of its own is a 500 for that request alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gevent import GreenletExit

from config.plugins import installed_plugins
from workers.errors import ProxyError
from workers.exchange import Exchange, Handler
from workers.middlewares.base import BuildError, Context, Wrap
from workers.stream import StreamError

_OURS = (ProxyError, StreamError, GreenletExit)
"""What the handlers inside raise to be caught outside."""


class PluginFailed(Exception):
    """A plugin raised something while it handled a request; it has been logged."""


def plugin(options: dict[str, Any], context: Context) -> Wrap:
    """Builder of the kind `plugin`: {type: its options}, exactly one."""
    known = installed_plugins()
    if not known:
        raise BuildError(
            f'invalid middleware "{context.name}" configuration: '
            "invalid middleware type or middleware does not exist"
        )
    if len(options) != 1:
        raise BuildError("plugin: invalid configuration: no configuration or too many plugin definition")
    ((kind, given),) = options.items()
    entry = known.get(kind)
    if entry is None:
        raise BuildError(f"plugin: unknown plugin type: {kind}")
    return _guarded(kind, _made(kind, entry.load, given or {}, context.name), context.surroundings.log)


def _made(kind: str, load: Callable[[], Any], given: dict[str, Any], name: str) -> Wrap:
    try:
        wrap = load()(given, name)
    except Exception as error:
        raise BuildError(f"plugin {kind}: {type(error).__name__}: {error}") from error
    if not callable(wrap):
        raise BuildError(f"plugin {kind}: its builder returned {type(wrap).__name__}, which wraps nothing")
    made: Wrap = wrap
    return made


def _guarded(kind: str, wrap: Wrap, log: logging.Logger) -> Wrap:
    """`wrap`, with whatever the plugin raises turned into an error of this one request."""

    def guarded(inner: Handler) -> Handler:
        try:
            handler = wrap(inner)
        except Exception as error:
            raise BuildError(f"plugin {kind}: {type(error).__name__}: {error}") from error

        def handle(exchange: Exchange) -> None:
            try:
                handler(exchange)
            except _OURS:
                raise
            except BaseException as error:  # SystemExit and gevent.Timeout too: it is not the plugin's worker
                log.exception("plugin %s failed", kind)
                raise PluginFailed(kind) from error

        return handle

    return guarded

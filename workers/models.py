"""What an entry point adds to every router attached to it.

An entry point with such defaults has a model. Routers get a copy for it, named `<entry point>-<name>` where they
are attached to more than one, and the copy's handler is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from config import static_protocols
from config.http import Domain, Observability, Router, RouterTLS
from config.middlewares_paths import EncodedCharacters as MiddlewareOptions
from config.static import StaticConfiguration
from config.static_entrypoint import TLS, EncodedCharacters
from workers.errors import ENCODED_CHARACTER
from workers.exchange import Exchange, Handler

Wrap = Callable[[Handler], Handler]


class Model:
    """Wraps the handler of each router of the entry point, puts `middlewares` in front of its own, and gives
    `tls`, syntax and observability to those that have none.
    """

    __slots__ = ("_wrap", "middlewares", "observability", "rule_syntax", "tls")

    def __init__(
        self,
        wrap: Wrap | None = None,
        tls: RouterTLS | None = None,
        rule_syntax: str = "",
        middlewares: Sequence[str] = (),
        observability: Observability | None = None,
    ) -> None:
        self._wrap = wrap
        self.tls = tls
        self.rule_syntax = rule_syntax
        self.middlewares = list(middlewares)
        self.observability = observability

    def __call__(self, handler: Handler) -> Handler:
        return self._wrap(handler) if self._wrap is not None else handler

    def applied_to(self, router: Router, entry_point: str) -> Router:
        """The copy of `router` for the entry point."""
        tls = self.tls if router.tls is None else router.tls
        syntax = router.rule_syntax or self.rule_syntax
        return msgspec.structs.replace(
            router,
            entry_points=[entry_point],
            tls=tls,
            rule_syntax=syntax,
            middlewares=[*self.middlewares, *router.middlewares],
            observability=_filled(router.observability, self.observability),
        )


def _filled(own: Observability | None, default: Observability | None) -> Observability | None:
    """What the router says, and the entry point's word where it says nothing."""
    if own is None or default is None:
        return own or default
    given = {name: getattr(own, name) for name in own.__struct_fields__}
    return msgspec.structs.replace(
        default, **{name: value for name, value in given.items() if value not in (None, "")}
    )


_ESCAPES: Final = {
    "allow_encoded_slash": b"%2F",
    "allow_encoded_back_slash": b"%5C",
    "allow_encoded_null_character": b"%00",
    "allow_encoded_semicolon": b"%3B",
    "allow_encoded_percent": b"%25",
    "allow_encoded_question_mark": b"%3F",
    "allow_encoded_hash": b"%23",
}


def models_of(static: StaticConfiguration) -> dict[str, Model]:
    """Entry point name to model, for those that have one.

    Where conflicting TLS options are not made up for, the original gives each entry point one, which shows in
    names and syntax of routers.
    """
    found = {}
    for name, entry_point in static.entry_points.items():
        http, visible = entry_point.http, entry_point.observability
        if (
            http.encoded_characters is not None
            or http.tls is not None
            or http.middlewares
            or visible is not None
            or static.core.strict_tls_options
        ):
            found[name] = Model(
                encoded_character_check(http.encoded_characters) if http.encoded_characters else None,
                _router_tls(http.tls) if http.tls is not None else None,
                static.core.default_rule_syntax if static.core.strict_tls_options else "",
                http.middlewares,
                _observability(visible) if visible is not None else None,
            )
    return found


def _observability(given: static_protocols.Observability) -> Observability:
    return Observability(
        access_logs=given.access_logs,
        metrics=given.metrics,
        tracing=given.tracing,
        trace_verbosity=given.trace_verbosity,
    )


def _router_tls(given: TLS) -> RouterTLS:
    domains = [Domain(main=domain.main, sans=domain.sans) for domain in given.domains]
    return RouterTLS(options=given.options, cert_resolver=given.cert_resolver, domains=domains)


def encoded_character_check(options: EncodedCharacters | MiddlewareOptions) -> Wrap:
    """Refuse request paths with a forbidden escape. It stands behind the route: no route, no check."""
    forbidden = [escape for name, escape in _ESCAPES.items() if not getattr(options, name)]

    def wrap(handler: Handler) -> Handler:
        def checked(exchange: Exchange) -> None:
            path = exchange.request.path
            if b"%" in path:
                path = path.upper()  # as it came in it is in upper case, but middlewares may have put in another
                if any(escape in path for escape in forbidden):
                    exchange.respond_error(ENCODED_CHARACTER)
                    return
            handler(exchange)

        return checked

    return wrap


def per_entry_point(
    name: str, router: Router, defaults: Sequence[str], models: Mapping[str, Model]
) -> Iterator[tuple[str, Router, Model | None]]:
    """The router as it is attached: (name, router, model), one for each entry point that has a model."""
    entry_points = router.entry_points or list(defaults)
    modelled = _once(one for one in entry_points if one in models)
    if not modelled:
        yield name, router, None
        return
    for one in modelled:
        own_name = name if len(entry_points) == 1 else f"{one}-{name}"
        yield own_name, models[one].applied_to(router, one), models[one]
    rest = [one for one in entry_points if one not in models]
    if rest:
        yield name, msgspec.structs.replace(router, entry_points=rest), None


def _once(names: Iterator[str]) -> Collection[str]:
    return dict.fromkeys(names)

"""What an entry point adds to every router attached to it.

An entry point with such defaults has a model. Routers get a copy for it, named `<entry point>-<name>` where they
are attached to more than one, and the copy's handler is wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from config.http import Router
from config.static import StaticConfiguration
from config.static_entrypoint import EncodedCharacters
from workers.errors import ENCODED_CHARACTER
from workers.exchange import Exchange, Handler

Model = Callable[[Handler], Handler]
"""Wraps the handler of each router of the entry point."""

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
    """Entry point name to model, for those that have one."""
    return {
        name: encoded_character_check(entry_point.http.encoded_characters)
        for name, entry_point in static.entry_points.items()
        if entry_point.http.encoded_characters is not None
    }


def encoded_character_check(options: EncodedCharacters) -> Model:
    """Refuse request paths with a forbidden escape. It stands behind the route: no route, no check."""
    forbidden = [escape for name, escape in _ESCAPES.items() if not getattr(options, name)]

    def wrap(handler: Handler) -> Handler:
        def checked(exchange: Exchange) -> None:
            path = exchange.request.path
            if b"%" in path and any(escape in path for escape in forbidden):
                exchange.respond_error(ENCODED_CHARACTER)
            else:
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
        yield own_name, msgspec.structs.replace(router, entry_points=[one]), models[one]
    rest = [one for one in entry_points if one not in models]
    if rest:
        yield name, msgspec.structs.replace(router, entry_points=rest), None


def _once(names: Iterator[str]) -> Collection[str]:
    return dict.fromkeys(names)

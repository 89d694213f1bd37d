"""TLS of routers: which option each asks for, what it gets, and that no request slips from one to another.

The option of a connection is chosen from its server name, so routers of one entry point that disagree over a host
all get the default option there (`tls/claims.py`). As in the original such a router is a copy of its own on that
entry point, named `<entry point>-conflicted-<name>`. Every request is then held against its connection: a
router answers only if the connection was made with the router's option, else 421.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from config import rules
from config.http import Router
from config.names import resolve_reference
from config.rules import Matcher, Not, RuleError, Tree
from tls.claims import Fall, OptionBook
from tls.options import Admission
from tls.selection import DEFAULT_OPTION, OptionClaim
from workers.errors import MISDIRECTED
from workers.exchange import Exchange, Handler
from workers.models import Model, per_entry_point

Books = Mapping[str, OptionBook]
"""By entry point. A router is known in them by the name it was configured under."""

_CLAIMS_AT_ONCE: Final = 256
CONFLICT: Final = (
    "router's TLSOptions configuration is conflicting with other routers on the same entrypoint and host"
)


class Copy(NamedTuple):
    """A router as it is attached. `fall`: why it does not get its TLS option there.

    `usual`: what it would be called if another router did not have that name; else empty.
    """

    name: str
    config: Router
    model: Model | None
    fall: Fall | None
    usual: str = ""


def copies(
    name: str,
    config: Router,
    defaults: Sequence[str],
    models: Mapping[str, Model],
    books: Books,
    name_of: Callable[[str, str], str] = lambda usual, source: usual,
) -> Iterator[Copy]:
    """What one configured router is attached as: a copy by entry point where that has a say in it.

    `name_of`: (what a copy is usually called, the router's name) -> what it is called.
    """
    for one in _copies(name, config, defaults, models, books):
        own = name_of(one.name, name)
        yield one if own == one.name else one._replace(name=own, usual=one.name)


def _copies(
    name: str, config: Router, defaults: Sequence[str], models: Mapping[str, Model], books: Books
) -> Iterator[Copy]:
    if config.parent_refs:  # it has no entry points of its own: it is built with those above it
        return
    for own_name, router, model in per_entry_point(name, config, defaults, models):
        fallen = _falls(name, router, defaults, books) if router.tls is not None else {}
        for entry_point, fall in fallen.items():
            alone = msgspec.structs.replace(router, entry_points=[entry_point])
            yield Copy(f"{entry_point}-conflicted-{own_name}", alone, model, fall)
        if not fallen:
            yield Copy(own_name, router, model, None)
            continue
        rest = [one for one in router.entry_points or defaults if one not in fallen]
        if rest:
            yield Copy(own_name, msgspec.structs.replace(router, entry_points=rest), model, None)


def _falls(name: str, router: Router, defaults: Sequence[str], books: Books) -> dict[str, Fall]:
    found = {}
    for entry_point in router.entry_points or defaults:
        book = books.get(entry_point)
        fall = book.fallen.get(name) if book is not None else None
        if fall is not None:
            found[entry_point] = fall
    return found


def claims_of(
    name: str,
    config: Router,
    defaults: Sequence[str],
    models: Mapping[str, Model],
    entry_points: Collection[str],
    default_syntax: str,
) -> dict[str, OptionClaim]:
    """What the router asks for, by entry point. One whose rule cannot be read asks for nothing."""
    found: dict[str, OptionClaim] = {}
    if config.parent_refs:
        return found
    hosts: tuple[str, ...] | None = None
    for own_name, router, _ in per_entry_point(name, config, defaults, models):
        if router.tls is None:
            continue
        if hosts is None:
            try:
                hosts = claimed_hosts(rules.parse(router.rule, router.rule_syntax or default_syntax))
            except RuleError:
                return {}
        option = option_of(own_name, router)
        for entry_point in router.entry_points or defaults:
            if entry_point in entry_points:
                found[entry_point] = OptionClaim(name, hosts, option)
    return found


def updated_books(
    books: Books,
    routers: Mapping[str, Router | None],
    claims: Callable[[str, Router], Mapping[str, OptionClaim]],
    pause: Callable[[], None],
) -> tuple[Books, set[str]]:
    """The books with what the changed routers (None: gone) ask for, and all whose standing turned by it."""
    turned: set[str] = set()
    new = dict(books)
    pending: dict[str, dict[str, OptionClaim | None]] = {name: {} for name in books}

    def enter(entry_point: str) -> None:
        if pending[entry_point]:
            new[entry_point], others = new[entry_point].replaced(pending[entry_point])
            pending[entry_point] = {}
            turned.update(others)

    for name, config in routers.items():
        asked = claims(name, config) if config is not None else {}
        for entry_point, book in books.items():
            if entry_point in asked or name in book:
                pending[entry_point][name] = asked.get(entry_point)
                if len(pending[entry_point]) >= _CLAIMS_AT_ONCE:
                    enter(entry_point)
        pause()
    for entry_point in pending:
        enter(entry_point)
    return new, turned


def claimed_hosts(tree: Tree) -> tuple[str, ...]:
    """Hosts that the rule is for; those behind a `!` are not."""
    if isinstance(tree, Not):
        return ()
    if isinstance(tree, Matcher):
        return rules.hosts_of(tree)
    return tuple(dict.fromkeys(host for item in tree.items for host in claimed_hosts(item)))


def option_of(name: str, config: Router) -> str:
    """Qualified name of the TLS option that the router asks for."""
    asked = config.tls.options if config.tls is not None else ""
    return resolve_reference(asked, name) if asked and asked != DEFAULT_OPTION else DEFAULT_OPTION


def fall_message(fall: Fall, option: str, rule: str, *, strict: bool) -> str:
    """What the API says of a router that fell; empty if it asked for no more than it gets.

    `strict`: it was disabled for that, which is said already.
    """
    if option == DEFAULT_OPTION:
        return ""
    if fall is Fall.NO_HOST:
        return f"no domain found in rule {rule}, the TLS option {option} cannot be applied"
    return "" if strict else f"{CONFLICT}, default TLS options will be used instead"


def same_option(admission: Admission | None, handler: Handler) -> Handler:
    """Let only requests through whose connection was made with the option (None: it cannot be used).

    The option as it is now: a connection from before it demanded client certificates, or believed others, is
    misdirected, too, and the client makes a new one.
    """

    def checked(exchange: Exchange) -> None:
        if exchange.request.client.admission == admission is not None:
            handler(exchange)
        else:
            exchange.respond_error(MISDIRECTED)

    return checked

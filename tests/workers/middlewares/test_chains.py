"""Lists of middlewares become one wrap: order, members of chains, and everything that ends a router."""

from __future__ import annotations

import inspect

import pytest

from config.middlewares import Chain, Middleware
from config.middlewares_paths import AddPrefix, StripPrefix
from config.middlewares_traffic import Buffering
from tests.workers.fakes import surroundings
from tests.workers.middlewares.calls import call, request
from workers.building import BuildError
from workers.exchange import Exchange, Handler
from workers.middlewares.base import Wrap
from workers.middlewares.chains import MOST_MEMBERS, Chains, MiddlewareState


def add(prefix: str) -> Middleware:
    return Middleware(add_prefix=AddPrefix(prefix=prefix))


def chain(*names: str) -> Middleware:
    return Middleware(chain=Chain(middlewares=list(names)))


KNOWN = {
    "strip": Middleware(strip_prefix=StripPrefix(prefixes=["/a"])),
    "add": add("/b"),
    "none": Middleware(),
    "two": Middleware(add_prefix=AddPrefix(prefix="/a"), strip_prefix=StripPrefix()),
    "bad": add(""),
    "both": chain("strip", "add"),
    "reversed": chain("add", "strip"),
    "nested": chain("both", "empty", "add"),
    "empty": chain(),
    "one": chain("other"),
    "other": chain("one"),
    "self": chain("add", "self"),
    "lost": chain("add", "gone"),
    "broken": chain("bad"),
}


class Built:
    """A router's list, built. Names without a provider are those of KNOWN."""

    def __init__(self, *references: str) -> None:
        self.states = {f"{name}@test": MiddlewareState(f"{name}@test", one) for name, one in KNOWN.items()}
        self.used: set[str] = set()
        self.references = references

    def wrap(self) -> Wrap | None:
        def no_service(reference: str) -> Handler:
            raise AssertionError(reference)

        chains = Chains(self.states, surroundings())
        return chains.build(self.references, "r@test", "r@test", no_service, self.used)

    def target(self, path: str = "/a/x") -> bytes | None:
        wrap = self.wrap()
        assert wrap is not None
        return call(wrap, request(path)).target

    def error(self) -> str:
        with pytest.raises(BuildError) as caught:
            self.wrap()
        return str(caught.value)


@pytest.mark.behaviour("MW-8")
@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (["both"], b"/b/x"),
        (["strip", "add"], b"/b/x"),
        (["reversed"], b"/b/a/x"),
        (["add", "add"], b"/b/b/a/x"),
        (["nested"], b"/b/b/x"),
        (["empty", "strip@test"], b"/x"),
    ],
)
def test_order(references: list[str], expected: bytes) -> None:
    assert Built(*references).target() == expected


def test_nothing_to_build() -> None:
    assert Built().wrap() is None
    assert Built("empty").wrap() is None


@pytest.mark.behaviour("MW-1")
@pytest.mark.parametrize(
    ("reference", "name"), [("gone", "gone@test"), ("gone@x", "gone@x"), ("lost", "gone@test")]
)
def test_what_does_not_exist(reference: str, name: str) -> None:
    built = Built(reference)
    assert built.error() == f'middleware "{name}" does not exist'
    assert name in built.used


@pytest.mark.behaviour("MW-2")
def test_two_kinds_in_one() -> None:
    assert Built("two").error().startswith("cannot create middleware: multi-types middleware not supported")


@pytest.mark.behaviour("MW-3")
@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("one", "middleware:one@test->middleware:other@test->middleware:one@test"),
        ("self", "middleware:self@test->middleware:self@test"),
    ],
)
def test_a_chain_that_leads_to_itself(reference: str, path: str) -> None:
    expected = f"could not instantiate middleware {reference}@test: recursion detected in {path}"
    assert Built(reference).error() == expected


@pytest.mark.behaviour("MW-4")
def test_no_kind() -> None:
    expected = 'invalid middleware "none@test" configuration: invalid middleware type or middleware does not exist'
    assert Built("none").error() == expected


def test_the_last_error_in_the_list_is_told_and_kept() -> None:
    built = Built("none", "broken")
    assert built.error() == "prefix cannot be empty"
    assert built.states["bad@test"].failures == {"r@test": "prefix cannot be empty"}
    assert built.states["bad@test"].status == "disabled"
    assert built.states["none@test"].status == "enabled"


def test_members_are_remembered_too() -> None:
    built = Built("nested")
    built.wrap()
    assert built.used == {f"{name}@test" for name in ("nested", "both", "empty", "add", "strip")}


@pytest.mark.behaviour("MW-12")
def test_a_router_with_a_broken_one_is_not_built_without_it() -> None:
    assert Built("add", "bad").error() == "prefix cannot be empty"


def test_chains_of_chains_are_bounded() -> None:
    """Thirty small objects, each naming the next one twice, would be a thousand million middlewares."""
    bomb = {f"c{level}": chain(f"c{level + 1}", f"c{level + 1}") for level in range(30)}
    with pytest.raises(BuildError, match="more than 100 middlewares in one list, chains and"):
        built_of({**bomb, "c30": add("/b")}, "c0")


def test_deeply_nested_chains_are_bounded() -> None:
    nested = {f"c{level}": chain(f"c{level + 1}") for level in range(2000)}
    with pytest.raises(BuildError, match="more than 100 middlewares"):
        built_of({**nested, "c2000": add("/b")}, "c0")


def test_as_many_as_may_be_are_served() -> None:
    wrap = built_of({"add": add("/b")}, *["add"] * MOST_MEMBERS)
    assert wrap is not None
    assert call(wrap, request("/a")).target == b"/b" * MOST_MEMBERS + b"/a"
    wrap = built_of({"keep": Middleware(buffering=Buffering())}, *["keep"] * MOST_MEMBERS)
    assert wrap is not None
    assert call(wrap, request("/a")).status == 200
    with pytest.raises(BuildError, match="more than 100"):
        built_of({"add": add("/b")}, *["add"] * (MOST_MEMBERS + 1))


def test_a_chain_costs_nothing_itself() -> None:
    """Its members stand around the server as if the router named them."""
    assert calls_around("both") == calls_around("strip", "add") == calls_around("empty", "both")
    assert calls_around("nested") == calls_around("strip", "add", "add") > calls_around("both")


def calls_around(*references: str) -> int:
    """How many calls lead from the router to its server."""
    wrap, seen = Built(*references).wrap(), []

    def counted(handler: Handler) -> Handler:
        def server(exchange: Exchange) -> None:
            seen.append(len(inspect.stack(0)))
            handler(exchange)

        assert wrap is not None
        return wrap(server)

    call(counted, request("/a/x"))
    return seen[0]


def built_of(known: dict[str, Middleware], *references: str) -> Wrap | None:
    built = Built(*references)
    built.states = {f"{name}@test": MiddlewareState(f"{name}@test", one) for name, one in known.items()}
    return built.wrap()

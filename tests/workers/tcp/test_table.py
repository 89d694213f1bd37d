"""Order of routes, exchange of routes, and that the dictionary of names changes nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.rule_matchers_tcp import TCP
from config.rules import parse
from tests.workers.secure import authority
from tests.workers.tcp.staging import https
from tls.selection import TLSTable
from tls.store import Bundle
from workers.tcp.matchers import Caller, is_catch_all, needed_names, predicate_of, priority_of
from workers.tcp.middlewares import NO_GUARDS
from workers.tcp.serving import TCPHandler
from workers.tcp.table import NO_ROUTES, Routes, TCPRoute, TCPTable
from workers.upstream.balancer import Nested

HANDLER = TCPHandler(NO_GUARDS, Nested([]))


def route(name: str, rule: str, *, secure: bool = True, priority: int = 0, precedence: int = 0) -> TCPRoute:
    tree = parse(rule, "v3", TCP)
    rank = (-(priority or priority_of(rule, tree)), precedence, name)
    return TCPRoute(
        name,
        predicate_of(tree),
        needed_names(tree),
        rank,
        HANDLER,
        is_catch_all=is_catch_all(tree),
        passthrough=secure,
    )


def found(routes: Routes, name: str = "a", ip: str = "127.0.0.1") -> str:
    chosen = routes.find(Caller(ip, name))
    return chosen.name if chosen is not None else ""


def test_longest_rule_then_precedence_then_name() -> None:
    long = route("z", "HostSNI(`a`) && ClientIP(`127.0.0.1`)")
    short = [route(name, "HostSNI(`a`)", precedence=place) for name, place in (("c", 0), ("d", 0), ("b", 1))]
    any_name = route("y", "HostSNI(`*`)")
    routes = Routes([any_name, *short, long])
    assert found(routes) == "z"
    assert found(routes, ip="::1") == "c"
    assert found(routes, "other") == "y"
    assert found(routes.replaced(["c"], ()), ip="::1") == "d"
    assert found(routes.replaced(["c", "d"], ()), ip="::1") == "b"
    assert found(routes.replaced((), [route("x", "HostSNIRegexp(`.`)", priority=99)])) == "x"
    assert found(routes.replaced(["y", "unknown"], ()), "other") == ""


def test_new_routes_leave_the_old_ones_as_they_were() -> None:
    old = Routes([route("one", "HostSNI(`a`)"), route("two", "HostSNIRegexp(`b`)")])
    new = old.replaced(["one", "two"], [route("three", "HostSNI(`a`)")])
    assert (found(old), found(old, "b"), len(old)) == ("one", "two", 2)
    assert (found(new), found(new, "b"), len(new)) == ("three", "", 1)


RULES = st.sampled_from(
    [
        "HostSNI(`a`)",
        "HostSNI(`b`)",
        "HostSNI(`a`) || HostSNI(`b`)",
        "HostSNI(`*`)",
        "!HostSNI(`a`)",
        "HostSNIRegexp(`[ab]`)",
        "HostSNI(`a`) && ClientIP(`127.0.0.1`)",
        "ClientIP(`127.0.0.1`)",
    ]
)


@given(
    st.lists(st.tuples(RULES, st.integers(0, 3)), max_size=12), st.sampled_from(["", "a", "b", "c"]), st.booleans()
)
def test_same_as_asking_every_rule_in_order(rules: list[tuple[str, int]], name: str, local: bool) -> None:
    listed = [route(f"r{place}", rule, priority=number) for place, (rule, number) in enumerate(rules)]
    caller = Caller("127.0.0.1" if local else "::2", name)
    expected = next((one for one in sorted(listed, key=lambda one: one.rank) if one.matches(caller)), None)
    assert Routes(listed).find(caller) is expected
    assert Routes().replaced((), listed).find(caller) is expected


def table(*routes: TCPRoute) -> TCPTable:
    return NO_ROUTES.replaced((), routes)


def test_no_byte_is_read_only_where_nothing_is_for_tls() -> None:
    plain, secure = route("p", "HostSNI(`*`)", secure=False), route("s", "HostSNI(`a`)")
    caller = Caller("127.0.0.1")
    assert table(plain).unasked(caller, https()) is plain
    assert table(plain).unasked(caller, None) is plain
    assert table(plain, secure).unasked(caller, https()) is None
    assert table(plain).unasked(caller, https("a")) is None
    assert table(plain).unasked(caller, https(catch_all=True)) is None
    assert table(secure).unasked(caller, https()) is None
    assert not NO_ROUTES


def test_challenge_of_an_acme_server_is_for_nobody_else() -> None:
    named = table(route("n", "HostSNI(`a`)"))
    plain = https()
    asking = TLSTable(plain._store, plain._options, challenges={"a": bundle()})
    assert named.for_tls(Caller("::1", "a", (b"acme-tls/1",)), asking) is None
    assert named.for_tls(Caller("::1", "a", (b"h2",)), asking) is not None
    assert named.for_tls(Caller("::1", "a", (b"acme-tls/1",)), plain) is not None


def bundle() -> Bundle:
    return Bundle([authority().issue("a").loaded()])


def test_https_and_tcp_take_turns() -> None:
    named, any_name = route("n", "HostSNI(`a`)"), route("*", "HostSNI(`*`)")
    both, caller = table(named, any_name), Caller("127.0.0.1", "a")
    assert both.for_tls(caller, https("a")) is None
    assert both.for_tls(caller, https("*.b")) is named
    assert both.for_tls(caller, https(catch_all=True)) is named
    assert table(any_name).for_tls(caller, https(catch_all=True)) is None
    assert table(any_name).for_tls(caller, https("*")) is None
    assert table(any_name).for_tls(caller, https("b")) is any_name
    assert both.for_tls(Caller("::1", "x.b"), https("*.b")) is None
    assert NO_ROUTES.for_tls(caller, https()) is None

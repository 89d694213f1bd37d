"""The table answers as a scan of all routes would, and a changed table as a new one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.rules import RuleError
from tests.workers.routing.fakes import REQUESTS, RULES, RULES_V2, FakeRequest, request
from workers.exchange import Exchange
from workers.routing.request import RoutedRequest
from workers.routing.table import Route, RoutingTable, compile_route


def route(name: str, rule: str, priority: int = 0, syntax: str = "v3") -> Route:
    return compile_route(name, rule, syntax, priority, handler=unused)


def unused(exchange: Exchange) -> None:
    """Tables hand handlers out and never call them."""


def found(table: RoutingTable, seen: FakeRequest) -> str | None:
    match = table.find(seen)
    return None if match is None else match.name


def scanned(routes: list[Route], seen: FakeRequest) -> str | None:
    ordered = sorted(routes, key=lambda each: (-each.priority, each.name))
    return next((each.name for each in ordered if each.matches(seen)), None)


def test_equal_priorities_are_told_apart_by_precedence_then_by_name() -> None:
    routes = [
        compile_route(name, "PathPrefix(`/`)", "v3", 0, unused, precedence)
        for name, precedence in (("a@kubernetes", 2), ("b@kubernetescrd", 1), ("c@kubernetescrd", 1))
    ]
    assert found(RoutingTable.build(routes), request("/")) == "b@kubernetescrd"
    assert found(RoutingTable.build(routes[::2]), request("/")) == "c@kubernetescrd"
    longer = [*routes, compile_route("z@kubernetes", "PathPrefix(`/x`)", "v3", 0, unused, 2)]
    assert found(RoutingTable.build(longer), request("/x")) == "z@kubernetes"


@pytest.mark.behaviour("DP-31")
def test_the_longer_rule_wins() -> None:
    table = RoutingTable.build([route("r1", "Host(`a.com`)"), route("r2", "Host(`a.com`) && PathPrefix(`/api`)")])
    assert found(table, request("/api", host="a.com")) == "r2"
    assert found(table, request("/", host="a.com")) == "r1"
    assert found(table, request("/", host="b.com")) is None


@pytest.mark.behaviour("DP-32")
def test_an_explicit_priority_replaces_the_length() -> None:
    table = RoutingTable.build(
        [route("r1", "Host(`a.com`)", 1000), route("r2", "Host(`a.com`) && PathPrefix(`/api`)")]
    )
    assert found(table, request("/api", host="a.com")) == "r1"


def test_length_counts_bytes_and_negative_priorities_come_last() -> None:
    assert route("r", "Path(`/é`)").priority == 11
    table = RoutingTable.build([route("low", "PathPrefix(`/a`)", -1), route("r", "PathPrefix(`/`)")])
    assert found(table, request("/a")) == "r"


@pytest.mark.behaviour("DP-51")
def test_the_highest_user_priority_beats_all_others() -> None:
    table = RoutingTable.build(
        [
            route("long", "PathPrefix(`/`) && !Host(`nobody`)", 10**9),
            route("top", "PathPrefix(`/`)", 9223372036854774807),
        ]
    )
    assert found(table, request("/")) == "top"


def test_equal_priorities_go_by_name() -> None:
    rules = ["Host(`a`)", "Host(`*`)", "Path(`/x`)", "PathPrefix(`/`)"]
    for first in range(4):
        names = ["b"] * 4
        names[first] = "a"
        table = RoutingTable.build(
            route(f"{name}{number}", rule, 7) for number, (name, rule) in enumerate(zip(names, rules, strict=True))
        )
        assert found(table, request("/x", host="a")) == f"a{first}"


@pytest.mark.behaviour("DP-46")
def test_a_wrong_rule_leaves_the_others_alone() -> None:
    routes = [route("right", "Host(`a`)")]
    for rule in ("Host(`a`,`b`)", "Host('a')", 'Host("")', "Foo(`a`)", "Path(`x`)"):
        with pytest.raises(RuleError):
            routes.append(route("wrong", rule))
    assert found(RoutingTable.build(routes), request(host="a")) == "right"


def test_hosts_wildcards_and_rules_without_host_compete_by_priority() -> None:
    rules = ["Host(`b.a`)", "Host(`*.a`)", "HostRegexp(`a`)", "PathPrefix(`/`)"]
    for winner in range(4):
        table = RoutingTable.build(
            route(f"r{number}", rule, 9 if number == winner else 1) for number, rule in enumerate(rules)
        )
        assert found(table, request(host="b.a")) == f"r{winner}"
        assert found(table, request(host="B.a.:80")) == f"r{winner}"
    only_wildcard = RoutingTable.build([route("r", "Host(`*.a`)")])
    assert [host for host in ("b.a", "a", "c.b.a", "b.a.") if only_wildcard.find(request(host=host))] == [
        "b.a",
        "b.a.",
    ]


def test_prefixes_share_lengths_and_texts_and_leave_one_by_one() -> None:
    rules = [f"PathPrefix(`/{letter}`)" for letter in "abcdefghij"] + ["PathPrefix(`/a`) || Path(`/z`)"] * 2
    table = RoutingTable.build(route(f"r{number:02}", rule) for number, rule in enumerate(rules))
    assert "0 in order, 1 paths, 10 prefixes" in repr(table)
    assert found(table, request("/ax")) == "r10"
    assert found(table.replaced(["r10"], []), request("/ax")) == "r11"
    assert found(table.replaced(["r10", "r11"], []), request("/ax")) == "r00"
    fewer = table.replaced(["r00", "r10", "r11"], [])
    assert "9 prefixes" in repr(fewer)
    assert found(fewer, request("/ax")) is None
    assert found(fewer, request("/bx")) == "r01"
    assert found(fewer.replaced([], [route("new", "PathPrefix(`/longer`)")]), request("/longer/x")) == "new"


def test_a_table_tells_what_it_holds() -> None:
    table = RoutingTable.build([route("r", "Host(`a`)"), route("s", "Path(`/`)")])
    assert len(table) == 2
    assert {each.name for each in table} == {"r", "s"}
    assert "2 routes" in repr(table)
    assert repr(route("r", "Path(`/`)")) == "<Route r priority 9: Path(`/`)>"


ROUTES = st.lists(
    st.tuples(st.one_of(RULES, RULES_V2), st.integers(-1, 4)).map(
        lambda drawn: (drawn[0][1], drawn[0][0], drawn[1])
    ),
    max_size=30,
)


def compiled(drawn: list[tuple[str, str, int]], first: int = 0) -> list[Route]:
    return [route(f"r{number}", *_as_arguments(each)) for number, each in enumerate(drawn, first)]


def _as_arguments(drawn: tuple[str, str, int]) -> tuple[str, int, str]:
    rule, syntax, priority = drawn
    return rule, priority, syntax


@given(ROUTES, st.lists(REQUESTS, min_size=1, max_size=8))
@settings(max_examples=150)
def test_find_equals_a_scan_of_all_routes(drawn: list[tuple[str, str, int]], seen: list[FakeRequest]) -> None:
    routes = compiled(drawn)
    table = RoutingTable.build(routes)
    for each in seen:
        assert found(table, each) == scanned(routes, each)


@given(
    st.lists(st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/b", "/a/b/c"]), min_size=9, max_size=40),
    st.data(),
)
def test_many_paths_of_one_host_equal_a_scan(paths: list[str], data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(["Path", "PathPrefix"]), min_size=len(paths), max_size=len(paths)))
    routes = [
        route(f"r{number:02}", f"Host(`a`) && {kind}(`{path}`)", data.draw(st.integers(0, 2)))
        for number, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    table = RoutingTable.build(routes)
    for path in {*paths, "/c", "/a/b/c/d"}:
        assert found(table, request(path, host="a")) == scanned(routes, request(path, host="a"))


@given(
    ROUTES,
    st.lists(st.tuples(st.sets(st.integers(0, 30), max_size=4), ROUTES), min_size=1, max_size=4),
    st.lists(REQUESTS, min_size=1, max_size=6),
    st.integers(0, 25),
)
@settings(max_examples=150)
def test_a_changed_table_equals_a_new_one(
    start: list[tuple[str, str, int]],
    steps: list[tuple[set[int], list[tuple[str, str, int]]]],
    seen: list[FakeRequest],
    first: int,
) -> None:
    routes = {each.name: each for each in compiled(start)}
    table = RoutingTable.build(routes.values())
    for gone, new in steps:
        before, answers = table, [found(table, each) for each in seen]
        removed, added = [f"r{number}" for number in gone], compiled(new, first)
        table = table.replaced(removed, added)
        for name in removed:
            routes.pop(name, None)
        routes.update({each.name: each for each in added})
        assert {each.name: each for each in table} == routes
        assert [found(before, each) for each in seen] == answers
        for each in seen:
            assert found(table, each) == scanned(list(routes.values()), each)
    empty = table.replaced(routes, [])
    assert repr(empty) == repr(RoutingTable())


def test_nothing_is_left_of_removed_routes() -> None:
    rules = ["Host(`*.a`)", "Host(`a`)", *(f"Host(`a`) && Path(`/{number}`)" for number in range(20))]
    rules += [f"PathPrefix(`/{number}`)" for number in range(20)]
    table = RoutingTable.build(route(f"r{number}", rule) for number, rule in enumerate(rules))
    emptied = table.replaced([f"r{number}" for number in range(len(rules))], [])
    assert repr(emptied) == repr(RoutingTable())
    assert emptied._wildcards == 0


class Counted:
    """Routes whose predicates note that they were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def route(self, name: str, rule: str) -> Route:
        made = route(name, rule)
        matches = made.matches

        def counting(seen: RoutedRequest) -> bool:
            self.asked.append(name)
            return matches(seen)

        made.matches = counting
        return made


def _different(before: Mapping[bytes, object], after: Mapping[bytes, object]) -> set[bytes]:
    """Keys whose values are not the same object in both."""
    return {key for key in before.keys() | after.keys() if before.get(key) is not after.get(key)}


def test_of_ten_thousand_routes_only_those_that_can_match_are_asked() -> None:
    counted = Counted()
    table = RoutingTable.build(
        counted.route(f"r{number}", f"Host(`h{number}.example.com`) && PathPrefix(`/api`)")
        for number in range(10_000)
    )
    assert found(table, request("/api/x", host="h7777.example.com")) == "r7777"
    assert found(table, request("/api/x", host="nobody.example.com")) is None
    assert counted.asked == ["r7777"]
    changed = table.replaced(["r5000"], [counted.route("r5000", "Host(`new.example.com`)")])
    assert _different(table._hosts, changed._hosts) == {b"h5000.example.com", b"new.example.com"}
    assert changed._general is table._general


def test_ten_thousand_prefixes_without_host_are_not_scanned() -> None:
    counted = Counted()
    table = RoutingTable.build(
        counted.route(f"r{number}", f"PathPrefix(`/svc{number}`)") for number in range(10_000)
    )
    assert found(table, request("/svc5000/x")) == "r5000"
    assert sorted(counted.asked) == ["r5", "r50", "r500", "r5000"], "prefixes of the path and nothing else"
    changed = table.replaced(["r5000"], [counted.route("r5000", "PathPrefix(`/new`)")])
    assert _different(table._general._prefixes, changed._general._prefixes) == {b"/svc5000", b"/new"}

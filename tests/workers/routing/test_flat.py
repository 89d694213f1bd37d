"""Rules and tables where a request has two hosts."""

from __future__ import annotations

import pytest

from config import rules
from workers.routing.flat import FlatTable, flat_predicate
from workers.routing.route import Route, compile_route


class Asked:
    """A request for `host`, an alias of `flat`."""

    method = b"GET"
    peer_ip = "10.0.0.1"
    routing_path = b"/p"

    def __init__(self, host: bytes, flat: bytes) -> None:
        self.host = self.host_header = host
        self.flat_host = flat

    def header_values(self, lower_name: bytes, /) -> list[bytes]:
        return []

    def query_values(self) -> dict[bytes, list[bytes]]:
        return {}


def route(name: str, rule: str, syntax: str = "v3", priority: int = 0) -> Route:
    return compile_route(name, rule, syntax, priority, lambda _: None, 0, flat_predicate)


@pytest.mark.parametrize(
    ("rule", "syntax", "matches"),
    [
        ("Host(`a.test`)", "v3", True),
        ("Host(`B.test`)", "v3", True),
        ("Host(`b.test.`)", "v3", True),
        ("Host(`*.test`)", "v3", True),
        ("Host(`c.test`)", "v3", False),
        ("Host(`a.test`) && Host(`b.test`)", "v3", True),
        ("Host(`b.test`) && PathPrefix(`/p`)", "v3", True),
        ("Host(`b.test`) && Path(`/q`)", "v3", False),
        ("!Host(`a.test`)", "v3", False),
        ("!Host(`b.test`)", "v3", False),
        ("!Host(`c.test`)", "v3", True),
        ("HostRegexp(`^b`)", "v3", True),
        ("HostRegexp(`^c`)", "v3", False),
        ("Host(`c.test`, `b.test`)", "v2", True),
        ("HostHeader(`b.test`)", "v2", True),
        ("HostRegexp(`{x:b}.test`)", "v2", False),
    ],
)
def test_either_host_counts(rule: str, syntax: str, matches: bool) -> None:
    asked = Asked(b"a.test", b"b.test")
    one = route("r", rule, syntax)
    assert flat_predicate(rules.parse(rule, syntax), syntax)(asked) is matches
    found = FlatTable.build([one]).find(asked)
    assert found is (one if matches else None)


def test_rank_decides_among_the_routes_of_both() -> None:
    asked = Asked(b"a.test", b"b.test")
    own, flat, wild = (route(name, f"Host(`{name}.test`)") for name in ("a", "b", "*"))
    assert FlatTable.build([own, flat]).find(asked) is own
    better = route("b", "Host(`b.test`)", priority=100)
    assert FlatTable.build([own, better, wild]).find(asked) is better
    assert FlatTable.build([wild]).find(Asked(b"a", b"b.test")) is wild
    assert FlatTable.build([own]).find(Asked(b"x", b"x")) is None


def test_what_follows_from_it_is_such_a_table_again() -> None:
    table = FlatTable.build([]).replaced((), [one := route("b", "Host(`b.test`)")])
    assert isinstance(table, FlatTable)
    assert table.find(Asked(b"a.test", b"b.test")) is one

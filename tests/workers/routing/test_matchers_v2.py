"""What the matchers of the v2 syntax say of a request."""

from __future__ import annotations

import pytest

from config import rule_matchers
from config.rules import parse
from tests.workers.routing.fakes import FakeRequest, request
from workers.routing import matchers_v2
from workers.routing.predicate import predicate_of


def matches(rule: str, seen: FakeRequest) -> bool:
    return predicate_of(parse(rule, "v2"), "v2")(seen)


def hosts(rule: str, *names: str) -> list[str]:
    return [name for name in names if matches(rule, request(host=name))]


def targets(rule: str, *paths: str) -> list[str]:
    return [path for path in paths if matches(rule, request(path))]


def test_every_matcher_of_the_syntax_is_here() -> None:
    assert set(matchers_v2.MATCHERS) == set(rule_matchers.V2)


@pytest.mark.behaviour("DP-48")
def test_several_hosts_and_a_path_template() -> None:
    rule = "Host(`a`,`b`) && Path(`/u/{id:[0-9]+}`)"
    assert matches(rule, request("/u/7", host="b"))
    assert not matches(rule, request("/u/7/x", host="b"))
    assert not matches(rule, request("/u/a", host="b"))
    assert not matches(rule, request("/u/7", host="c"))


def test_hosts_are_exact_and_have_no_wildcards() -> None:
    assert hosts("Host(`a`,`B`)", "A:80", "b.", "a..", "c") == ["A:80", "b."]
    assert hosts("HostHeader(`*.a`)", "x.a", "*.a") == ["*.a"]
    assert hosts("Host(`*`)", "*", "x", "") == ["*"]


def test_host_templates_are_anchored_and_ignore_case() -> None:
    names = ("a.b", "a.a.b", ".b", "a.b:80", "a.b.", "a-b")
    assert hosts("HostRegexp(`{x}.b`)", *names) == ["a.b", "a.b:80"]
    assert hosts("HostRegexp(`{x:[A-Z]+}.b`,`c`)", "a.b", "C", "d") == ["a.b", "C"]
    assert hosts("HostRegexp(`{x:a|b}c`)", "ac", "bc", "a") == ["ac", "bc"]
    assert hosts("HostRegexp(`{x:.*}`)", "", "a") == ["", "a"]
    assert hosts("HostRegexp(`{x:(?-i)A}`)", "A", "a") == ["A"]
    assert hosts("HostRegexp(`::1`)", "[::1]", "[::1]:80") == ["[::1]:80"]
    assert hosts("HostRegexp(`[::1]`)", "[::1]", "[::1]:80") == ["[::1]"]


def test_path_templates() -> None:
    paths = ("/u/7", "/u/", "/u/a/b", "/u/a%2Fb")
    assert targets("Path(`/u/{id}`)", *paths) == ["/u/7", "/u/a%2Fb"]
    assert targets("Path(`/a.b`,`/c`)", "/axb", "/a.b", "/c", "/c/") == ["/a.b", "/c"]
    assert targets("PathPrefix(`/{x:a|b}/c`)", "/a/c", "/b/cd", "/ac") == ["/a/c", "/b/cd"]
    assert targets("PathPrefix(`/a`)", "/a", "/ab", "/b") == ["/a", "/ab"]
    assert targets("Path(`/{x:.*}`)", "/", "/a/b", "/a%0Ab") == ["/", "/a/b"]


def test_methods_are_alternatives() -> None:
    methods = [
        name for name in ("GET", "get", "POST", "PUT") if matches("Method(`get`,`POST`)", request(method=name))
    ]
    assert methods == ["GET", "POST"]


def test_header_pairs_must_all_hold_and_the_last_of_a_name_counts() -> None:
    v, w, other = ("x-k", "v"), ("X-K", "w"), ("X-L", "w")
    assert matches("Headers(`X-K`,`v`,`x-l`,`w`)", request(headers=[v, other]))
    assert not matches("Headers(`X-K`,`v`,`x-l`,`w`)", request(headers=[v]))
    assert matches("Headers(`X-K`,`v`,`X-K`,`w`)", request(headers=[w]))
    assert not matches("Headers(`X-K`,`v`,`x-k`,`w`)", request(headers=[w]))
    assert matches("HeadersRegexp(`X-K`,`^v`)", request(headers=[w, v]))
    assert not matches("HeadersRegexp(`X-K`,`^v`)", request())


def test_query_looks_at_the_first_value() -> None:
    assert targets("Query(`a=b`)", "/?a=b", "/?a=c&a=b", "/?a=bc", "/?xa=b", "/?a=%62") == ["/?a=b", "/?a=%62"]
    assert targets("Query(`a=`)", "/?a=b", "/?a", "/?b") == ["/?a=b", "/?a"]
    assert targets("Query(`a={x:[0-9]+}`)", "/?a=12", "/?a=1x", "/?a=x&a=1") == ["/?a=12"]
    assert targets("Query(`a=b`,`c=d`)", "/?c=d&a=b", "/?a=b") == ["/?c=d&a=b"]
    assert targets("Query(`a`,`b`)", "/?a=b", "/?a") == ["/?a=b"]

"""What each matcher of the v3 syntax says of a request."""

from __future__ import annotations

import pytest

from config import rule_matchers
from config.rules import parse
from tests.workers.routing.fakes import FakeRequest, request
from workers.routing import matchers
from workers.routing.predicate import predicate_of


def matches(rule: str, seen: FakeRequest) -> bool:
    return predicate_of(parse(rule))(seen)


def hosts(rule: str, *names: str) -> list[str]:
    return [name for name in names if matches(rule, request(host=name))]


def targets(rule: str, *paths: str) -> list[str]:
    return [path for path in paths if matches(rule, request(path))]


def test_every_matcher_of_the_syntax_is_here() -> None:
    assert set(matchers.MATCHERS) == set(rule_matchers.V3)


@pytest.mark.behaviour("DP-35")
def test_host_ignores_case_port_and_a_trailing_dot() -> None:
    assert matches("Host(`A.Com`)", request(host="a.COM.:8080"))
    assert hosts("Host(`a.`)", "a", "a.", "a..", "b") == ["a", "a.", "a.."]
    assert hosts("Host(`a..`)", "a", "a.", "a..", "a...") == ["a.", "a..", "a..."]
    assert hosts("Host(`::1`)", "[::1]", "[::1]:80") == ["[::1]", "[::1]:80"]
    assert hosts("Host(`a:80`)", "a:80", "a") == []
    assert hosts("Host(`.`)", "", ".", "..") == [".", ".."]


@pytest.mark.behaviour("DP-36")
def test_a_wildcard_host_stands_for_one_label() -> None:
    assert hosts("Host(`*.A.com`)", "x.a.com", "X.a.com.", "a.com", "x.y.a.com") == ["x.a.com", "X.a.com."]
    assert hosts("Host(`*.a`)", ".a", "x.a:80", "") == [".a", "x.a:80"]
    assert hosts("Host(`*.`)", "a", "a.", "a.b.", ".", "") == ["a", "a.", "."]
    assert hosts("Host(`*.a.`)", "x.a", "x.a.", "x.a..", "x.a...") == ["x.a", "x.a.", "x.a.."]
    assert hosts("Host(`a.*.b`)", "a.*.b", "a.x.b") == ["a.*.b"]
    assert hosts("Host(`**`)", "**", "x") == hosts("Host(`*a`)", "*a", "xa", "a") == []
    assert hosts("Host(`*.*.b`)", "x.*.b", "x.y.b") == ["x.*.b"]


def test_a_lone_star_stands_for_any_host_and_for_none() -> None:
    assert hosts("Host(`*`)", "a", "a.b", "") == ["a", "a.b", ""]


@pytest.mark.behaviour("DP-5")
def test_no_host_is_no_name() -> None:
    assert hosts("Host(`a`)", "") == []
    assert hosts("!Host(`a`)", "") == [""]


@pytest.mark.behaviour("DP-37")
def test_host_regexp_searches_the_lower_cased_host() -> None:
    assert hosts(r"HostRegexp(`^[a-z]+\.a\.com$`)", "X.a.com", "x.a.com:80") == ["X.a.com", "x.a.com:80"]
    assert hosts("HostRegexp(`A`)", "A", "a") == []
    assert hosts("HostRegexp(`(?i)A`)", "A", "a") == ["A", "a"]
    assert hosts(r"HostRegexp(`a\.com`)", "xa.com.evil") == ["xa.com.evil"]


def test_a_host_pattern_that_fits_nothing_fits_everything() -> None:
    assert hosts("HostRegexp(`^$`)", "", "a") == ["", "a"]
    assert hosts("HostRegexp(`^b*$`)", "", "a", "b") == ["", "a", "b"]
    assert hosts("HostRegexp(`^b+$`)", "", "a", "b") == ["b"]


@pytest.mark.behaviour("DP-33")
def test_path_prefix_knows_no_segments() -> None:
    paths = ("/api", "/apix", "/api/x", "/API", "/ap")
    assert targets("PathPrefix(`/api`)", *paths) == ["/api", "/apix", "/api/x"]


@pytest.mark.behaviour("DP-34")
def test_path_is_exact() -> None:
    assert targets("Path(`/x`)", "/x", "/x/", "/x?y", "/X") == ["/x", "/x?y"]


@pytest.mark.behaviour("DP-18")
@pytest.mark.behaviour("ADV-A-4")
def test_encoded_reserved_characters_are_not_the_characters() -> None:
    assert targets("Path(`/a/b`)", "/a%2Fb", "/a/b") == ["/a/b"]
    assert targets("Path(`/a%2Fb`)", "/a%2Fb", "/a%2fb", "/a/b") == ["/a%2Fb", "/a%2fb"]


def test_paths_are_bytes() -> None:
    assert targets("Path(`/é`)", "/%C3%A9", "/é") == ["/%C3%A9", "/é"]
    assert targets('Path("/\\xff")', "/%FF") == ["/%FF"]
    assert targets("PathPrefix(`/foo bar`)", "/foo%20bar") == ["/foo%20bar"]


@pytest.mark.behaviour("DP-38")
def test_path_regexp_searches() -> None:
    assert targets(r"PathRegexp(`\.php$`)", "/x.php", "/x.php/y", "/x.php%0A") == ["/x.php"]
    assert targets("PathRegexp(`^/.$`)", "/%FF", "/%C3%A9", "/%E2%82") == ["/%FF", "/%C3%A9"]


@pytest.mark.behaviour("DP-39")
def test_header_compares_whole_lines() -> None:
    def seen(*lines: tuple[str, str]) -> FakeRequest:
        return request(headers=lines)

    rule = "Header(`X-K`,`v`)"
    assert matches(rule, seen(("x-k", "v")))
    assert not matches(rule, seen(("X-K", "v, w")))
    assert not matches(rule, seen(("X-K", "V")))
    assert matches(rule, seen(("X-K", "w"), ("X-K", "v")))
    assert matches("HeaderRegexp(`x-k`,`^$`)", seen(("X-K", "")))
    assert not matches("HeaderRegexp(`x-k`,`^$`)", seen())


def test_headers_that_the_original_never_shows_to_rules() -> None:
    seen = request(host="a", headers=[("Host", "a"), ("Transfer-Encoding", "chunked")])
    for rule in ("Header(`Host`,`a`)", "HeaderRegexp(`host`,`.*`)", "HeaderRegexp(`Transfer-Encoding`,`.*`)"):
        assert not matches(rule, seen)
        assert matches(f"!{rule}", seen)


@pytest.mark.behaviour("DP-40")
def test_query_without_value_means_an_empty_one() -> None:
    assert targets("Query(`k`)", "/?k", "/?k=", "/?k=1", "/", "/?K") == ["/?k", "/?k="]
    assert targets("QueryRegexp(`k`)", "/?k", "/?k=1") == ["/?k"]
    assert targets("QueryRegexp(`k`,`^1`)", "/?k=0&k=12", "/?k=2") == ["/?k=0&k=12"]
    assert targets("Query(`a b`,`x y`)", "/?a+b=x%20y") == ["/?a+b=x%20y"]


@pytest.mark.behaviour("DP-41")
def test_a_parameter_with_any_value_exists() -> None:
    assert targets("!QueryRegexp(`foo`,`.*`)", "/?foo=;", "/?foo", "/?bar") == ["/?bar"]


@pytest.mark.behaviour("DP-42")
def test_client_ip_is_the_peer_and_nothing_else() -> None:
    forged = [("X-Forwarded-For", "10.1.1.1")]
    assert not matches("ClientIP(`10.0.0.0/8`)", request(headers=forged))
    assert matches("ClientIP(`10.0.0.0/8`)", request(peer_ip="10.9.9.9"))
    assert matches("ClientIP(`10.0.0.0/8`)", request(peer_ip="::ffff:10.9.9.9"))
    assert matches("ClientIP(`fe80::/10`)", request(peer_ip="fe80::1%eth0"))
    assert not matches("ClientIP(`0.0.0.0/0`)", request(peer_ip=""))


@pytest.mark.behaviour("DP-43")
def test_method_is_upper_case() -> None:
    assert matches("Method(`get`)", request(method="GET"))
    assert not matches("Method(`get`)", request(method="get"))

"""What the index may rely on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from config.rules import parse
from tests.workers.routing.fakes import REQUESTS, RULES, RULES_V2, FakeRequest
from workers.routing.implied import PathKey, host_keys, path_keys
from workers.routing.matchers import host_rest
from workers.routing.predicate import predicate_of


def hosts(rule: str, syntax: str = "v3") -> tuple[bytes, ...] | None:
    return host_keys(parse(rule, syntax), syntax)


def paths(rule: str, syntax: str = "v3") -> tuple[PathKey, ...] | None:
    return path_keys(parse(rule, syntax), syntax)


def test_hosts_of_usual_rules() -> None:
    assert hosts("Host(`A.com.`) && Path(`/x`)") == (b"a.com",)
    assert hosts("(Host(`b`) || Host(`a`)) && Path(`/x`)") == (b"a", b"b")
    assert hosts("(Host(`a`) || Host(`b`)) && Host(`a`)") == (b"a",)
    assert hosts("Host(`*.a.com`)") == (b"*.a.com",)
    assert hosts("Host(`a`,`b`)", "v2") == (b"a", b"b")
    for rule in ("Host(`a`) || Path(`/x`)", "!Host(`a`)", "Host(`*`)", "HostRegexp(`^a$`)", "Path(`/x`)"):
        assert hosts(rule) is None


def test_paths_of_usual_rules() -> None:
    assert paths("Host(`a`) && (Path(`/x`) || PathPrefix(`/y`))") == (PathKey(b"/x", True), PathKey(b"/y", False))
    assert paths("PathRegexp(`^/x$`)") is None
    assert paths("Path(`/x`) || Host(`a`)") is None
    assert paths("Path(`/{x}`)", "v2") is None
    assert paths("Path(`/{x}`)") == (PathKey(b"/{x}", True),)


def test_a_rule_of_very_many_paths_is_not_indexed_by_them() -> None:
    assert paths(" || ".join(f"Path(`/{number}`)" for number in range(17))) is None


@given(st.one_of(RULES, RULES_V2), REQUESTS)
def test_whatever_matches_has_one_of_the_keys(rule: tuple[str, str], seen: FakeRequest) -> None:
    syntax, text = rule
    tree = parse(text, syntax)
    if not predicate_of(tree, syntax)(seen):
        return
    host = seen.host.rstrip(b".")
    wanted_hosts = host_keys(tree, syntax)
    assert wanted_hosts is None or host in wanted_hosts or b"*" + host_rest(host) in wanted_hosts
    wanted_paths = path_keys(tree, syntax)
    path = seen.routing_path
    assert wanted_paths is None or any(
        path == text if exact else path.startswith(text) for text, exact in wanted_paths
    )

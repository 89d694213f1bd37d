"""Whose name it is: by age between namespaces, by rank and name within one."""

from __future__ import annotations

import pytest

from config.http import KubernetesSource, LoadBalancer, Service, ServiceMetadata, ServiceObservability
from provider.translate.contested import Contested, Owner, home_of

OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
A, B = Owner(0, "a", "x", NEW), Owner(0, "b", "y", OLD)


def load_balancer(namespace: str, strategy: str = "wrr") -> Service:
    source = KubernetesSource(namespace=namespace, name="web", port="80")
    return Service(
        load_balancer=LoadBalancer(pass_host_header=True, strategy=strategy),
        observability=ServiceObservability(metadata=ServiceMetadata(kubernetes=source)),
    )


@pytest.mark.parametrize(
    ("first", "second", "home"),
    [
        (A, B, "b"),
        (A._replace(created=OLD), B, "a"),
        (A, B._replace(created=""), "b"),
        (A._replace(created=""), B, "a"),
    ],
    ids=["older", "equal age", "not from a cluster", "nor this one"],
)
def test_the_oldest_keeps_a_name(first: Owner, second: Owner, home: str) -> None:
    names: Contested[str] = Contested()
    names.replace(first, {}, {"n": "one"})
    names.replace(second, {}, {"n": "two"})
    standing = names.standing("n")
    assert standing is not None
    assert standing.home == home
    assert {owner.namespace for owner in standing.losers} == {"a", "b"} - {home}
    assert names.is_disputed("n")


def test_within_a_namespace_there_is_no_dispute() -> None:
    names: Contested[str] = Contested()
    names.replace(A, {}, {"n": "one"})
    names.replace(A._replace(rank=1), {}, {"n": "two"})
    assert not names.is_disputed("n")
    assert names["n"] == "two"
    standing = names.standing("n")
    assert standing is not None
    assert not standing.losers


def test_a_silenced_claim_leaves_a_gap_or_another_claim() -> None:
    names: Contested[str] = Contested()
    names.replace(A, {}, {"n": "one"})
    names.silence(A, "n")
    assert ("n" in names, list(names), len(names)) == (False, [], 0)
    with pytest.raises(KeyError):
        names["n"]
    names.replace(A._replace(name="z"), {}, {"n": "two"})
    assert names["n"] == "two"
    names.silence(A, "n", silent=False)
    assert list(names.values()) == ["two"]
    assert names.standing("absent") is None


def test_a_load_balancer_named_after_its_service_is_at_home_there() -> None:
    guest = Owner(0, "a", "route")
    assert home_of(guest, "b-web-80", load_balancer("b")) == "b"
    assert home_of(guest, "a-route-hash", load_balancer("b")) == "a"
    assert home_of(guest, "b-web-80", Service()) == "a"
    assert home_of(guest, "b-web-80", "a middleware") == "a"


def test_the_owner_of_a_service_comes_before_older_guests() -> None:
    names: Contested[Service] = Contested(shares=False)
    host, guest = Owner(0, "b", "own", NEW), Owner(0, "a", "guest", OLD)
    names.replace(guest, {}, {"b-web-80": load_balancer("b", "p2c")})
    names.replace(host, {}, {"b-web-80": load_balancer("b")})
    standing = names.standing("b-web-80")
    assert standing is not None
    assert standing.losers == {guest}
    assert names["b-web-80"] == load_balancer("b")


def test_guests_who_want_the_same_do_not_lose_and_do_not_decide() -> None:
    names: Contested[Service] = Contested(shares=False)
    host, later, guest = Owner(0, "b", "own"), Owner(0, "b", "z"), Owner(0, "c", "guest")
    names.replace(host, {}, {"b-web-80": load_balancer("b", "p2c")})
    names.replace(later, {}, {"b-web-80": load_balancer("b")})
    names.replace(guest, {}, {"b-web-80": load_balancer("b")})
    standing = names.standing("b-web-80")
    assert standing is not None
    assert not standing.losers
    assert names["b-web-80"] == load_balancer("b")
    names.replace(guest, {"b-web-80": load_balancer("b")}, {"b-web-80": load_balancer("b", "p2c")})
    assert names["b-web-80"] == load_balancer("b")


def test_where_namespaces_share_the_last_one_decides() -> None:
    """As in Traefik with allowCrossNamespace; names that only look the same have one owner there too."""
    names: Contested[Service] = Contested(shares=True)
    host, guest, stranger = Owner(0, "b", "own"), Owner(0, "c", "guest"), Owner(0, "d", "x")
    names.replace(host, {}, {"b-web-80": load_balancer("b")})
    names.replace(guest, {}, {"b-web-80": load_balancer("b", "p2c")})
    names.replace(stranger, {}, {"b-web-80": Service()})
    standing = names.standing("b-web-80")
    assert standing is not None
    assert standing.losers == {stranger}
    names.silence(stranger, "b-web-80")
    assert names["b-web-80"] == load_balancer("b", "p2c")

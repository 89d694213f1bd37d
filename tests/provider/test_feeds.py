"""What the state of the feeds allows and reports."""

from __future__ import annotations

from provider.feeds import Feeds
from provider.kube.errors import Forbidden, KindMissing, Unauthorized, Unreachable
from provider.kube.informer import Feed
from provider.resources.kinds import (
    ENDPOINT_SLICE,
    INGRESS_ROUTE,
    KINDS,
    MIDDLEWARE,
    NODE,
    REFERENCE_GRANT,
    SERVICE,
    Kind,
)

ROUTES, SERVICES, SLICES = Feed(INGRESS_ROUTE), Feed(SERVICE), Feed(ENDPOINT_SLICE)
MIDDLEWARES = Feed(MIDDLEWARE)


def bit(kind: Kind) -> int:
    return 1 << list(KINDS).index(kind.name)


def expecting(*feeds: Feed) -> Feeds:
    made = Feeds()
    for feed in feeds or (ROUTES, SERVICES, SLICES):
        made.expect(feed)
    return made


def test_all_listed_is_complete_and_in_sync() -> None:
    feeds = expecting()
    for feed in (ROUTES, SERVICES):
        feeds.listed(feed)
        assert not feeds.settled
    feeds.listed(SLICES)
    assert feeds.settled
    assert feeds.complete
    assert feeds.in_sync
    assert feeds.findings() == []


def test_a_missing_or_forbidden_custom_kind_counts_as_empty() -> None:
    for error in (KindMissing("404", INGRESS_ROUTE), Forbidden("403", INGRESS_ROUTE, "")):
        feeds = expecting()
        feeds.listed(SERVICES)
        feeds.listed(SLICES)
        feeds.in_trouble(ROUTES, error)
        assert feeds.settled
        assert not feeds.complete
        (finding,) = feeds.findings()
        assert finding.kind == "IngressRoute"
        assert finding.message.endswith("served as if there were none")
        feeds.listed(ROUTES)
        assert feeds.in_sync


def test_essential_kinds_and_silence_hold_back() -> None:
    for feed, error in (
        (SERVICES, Forbidden("403", SERVICE, "")),
        (ROUTES, Unreachable("refused")),
        (ROUTES, Unauthorized("401")),
    ):
        feeds = expecting(feed)
        feeds.in_trouble(feed, error)
        assert not feeds.settled
        assert feeds.findings()[0].message.endswith("nothing is published before they are listed")


def test_trouble_after_the_list_keeps_the_view_complete() -> None:
    feeds = expecting(SERVICES)
    feeds.listed(SERVICES)
    feeds.in_trouble(SERVICES, Unreachable("reset"))
    assert feeds.settled
    assert feeds.complete
    assert not feeds.in_sync
    assert feeds.findings()[0].message.endswith("what is known stays in force")
    feeds.in_order(SERVICES)
    assert feeds.in_sync


def test_a_missing_optional_crd_means_that_there_are_no_objects() -> None:
    feeds = expecting(MIDDLEWARES)
    feeds.in_trouble(MIDDLEWARES, KindMissing("404", MIDDLEWARE))
    assert (feeds.settled, feeds.complete, feeds.in_sync) == (True, True, True)
    (finding,) = feeds.findings()
    assert finding.severity == "warning"
    assert "middlewares.traefik.io" in finding.advice
    feeds.in_trouble(MIDDLEWARES, Forbidden("403", MIDDLEWARE, ""))
    assert (feeds.settled, feeds.complete) == (True, False)
    assert feeds.findings()[0].severity == "error"


def test_a_kind_that_was_known_before_holds_back() -> None:
    """Or a restarted provider would publish a view without its objects."""
    for error in (KindMissing("404", MIDDLEWARE), Forbidden("403", MIDDLEWARE, "")):
        feeds = Feeds(bit(MIDDLEWARE))
        feeds.expect(MIDDLEWARES)
        feeds.in_trouble(MIDDLEWARES, error)
        assert (feeds.settled, feeds.complete) == (False, False)
        (finding,) = feeds.findings()
        assert finding.severity == "error"
        assert "the configuration from then stays in force" in finding.message
        assert finding.advice.startswith(error.advice)
        assert "restart" in finding.advice
        feeds.listed(MIDDLEWARES)
        assert (feeds.settled, feeds.complete) == (True, True)


def test_nobody_misses_a_kind_of_another_project() -> None:
    grants = Feed(REFERENCE_GRANT)
    feeds = expecting(grants)
    feeds.in_trouble(grants, KindMissing("404", REFERENCE_GRANT))
    assert (feeds.settled, feeds.complete, feeds.in_sync) == (True, True, True)
    assert feeds.findings() == []
    feeds.in_trouble(grants, Forbidden("403", REFERENCE_GRANT, ""))
    assert (feeds.settled, feeds.complete, feeds.in_sync) == (True, True, True)
    (finding,) = feeds.findings()
    assert finding.severity == "warning"
    assert 'resources ["referencegrants"]' in finding.advice
    feeds.listed(grants)
    feeds.in_trouble(grants, KindMissing("404", REFERENCE_GRANT))
    assert feeds.findings()[0].message.endswith("what is known stays in force")


def test_what_was_listed_is_remembered_for_the_next_provider() -> None:
    feeds = Feeds(bit(MIDDLEWARE))
    in_a, in_b = Feed(INGRESS_ROUTE, "a"), Feed(INGRESS_ROUTE, "b")
    for feed in (in_a, in_b, SERVICES):
        feeds.expect(feed)
    feeds.listed(in_a)
    feeds.listed(SERVICES)
    assert feeds.kinds_listed == bit(MIDDLEWARE) | bit(SERVICE)
    feeds.listed(in_b)
    assert feeds.kinds_listed == bit(MIDDLEWARE) | bit(SERVICE) | bit(INGRESS_ROUTE)


def test_an_uninstalled_kind_is_not_waited_for() -> None:
    feeds = Feeds(bit(MIDDLEWARE))
    feeds.expect(MIDDLEWARES)
    feeds.in_trouble(MIDDLEWARES, KindMissing("404", MIDDLEWARE))
    feeds.uninstalled(MIDDLEWARES)
    assert feeds.kinds_listed == bit(MIDDLEWARE), "this provider has never seen its objects, nor their end"
    feeds.listed(MIDDLEWARES)
    feeds.in_trouble(MIDDLEWARES, KindMissing("404", MIDDLEWARE))
    feeds.uninstalled(MIDDLEWARES)
    assert feeds.kinds_listed == 0
    assert feeds.complete


def test_places_in_the_table_of_kinds_are_for_ever() -> None:
    """They are the bits of the control page, which a binary upgrade hands to the next release."""
    assert list(KINDS)[:7] == [
        "IngressRoute",
        "Service",
        "EndpointSlice",
        "Node",
        "Secret",
        "ConfigMap",
        "Middleware",
    ]
    assert len(KINDS) < 64


def test_advice_names_the_role_that_fits() -> None:
    assert "a ClusterRole" in Forbidden("403", SERVICE, "").advice
    assert "a Role in namespace a" in Forbidden("403", SERVICE, "a").advice
    assert "a ClusterRole" in Forbidden("403", NODE, "").advice
    assert "discovery.k8s.io/v1" in KindMissing("404", ENDPOINT_SLICE).advice

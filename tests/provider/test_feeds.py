"""What the state of the feeds allows and reports."""

from __future__ import annotations

from provider.feeds import Feeds
from provider.kube.errors import Forbidden, KindMissing, Unauthorized, Unreachable
from provider.kube.informer import Feed
from provider.resources.kinds import ENDPOINT_SLICE, INGRESS_ROUTE, NODE, SERVICE

ROUTES, SERVICES, SLICES = Feed(INGRESS_ROUTE), Feed(SERVICE), Feed(ENDPOINT_SLICE)


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


def test_advice_names_the_role_that_fits() -> None:
    assert "a ClusterRole" in Forbidden("403", SERVICE, "").advice
    assert "a Role in namespace a" in Forbidden("403", SERVICE, "a").advice
    assert "a ClusterRole" in Forbidden("403", NODE, "").advice
    assert "discovery.k8s.io/v1" in KindMissing("404", ENDPOINT_SLICE).advice

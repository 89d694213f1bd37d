"""Routers under routers: who is reached, who is not and why, and what a change builds again."""

from __future__ import annotations

import pytest

from config.http import Router, RouterTLS
from tests.workers.fakes import FakeExchange, balancer, environment, router, servers
from workers.exchange import Exchange
from workers.router_trees import children_of, families_of
from workers.runtime import Changes, Runtime

P = "@p"


def noop(exchange: Exchange) -> None:
    exchange.respond(418, (), b"")


def made(**routers: Router) -> Runtime:
    where = environment(internal=lambda name: noop)
    changes = Changes(routers={name + P: one for name, one in routers.items()})
    return Runtime(where).updated(1, changes, lambda: None)


def under(
    *parents: str, rule: str = "PathPrefix(`/c`)", service: str = "noop@internal", **members: object
) -> Router:
    return router(rule, service, parent_refs=list(parents), **members)


ROOT = router("Host(`a`)", "", entry_points=["web"], priority=100)


def answer(runtime: Runtime, path: bytes, host: bytes = b"a") -> int:
    exchange = FakeExchange(path, host=host)
    route = runtime.tables["web"].find(exchange.request)
    if route is None:
        return 0
    route.handler(exchange)
    return exchange.status


def errors_of(runtime: Runtime, name: str) -> list[str]:
    return runtime.routers[name + P].errors


def test_a_child_is_asked_behind_its_parent() -> None:
    runtime = made(root=ROOT, child=under("root"))
    assert [answer(runtime, b"/c"), answer(runtime, b"/x"), answer(runtime, b"/c", b"b")] == [418, 404, 0]
    assert {one.status for one in runtime.routers.values()} == {"enabled"}


def test_no_child_matches_and_no_other_root_is_tried() -> None:
    runtime = made(root=ROOT, child=under("root"), other=router("PathPrefix(`/`)", "noop@internal"))
    assert [answer(runtime, b"/x"), answer(runtime, b"/x", b"b")] == [404, 418]


def test_children_have_priorities_and_children() -> None:
    deep = under("mid", rule="Path(`/c/d`)")
    runtime = made(root=ROOT, mid=under("root", service=""), deep=deep, low=under("root", priority=1))
    assert [answer(runtime, b"/c/d"), answer(runtime, b"/c")] == [418, 404]


def test_one_child_under_two_parents() -> None:
    second = router("Host(`b`)", "", entry_points=["web"])
    runtime = made(root=ROOT, second=second, child=under("root", "second"))
    assert [answer(runtime, b"/c", b"a"), answer(runtime, b"/c", b"b")] == [418, 418]


@pytest.mark.parametrize(
    ("child", "error"),
    [
        (under("root", tls=RouterTLS()), "non-root router cannot have TLS configuration"),
        (under("root", entry_points=["web"]), "non-root router cannot have Entrypoints configuration"),
        (under("root", "gone"), 'parent router "gone@p" does not exist'),
        (under("root", service="gone"), 'the service "gone@p" does not exist'),
        (under("root", rule="Foo(`a`)"), "error while parsing rule Foo(`a`): unsupported function: Foo"),
    ],
)
def test_a_child_that_is_wrong_is_nobodys(child: Router, error: str) -> None:
    runtime = made(root=ROOT, child=child, good=under("root", rule="Path(`/good`)"))
    assert [answer(runtime, b"/c"), answer(runtime, b"/good")] == [404, 418]
    assert runtime.routers["child" + P].status == "disabled"
    assert any(error.rpartition(": ")[2] in one for one in errors_of(runtime, "child"))


def test_a_parent_without_usable_children_is_disabled() -> None:
    runtime = made(root=ROOT, child=under("root", service="gone"))
    assert answer(runtime, b"/c") == 0
    assert errors_of(runtime, "root") == [
        "building child routers muxer: no child routers could be added to muxer (1 skipped)"
    ]


@pytest.mark.behaviour("PR-54")
def test_a_parent_with_a_service_is_shown_disabled_and_asks_its_children() -> None:
    both = router("Host(`a`)", "noop@internal", entry_points=["web"])
    runtime = made(root=both, child=under("root"))
    assert [answer(runtime, b"/c"), answer(runtime, b"/x")] == [418, 404]
    assert runtime.routers["root" + P].status == "disabled"
    assert errors_of(runtime, "root") == [
        "router has both a service and is referenced as a parent by other routers"
    ]


def test_who_is_not_reached_says_so() -> None:
    ring = {"one": under("two"), "two": under("one", service="")}
    runtime = made(root=ROOT, child=under("root"), lost=under("gone"), **ring)
    assert errors_of(runtime, "one") == errors_of(runtime, "two") == ["router is not reachable"]
    assert errors_of(runtime, "lost") == ['parent router "gone@p" does not exist', "router is not reachable"]


def test_a_ring_below_a_root_is_cut() -> None:
    runtime = made(root=ROOT, mid=under("root", "mid", service=""), good=under("root", rule="Path(`/good`)"))
    assert errors_of(runtime, "mid") == ["cyclic reference detected in router tree: mid@p -> mid@p"]
    assert [answer(runtime, b"/c"), answer(runtime, b"/good")] == [404, 418]


def test_a_change_reaches_the_family_and_nobody_else() -> None:
    before = made(root=ROOT, child=under("root"), other=router("Host(`o`)", "noop@internal"))
    changed = under("root", rule="PathPrefix(`/new`)")
    after = before.updated(2, Changes(routers={"child" + P: changed}), lambda: None)
    assert [answer(after, b"/c"), answer(after, b"/new"), answer(before, b"/c")] == [404, 418, 418]
    assert after.routers["other" + P] is before.routers["other" + P]
    gone = after.updated(3, Changes(routers={"child" + P: None}), lambda: None)
    assert (gone.children, answer(gone, b"/new")) == ({}, 0)
    assert errors_of(gone, "root") == [
        "router has no service and no child routers",
        "router must have either a service or child routers",
    ]


def test_servers_of_a_childs_service_heal_it() -> None:
    before = made(root=ROOT, child=under("root", service="s"))
    assert answer(before, b"/c") == 0
    news = Changes(services={"s" + P: balancer()}, endpoints={"s" + P: servers(1)})
    after = before.updated(2, news, lambda: None)
    assert {one.status for one in after.routers.values()} == {"enabled"}


def test_families() -> None:
    configured = {"a@p": router(), "b@p": under("a"), "c@p": under("b"), "d@p": router(), "e@p": under("d")}
    index = children_of(configured)
    assert families_of({"b@p"}, (index,), (configured,)) == {"a@p", "b@p", "c@p"}
    assert families_of({"d@p"}, ({}, index), (configured,)) == {"d@p", "e@p"}

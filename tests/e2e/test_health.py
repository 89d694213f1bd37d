"""Health checks through the whole tree: one worker asks, failures of all count together, all of them know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.e2e.conftest import StartTree
from tests.e2e.health_service import HealthService
from tests.e2e.pool import HEALTH_PATH, Member
from tests.e2e.stage import EXTERNAL, NO_SERVER, ROUTE, WORKERS, Stage, kill, replace_all
from tests.kube import KubeServer
from tests.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.fixture
def stage(start_tree: StartTree) -> Iterator[Stage]:
    with KubeServer() as kube:
        yield Stage(start_tree, kube)


@pytest.mark.behaviour("OP-35")
@pytest.mark.behaviour("DP-95")
@pytest.mark.behaviour("DP-96")
def test_one_worker_asks_and_all_of_them_know(stage: Stage) -> None:
    check = f"{{path: {HEALTH_PATH}, interval: 200ms, timeout: 5s}}"
    with Member() as member:
        stage.start(
            EXTERNAL.format(name="checked", host="127.0.0.1", port=member.port)
            + ROUTE.format(
                name="checked", reference=f"{{name: checked, port: {member.port}, healthCheck: {check}}}"
            )
        )
        stage.prober_of(member)
        first = len(member.probes) + 1  # one that was under way did not know whom it talks to yet
        wait_until(lambda: len(member.probes) >= first + 6, what="it is asked again and again")
        askers = set(member.probes[first:])
        assert len(askers) == 1
        assert askers <= set(stage.tree.workers())
        check_verdicts(stage, member)
        kill(stage.tree, askers.pop())
        seen = len(member.probes)
        wait_until(lambda: any(pid in stage.tree.workers() for pid in member.probes[seen:]), what="another asks")
        check_verdicts(stage, member)


def check_verdicts(stage: Stage, member: Member) -> None:
    """Down and up again, on every worker."""
    url = f"http://127.0.0.1:{member.port}"
    with stage.lines() as lines:
        wait_until(lambda: {one.status for one in lines.ask("checked")} == {200}, what="all send to it")
        assert stage.server_status() == {url: "UP"}
        member.status = 503
        wait_until(lambda: {one.body for one in lines.ask("checked")} == {NO_SERVER}, what="nobody sends to it")
        hits = member.hits
        assert {one.status for _ in range(10) for one in lines.ask("checked")} == {503}
        assert member.hits == hits
        wait_until(lambda: stage.server_status() == {url: "DOWN"}, what="the API says so")
        member.status = 200
        wait_until(lambda: {one.status for one in lines.ask("checked")} == {200}, what="all send to it again")
        wait_until(lambda: stage.server_status() == {url: "UP"}, what="the API says so")


@pytest.mark.behaviour("DP-98")
def test_failures_are_counted_over_all_workers(stage: Stage) -> None:
    check = f"{{failureWindow: 60s, maxFailedAttempts: {WORKERS}}}"
    with Member() as member:
        member.status = 500
        stage.start(
            EXTERNAL.format(name="watched", host="127.0.0.1", port=member.port)
            + ROUTE.format(
                name="watched", reference=f"{{name: watched, port: {member.port}, passiveHealthCheck: {check}}}"
            )
        )
        with stage.lines() as lines:
            assert [one.status for one in lines.ask("watched")] == [500] * WORKERS
            assert member.hits == WORKERS
            # the worker that saw the last of them knows at once, though it has seen only one itself
            last = list(lines.by_pid.values())[-1]
            assert last.ask("watched").body == NO_SERVER
            wait_until(lambda: {one.body for one in lines.ask("watched")} == {NO_SERVER}, what="all know")
        for pid in stage.tree.workers()[:1]:
            kill(stage.tree, pid)
        stage.wait_ready()
        with stage.lines() as lines:  # a new worker knows it too
            wait_until(lambda: {one.body for one in lines.ask("watched")} == {NO_SERVER}, what="all know")


@pytest.mark.behaviour("DP-101")
def test_failover_follows_the_health_check(stage: Stage) -> None:
    check = f"{{path: {HEALTH_PATH}, interval: 200ms, timeout: 5s}}"
    with Member("127.0.0.2") as main, Member("127.0.0.3") as fallback:
        service = (
            "apiVersion: traefik.io/v1alpha1\nkind: TraefikService\nmetadata: {name: f, namespace: default}\n"
            f"spec: {{failover: {{service: {{name: main, port: {main.port}, healthCheck: {check}}}, "
            f"fallback: {{name: other, port: {fallback.port}}}}}}}\n---\n"
        )
        stage.start(
            EXTERNAL.format(name="main", host="127.0.0.2", port=main.port)
            + EXTERNAL.format(name="other", host="127.0.0.3", port=fallback.port)
            + service
            + ROUTE.format(name="f", reference="{name: f, kind: TraefikService}")
        )
        with stage.lines() as lines:
            assert {one.server for one in lines.ask("f")} == {"127.0.0.2"}
            main.status = 503
            wait_until(lambda: {one.server for one in lines.ask("f")} == {"127.0.0.3"}, what="the fallback serves")
            main.status = 200
            wait_until(lambda: {one.server for one in lines.ask("f")} == {"127.0.0.2"}, what="the main one serves")


def is_serving(port: int) -> bool:
    """Ask the health service through the proxy."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        method: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return bool(method(b"", timeout=15) == b"\x08\x01")
        except grpc.RpcError:
            return False


@pytest.mark.behaviour("DP-95")
def test_grpc_health(stage: Stage) -> None:
    with HealthService() as server:
        check = "{mode: grpc, interval: 200ms, timeout: 5s}"
        reference = f"{{name: g, port: {server.port}, scheme: h2c, healthCheck: {check}}}"
        stage.start(
            EXTERNAL.format(name="g", host="127.0.0.1", port=server.port)
            + ROUTE.format(name="127.0.0.1", reference=reference)
        )
        url = f"h2c://127.0.0.1:{server.port}"
        wait_until(lambda: server.asked >= 2, what="it is asked")
        assert stage.server_status() == {url: "UP"}
        for answer in (2, None):  # NOT_SERVING, and no such service
            server.answer = answer
            wait_until(lambda: stage.server_status() == {url: "DOWN"}, what="it is down")
            server.answer = 1
            wait_until(lambda: stage.server_status() == {url: "UP"}, what="it is up")
        wait_until(lambda: is_serving(stage.port), what="requests go to it again")


@pytest.mark.behaviour("DP-126")
def test_a_verdict_outlives_reloads(stage: Stage) -> None:
    """The original sends requests to a dead server for an interval after every reload; ours does not."""
    check = f"{{path: {HEALTH_PATH}, interval: 1h, unhealthyInterval: 1h, timeout: 5s}}"
    quick = f"{{path: {HEALTH_PATH}, interval: 1h, unhealthyInterval: 1h, timeout: 5s, headers: {{X-A: b}}}}"
    with Member() as member:
        member.status = 503
        services = EXTERNAL.format(name="checked", host="127.0.0.1", port=member.port)
        passive = "passiveHealthCheck: {maxFailedAttempts: 1, failureWindow: 1h}"

        def route(check: str) -> str:
            reference = f"{{name: checked, port: {member.port}, healthCheck: {check}, {passive}}}"
            return ROUTE.format(name="checked", reference=reference)

        stage.start(services + route(check))
        with stage.lines() as lines:
            wait_until(
                lambda: {one.body for one in lines.ask("checked")} == {NO_SERVER}, what="a failure is enough"
            )
            stage.kube.apply(
                services + route(check) + ROUTE.format(name="more", reference="{name: none, port: 1}")
            )
            other = "{name: checked, port: %d, strategy: p2c}" % member.port  # noqa: UP031 - braces
            stage.kube.apply(ROUTE.format(name="probe", reference=other))
            wait_until(lambda: {one.status for one in lines.ask("probe")} == {503}, what="the change is in force")
            assert {one.body for one in lines.ask("checked")} == {NO_SERVER}
        replace_all(stage.tree)
        stage.wait_ready()
        asked = member.hits
        with stage.lines() as lines:
            assert {one.body for one in lines.ask("checked")} == {NO_SERVER}
        assert member.hits == asked
        stage.kube.apply(services + route(quick))  # another check is another matter
        with stage.lines() as lines:
            wait_until(lambda: lines.ask("checked") and member.hits > asked, what="it is tried again")

"""Reports by real provider processes: one replica writes, no report causes a build, another takes over."""

from __future__ import annotations

import signal
import time
from typing import Any

import msgspec
import pytest

from config.static import StaticConfiguration
from tests.kube import KubeServer
from tests.provider.support import endpoints, middleware, route, rule, running, service, static_for
from tests.waiting import wait_until

A = {"name": "a", "port": 80}
GONE = {"name": "gone", "port": 80}
DEADLINE_SECONDS = 20.0


def static(server: KubeServer, **report: Any) -> StaticConfiguration:
    made = static_for(server.url, report={"leaseNamespace": "infra", "leaseDuration": "3s"} | report)
    return msgspec.structs.replace(made, log=msgspec.structs.replace(made.log, level="INFO"))


def serving(*objects: dict[str, Any], **options: Any) -> KubeServer:
    server = KubeServer(**options)
    server.apply([service("a"), endpoints("a", "10.0.0.1"), *objects])
    return server


def condition(server: KubeServer, name: str, kind: str = "IngressRoute") -> dict[str, Any]:
    status = server.get(kind, "default", name).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == "Accepted"), {})


def says(server: KubeServer, name: str, status: str, generation: int = 1) -> None:
    def reached() -> bool:
        now = condition(server, name)
        return (now.get("status"), now.get("observedGeneration")) == (status, generation)

    server.wait_until(reached, DEADLINE_SECONDS, f"{name} {status}: {condition(server, name)}")


def writers(server: KubeServer) -> int:
    return sum(request.method == "PATCH" and request.path.endswith("/status") for request in server.requests)


def test_conditions_follow_the_objects_and_their_surroundings() -> None:
    good, bad = route("good", rule("Host(`a`)", A)), route("bad", rule("Host(`b`)", GONE))
    with serving(good, bad, middleware("m", stripPrefix={"prefixes": ["/x"]})) as server:
        with running(static(server)) as provider:
            provider.receive()
            says(server, "good", "True")
            says(server, "bad", "False")
            assert condition(server, "bad")["reason"] == "ServiceNotFound"
            assert "create the Service or correct the name" in condition(server, "bad")["message"]
            server.wait_until(lambda: bool(condition(server, "m", "Middleware")), DEADLINE_SECONDS)
            server.apply([service("gone"), endpoints("gone", "10.0.0.9")])
            says(server, "bad", "True")
            server.apply(route("good", rule("Host(`a`) && Hots(`x`)", A)))
            says(server, "good", "False", 2)
            server.delete("IngressRoute", "default", "good")
        assert provider.process.returncode == 0


def test_a_report_never_causes_a_build() -> None:
    with serving(route("bad", rule("Host(`b`)", GONE))) as server, running(static(server)) as provider:
        provider.receive()
        says(server, "bad", "False")
        wait_until(lambda: server.objects("Event"))
        written = writers(server)
        assert provider.receives_nothing(0.5)
        assert writers(server) == written == 1


def test_an_event_for_an_error_and_none_for_a_warning() -> None:
    odd = route("odd", rule("Host(`a`)", A, syntax="v3"))
    with serving(odd, route("bad", rule("Host(`b`)", GONE))) as server, running(static(server)) as provider:
        provider.receive()
        wait_until(lambda: server.objects("Event"))
        says(server, "odd", "True")
        (event,) = server.objects("Event")
        assert event["involvedObject"]["uid"] == server.get("IngressRoute", "default", "bad")["metadata"]["uid"]
        assert event["reason"] == "ServiceNotFound"


def test_one_of_two_writes_and_the_other_takes_over_when_it_is_killed() -> None:
    with (
        serving(route("r", rule("Host(`a`)", A))) as server,
        running(static(server), {"POD_NAME": "first"}) as first,
        running(static(server), {"POD_NAME": "second"}) as second,
    ):
        first.receive()
        second.receive()
        says(server, "r", "True")
        leader, follower = (first, second) if holder(server).startswith("first_") else (second, first)
        server.apply(route("r", rule("Host(`b`)", A)))
        says(server, "r", "True", 2)
        assert writers(server) == 2, "one write for each generation, not two"
        leader.process.send_signal(signal.SIGKILL)
        leader.process.wait(10)
        killed_at = time.monotonic()
        server.apply(route("r", rule("Host(`c`)", GONE)))
        says(server, "r", "False", 3)
        assert time.monotonic() - killed_at < 10, "3 s of Lease, and a margin for a busy machine"
        assert follower.process.poll() is None
        assert writers(server) == 3


def holder(server: KubeServer) -> str:
    return str(server.get("Lease", "infra", "pointsman")["spec"]["holderIdentity"])


def test_a_stop_hands_over_at_once() -> None:
    with serving(route("r", rule("Host(`a`)", A))) as server:
        with running(static(server, leaseDuration="600s")) as provider:
            provider.receive()
            says(server, "r", "True")
        assert holder(server) == ""


def test_a_thousand_objects_within_seconds() -> None:
    routes = [route(f"r{number}", rule(f"Host(`h{number}`)", A)) for number in range(1000)]
    with serving(*routes) as server, running(static(server)) as provider:
        provider.receive()
        began = time.monotonic()
        server.wait_until(
            lambda: all("status" in one for one in server.objects("IngressRoute")),
            DEADLINE_SECONDS,
            "1,000 statuses",
        )
        assert time.monotonic() - began < 10, "5 s on a quiet machine; it takes about 1 s"
        wait_until(lambda: writers(server) == 1000)
        assert not any(request.method == "GET" and "/r1" in request.path for request in server.requests)


@pytest.mark.parametrize(
    ("report", "options"),
    [({"status": False, "events": False}, {}), ({}, {"forbid": True})],
    ids=["switched off", "no rights"],
)
def test_nothing_is_written(report: dict[str, Any], options: dict[str, Any]) -> None:
    with serving(route("bad", rule("Host(`b`)", GONE))) as server:
        if options:
            for resource in ("leases", "events", "ingressroutes/status"):
                server.forbid(resource)
        with running(static(server, **report)) as provider:
            provider.receive()
            if options:
                server.wait_until(lambda: any("leases" in one.path for one in server.requests), DEADLINE_SECONDS)
            provider.receives_nothing(0.3)
            provider.process.terminate()
            log = provider.ended()
        assert {request.method for request in server.requests} == {"GET"}
        assert log.count("nothing is reported to the cluster") == bool(options)


def test_traefiks_own_definitions_have_no_status() -> None:
    with serving(route("bad", rule("Host(`b`)", GONE)), crd_status=False) as server:
        with running(static(server)) as provider:
            provider.receive()
            wait_until(lambda: server.objects("Event"))
            provider.process.terminate()
            log = provider.ended()
        assert "status" not in server.get("IngressRoute", "default", "bad")
        assert log.count("no status is written to IngressRoute objects") == 1


def test_an_api_server_that_fails_for_a_while_gets_everything_later() -> None:
    with serving() as server, running(static(server)) as provider:
        provider.receive()
        wait_until(lambda: any(request.method == "POST" for request in server.requests))
        with server.outage(503, kinds=["Lease"], keep_watches=True):
            server.apply(route("r", rule("Host(`a`)", A)))
            provider.receive_until(lambda received: received.routers)
        says(server, "r", "True")

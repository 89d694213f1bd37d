"""The provider as a process: generations over the channel, trouble with the cluster, its end."""

from __future__ import annotations

import json
import os
import queue
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.control_page import Head
from provider import process
from provider.process import HEARTBEAT_SECONDS, LONGEST_TAKING_SECONDS, Provider, Stop
from provider.resources.kinds import KINDS
from tests.kube import KubeServer
from tests.provider.support import (
    DEADLINE_SECONDS,
    Json,
    ProviderProcess,
    endpoints,
    middleware,
    route,
    rule,
    running,
    secret,
    service,
    static_for,
)
from tests.provider.test_manifests import write
from tests.waiting import wait_until

WHOAMI = [
    service("whoami"),
    endpoints("whoami", "10.1.0.1", "10.1.0.2"),
    route("whoami", rule("Host(`example.com`)", {"name": "whoami", "port": 80})),
]
NAME = "default-whoami-c6f977443c7bb29d98b0"
KEY = f"{NAME}@kubernetescrd"


def whoami_server() -> KubeServer:
    server = KubeServer()
    for document in WHOAMI:
        server.apply(document)
    return server


def synced(provider: ProviderProcess) -> bool:
    return provider.page[Head.PROVIDER_SYNCED] == 1


def has(*names: str) -> Any:
    return lambda received: set(names) <= set(received.routers)


def test_cluster_objects_become_a_complete_generation() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        first = provider.receive()
        assert first.meta.complete
        assert first.meta.number == 1
        assert first.meta.sources == [f"kubernetes {server.url}"]
        assert set(first.routers) == {KEY}
        assert first.routers[KEY].service == NAME
        assert first.urls(NAME) == ["http://10.1.0.1:8080", "http://10.1.0.2:8080"]
        balancer = first.services[KEY].load_balancer
        assert balancer is not None
        assert balancer.servers == []
        assert first.findings == []
        wait_until(lambda: synced(provider))
        beat = provider.page[Head.PROVIDER_HEARTBEAT_NS]
        wait_until(lambda: provider.page[Head.PROVIDER_HEARTBEAT_NS] > beat)


def test_a_change_touches_only_its_sections() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        first = provider.receive()
        server.apply(endpoints("whoami", "10.1.0.9"))
        second = provider.receive()
        assert second.meta.number == 2
        assert second.urls(NAME) == ["http://10.1.0.9:8080"]
        changed = {key.section for key, digest in second.digests.items() if first.digests.get(key) != digest}
        assert changed == {"meta", "endpoints", "delta"}
        server.delete("IngressRoute", "default", "whoami")
        assert provider.receive().routers == {}


@pytest.mark.behaviour("PR-77")
def test_changes_that_nobody_reads_publish_nothing() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        provider.receive()
        relabelled = service("whoami")
        relabelled["metadata"]["labels"] = {"app": "x"}
        server.apply(relabelled)
        server.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}})
        server.apply(service("unused"))
        assert provider.receives_nothing(0.5)
    paths = {request.path for request in server.requests}
    assert not any("secrets" in path or "configmaps" in path or "nodes" in path for path in paths)


def test_numbers_continue_above_the_masters() -> None:
    with whoami_server() as server, running(static_for(server.url), generation=41) as provider:
        assert provider.receive().meta.number == 42


@pytest.mark.behaviour("PR-75")
def test_an_outage_keeps_the_last_configuration() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        provider.receive()
        wait_until(lambda: synced(provider))
        server.stop(hold_port=True)
        troubled = provider.receive_until(lambda received: "ApiServerUnreachable" in received.reasons())
        assert troubled.urls(NAME) == ["http://10.1.0.1:8080", "http://10.1.0.2:8080"]
        assert troubled.meta.complete
        wait_until(lambda: not synced(provider))
        server.start()
        provider.receive_until(lambda received: not received.findings)
        wait_until(lambda: synced(provider))


def test_nothing_is_published_before_the_api_server_answers() -> None:
    server = whoami_server()
    with server.outage("refuse"), running(static_for(server.url)) as provider:
        assert provider.receives_nothing(1.5)
        server.start()
        assert set(provider.receive().routers) == {KEY}
    server.stop()


@pytest.mark.behaviour("PR-73")
def test_a_missing_crd_does_not_hold_the_others_back() -> None:
    """Traefik would publish nothing for ever: here the view is incomplete, explained and completed later."""
    with whoami_server() as server:
        server.remove_kind("IngressRoute")
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert not first.meta.complete
            assert first.routers == {}
            (finding,) = first.findings
            assert finding.reason == "KindMissing"
            assert "ingressroutes.traefik.io" in finding.advice
            assert not synced(provider)
            server.add_kind("IngressRoute")
            complete = provider.receive_until(has(KEY))
            assert complete.meta.complete
            assert complete.findings == []
            wait_until(lambda: synced(provider))


def test_an_installation_with_only_some_crds_is_complete() -> None:
    optional = [kind for kind in KINDS.values() if kind.is_optional and not kind.on_demand]
    with whoami_server() as server:
        for kind in optional:
            server.remove_kind(kind.name)
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert first.meta.complete
            assert set(first.routers) == {KEY}
            assert {finding.kind for finding in first.findings} == {kind.name for kind in optional}
            assert {finding.severity for finding in first.findings} == {"warning"}
            wait_until(lambda: synced(provider))


@pytest.mark.parametrize("trouble", ["forbidden", "missing"])
def test_a_restarted_provider_does_not_unlearn_a_kind(trouble: str) -> None:
    """A crash while a kind cannot be listed must not publish a view without its objects."""
    with whoami_server() as server:
        with running(static_for(server.url)) as provider:
            provider.receive()
            mask = provider.page[Head.KINDS_LISTED]
            assert mask & 1 << list(KINDS).index("IngressRoute")
        if trouble == "forbidden":
            server.forbid("IngressRoute")
        else:
            server.remove_kind("IngressRoute")
        before = len(server.requests)
        with running(static_for(server.url), generation=1, kinds_listed=mask) as provider:
            wait_until(lambda: any("ingressroutes" in one.path for one in server.requests[before:]))
            assert provider.receives_nothing(1.0)
            assert provider.page[Head.KINDS_LISTED] == mask
            if trouble == "forbidden":
                server.allow("IngressRoute")
            else:
                server.add_kind("IngressRoute")
            assert set(provider.receive().routers) == {KEY}
            os.kill(provider.process.pid, signal.SIGTERM)
            output = provider.ended()
    assert "they could be read before, so the configuration from then stays in force" in output
    assert "if they are gone for good, restart" in output


def test_a_kind_uninstalled_while_running_is_forgotten() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        provider.receive()
        bit = 1 << list(KINDS).index("Middleware")
        assert provider.page[Head.KINDS_LISTED] & bit
        server.remove_kind("Middleware", delete_objects=True)
        wait_until(lambda: not provider.page[Head.KINDS_LISTED] & bit)


def basic_auth(secret_name: str) -> Json:
    return middleware("auth", basicAuth={"secret": secret_name})


def users_of(received: Any) -> list[str]:
    auth = received.middlewares["default-auth@kubernetescrd"].basic_auth
    assert auth is not None
    return list(auth.users)


def test_secrets_are_read_when_an_object_refers_to_one() -> None:
    with whoami_server() as server:
        server.apply(basic_auth("a"))
        for name in ("a", "b"):
            server.apply(secret(name, users=f"{name}:{{SHA}}x"))
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert first.findings == []
            assert users_of(first) == ["a:{SHA}x"]
            queries = [request.query for request in server.requests if request.path == "/api/v1/secrets"]
            assert {query["labelSelector"] for query in queries} == {"owner!=helm"}
            # b was dropped when it was listed, and is read by itself now
            server.apply(basic_auth("b"))
            assert users_of(provider.receive()) == ["b:{SHA}x"]
            server.apply(secret("b", users="new:{SHA}x"))
            assert users_of(provider.receive()) == ["new:{SHA}x"]
            # a has been dropped meanwhile
            server.apply(secret("a", users="a2:{SHA}x"))
            server.apply(basic_auth("a"))
            assert users_of(provider.receive()) == ["a2:{SHA}x"]
            server.delete("Secret", "default", "a")
            gone = provider.receive()
            assert gone.middlewares == {}
            assert len(gone.findings) == 1


def test_the_first_reference_to_a_secret_never_shows_it_missing() -> None:
    """Between the translation that asks for Secrets and their list the former result stays in force."""
    with whoami_server() as server:
        server.apply(middleware("auth", compress={}))
        server.apply(secret("a", users="a:{SHA}x"))
        with running(static_for(server.url)) as provider:
            provider.receive()
            assert not any(request.path == "/api/v1/secrets" for request in server.requests)
            server.apply(basic_auth("a"))
            received = provider.receive_until(lambda one: one.middlewares["default-auth@kubernetescrd"].basic_auth)
            assert all(one.findings == [] and one.middlewares for one in provider.seen)
            assert users_of(received) == ["a:{SHA}x"]


def test_forbidden_secrets_cost_those_who_need_them() -> None:
    with whoami_server() as server:
        server.apply(basic_auth("a"))
        server.forbid("Secret")
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert set(first.routers) == {KEY}
            assert first.middlewares == {}
            assert not first.meta.complete
            assert "Forbidden" in first.reasons()
            server.apply(secret("a", users="a:{SHA}x"))
            server.allow("Secret")
            healed = provider.receive_until(lambda one: one.middlewares)
            assert healed.meta.complete
            assert healed.findings == []


@pytest.mark.parametrize("kind", ["Service", "EndpointSlice"])
def test_without_services_nothing_is_published(kind: str) -> None:
    with whoami_server() as server:
        server.forbid(kind)
        with running(static_for(server.url)) as provider:
            assert provider.receives_nothing(1.5)
            server.allow(kind)
            assert set(provider.receive().routers) == {KEY}


@pytest.mark.behaviour("PR-74")
def test_nodes_are_watched_only_when_a_route_asks() -> None:
    """Traefik would hold everything back where Nodes are forbidden; here only routes that need them suffer."""
    asking = route("np", rule("Host(`np`)", {"name": "np", "port": 80, "nodePortLB": True}))
    with whoami_server() as server:
        server.forbid("Node")
        with running(static_for(server.url)) as provider:
            provider.receive()
            assert "/api/v1/nodes" not in {request.path for request in server.requests}
            server.apply(service("np", type="NodePort"))
            server.apply(asking)
            told = provider.receive_until(lambda received: "NodesNotFound" in received.reasons())
            assert KEY in told.routers
            told = provider.receive_until(lambda received: "Forbidden" in received.reasons())
            assert not told.meta.complete
            node: Json = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": "n"},
                "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
            }
            server.apply(node)
            server.allow("Node")
            provider.receive_until(lambda received: len(received.routers) == 2 and not received.findings)


@pytest.mark.behaviour("PR-76")
def test_a_storm_of_changes_is_published_no_faster_than_the_throttle() -> None:
    with whoami_server() as server, running(static_for(server.url, throttle="1s")) as provider:
        provider.receive()
        started = time.monotonic()
        for number in range(200):
            server.apply(endpoints("whoami", f"10.2.0.{number}"))
        last = provider.receive_until(lambda received: received.urls(NAME) == ["http://10.2.0.199:8080"])
        elapsed = time.monotonic() - started
        assert last.meta.number - 1 <= elapsed + 1
        assert elapsed >= 0.5


def test_no_throttle_holds_up_the_first_publication() -> None:
    """Before it there are several builds where Secrets are named: each says what else has to be read."""
    with whoami_server() as server:
        server.apply(secret("users", users="u:p"))
        server.apply(middleware("auth", basicAuth={"secret": "users"}))
        with running(static_for(server.url, throttle="1h", throttleDuration="1h")) as provider:
            assert "default-auth@kubernetescrd" in provider.receive().middlewares


def test_manifests_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", *WHOAMI)
    with running(static_for(directory=str(tmp_path))) as provider:
        first = provider.receive()
        assert first.meta.complete
        assert first.meta.sources == [f"manifests {tmp_path}"]
        assert set(first.routers) == {KEY}
        wait_until(lambda: synced(provider))
        more = route("more", rule("Host(`more`)", {"name": "whoami", "port": 80}))
        write(tmp_path / "b.yaml", more)
        assert len(provider.receive().routers) == 2
        (tmp_path / "b.yaml").write_text("kind: [")
        broken = provider.receive()
        assert len(broken.routers) == 2
        assert [finding.name for finding in broken.findings] == ["b.yaml"]


def test_options_without_a_cluster_shape_the_manifests(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", *WHOAMI)
    with running(static_for(directory=str(tmp_path), ingressClass="other")) as provider:
        assert provider.receive().routers == {}


def test_cluster_and_manifests_together(tmp_path: Path) -> None:
    mine = route("whoami", rule("Host(`mine`)", {"name": "whoami", "port": 80}))
    extra = route("extra", rule("Host(`extra`)", {"name": "whoami", "port": 80}))
    write(tmp_path / "a.yaml", mine, extra)
    with whoami_server() as server, running(static_for(server.url, str(tmp_path))) as provider:
        first = provider.receive()
        assert len(first.routers) == 2
        assert KEY in first.routers
        assert first.reasons() == {"Shadowed"}


def test_no_source_at_all_is_an_empty_generation() -> None:
    with running(static_for()) as provider:
        first = provider.receive()
        assert first.meta.complete
        assert first.routers == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"labelSelector": "app in"}, "label selector 'app in'"),
        ({"endpoint": ""}, "endpoint missing"),
        ({"certAuthFilePath": "/nonexistent"}, "certAuthFilePath"),
    ],
)
def test_settings_that_cannot_work_end_the_process(options: Json, says: str) -> None:
    static = static_for(**{"endpoint": "http://127.0.0.1:9", **options})
    with running(static) as provider:
        output = provider.ended()
        assert provider.process.returncode == 78
        assert says in output
        assert "Traceback" not in output


def test_one_watch_a_namespace() -> None:
    with whoami_server() as server, running(static_for(server.url, namespaces=["default", "b"])) as provider:
        assert set(provider.receive().routers) == {KEY}
        paths = {request.path for request in server.requests}
        assert "/apis/traefik.io/v1alpha1/namespaces/b/ingressroutes" in paths
        assert all("/namespaces/" in path for path in paths)


def test_the_label_selector_is_for_custom_resources_only() -> None:
    with whoami_server() as server, running(static_for(server.url, labelSelector="app=x")) as provider:
        assert provider.receive().routers == {}
        selected = {
            request.path.rpartition("/")[2] for request in server.requests if "labelSelector" in request.query
        }
        assert selected == {kind.plural for kind in KINDS.values() if kind.is_custom}


def test_kubeconfig_is_used(tmp_path: Path) -> None:
    with whoami_server() as server:
        server.token = "secret"
        content = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
        }
        path = tmp_path / "config"
        path.write_text(json.dumps(content))
        environ = {"KUBECONFIG": str(path)}
        with running(static_for("http://127.0.0.1:9"), environ) as provider:
            assert set(provider.receive().routers) == {KEY}


def test_the_end_of_the_channel_ends_the_process() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        provider.receive()
        provider.channel.close()
        output = provider.ended()
        assert provider.process.returncode == 0
        assert "Traceback" not in output


@pytest.mark.parametrize("reachable", [True, False])
def test_sigterm_ends_the_process_soon(reachable: bool) -> None:
    with whoami_server() as server:
        if not reachable:
            server.stop(hold_port=True)
        with running(static_for(server.url)) as provider:
            wait_until(lambda: provider.page[Head.PROVIDER_HEARTBEAT_NS])
            started = time.monotonic()
            os.kill(provider.process.pid, signal.SIGTERM)
            provider.ended()
            assert provider.process.returncode == 0
            assert time.monotonic() - started < DEADLINE_SECONDS / 2


def test_a_timer_that_fires_out_of_time_does_not_end_the_process() -> None:
    with whoami_server() as server, running(static_for(server.url)) as provider:
        provider.receive()
        os.kill(provider.process.pid, signal.SIGALRM)
        server.apply(endpoints("whoami", "10.1.0.9"))
        assert provider.receive().urls(NAME) == ["http://10.1.0.9:8080"]


@pytest.mark.parametrize(("patience_seconds", "quiet"), [(HEARTBEAT_SECONDS, 1), (0.1, 0)])
def test_only_a_moment_with_nothing_to_do_is_quiet(patience_seconds: float, quiet: int) -> None:
    """Where a build is due soon, looking for garbage would hold it up."""
    messages, moments = Messages(), list[int]()
    provider: Any = SimpleNamespace(
        _queue=messages,
        _patience=lambda now: patience_seconds,
        _collector=SimpleNamespace(quiet=lambda: moments.append(1)),
    )
    messages.waiting.append("message")
    assert Provider._next_message(provider) == "message"
    assert not moments
    with pytest.raises(queue.Empty):
        Provider._next_message(provider)
    assert len(moments) == quiet


def test_messages_without_end_do_not_hold_up_a_build(monkeypatch: pytest.MonkeyPatch) -> None:
    handled = list[str]()
    clock = SimpleNamespace(monotonic=lambda: len(handled) * LONGEST_TAKING_SECONDS / 10)
    monkeypatch.setattr(process, "time", clock)
    provider: Any = SimpleNamespace(
        _queue=SimpleNamespace(get_nowait=lambda: "message"),
        _next_message=lambda: "message",
        _handle=handled.append,
        _stop=None,
    )
    assert Provider._take_messages(provider) is None
    assert len(handled) == 11, "none that was taken is lost"


def test_the_end_does_not_wait_for_what_came_before_it() -> None:
    provider: Any = SimpleNamespace(_queue=queue.SimpleQueue(), _stop=None)
    provider._next_message = provider._queue.get_nowait
    handled: list[Any] = []

    def handle(message: Any) -> None:
        handled.append(message)
        if message == 3:
            Provider._end(provider, Stop("enough"))
            Provider._end(provider, Stop("again"))

    provider._handle = handle
    for number in range(100):
        provider._queue.put(number)
    assert Provider._take_messages(provider) == Stop("enough")
    assert len(handled) < 10


class Messages:
    """A queue in which nobody has to wait for a timeout."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def get_nowait(self) -> Any:
        return self.get(0)

    def get(self, timeout: float) -> Any:
        if not self.waiting:
            raise queue.Empty
        return self.waiting.pop()


def test_findings_are_logged_once() -> None:
    with whoami_server() as server:
        server.apply(route("broken", rule("Host(`b`)", {"name": "absent", "port": 80})))
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert first.reasons() == {"ServiceNotFound"}
            server.apply(endpoints("whoami", "10.1.0.9"))
            provider.receive()
            os.kill(provider.process.pid, signal.SIGTERM)
            output = provider.ended()
    lines = [line for line in output.splitlines() if "there is no Service default/absent" in line]
    assert len(lines) == 1
    assert "spec.routes[0].services[0].name" in lines[0]

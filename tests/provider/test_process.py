"""The provider as a process: generations over the channel, its signals, its end."""

from __future__ import annotations

from tests.kube import KubeServer
from tests.provider.support import endpoints, route, rule, running, service, static_for

WHOAMI = [
    service("whoami"),
    endpoints("whoami", "10.1.0.1", "10.1.0.2"),
    route("whoami", rule("Host(`example.com`)", {"name": "whoami", "port": 80})),
]
NAME = "default-whoami-c6f977443c7bb29d98b0"


def test_cluster_objects_become_a_complete_generation() -> None:
    with KubeServer() as server:
        for document in WHOAMI:
            server.apply(document)
        with running(static_for(server.url)) as provider:
            first = provider.receive()
            assert first.meta.complete
            assert first.meta.number == 1
            assert set(first.routers) == {f"{NAME}@kubernetescrd"}
            assert first.routers[f"{NAME}@kubernetescrd"].service == NAME
            assert first.urls(NAME) == ["http://10.1.0.1:8080", "http://10.1.0.2:8080"]
            balancer = first.services[f"{NAME}@kubernetescrd"].load_balancer
            assert balancer is not None
            assert balancer.servers == []
            assert first.findings == []

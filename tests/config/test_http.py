"""HTTP objects beyond routers and load balancers."""

import msgspec

from config.http import (
    FORWARDING_TIMEOUTS_DEFAULTS,
    Failover,
    FailoverErrors,
    HighestRandomWeight,
    IngressSource,
    KubernetesSource,
    Mirror,
    Mirroring,
    Observability,
    Router,
    RouterMetadata,
    ServersTransport,
    Service,
    ServiceMetadata,
    ServiceObservability,
    Spiffe,
    WeightedEntry,
)


def test_where_a_router_comes_from() -> None:
    source = IngressSource(namespace="n", name="r", kind="IngressRoute")
    router = Router(observability=Observability(metrics=False, metadata=RouterMetadata(ingress=source)))
    assert msgspec.to_builtins(router) == {
        "observability": {
            "metrics": False,
            "metadata": {"ingress": {"namespace": "n", "name": "r", "kind": "IngressRoute"}},
        }
    }


def test_where_a_load_balancer_leads() -> None:
    source = KubernetesSource(namespace="n", name="s", port="80")
    service = Service(observability=ServiceObservability(metadata=ServiceMetadata(kubernetes=source)))
    assert msgspec.to_builtins(service) == {
        "observability": {"metadata": {"kubernetes": {"namespace": "n", "name": "s", "port": "80"}}}
    }


def test_composed_services() -> None:
    mirroring = Mirroring(service="a", mirror_body=False, max_body_size=0, mirrors=[Mirror(name="b")])
    assert msgspec.to_builtins(Service(mirroring=mirroring)) == {
        "mirroring": {"service": "a", "mirrorBody": False, "maxBodySize": 0, "mirrors": [{"name": "b"}]}
    }
    failover = Failover(service="a", fallback="b", errors=FailoverErrors(status=["500-599"]))
    assert msgspec.to_builtins(Service(failover=failover)) == {
        "failover": {"service": "a", "fallback": "b", "errors": {"status": ["500-599"]}}
    }
    by_hash = HighestRandomWeight(services=[WeightedEntry(name="a", weight=1)])
    assert msgspec.to_builtins(Service(highest_random_weight=by_hash)) == {
        "highestRandomWeight": {"services": [{"name": "a", "weight": 1}]}
    }


def test_transports() -> None:
    transport = ServersTransport(
        root_cas=["pem"],
        disable_http2=True,
        peer_cert_uri="spiffe://a",
        forwarding_timeouts=FORWARDING_TIMEOUTS_DEFAULTS,
        spiffe=Spiffe(),
    )
    assert msgspec.to_builtins(transport) == {
        "rootCAs": ["pem"],
        "disableHTTP2": True,
        "peerCertURI": "spiffe://a",
        "forwardingTimeouts": {"dialTimeout": "30s", "idleConnTimeout": "1m30s", "pingTimeout": "15s"},
        "spiffe": {},
    }

"""Both providers over one store, with everything that reads endpoints: followed step by step is from scratch.

Two namespaces whose names run into each other, Services that several objects share, balance by themselves or are
elsewhere, and slices that move between them: wherever servers are exchanged without a translation, nothing else
may differ.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.generation import decode_section, encode_section
from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from config.static_load import from_mapping
from provider.environment import Environment
from provider.options import TranslationOptions
from provider.pipelines import Pipelines
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import KINDS
from provider.store import Store
from tests.provider.support import Json, endpoints, service

STATIC = from_mapping(
    {
        "entryPoints": {"web": {"address": ":80"}},
        "providers": {"kubernetesCRD": {}, "kubernetesIngress": {}},
    }
)
PREFIX = "traefik.ingress.kubernetes.io/"
NAMESPACES, NAMES = st.sampled_from(["a", "a-b"]), st.sampled_from(["c", "b-c"])
PORTS = st.sampled_from([*[80] * 8, "web", 443])
KUBERNETES = st.fixed_dictionaries(
    {"name": NAMES, "port": PORTS},
    optional={
        "namespace": st.sampled_from(["", "", "", "a", "a-b"]),
        "scheme": st.sampled_from(["", "", "h2c", "odd"]),
        "passHostHeader": st.booleans(),
        "nativeLB": st.sampled_from([False, False, True]),
        "serversTransport": st.sampled_from(["", "", "", "c"]),
    },
)
COMPOSED = st.fixed_dictionaries(
    {"name": st.sampled_from(["c", "b-c", "a-c-80@kubernetes"]), "kind": st.just("TraefikService")},
    optional={"namespace": NAMESPACES},
)
REFERENCE = st.one_of(KUBERNETES, KUBERNETES, COMPOSED)
SEVERAL = st.lists(REFERENCE, min_size=1, max_size=3)
LAYER4 = st.lists(st.fixed_dictionaries({"name": NAMES, "port": PORTS}), min_size=1, max_size=2)
NAMED = st.fixed_dictionaries({"name": NAMES}, optional={"namespace": NAMESPACES})
ROUTES = st.lists(
    st.fixed_dictionaries(
        {"match": st.sampled_from(["Host(`a`)", "Host(`b`)"]), "services": SEVERAL},
        optional={"middlewares": st.lists(NAMED, max_size=1)},
    ),
    min_size=1,
    max_size=2,
)
BACKEND = st.fixed_dictionaries(
    {
        "service": st.fixed_dictionaries(
            {"name": NAMES, "port": st.sampled_from([*[{"number": 80}] * 5, {"name": "web"}])}
        )
    }
)
PATHS = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["/", "/x"]), "pathType": st.just("Prefix"), "backend": BACKEND}
    ),
    min_size=1,
    max_size=2,
)
RULES = PATHS.map(lambda paths: [{"host": "a", "http": {"paths": paths}}])
STATUS = st.just({"status": ["500"]})

SPECS: dict[str, st.SearchStrategy[Json]] = {
    "IngressRoute": st.fixed_dictionaries(
        {"routes": ROUTES}, optional={"parentRefs": st.lists(NAMED, max_size=1)}
    ),
    "IngressRouteTCP": LAYER4.map(lambda them: {"routes": [{"match": "HostSNI(`*`)", "services": them}]}),
    "IngressRouteUDP": LAYER4.map(lambda them: {"routes": [{"services": them}]}),
    "Middleware": st.one_of(
        REFERENCE.map(lambda one: {"errors": {"status": ["500"], "query": "/", "service": one}}),
        st.just({"compress": {}}),
    ),
    "TraefikService": st.one_of(
        SEVERAL.map(lambda them: {"weighted": {"services": them}}),
        SEVERAL.map(lambda them: {"highestRandomWeight": {"services": them}}),
        st.tuples(REFERENCE, SEVERAL).map(lambda pair: {"mirroring": {**pair[0], "mirrors": pair[1]}}),
        st.fixed_dictionaries({"service": REFERENCE, "fallback": REFERENCE}, optional={"errors": STATUS}).map(
            lambda them: {"failover": them}
        ),
    ),
    "Ingress": st.one_of(
        RULES.map(lambda rules: {"rules": rules}), BACKEND.map(lambda one: {"defaultBackend": one})
    ),
    "ServersTransport": st.just({"serverName": "x"}),
}
ANNOTATIONS = {
    "Service": st.sampled_from(
        [{}, {}, {"service.serversscheme": "h2c"}, {"service.nativelb": "true"}, {"service.sticky.cookie": "true"}]
    ),
    "Ingress": st.sampled_from([{}, {}, {"router.middlewares": "a-c@kubernetescrd"}, {"router.priority": "x"}]),
}
AGES = st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])
ADDRESSES = st.one_of(
    *[
        st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"]), min_size=least, max_size=2)
        for least in (0, 1, 1, 1)
    ]
)
CONDITIONS = st.sampled_from(
    [{"ready": True}, {"serving": False}, {"ready": False, "serving": True, "terminating": True}]
)


@st.composite
def objects(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from([*["EndpointSlice"] * 20, "Service", *SPECS, "IngressRoute", "Ingress"]))
    namespace, name = draw(NAMESPACES), draw(NAMES)
    if kind == "EndpointSlice":
        return draw(slices(namespace, name))
    if kind == "Service":
        plain = service(name, *draw(st.sampled_from([(80,), (80, 443)])), namespace=namespace)
        plain["spec"]["ports"][0]["name"] = draw(st.sampled_from(["", "web", "https"]))
        plain["spec"] |= draw(st.sampled_from([{}, {}, {"type": "ExternalName", "externalName": "x.example"}]))
    else:
        plain = {"kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": draw(SPECS[kind])}
    given = draw(ANNOTATIONS[kind]) if kind in ANNOTATIONS else {}
    plain["metadata"] |= {
        "creationTimestamp": draw(AGES),
        "annotations": {PREFIX + k: v for k, v in given.items()},
    }
    return plain


@st.composite
def slices(draw: st.DrawFn, namespace: str, name: str) -> Json:
    """Of a Service or, under the same name, of the other one."""
    piece = endpoints(
        draw(st.sampled_from([name, f"{name}-2"])),
        *draw(ADDRESSES),
        namespace=namespace,
        of=draw(st.sampled_from([name, name, "c", "b-c"])),
    )
    ports = st.sampled_from(
        [{"name": "", "port": 8080}, {"name": "web", "port": 8080}, {"name": "", "port": 9090}]
    )
    piece["ports"] = draw(st.one_of(st.just(piece["ports"]), st.lists(ports, max_size=2)))
    for one in piece["endpoints"]:
        one["conditions"] = draw(CONDITIONS)
    return piece


class Cluster:
    """What there is, what both providers make of it, and what was said of changed servers."""

    def __init__(self, **options: Any) -> None:
        environment = Environment.of(STATIC)
        self._options = {
            PROVIDER_CRD: TranslationOptions(environment=environment, **options),
            PROVIDER_INGRESS: TranslationOptions(
                section="providers.kubernetesIngress", environment=environment, **options
            ),
        }
        self.store, self.pipelines = Store(), Pipelines(self._options)
        self._served: dict[str, bytes] = {}

    def put(self, plain: Json) -> None:
        kind = KINDS[plain["kind"]]
        self.store.insert(kind, from_plain(kind, plain))

    def remove(self, plain: Json) -> None:
        self.store.remove(key_of(KINDS[plain["kind"]], from_plain(KINDS[plain["kind"]], plain)))

    def follow(self) -> None:
        """Build. Asserts that all is as if built from nothing."""
        self.pipelines.update(self.store, self.store.take_changed())
        whole, sections = Pipelines(self._options), self.pipelines.sections
        whole.update(self.store, {key for kind in KINDS for key in self.store.keys(kind)})
        assert self.pipelines.findings() == whole.findings()
        for mine, fresh in zip(self.pipelines.builders, whole.builders, strict=True):
            assert mine.result(self.store) == fresh.result(self.store)
            assert mine._pools._named == fresh._pools._named
            assert mine._pools._services == fresh._pools._services
        assert sections.encoded == whole.sections.encoded
        self._compare_served()

    def _compare_served(self) -> None:
        for name, entry in self.pipelines.sections.take_changed_servers().items():
            if entry is None:
                del self._served[name]
            else:
                self._served[name] = entry
        assert self._served == {
            name: encode_section(name) + encode_section(servers)
            for key, (data, _) in self.pipelines.sections.encoded.items()
            if key.section == "endpoints"
            for name, servers in decode_section(key.section, data).items()
        }


def base() -> list[Json]:
    """In both namespaces: one of each that reads endpoints, some of them sharing a load balancer."""
    web, api = {"name": "c", "port": 80}, {"name": "b-c", "port": 80}
    specs: list[tuple[str, str, Json]] = [
        ("IngressRoute", "c", {"routes": [{"match": "Host(`a`)", "services": [web]}]}),
        ("IngressRoute", "b-c", {"routes": [{"match": "Host(`b`)", "services": [web, api]}]}),
        ("Middleware", "c", {"errors": {"status": ["500"], "query": "/", "service": api}}),
        ("TraefikService", "c", {"failover": {"service": web, "fallback": api, "errors": {"status": ["500"]}}}),
        ("TraefikService", "b-c", {"weighted": {"services": [{**web, "scheme": "h2c"}]}}),
        ("Ingress", "c", {"rules": [rule_to("c")]}),
        ("Ingress", "b-c", {"rules": [rule_to("b-c")]}),
    ]
    made: list[Json] = []
    for namespace in ("a", "a-b"):
        made += [service(name, namespace=namespace) for name in ("c", "b-c")]
        made += [endpoints(name, "10.0.0.9", namespace=namespace) for name in ("c", "b-c")]
        for kind, name, spec in specs:
            made.append({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "spec": spec})
    return made


def rule_to(name: str) -> Json:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    return {"host": "a", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}


def test_an_ingress_with_several_paths_to_one_service_is_not_translated_again() -> None:
    cluster, plain = Cluster(), {"kind": "Ingress", "metadata": {"namespace": "a", "name": "c"}}
    for one in (service("c", namespace="a"), endpoints("c", "10.0.0.9", namespace="a")):
        cluster.put(one)
    cluster.put({**plain, "spec": {"rules": [rule_to("c"), {**rule_to("c"), "host": "b"}]}})
    cluster.follow()
    ingresses = cluster.pipelines.builders[1]
    (before,) = (ingresses._outputs[key] for key in cluster.store.keys("Ingress"))
    cluster.put(endpoints("c", "10.0.0.1", namespace="a"))
    cluster.follow()
    assert [*ingresses._outputs.values()] == [before]
    assert next(iter(ingresses._outputs.values())) is before


STEPS = st.tuples(st.sampled_from(["put", "put", "put", "remove"]), objects())


@pytest.mark.parametrize("across", [False, True])
@given(st.booleans(), st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_step_by_step_is_as_from_nothing(across: bool, empty: bool, batches: list[list[tuple[str, Json]]]) -> None:
    cluster = Cluster(
        allow_cross_namespace=across, allow_empty_services=empty, allow_external_name_services=not empty
    )
    for plain in base():
        cluster.put(plain)
    cluster.follow()
    for batch in batches:
        for step, plain in batch:
            cluster.put(plain) if step == "put" else cluster.remove(plain)
        cluster.follow()

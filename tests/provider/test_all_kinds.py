"""All kinds together, with Secrets that come and go: what is built step by step is what is built from scratch.

The steps are those of the provider's main loop, without its threads: a Secret that nobody reads is only named,
one that is wanted is fetched, one that lost its readers is stripped, and kinds watched on demand come late.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from provider.options import TranslationOptions
from provider.resources.core import Metadata, Unread
from provider.resources.decode import from_plain, key_of
from provider.resources.kinds import CONFIG_MAP, KINDS, SECRET, ObjectKey
from provider.sections import Sections
from provider.store import Store
from provider.translate.builder import Builder, build
from tests.provider.support import Json, endpoints, secret, service

NAMESPACES = st.sampled_from(["a", "b"])
NAMES = st.sampled_from(["x", "y", "default"])
SECRETS = st.sampled_from(["x", "y"])
REFERENCE = st.fixed_dictionaries({"name": NAMES}, optional={"namespace": NAMESPACES})
SERVICE = st.one_of(
    st.fixed_dictionaries({"name": SECRETS, "port": st.just(80)}, optional={"serversTransport": NAMES}),
    st.fixed_dictionaries({"name": NAMES, "kind": st.just("TraefikService")}),
)
LAYER4_SERVICE = st.fixed_dictionaries(
    {"name": SECRETS, "port": st.just(80)}, optional={"serversTransport": NAMES}
)
TLS = st.fixed_dictionaries({}, optional={"secretName": SECRETS, "options": REFERENCE})
MATCH = st.sampled_from(["Host(`a`)", "Host(`b`)"])
SNI = st.sampled_from(["HostSNI(`a`)", "HostSNI(`*`)"])


def routes(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Json]]:
    return st.lists(st.fixed_dictionaries(fields), min_size=1, max_size=2)


SPECS: dict[str, st.SearchStrategy[Json]] = {
    "IngressRoute": st.fixed_dictionaries(
        {"routes": routes(match=MATCH, services=st.lists(SERVICE, max_size=2), middlewares=st.lists(REFERENCE))},
        optional={"tls": TLS, "parentRefs": st.lists(REFERENCE, max_size=1)},
    ),
    "IngressRouteTCP": st.fixed_dictionaries(
        {
            "routes": routes(
                match=SNI, services=st.lists(LAYER4_SERVICE, max_size=2), middlewares=st.lists(REFERENCE)
            )
        },
        optional={"tls": TLS},
    ),
    "IngressRouteUDP": st.fixed_dictionaries({"routes": routes(services=st.lists(LAYER4_SERVICE, max_size=2))}),
    "Middleware": st.one_of(
        st.fixed_dictionaries({"basicAuth": st.fixed_dictionaries({"secret": SECRETS})}),
        st.fixed_dictionaries({"chain": st.fixed_dictionaries({"middlewares": st.lists(REFERENCE, max_size=2)})}),
        st.fixed_dictionaries(
            {
                "errors": st.fixed_dictionaries(
                    {"status": st.just(["500"]), "query": st.just("/"), "service": SERVICE}
                )
            }
        ),
        st.just({"compress": {}}),
    ),
    "MiddlewareTCP": st.sampled_from([{"inFlightConn": {"amount": 1}}, {"inFlightConn": {"amount": 2}}]),
    "TraefikService": st.one_of(
        st.fixed_dictionaries({"weighted": st.fixed_dictionaries({"services": st.lists(SERVICE, max_size=2)})}),
        st.fixed_dictionaries({"mirroring": SERVICE}),
    ),
    "TLSOption": st.fixed_dictionaries(
        {}, optional={"clientAuth": st.fixed_dictionaries({"secretNames": st.lists(SECRETS, max_size=2)})}
    ),
    "TLSStore": st.fixed_dictionaries(
        {},
        optional={
            "defaultCertificate": st.fixed_dictionaries({"secretName": SECRETS}),
            "certificates": st.lists(st.fixed_dictionaries({"secretName": SECRETS}), max_size=2),
        },
    ),
    "ServersTransport": st.fixed_dictionaries(
        {},
        optional={
            "certificatesSecrets": st.lists(SECRETS, max_size=1),
            "rootCAs": st.lists(st.fixed_dictionaries({"configMap": SECRETS}), max_size=1),
        },
    ),
    "ServersTransportTCP": st.sampled_from([{"dialTimeout": 1}, {"tls": {"rootCAsSecrets": ["x"]}}]),
}
DATA = st.sampled_from(
    [{"users": "u:p"}, {"tls.crt": "c", "tls.key": "k"}, {"tls.crt": "c2", "tls.key": "k"}, {"ca.crt": "a"}, {}]
)


@st.composite
def objects(draw: st.DrawFn) -> Json:
    kind = draw(st.sampled_from([*SPECS, "Service", "EndpointSlice", "Secret", "Secret", "ConfigMap"]))
    namespace = draw(NAMESPACES)
    if kind in SPECS:
        metadata = {"namespace": namespace, "name": draw(NAMES)}
        return {"kind": kind, "metadata": metadata, "spec": draw(SPECS[kind])}
    name = draw(SECRETS)
    if kind == "Service":
        return service(name, namespace=namespace)
    if kind == "EndpointSlice":
        addresses = draw(st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=2))
        return endpoints(name, *addresses, namespace=namespace)
    if kind == "Secret":
        return secret(name, namespace, **draw(DATA))
    return {"kind": kind, "metadata": {"namespace": namespace, "name": name}, "data": draw(DATA)}


class Cluster:
    """What the API server has, and a builder that follows it as the provider does."""

    def __init__(self, options: TranslationOptions) -> None:
        self.options = options
        self.objects: dict[ObjectKey, Any] = {}
        self.store, self.builder, self.sections = Store(), Builder(options), Sections()
        for kind in (SECRET, CONFIG_MAP):
            self.store.expect(kind)

    def change(self, key: ObjectKey, resource: Any | None) -> None:
        if resource is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = resource
        kind = KINDS[key.kind]
        if kind.on_demand and self.store.is_awaited(key):
            return  # not watched yet
        if resource is None:
            self.store.remove(key)
        else:
            self.store.insert(kind, self._as_listed(key))

    def settle(self) -> None:
        """Build until nothing is waited for."""
        self._update()
        while self.builder.pending:
            for key in {key for keys in self.builder.pending.values() for key in keys}:
                if self.store.is_awaited(key):
                    self._list(key.kind)
                elif self.store.is_unread(key):
                    self.store.insert(KINDS[key.kind], self.objects[key])
            self._update()

    def expected(self) -> Store:
        store = Store()
        for key, resource in self.objects.items():
            store.insert(KINDS[key.kind], resource)
        return store

    def _list(self, name: str) -> None:
        keys = [key for key in self.objects if key.kind == name]
        self.store.replace(KINDS[name], "", [self._as_listed(key) for key in keys])
        self.store.arrived(KINDS[name], "")

    def _as_listed(self, key: ObjectKey) -> Any:
        if KINDS[key.kind].is_sparse and not self.builder.readers.is_read(key):
            return Unread(metadata=Metadata(namespace=key.namespace, name=key.name))
        return self.objects[key]

    def _update(self) -> None:
        self.sections.update(self.builder, self.builder.update(self.store, self.store.take_changed()))
        self.store.strip(self.builder.readers.take_released())


STEPS = st.tuples(st.sampled_from(["put", "put", "put", "remove"]), objects())


@given(st.booleans(), st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=2, max_size=12))
@settings(max_examples=200, deadline=None)
def test_step_by_step_equals_from_scratch(across: bool, batches: list[list[tuple[str, Json]]]) -> None:
    cluster = Cluster(TranslationOptions(allow_cross_namespace=across, allow_empty_services=across))
    for batch in batches:
        for step, plain in batch:
            kind = KINDS[plain["kind"]]
            resource = from_plain(kind, plain)
            cluster.change(key_of(kind, resource), resource if step == "put" else None)
        cluster.settle()
        assert cluster.builder.result(cluster.store) == build(cluster.expected(), cluster.options)
    check_memory(cluster)
    builder, sections = Builder(cluster.options), Sections()
    sections.update(builder, builder.build_all(cluster.expected()))
    assert cluster.sections.encoded == sections.encoded


def check_memory(cluster: Cluster) -> None:
    """Content is held of exactly those Secrets and ConfigMaps that some object refers to."""
    for name in ("Secret", "ConfigMap"):
        for key in cluster.store.keys(name):
            assert cluster.store.is_unread(key) != cluster.builder.readers.is_read(key), key

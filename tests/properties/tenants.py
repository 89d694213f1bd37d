"""Two namespaces that do all they can to each other: objects for laws about tenants, and what routers reach.

The namespaces are `a` and `a-b` and the names are chosen so that joined names meet: `a/b-c` and `a-b/c` are one
name, `b.c` is another spelling of it, and a TraefikService can be called like a Service with its port.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from provider.options import TranslationOptions
from provider.resources.decode import from_plain
from provider.resources.kinds import KINDS, ObjectKey
from provider.store import Store
from provider.translate.builder import Builder
from tests.provider.support import Json, endpoints, secret, service

Strategy = st.SearchStrategy[Any]

TENANTS = ("a", "a-b")
RULE = "Host(`shop.example`)"
COMMON = {"a": "b-c", "a-b": "c"}
"""The name by which objects of the two meet; most of theirs have it."""
NAMES = st.sampled_from(["b-c", "b-c", "c", "c", "b.c", "c-80", "b-c-80", "c-errorpage-service"])
AGES = st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])
FORMS = st.one_of(NAMES, NAMES, NAMES, st.sampled_from(["a-b-c@kubernetescrd", "a-b-c@file", "api@internal"]))
REFERENCE = st.fixed_dictionaries({"name": FORMS}, optional={"namespace": st.sampled_from(TENANTS)})
REFERENCES = st.lists(REFERENCE, max_size=2)
SERVICE = st.fixed_dictionaries(
    {"name": FORMS},
    optional={
        "kind": st.just("TraefikService"),
        "port": st.just(80),
        "namespace": st.sampled_from(TENANTS),
        "scheme": st.just("h2c"),
        "middlewares": REFERENCES,
        "serversTransport": FORMS,
    },
)
CHILD = st.builds(lambda one: {"port": 80, **one}, SERVICE)
CHILDREN = st.lists(CHILD, min_size=1, max_size=2)
LAYER4 = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "port": st.just(80)},
        optional={"namespace": st.sampled_from(TENANTS), "serversTransport": FORMS},
    ),
    max_size=2,
)
TLS = st.fixed_dictionaries(
    {}, optional={"options": REFERENCE | st.just({"name": "default"}), "secretName": NAMES}
)
SPECS: dict[str, Strategy] = {
    "IngressRoute": st.fixed_dictionaries(
        {
            "routes": st.lists(
                st.fixed_dictionaries(
                    {"match": st.sampled_from([RULE, "Host(`other.example`)"]), "services": CHILDREN},
                    optional={"middlewares": REFERENCES},
                ),
                max_size=2,
            )
        },
        optional={"tls": TLS, "parentRefs": st.lists(REFERENCE, min_size=1, max_size=1)},
    ),
    "IngressRouteTCP": st.fixed_dictionaries(
        {
            "routes": st.lists(
                st.fixed_dictionaries(
                    {"match": st.just("HostSNI(`*`)"), "services": LAYER4}, optional={"middlewares": REFERENCES}
                ),
                max_size=2,
            )
        },
        optional={"tls": TLS},
    ),
    "IngressRouteUDP": st.fixed_dictionaries(
        {"routes": st.lists(st.fixed_dictionaries({"services": LAYER4}), max_size=2)}
    ),
    "Middleware": st.one_of(
        st.fixed_dictionaries({"stripPrefix": st.fixed_dictionaries({"prefixes": st.lists(NAMES, max_size=1)})}),
        st.fixed_dictionaries({"chain": st.fixed_dictionaries({"middlewares": REFERENCES})}),
        st.fixed_dictionaries({"errors": st.fixed_dictionaries({"status": st.just(["500"]), "service": CHILD})}),
        st.fixed_dictionaries({"basicAuth": st.fixed_dictionaries({"secret": NAMES})}),
    ),
    "MiddlewareTCP": st.fixed_dictionaries(
        {"ipAllowList": st.fixed_dictionaries({"sourceRange": st.sampled_from([["10.0.0.0/8"], []])})}
    ),
    "TraefikService": st.one_of(
        st.fixed_dictionaries({"weighted": st.fixed_dictionaries({"services": CHILDREN})}),
        st.fixed_dictionaries({"mirroring": CHILD}),
        st.fixed_dictionaries({"failover": st.fixed_dictionaries({"service": CHILD, "fallback": CHILD})}),
    ),
    "ServersTransport": st.fixed_dictionaries({"serverName": NAMES}),
    "ServersTransportTCP": st.fixed_dictionaries({"dialTimeout": st.sampled_from([1, 2])}),
    "TLSOption": st.fixed_dictionaries({"sniStrict": st.booleans()}),
    "TLSStore": st.fixed_dictionaries(
        {}, optional={"defaultCertificate": st.fixed_dictionaries({"secretName": NAMES})}
    ),
}
DEFAULTED = ("TLSOption", "TLSStore")
"""Kinds of which an object named `default` is one for the whole proxy."""

REFERS: dict[str, dict[str, str]] = {
    "http.routers": {
        "middlewares": "http.middlewares",
        "service": "http.services",
        "options": "tls.options",
        "parent_refs": "http.routers",
    },
    "http.services": {
        "name": "http.services",
        "service": "http.services",
        "fallback": "http.services",
        "middlewares": "http.middlewares",
        "servers_transport": "http.serversTransports",
    },
    "http.middlewares": {"middlewares": "http.middlewares", "service": "http.services"},
    "tcp.routers": {"middlewares": "tcp.middlewares", "service": "tcp.services", "options": "tls.options"},
    "tcp.services": {"name": "tcp.services", "servers_transport": "tcp.serversTransports"},
    "udp.routers": {"service": "udp.services"},
    "udp.services": {"name": "udp.services"},
}
"""Section -> field that holds names of other objects -> their section."""


KINDS_DRAWN = (*SPECS, "Secret", "EndpointSlice")


class Place(NamedTuple):
    section: str
    name: str


@st.composite
def objects(draw: st.DrawFn, namespace: str, kinds: tuple[str, ...] = KINDS_DRAWN) -> Json:
    """Any object of a namespace."""
    kind = draw(st.sampled_from(kinds))
    name = draw(st.just(COMMON[namespace]) | NAMES)
    if kind == "Secret":
        return secret(name, namespace, users="u:x")
    if kind == "EndpointSlice":
        return endpoints(name, draw(st.sampled_from(["10.0.0.1", "10.0.0.2"])), namespace=namespace)
    if kind in DEFAULTED and draw(st.booleans()):
        name = "default"
    group = KINDS[kind].api_version
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": draw(AGES)}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": draw(SPECS[kind])}


@st.composite
def pairs_of_clusters(draw: st.DrawFn) -> dict[str, list[Json]]:
    """Objects of a few kinds in both namespaces; the Services are there and have an endpoint."""
    few = draw(st.lists(st.sampled_from(KINDS_DRAWN), min_size=1, max_size=3, unique=True))
    return {
        namespace: [*_servers(namespace), *draw(st.lists(objects(namespace, tuple(few)), min_size=1, max_size=4))]
        for namespace in TENANTS
    }


def _servers(namespace: str) -> list[Json]:
    address = f"10.1.0.{TENANTS.index(namespace) + 1}"
    return [
        one
        for name in ("b-c", "c")
        for one in (service(name, namespace=namespace), endpoints(name, address, namespace=namespace))
    ]


def put(store: Store, plain: Json) -> ObjectKey:
    kind = KINDS[plain["kind"]]
    store.insert(kind, from_plain(kind, plain))
    return ObjectKey(kind.name, plain["metadata"].get("namespace", ""), plain["metadata"]["name"])


def built(plain: list[Json], options: TranslationOptions) -> Builder:
    store, builder = Store(), Builder(options)
    for one in plain:
        put(store, one)
    builder.build_all(store)
    return builder


def owned(builder: Builder, namespace: str) -> dict[Place, Any]:
    """Everything in the configuration that is of a namespace."""
    found = {}
    for section, contested in builder.sections.items():
        for name in contested:
            standing = contested.standing(name)
            if standing is not None and standing.home == namespace:
                found[Place(section, name)] = contested[name]
    return found


def reached(builder: Builder, start: Place) -> dict[Place, Any]:
    """What a request may meet from an object on, by name; None for what is not there."""
    found: dict[Place, Any] = {}
    ahead = [start]
    while ahead:
        place = ahead.pop()
        if place in found:
            continue
        contested = builder.sections[place.section]
        found[place] = None
        if place.name in contested:
            found[place] = contested[place.name]
            ahead.extend(_named(msgspec.structs.asdict(found[place]), REFERS.get(place.section, {})))
    return found


def _named(value: Any, fields: dict[str, str]) -> Iterator[Place]:
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, list):
        for one in value:
            yield from _named(one, fields)
    elif isinstance(value, dict):
        for field, member in value.items():
            texts = [member] if isinstance(member, str) else member if isinstance(member, list) else []
            if field in fields:
                yield from (
                    Place(fields[field], one) for one in texts if isinstance(one, str) and one and "@" not in one
                )
            if not isinstance(member, str):
                yield from _named(member, fields)

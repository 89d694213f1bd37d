"""Random, valid sets of manifests of all kinds: what the original and we make of them must be the same.

A situation is what lives in two namespaces of its own, so one run of the real Traefik judges many. Names are few,
so that references meet their objects about as often as they miss them.

    python -m tests.differential.generated_run --seed 7 --rounds 20

runs many, and of each difference prints the smallest set of manifests that still shows it.

Left out, because the original's answer is a matter of order, or differs on purpose (docs/compatibility.md): two
objects that come to one name, children of one name with different options, services `x@kubernetescrd`, parents
without routes, objects named `default`, TLSOptions and TLSStores with a dot in their name, entries of `rootCAs`
that name nothing (the original does not survive them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from provider.resources import traefik, traefik_layer4, traefik_middlewares, traefik_tls, traefik_transports
from tests.differential.generated_fields import INTEGERS, Strategy, fields_of, of_struct
from tests.differential.generated_surroundings import surroundings

Json = dict[str, Any]

_ALWAYS: Final = ("IngressRoute", "IngressRouteTCP", "Middleware", "TraefikService")
"""Kinds with most to say."""
HERE: Final = "here"
THERE: Final = "there"
SITUATIONS: Final = 36
"""In one run of the original."""
OPTIONS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("allowemptyservices=true", "allowcrossnamespace=true", "allowexternalnameservices=true"),
    ("allowexternalnameservices=true", "nativelbbydefault=true"),
    ("allowcrossnamespace=true", "crossprovidernamespaces=zz-sentinel"),
    ("ingressclass=own", "allowemptyservices=true"),
    ("labelselector=app=edge", "allowcrossnamespace=true", "allowexternalnameservices=true"),
    ("safenaming=true", "allowexternalnameservices=true"),
    ("safenaming=true", "allowcrossnamespace=true", "allowemptyservices=true"),
)

_NAMESPACES: Final = st.sampled_from(["", "", "", "", HERE, HERE, THERE, "unknown"])
_WEB: Final = ("web", "api.v1", "none")
_SERVICES: Final = (*_WEB, "ext", "head", "node", "empty")
_PORTS: Final = st.sampled_from([80, 80, 80, 80, 80, "http", 443, "https-x", 8443, "80", 9])
_SECRETS: Final = ("pair", "users", "ca", "basic", "helm", "half", "none")
_TRANSPORTS: Final = st.sampled_from(["", "t", "t.x", "none", "t@file", "t@kubernetescrd"])
_SECRET_NAMES: Final = st.sampled_from(_SECRETS)
_REFERENCES: Final = st.fixed_dictionaries(
    {"name": st.sampled_from(["m", "m.x", "none", "m@file", "m@kubernetescrd"])},
    optional={"namespace": _NAMESPACES},
)
_TCP_REFERENCES: Final = st.fixed_dictionaries(
    {"name": st.sampled_from(["mt", "none", "mt@file", "mt@kubernetescrd"])}, optional={"namespace": _NAMESPACES}
)
_TLS_OPTIONS: Final = st.fixed_dictionaries(
    {"name": st.sampled_from(["opt", "none", "default", "opt@file", "opt@kubernetescrd"])},
    optional={"namespace": _NAMESPACES},
)
_ROOT_CAS: Final = st.one_of(
    st.fixed_dictionaries({"secret": _SECRET_NAMES}),
    st.fixed_dictionaries({"configMap": st.sampled_from(["cm", "none"])}),
    st.fixed_dictionaries({"secret": _SECRET_NAMES, "configMap": st.just("cm")}),
)
_OWN_OPTIONS: Final = of_struct(
    traefik.LoadBalancerSpec,
    scheme=st.sampled_from(["http", "https", "h2c", "grpc"]),
    strategy=st.sampled_from(["", "wrr", "p2c", "hrw", "leasttime", "RoundRobin", "bad"]),
    serversTransport=_TRANSPORTS,
    middlewares=st.lists(_REFERENCES, max_size=2),
    **{f"_{name}": st.none() for name in ("name", "kind", "namespace", "port", "weight")},
)


@dataclass(frozen=True)
class Situation:
    """`objects` have HERE or THERE as their namespace. `manifests` puts them into those of a number."""

    objects: list[Json]

    def manifests(self, number: int) -> str:
        text: str = yaml.safe_dump_all(self.objects, allow_unicode=True)
        for word, namespace in zip((HERE, THERE), namespaces(number), strict=True):
            text = text.replace(f"namespace: {word}\n", f"namespace: {namespace}\n")
        return text


def namespaces(number: int) -> tuple[str, str]:
    return f"g{number}a", f"g{number}b"


def situations_of(seed_: int, count: int = SITUATIONS) -> list[Situation]:
    """The same for the same seed and version of Hypothesis."""
    found: list[Situation] = []

    @seed(seed_)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(situations())
    def gather(one: Situation) -> None:
        found.append(one)

    gather()
    return found[:count]


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """What may live in two namespaces, Services and Secrets included."""
    options: dict[tuple[str, str], Json] = {}
    objects = [*draw(surroundings(HERE)), *draw(surroundings(THERE))]
    for kind, names, spec in _kinds(options):
        least = 1 if kind in _ALWAYS else 0
        for name in draw(st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True)):
            namespace = draw(st.sampled_from([HERE, HERE, THERE]))
            objects.append(_document(draw, kind, namespace, name, draw(spec(namespace))))
    return Situation(objects)


def _document(draw: st.DrawFn, kind: str, namespace: str, name: str, spec: Json) -> Json:
    metadata: Json = {"name": name, "namespace": namespace}
    if draw(st.integers(0, 3)):
        metadata["labels"] = {"app": "edge"}
    if kind.startswith("IngressRoute"):
        annotation = draw(st.sampled_from(["", "", "", "own", "traefik", "other"]))
        if annotation:
            metadata["annotations"] = {"kubernetes.io/ingress.class": annotation}
        if "ingressClassName" not in spec and draw(st.booleans()):
            spec = {**spec, "ingressClassName": draw(st.sampled_from(["own", "own", "traefik", ""]))}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _kinds(options: dict[tuple[str, str], Json]) -> list[tuple[str, tuple[str, ...], Any]]:
    """Kind, names, and the strategy of its spec by namespace."""
    return [
        ("IngressRoute", ("r", "r.x"), lambda namespace: _ingress_routes(namespace, options)),
        ("IngressRouteTCP", ("t", "t.x"), lambda namespace: _tcp_routes()),
        ("IngressRouteUDP", ("u", "u.x"), lambda namespace: _udp_routes()),
        ("TraefikService", ("ts", "ts.x", "tt"), lambda namespace: _traefik_services(namespace, options)),
        ("Middleware", ("m", "m.x", "n", "o"), lambda namespace: _middlewares(namespace, options)),
        ("MiddlewareTCP", ("mt",), lambda namespace: of_struct(traefik_middlewares.MiddlewareTCPSpec)),
        ("TLSOption", ("opt",), lambda namespace: _tls_option()),
        ("TLSStore", ("store",), lambda namespace: _tls_store()),
        ("ServersTransport", ("t", "t.x"), lambda namespace: _transport(traefik_transports.ServersTransportSpec)),
        ("ServersTransportTCP", ("t",), lambda namespace: _transport(traefik_transports.ServersTransportTCPSpec)),
    ]


@st.composite
def _child(draw: st.DrawFn, namespace: str, options: dict[tuple[str, str], Json], *, only: bool) -> Json:
    """A reference of HTTP. `only`: no other object can write a service of its name, so its options are free.

    `options` holds those of all others: they are drawn once, being the same wherever the Service is a child.
    """
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(["ts", "ts.x", "none", "api@internal", "my_svc@file"]))
        return {"name": name, "kind": "TraefikService", **draw(_place()), **draw(_weight())}
    name = draw(st.sampled_from(("web", "web", "web", *_SERVICES)))
    place = draw(_place())
    home = place.get("namespace") or namespace
    if not only and (home, name) not in options:
        options[home, name] = {"nativeLB": False, **draw(_OWN_OPTIONS)}
    own = draw(_OWN_OPTIONS) if only else options[home, name]
    spec = {"name": name, "port": draw(_PORTS), **place, **own, **draw(_weight())}
    kind = draw(st.sampled_from(["", "", "Service", "Pod"] if only else ["", "Service"]))
    return {**spec, "kind": kind} if kind else spec


def _place() -> Strategy:
    return st.one_of(st.just({}), st.just({}), st.fixed_dictionaries({"namespace": _NAMESPACES}))


def _weight() -> Strategy:
    return st.one_of(st.just({}), st.fixed_dictionaries({"weight": st.sampled_from([0, 1, 3])}))


@st.composite
def _ingress_routes(draw: st.DrawFn, namespace: str, options: dict[tuple[str, str], Json]) -> Json:
    routes = []
    for _ in range(draw(st.integers(1, 3))):
        count = draw(st.sampled_from([1, 1, 1, 2, 3, 0]))
        services = [draw(_child(namespace, options, only=count == 1)) for _ in range(count)]
        match = draw(
            st.sampled_from(["Host(`a`)", "Host(`b`)", "PathPrefix(`/`)", "", "Hots(`a`)", "Path( `/x` )"])
        )
        route: Json = {"match": match, "services": services}
        extra = of_struct(
            traefik.Route,
            kind=st.sampled_from(["Rule", "Rule", "Other"]),
            syntax=st.sampled_from(["", "v2", "v3"]),
            middlewares=st.lists(_REFERENCES, max_size=2),
            _match=st.none(),
            _services=st.none(),
        )
        routes.append(draw(extra) | route)
    parents = st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["r", "r.x", "none"])}, optional={"namespace": _NAMESPACES}
        ),
        max_size=2,
    )
    spec = draw(st.fixed_dictionaries({}, optional={"entryPoints": _entry_points(), "tls": _tls(traefik.TLS)}))
    if draw(st.integers(0, 4)) == 0:
        spec["parentRefs"] = draw(parents)
    if spec.get("parentRefs"):
        spec.pop("tls", None)  # the original takes such a child out when its provider is done with it
    return {**spec, "routes": routes}


def _entry_points() -> Strategy:
    return st.lists(st.sampled_from(["web", "other", "absent"]), max_size=2)


def _tls(struct: Any) -> Strategy:
    return of_struct(struct, options=_TLS_OPTIONS, secretName=_SECRET_NAMES)


@st.composite
def _tcp_routes(draw: st.DrawFn) -> Json:
    matches = ["HostSNI(`a`)", "HostSNI(`*`)", "HostSNI(`b`) || HostSNI(`c`)", "", "ClientIP(`10.0.0.1`)"]
    services = of_struct(traefik_layer4.ServiceTCP, **_layer4(), serversTransport=_TRANSPORTS)
    routes = [
        draw(
            of_struct(
                traefik_layer4.RouteTCP,
                middlewares=st.lists(_TCP_REFERENCES, max_size=2),
                syntax=st.sampled_from(["", "v2", "v3"]),
                _match=st.none(),
                _services=st.none(),
            )
        )
        | {"match": match, "services": draw(_several(_named(services)))}
        for match in draw(st.lists(st.sampled_from(matches), min_size=1, max_size=3, unique=True))
    ]
    optional = {"entryPoints": _entry_points(), "tls": _tls(traefik_layer4.TLSTCP)}
    spec: Json = draw(st.fixed_dictionaries({}, optional=optional))
    return {**spec, "routes": routes}


@st.composite
def _udp_routes(draw: st.DrawFn) -> Json:
    services = _named(of_struct(traefik_layer4.ServiceUDP, **_layer4()))
    routes = [{"services": draw(_several(services))} for _ in range(draw(st.integers(1, 3)))]
    return {**draw(st.fixed_dictionaries({}, optional={"entryPoints": _entry_points()})), "routes": routes}


def _several(services: Strategy) -> Strategy:
    return st.one_of(st.lists(services, min_size=1, max_size=3), st.lists(services, max_size=1))


def _layer4() -> dict[str, Strategy]:
    return {"namespace": _NAMESPACES, "weight": st.sampled_from([0, 1, 3]), "_name": st.none(), "_port": st.none()}


@st.composite
def _named(draw: st.DrawFn, spec: Strategy) -> Json:
    """With the two fields that a reference must have."""
    return {"name": draw(st.sampled_from(("web", "web", "node", *_SERVICES))), "port": draw(_PORTS), **draw(spec)}


@st.composite
def _traefik_services(draw: st.DrawFn, namespace: str, options: dict[tuple[str, str], Json]) -> Json:
    def child() -> Json:
        return draw(_child(namespace, options, only=False))

    children = [child() for _ in range(draw(st.integers(0, 3)))]
    types: dict[str, Json] = {
        "weighted": {"services": children, **draw(_sticky())},
        "highestRandomWeight": {"services": children},
        "mirroring": {
            **child(),
            "mirrors": [one | {"percent": draw(st.sampled_from([0, 5, 100]))} for one in children],
            **draw(st.fixed_dictionaries({}, optional={"mirrorBody": st.booleans(), "maxBodySize": INTEGERS})),
        },
        "failover": {
            "service": child(),
            "fallback": child(),
            **draw(st.fixed_dictionaries({}, optional={"errors": _failover_errors()})),
        },
    }
    chosen = draw(st.lists(st.sampled_from(sorted(types)), max_size=2, unique=True))
    return {name: types[name] for name in chosen}


def _sticky() -> Strategy:
    return st.fixed_dictionaries({}, optional={"sticky": of_struct(traefik.Sticky)})


def _failover_errors() -> Strategy:
    statuses = st.lists(st.sampled_from(["500", "502-504"]), max_size=2)
    return st.fixed_dictionaries({}, optional={"status": statuses, "maxRequestBodyBytes": INTEGERS})


@st.composite
def _middlewares(draw: st.DrawFn, namespace: str, options: dict[tuple[str, str], Json]) -> Json:
    pools: dict[str, Strategy] = {
        "secret": _SECRET_NAMES,
        "caSecret": _SECRET_NAMES,
        "certSecret": _SECRET_NAMES,
        "service": _child(namespace, options, only=True),
        "middlewares": st.lists(_REFERENCES, max_size=2),
        "plugin": st.fixed_dictionaries({"p": st.dictionaries(st.sampled_from("ab"), _PLUGIN_VALUES, max_size=2)}),
    }
    types = fields_of(traefik_middlewares.MiddlewareSpec, **pools)
    count = draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2]))
    names = draw(st.lists(st.sampled_from(sorted(types)), min_size=count, max_size=count, unique=True))
    return {name: draw(types[name]) for name in names}


_PLUGIN_VALUES: Final = st.one_of(
    st.sampled_from(["text", "urn:k8s:secret:users:users", "urn:k8s:secret:none:x", "urn:k8s:secret:short"]),
    st.booleans(),
    st.lists(st.sampled_from(["a", "urn:k8s:secret:users:users"]), max_size=2),
)


def _tls_option() -> Strategy:
    return of_struct(traefik_tls.TLSOptionSpec, secretNames=st.lists(_SECRET_NAMES, max_size=2))


def _tls_store() -> Strategy:
    return of_struct(traefik_tls.TLSStoreSpec, secretName=_SECRET_NAMES)


def _transport(struct: Any) -> Strategy:
    names = st.lists(_SECRET_NAMES, max_size=2)
    # the deprecated spelling first, and a delay that is a duration here
    return of_struct(
        struct,
        rootCAs=st.lists(_ROOT_CAS, max_size=2),
        rootCAsSecrets=names,
        certificatesSecrets=names,
        terminationDelay=st.sampled_from(["100ms", 1, "bad", "0"]),
    )

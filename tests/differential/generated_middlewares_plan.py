"""What one seed stands for: routes with drawn middlewares, and the requests that each of them gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.differential.generated_middlewares_calls import Call, call
from tests.differential.generated_middlewares_options import KINDS, STATEFUL
from tests.differential.generated_middlewares_values import SECRETS, Options

NAMESPACE: Final = "drawn"
ROUTES_A_KIND: Final = 7
MIXED: Final = 40
CALLS: Final = 6
Json = dict[str, Any]

_SERVERS: Final = """
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: drawn}
spec: {clusterIP: 127.0.0.1, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME-1, namespace: drawn, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
ports: [{name: "", port: PORT, protocol: TCP}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true, serving: true, terminating: false}}]
"""


@dataclass(frozen=True)
class Route:
    """`specs`: what a Middleware object each says; `lists`: the order, by their numbers, a list being a chain."""

    number: int
    specs: list[Json]
    lists: list[Any]
    calls: list[Call]
    is_tls: bool
    is_dead: bool

    @property
    def host(self) -> str:
        return f"m{self.number}.test"

    @property
    def kinds(self) -> list[str]:
        return [kind for spec in self.specs for kind in spec]

    def objects(self) -> Iterator[Json]:
        names = [self._middleware(f"m{self.number}-{index}", spec) for index, spec in enumerate(self.specs)]
        yield from names
        chains: list[Json] = []
        listed = [self._name(item, chains) for item in self.lists]
        yield from chains
        rule = {
            "kind": "Rule",
            "match": f"Host(`{self.host}`)",
            "services": [{"name": "dead" if self.is_dead else "strict", "port": 80}],
            "middlewares": [{"name": name} for name in listed],
        }
        tls = {"tls": {"options": {"name": "asks"}}} if self.is_tls else {}
        yield _resource("IngressRoute", f"r{self.number:03}", {"routes": [rule], **tls})

    def _middleware(self, name: str, spec: Json) -> Json:
        return _resource("Middleware", name, json.loads(json.dumps(spec).replace("HOST", self.host)))

    def _name(self, item: Any, chains: list[Json]) -> str:
        if isinstance(item, int):
            return f"m{self.number}-{item}"
        members = [{"name": self._name(one, chains)} for one in item]
        name = f"c{self.number}-{len(chains)}"
        chains.append(_resource("Middleware", name, {"chain": {"middlewares": members}}))
        return name


def _resource(kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def routes_of(seed: int, only: str = "") -> list[Route]:
    """The same for the same seed. `only`: a kind of middleware, all others are left out."""
    random = Random(seed)
    kinds = [only] if only else list(KINDS)
    count = ROUTES_A_KIND * (len(KINDS) // 2 if only else 1)
    drawn = [[kind] for _ in range(count) for kind in kinds]
    if not only:
        mixable = [kind for kind in KINDS if kind not in STATEFUL]
        drawn += [random.choices(mixable, k=random.randint(2, 4)) for _ in range(MIXED)]
    return [_route(random, number, chosen) for number, chosen in enumerate(drawn)]


def _route(random: Random, number: int, kinds: list[str]) -> Route:
    specs: list[Options] = [{kind: KINDS[kind](random)} for kind in kinds]
    is_tls = random.random() < (0.7 if "passTLSClientCert" in kinds else 0.15)
    calls = [call(random, kinds, f"m{number}.test") for _ in range(CALLS)]
    if "inFlightReq" in kinds:  # whether there is an answer is told by whether there is anything to read
        is_tls = False
    is_dead = random.random() < 0.05 and not STATEFUL & set(kinds)
    return Route(number, specs, _listed(random, list(range(len(specs)))), calls, is_tls, is_dead)


def _listed(random: Random, numbers: list[int]) -> list[Any]:
    """Some of them put into chains, and those into others."""
    if random.random() < 0.6:
        return numbers
    cut = random.randint(0, len(numbers))
    return [*numbers[:cut], _listed(random, numbers[cut:])]


def manifests(routes: list[Route], port: int, dead_port: int) -> list[Any]:
    """Everything that the routes need, as YAML text and objects."""
    servers = {"strict": port, "pages": port, "dead": dead_port}
    texts = [_SERVERS.replace("NAME", name).replace("PORT", str(number)) for name, number in servers.items()]
    secrets: list[Json] = [_secret(name, {"users": text}) for name, text in SECRETS.items()]
    typed = _secret("typed", {"username": "typed", "password": "pass"}) | {"type": "kubernetes.io/basic-auth"}
    asks = _resource("TLSOption", "asks", {"clientAuth": {"clientAuthType": "RequestClientCert"}})
    objects = [*secrets, typed, asks, *(one for route in routes for one in route.objects())]
    return [*texts, json.loads(json.dumps(objects).replace("PORT", str(port)))]


def _secret(name: str, texts: dict[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": texts,
    }

"""What one seed stands for: TCP routes with drawn options and middlewares, and what clients do to each.

Plaintext routes are told apart by the client's address, which comes by PROXY protocol: the route of number 7 has
10.0.7.0/24 and 2001:db8:7::/48. Routes over TLS have a name each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

from tests.differential.generated_middlewares_values import one, partly, some

NAMESPACE: Final = "drawn"
ROUTES: Final = 70
STEPS: Final = 9
Json = dict[str, Any]
HELD: Final = [0, 1, 1, 2, 3, -1]
"""Amounts of inFlightConn."""


class Step(NamedTuple):
    """Open a connection from an address at an entry point; or close the one that step `closes` opened."""

    closes: int = -1
    entry_point: str = ""
    address: str = ""
    alpn: str = ""


@dataclass(frozen=True)
class TCPRoute:
    """`specs`: what a MiddlewareTCP each says; `middlewares`: the list; `tls`: None if plain."""

    number: int
    specs: list[Json]
    middlewares: list[Json]
    tls: Json | None
    entry_points: list[str]
    route: Json
    steps: list[Step]

    @property
    def server_name(self) -> str:
        return f"t{self.number}.test"

    def objects(self) -> Iterator[Json]:
        for index, options in enumerate(self.specs):
            yield resource("MiddlewareTCP", f"m{self.number}-{index}", options)
        spec: Json = {"routes": [{**self.route, "middlewares": self.middlewares}]}
        spec |= {"entryPoints": self.entry_points} if self.entry_points else {}
        spec |= {"tls": self.tls} if self.tls is not None else {}
        yield resource("IngressRouteTCP", f"r{self.number:03}", spec)


def resource(kind: str, name: str, spec: Json, namespace: str = NAMESPACE) -> Json:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def tcp_routes_of(seed: int, count: int = ROUTES) -> list[TCPRoute]:
    """The same for the same seed."""
    random = Random(seed)
    return [_route(random, number) for number in range(count)]


def _route(random: Random, number: int) -> TCPRoute:
    specs = [_middleware(random, number) for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3]))]
    listed: list[Json] = [{"name": f"m{number}-{index}"} for index in range(len(specs))]
    listed += some(random, listed, 1) if random.random() < 0.2 else []
    listed += some(random, _OTHERS, 1, 1) if random.random() < 0.25 else []
    random.shuffle(listed)
    is_secure = random.random() < 0.5
    entry_points = one(random, ["web"], ["web"], ["other"], ["web", "other"], ["web", "other"], [])
    route = _rule(random, number, is_secure=is_secure)
    entry_points = entry_points if random.random() < 0.95 else random.choice([["gone"], ["gone", "web"]])
    return TCPRoute(
        number=number,
        specs=specs,
        middlewares=listed,
        tls=_tls(random) if is_secure else None,
        entry_points=entry_points,
        route=route,
        steps=list(_steps(random, number)),
    )


_OTHERS: Final[list[Json]] = [
    *({"name": "shared"}, {"name": "shared"}, {"name": "shared"}, {"name": "gone"}),
    *({"name": "far", "namespace": "elsewhere"}, {"name": "drawn-shared@kubernetescrd"}, {"name": "x@file"}),
    *({"name": "shared", "namespace": NAMESPACE}, {"name": "dotted.name"}),
]


def _middleware(random: Random, number: int) -> Json:
    kinds: dict[str, Callable[[], Json]] = {
        "ipAllowList": lambda: _networks(random, number),
        "ipWhiteList": lambda: _networks(random, number),
        "inFlightConn": lambda: {"amount": random.choice(HELD)} if random.random() < 0.95 else {},
    }
    if random.random() < 0.03:
        return {}
    chosen = some(random, list(kinds), 2, 2) if random.random() < 0.08 else some(random, list(kinds), 1, 1)
    return {kind: kinds[kind]() for kind in chosen}


def _networks(random: Random, number: int) -> Json:
    n = number
    valid = [
        *(f"10.0.{n}.0/24", f"10.0.{n}.1", f"10.0.{n}.2/31", f"10.0.{n}.77/25", f"2001:db8:{n}::/64", "::/0"),
        *("0.0.0.0/0", f"::ffff:10.0.{n}.1", f"::ffff:10.0.{n}.0/120", "::ffff:0:0/96", f"2001:db8:{n}::1"),
        *(f"10.0.{n}.3/32", "192.0.2.0/24", f"2001:DB8:{n}:0:1::/80", f"::ffff:a00:{n:x}02", "10.0.0.0/8"),
    ]
    invalid = [
        *(f"10.0.{n}.0/33", f"10.0.{n}", "", "localhost", f" 10.0.{n}.1", f"10.0.{n}.01", "10.0.0.0/08", "::/129"),
        *(
            "fe80::1%lo",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "1.2.3.4:80",
            "[::1]",
            "*",
            "10.0.0.0-10.0.0.9",
        ),
        *("::ffff:10.0.0.1/128 ", "0x7f.1", "10.0.0.256", "::1::", f"10.0.{n}.0/24,10.0.{n}.1"),
    ]
    listed = some(random, valid, 3, 1)
    if random.random() < 0.12:
        listed += some(random, invalid, 1, 1)
    return {"sourceRange": listed} if random.random() < 0.96 else one(random, {}, {"sourceRange": []})


def _tls(random: Random) -> Json:
    choices: list[Json] = [
        *({}, {}, {}, {"passthrough": True}, {"passthrough": True}, {"options": {"name": "newest"}}),
        *({"options": {"name": "gone"}}, {"options": {"name": "speaks"}}, {"options": {"name": "default"}}),
        *({"passthrough": True, "options": {"name": "newest"}}, {"secretName": "gone"}),
    ]
    return random.choice(choices)


def _rule(random: Random, number: int, *, is_secure: bool) -> Json:
    networks = f"ClientIP(`10.0.{number}.0/24`) || ClientIP(`2001:db8:{number}::/48`)"
    plain = [
        *(
            networks,
            networks,
            networks,
            f"({networks}) && HostSNI(`*`)",
            f"({networks}) && !ClientIP(`10.0.{number}.3`)",
        ),
        *(
            f"({networks}) && !HostSNI(`a.test`)",
            f"({networks}) && HostSNI(`a.test`)",
            f"ClientIP(`10.0.{number}.0/33`)",
        ),
    ]
    name = f"HostSNI(`t{number}.test`)"
    secure = [
        *(name, name, name, name.upper().replace("HOSTSNI", "HostSNI"), f"HostSNIRegexp(`^t{number}[.]test$`)"),
        *(
            f"{name} && ALPN(`mqtt`)",
            f"{name} && ({networks})",
            f"{name} && !ALPN(`h2`)",
            f"{name} || HostSNI(`x{number}`)",
        ),
        f"({networks}) && HostSNI(`*.test`)",
    ]
    priorities = one(random, {}, {}, {"priority": random.choice([1, 50, 10000, -3, 9223372036854775800])})
    syntax = {"syntax": random.choice(["v2", "v3", "v4"])} if random.random() < 0.06 else {}
    route = {"match": random.choice(secure if is_secure else plain), "services": _services(random)}
    return {**route, **priorities, **syntax}


def _services(random: Random) -> list[Json]:
    """Several are used in an order that the original shuffles, so none of them is dead."""
    if random.random() < 0.04:
        return [{"name": "dead", "port": 1}]
    return [_service(random) for _ in range(random.choice([1, 1, 1, 1, 1, 2, 2, 3]))]


def _service(random: Random) -> Json:
    if random.random() < 0.08:
        return random.choice([{"name": "a", "port": 2}, {"name": "gone", "port": 1}])
    options = partly(
        random,
        weight=random.choice([0, 1, 2, 3]),
        nativeLB=False,
        serversTransport=random.choice(["tells", "tells", "late", "wrong", "gone"]),
    )
    if random.random() < 0.2:
        options["proxyProtocol"] = {"version": random.choice([1, 2, 1, 2, 3])}
    if random.random() < 0.1:
        options["terminationDelay"] = random.choice([10, 500])
    if random.random() > 0.3:
        options.pop("serversTransport", None)
    return {"name": random.choice(["a", "b"]), "port": 1, **options}


def _steps(random: Random, number: int) -> Iterator[Step]:
    opened: list[int] = []
    addresses = [
        *(
            f"10.0.{number}.1",
            f"10.0.{number}.2",
            f"10.0.{number}.3",
            f"10.0.{number}.130",
            f"2001:db8:{number}::1",
        ),
        *(f"2001:db8:{number}:0:1::1", f"2001:db8:{number}:5::1", f"::ffff:10.0.{number}.1", f"10.0.{number}.1"),
    ]
    few = some(random, addresses, 3, 1)
    for place in range(STEPS):
        if opened and random.random() < 0.25:
            yield Step(closes=opened.pop(random.randrange(len(opened))))
            continue
        opened.append(place)
        yield Step(-1, one(random, "web", "web", "other"), random.choice(few), one(random, "", "", "mqtt"))

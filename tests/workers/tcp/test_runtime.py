"""What becomes of TCP routers, services and middlewares: the words of errors, and what a change touches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.layer4 import InFlightConn, ProxyProtocol, TCPIPAllowList, TCPMiddleware, TCPService
from config.tls import Certificate, TLSOptions
from tests.workers.tcp.staging import ENGINE, environment, router, runtime, service, transport, weighted
from workers.tcp import api
from workers.tcp.matchers import Caller
from workers.tcp.middlewares import AllowList, Guards, build_guards
from workers.tcp.runtime import TCPChanges, TCPRuntime
from workers.tls_state import TLSChanges, TLSState

ALLOW = TCPIPAllowList(source_range=["10.0.0.0/8", "::1"])
BAD = TCPIPAllowList(source_range=["10.0.0.0/8", "x"])
MIDDLEWARES = {
    "good": TCPMiddleware(ip_allow_list=ALLOW),
    "white": TCPMiddleware(ip_white_list=ALLOW),
    "bad": TCPMiddleware(ip_allow_list=BAD),
    "bad-white": TCPMiddleware(ip_white_list=BAD),
    "empty": TCPMiddleware(ip_allow_list=TCPIPAllowList()),
    "empty-white": TCPMiddleware(ip_white_list=TCPIPAllowList()),
    "none": TCPMiddleware(),
}
NO_TYPE = 'invalid middleware "none@file" configuration: invalid middleware type or middleware does not exist'
CIDR = "parsing CIDR trusted IPs <nil>: invalid CIDR address: x"


def broken_options() -> TLSState:
    changes = TLSChanges(options={"broken@file": TLSOptions(cipher_suites=["NOPE"])})
    return TLSState(ENGINE.default).updated(changes, lambda: None)[0]


@pytest.mark.behaviour("DP-117")
@pytest.mark.parametrize(
    ("config", "error"),
    [
        (router("HostSNI(`x`)"), 'invalid rule: "HostSNI(`x`)" , has HostSNI matcher, but no TLS on router'),
        (
            router("HostSNI(`x`) && HostSNI(`*`)"),
            'invalid rule: "HostSNI(`x`) && HostSNI(`*`)" , has HostSNI matcher, but no TLS on router',
        ),
        (router(service=""), "the service is missing on the router"),
        (router(""), "router has no rule"),
        (router(service="gone"), 'the service "gone@file" does not exist'),
        (
            router(priority=9223372036854774808),
            "the router priority 9223372036854774808 exceeds the max user-defined",
        ),
        (router(entry_points=["gone"]), "no valid entryPoint for this router"),
        (router(middlewares=["gone"]), 'middleware "gone@file" does not exist'),
        (router(middlewares=["good", "bad"]), f"cannot parse CIDRs [10.0.0.0/8 x]: {CIDR}"),
        (router(middlewares=["bad-white"]), f"cannot parse CIDR whitelist [10.0.0.0/8 x]: {CIDR}"),
        (router(middlewares=["empty"]), "sourceRange is empty, IPAllowLister not created"),
        (router(middlewares=["empty-white"]), "sourceRange is empty, IPWhiteLister not created"),
        (router(middlewares=["none"]), NO_TYPE),
        (router(middlewares=["none", "empty"]), "sourceRange is empty, IPAllowLister not created"),
        (router("HostSNI(`x`)", tls="gone"), "unknown TLS options: gone@file"),
        (router("HostSNI(`x`)", tls="broken"), "building TLS config: "),
        (router("HostSNI(`"), 'invalid rule: "HostSNI(`" , '),
        (router('HostSNI("\\q")'), 'invalid rule: "HostSNI(\\"\\\\q\\")" , '),
        (router("Host(`a`)"), 'invalid rule: "Host(`a`)" , '),
    ],
)
def test_errors_of_routers(config: Any, error: str) -> None:
    running = runtime({"r": config}, {"s": service(1)}, middlewares=MIDDLEWARES, tls=broken_options())
    state = running.routers["r@file"]
    assert state.status == "disabled"
    assert state.errors[-1].startswith(error)
    assert all(route.handler is None for route in state.routes.values()), "only to close connections"


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (service(1, servers_transport="gone"), 'no transport configuration found for "gone@file"'),
        (service(1, servers_transport="v3"), "unknown proxyProtocol version: 3"),
        (service(1, servers_transport="late"), "terminationDelay: 'soon' is not a duration"),
        (service(1, servers_transport="pair"), "tls.certificates[0]: "),
        (service(1, servers_transport="spiffe"), "spiffe is not served"),
        (service(1, proxy_protocol=ProxyProtocol(version=3)), "unknown proxyProtocol version: 3"),
    ],
)
def test_what_is_wrong_with_a_transport_is_the_router_s_error_alone(config: TCPService, error: str) -> None:
    transports = {
        "v3": transport(proxy=3),
        "late": transport(termination_delay="soon"),
        "pair": transport(tls={"certificates": [Certificate(cert_file="x", key_file="y")]}),
        "spiffe": transport(tls={"spiffe": {}}),
    }
    running = runtime({"r": router()}, {"s": config}, transports=transports)
    assert running.routers["r@file"].errors[0].startswith(error)
    assert running.services["s@file"].status == "enabled"
    assert not running.services["s@file"].servers


BOTH_TYPES = msgspec.structs.replace(service(1), weighted=weighted(s=1).weighted)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (BOTH_TYPES, "cannot create service: multi-types service not supported, consider declaring"),
        (TCPService(), 'the service "s@file" does not have any type defined'),
        (weighted(gone=1), 'the service "gone@file" does not exist'),
        (weighted(s=1), "could not instantiate service s@file: recursion detected in s@file->s@file"),
    ],
)
def test_errors_of_services(config: TCPService, error: str) -> None:
    running = runtime({"r": router()}, {"s": config, "unused": weighted(gone=1)})
    assert running.routers["r@file"].errors[0].startswith(error)
    assert running.services["s@file"].errors[0].startswith(error)
    assert running.services["unused@file"].status == "enabled"


def test_services_choose_by_weight() -> None:
    services = {"s": weighted(a=3, b=1, never=0), "a": service(1), "b": service(2), "never": service(3)}
    handler = runtime({"r": router()}, services).routers["r@file"].routes["web"].handler
    assert handler is not None
    picked = [target.server.port for _ in range(8) if (target := handler.balancer.pick())]
    assert picked[:4].count(1) == 3
    assert [picked.count(port) for port in (1, 2, 3)] == [6, 2, 0]


def test_bad_addresses_are_left_out() -> None:
    config = service(80)
    assert config.load_balancer is not None
    servers = config.load_balancer.servers
    bad = [
        type(servers[0])(address=text) for text in ("nope", "::1", "a:b:1", "a:0", "a:99999", "a:-1", "a:1234567")
    ]
    more = msgspec.structs.replace(
        config.load_balancer, servers=[*bad, type(servers[0])(address="[::1]:5"), *servers]
    )
    running = runtime({"r": router()}, {"s": TCPService(load_balancer=more)})
    assert running.services["s@file"].servers == ["[::1]:5", "127.0.0.1:80"]


def test_shown_as_the_original_does() -> None:
    routers = {
        "one": router(middlewares=["good"]),
        "two": router("HostSNI(`x`)", tls="pass", entry_points=["other", "gone"], priority=7),
        "three": router(service="b", middlewares=["bad"]),
    }
    running = runtime(
        routers,
        {"s": service(1, servers_transport="t"), "b": service(), "c": weighted(s=1)},
        middlewares=MIDDLEWARES,
        transports={"t": transport()},
    )
    raw = api.rawdata(running)
    assert raw["tcpRouters"] == {
        "one@file": {
            "entryPoints": ["web"],
            "middlewares": ["good@file"],
            "service": "s",
            "rule": "HostSNI(`*`)",
            "priority": -1,
            "status": "enabled",
            "using": ["web"],
        },
        "three@file": {
            "entryPoints": ["web"],
            "middlewares": ["bad@file"],
            "service": "b",
            "rule": "HostSNI(`*`)",
            "priority": -1,
            "error": [f"cannot parse CIDRs [10.0.0.0/8 x]: {CIDR}"],
            "status": "disabled",
            "using": ["web"],
        },
        "two@file": {
            "entryPoints": ["other", "gone"],
            "service": "s",
            "rule": "HostSNI(`x`)",
            "priority": 7,
            "tls": {"passthrough": True},
            "error": ['entryPoint "gone" doesn\'t exist'],
            "status": "warning",
            "using": ["other"],
        },
    }
    assert raw["tcpServices"] == {
        "b@file": {"loadBalancer": {}, "status": "enabled", "usedBy": ["three@file"]},
        "c@file": {"weighted": {"services": [{"name": "s", "weight": 1}]}, "status": "enabled"},
        "s@file": {
            "loadBalancer": {"servers": [{"address": "127.0.0.1:1"}], "serversTransport": "t@file"},
            "status": "enabled",
            "usedBy": ["one@file", "two@file"],
            "serverStatus": {"127.0.0.1:1": "UP"},
        },
    }
    assert raw["tcpMiddlewares"]["good@file"] == {
        "ipAllowList": {"sourceRange": ["10.0.0.0/8", "::1"]},
        "status": "enabled",
    }
    assert raw["tcpMiddlewares"]["bad@file"]["status"] == "disabled"
    lists = {item["name"]: item for item in api.list_routers(running) + api.list_services(running)}
    assert lists["one@file"]["priorityStr"] == "-1"
    assert lists["c@file"]["type"] == "weighted"
    types = {item["name"]: item.get("type") for item in api.list_middlewares(running)}
    assert types["white@file"] == "ipwhitelist"
    assert types["none@file"] is None
    assert api.overview(running) == {
        "routers": {"total": 3, "warnings": 1, "errors": 1},
        "services": {"total": 3, "warnings": 0, "errors": 0},
        "middlewares": {"total": 7, "warnings": 0, "errors": 1},
    }


def changed(
    running: TCPRuntime, tls: TLSState | None = None, stale: tuple[str, ...] = (), **changes: Any
) -> TCPRuntime:
    return running.updated(TCPChanges(**changes), tls or TLSState(ENGINE.default), set(stale), lambda: None)


def test_change_builds_only_what_it_touches() -> None:
    running = runtime(
        {
            "a": router(),
            "b": router(service="w"),
            "c": router("ClientIP(`::1`)", service="u", entry_points=["other"]),
        },
        {"s": service(1), "t": service(2), "w": weighted(t=1), "u": service(3)},
        transports={"x": transport()},
    )
    states, tables = running.routers, running.tables
    assert changed(running) is running

    new = changed(running, services={"t@file": service(4)})
    assert new.routers["a@file"] is states["a@file"]
    assert new.routers["c@file"] is states["c@file"]
    assert new.routers["b@file"] is not states["b@file"]
    assert new.tables["other"] is tables["other"]
    assert running.routers is states, "the old one stays as it was"

    assert changed(running, transports={"x@file": None}).routers == states
    gone = changed(running, services={"s@file": None})
    assert gone.routers["a@file"].status == "disabled"
    assert changed(gone, services={"s@file": service(1)}).routers["a@file"].status == "enabled"
    assert "b@file" not in changed(running, routers={"b@file": None}).routers


def test_transport_that_changes_reaches_the_routers_that_use_it() -> None:
    running = runtime(
        {"a": router(service="w"), "b": router()},
        {"s": service(1), "t": service(2, servers_transport="x"), "w": weighted(t=1)},
        transports={"x": transport()},
    )
    new = changed(running, transports={"x@file": transport(proxy=9)})
    assert new.routers["a@file"].errors == ["unknown proxyProtocol version: 9"]
    assert new.routers["b@file"] is running.routers["b@file"]
    assert changed(new, transports={"x@file": transport()}).routers["a@file"].status == "enabled"


def test_option_that_breaks_or_is_mended_reaches_its_routers() -> None:
    state = broken_options()
    running = runtime(
        {"a": router("HostSNI(`a`)", tls="broken"), "b": router("HostSNI(`b`)", tls="pass")},
        {"s": service(1)},
        tls=state,
    )
    mended, stale = state.updated(TLSChanges(options={"broken@file": TLSOptions()}), lambda: None)
    new = changed(running, mended, tuple(stale))
    assert new.routers["a@file"].status == "enabled"
    assert new.routers["b@file"] is running.routers["b@file"]


def test_middleware_that_is_mended_reaches_its_routers() -> None:
    running = runtime({"a": router(middlewares=["bad"])}, {"s": service(1)}, middlewares=MIDDLEWARES)
    new = changed(running, middlewares={"bad@file": MIDDLEWARES["good"]})
    assert new.routers["a@file"].status == "enabled"


def test_equal_priorities_go_by_provider_then_name() -> None:
    routers = {"b@file": router(), "z@kubernetescrd": router(service="s@file"), "a@rest": router(service="s@file")}
    running = runtime(routers, {"s": service(1)})
    found = running.tables["web"].unasked(_CALLER, None)
    assert found is not None
    assert found.name == "z@kubernetescrd"


_CALLER = Caller("127.0.0.1")


class Counter:
    """A guard that lets one in and counts."""

    def __init__(self, limit: int) -> None:
        self.limit, self.inside = limit, 0

    def enter(self, ip: str) -> bool:
        if self.inside >= self.limit:
            return False
        self.inside += 1
        return True

    def leave(self, ip: str) -> None:
        self.inside -= 1


def test_guards_that_were_passed_are_left_when_a_later_one_refuses() -> None:
    first, second = Counter(5), Counter(1)
    guards = Guards([first, second])
    assert guards.enter("1.2.3.4")
    assert not guards.enter("1.2.3.4")
    assert (first.inside, second.inside) == (1, 1)
    guards.leave("1.2.3.4")
    assert (first.inside, second.inside) == (0, 0)


def test_in_flight_connections_are_not_refused_silently() -> None:
    limited = {"m": TCPMiddleware(in_flight_conn=InFlightConn(amount=1))}
    running = runtime({"r": router(middlewares=["m"])}, {"s": service(1)}, middlewares=limited)
    assert running.routers["r@file"].errors == ["inFlightConn is not served by this version of Pointsman"]
    counting = environment(in_flight=lambda config, place: Counter(config.amount))
    running = runtime({"r": router(middlewares=["m"])}, {"s": service(1)}, middlewares=limited, where=counting)
    assert running.routers["r@file"].status == "enabled"


def test_allow_list_takes_the_first_type_and_the_client_s_address() -> None:
    both = TCPMiddleware(ip_allow_list=ALLOW, ip_white_list=BAD, in_flight_conn=InFlightConn())
    states = runtime({}, {}, middlewares={"m": both}).middlewares
    guards = build_guards(["m"], "r@file", states, environment().in_flight, "web")
    assert isinstance(guards._guards[0], AllowList)
    assert guards.enter("10.1.2.3")
    assert guards.enter("::1%lo")
    assert not guards.enter("11.1.2.3")
    assert not guards.enter("nonsense")

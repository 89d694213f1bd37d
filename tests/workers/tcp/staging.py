"""A stage with TCP routers, and short ways to write their configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from config.http import WeightedEntry
from config.layer4 import (
    ProxyProtocol,
    TCPLoadBalancer,
    TCPMiddleware,
    TCPRouter,
    TCPRouterTLS,
    TCPServer,
    TCPServersTransport,
    TCPService,
    TLSClientConfig,
    WeightedServices,
)
from config.static import EntryPoint
from tests.playbook import Stage, respond
from tests.tls.pki import Pair
from tests.workers.secure import engine, table
from tls.options import TLSSettings
from tls.selection import TLSTable
from tls.server_names import NameTable
from workers.exchange import Handler
from workers.tcp.environment import TCPEnvironment
from workers.tcp.runtime import TCPChanges, TCPRuntime
from workers.tls_state import TLSState

ENGINE = engine()


def environment(**members: Any) -> TCPEnvironment:
    given: dict[str, Any] = {
        "entry_points": frozenset({"web", "other"}),
        "default_entry_points": ["web"],
        "precedence": ["kubernetescrd", "file"],
    }
    return TCPEnvironment(**(given | members))


def router(rule: str = "HostSNI(`*`)", service: str = "s", tls: str | None = None, **members: Any) -> TCPRouter:
    """`tls`: `end`, `pass` or the name of an option to end it with."""
    wanted = None
    if tls is not None:
        option = "" if tls in ("end", "pass") else tls
        wanted = TCPRouterTLS(passthrough=tls == "pass", options=option)
    return TCPRouter(rule=rule, service=service, tls=wanted, **members)


def service(*ports: int, is_tls: bool = False, **members: Any) -> TCPService:
    servers = [TCPServer(address=f"127.0.0.1:{port}", tls=is_tls) for port in ports]
    return TCPService(load_balancer=TCPLoadBalancer(servers=servers, **members))


def weighted(**weights: int) -> TCPService:
    entries = [WeightedEntry(name=name, weight=weight) for name, weight in weights.items()]
    return TCPService(weighted=WeightedServices(services=entries))


def transport(**members: Any) -> TCPServersTransport:
    """`proxy`: version of the PROXY header; `tls`: members of the TLS part."""
    given: dict[str, Any] = {"dial_timeout": "5s", "dial_keep_alive": "15s", "termination_delay": "100ms"}
    version, tls = members.pop("proxy", 0), members.pop("tls", None)
    if version:
        given["proxy_protocol"] = ProxyProtocol(version=version)
    if tls is not None:
        given["tls"] = TLSClientConfig(**tls)
    return TCPServersTransport(**(given | members))


def runtime(
    routers: Mapping[str, TCPRouter],
    services: Mapping[str, TCPService],
    *,
    middlewares: Mapping[str, TCPMiddleware] | None = None,
    transports: Mapping[str, TCPServersTransport] | None = None,
    tls: TLSState | None = None,
    where: TCPEnvironment | None = None,
) -> TCPRuntime:
    """Names get the provider `file` where they have none."""
    changes = TCPChanges(
        routers=_named(routers),
        services=_named(services),
        middlewares=_named(middlewares or {}),
        transports=_named(transports or {}),
    )
    return TCPRuntime(where or environment()).updated(changes, tls or TLSState(ENGINE.default), set(), _no_pause)


def _named(objects: Mapping[str, Any]) -> dict[str, Any]:
    return {name if "@" in name else f"{name}@file": value for name, value in objects.items()}


def _no_pause() -> None:
    pass


def https(
    *hosts: str,
    catch_all: bool = False,
    pairs: Mapping[str, Pair] | None = None,
    options: tuple[TLSSettings, ...] = (),
) -> TLSTable:
    """What HTTPS routers for `hosts` (and for any, with `catch_all`) make of TLS connections."""
    plain = table(pairs or {}, options)
    names = NameTable((host, "default") for host in hosts)
    return TLSTable(plain._store, plain._options, names, hostless=catch_all)


def stage(
    running: TCPRuntime,
    *,
    tls_table: TLSTable | None = None,
    options: EntryPoint | None = None,
    handler: Handler | None = None,
    script: Callable[[Any], None] | None = None,
) -> Stage:
    """An entry point `web` with the TCP routers of `running`, and an HTTP table that answers `ok`."""
    made = Stage(script, handler=handler or respond(), options=options, tls=ENGINE, tls_table=tls_table or table())
    made.server.tcp_table = running.tables["web"]
    return made

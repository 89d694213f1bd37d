"""From what the user wrote to what is in force: derived entry points, and checks that need the whole picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import msgspec

from config import http3_twins
from config.control_page import SLOT_COUNT
from config.networks import NetworkError, parse_network
from config.static import (
    TRAEFIK_ENTRY_POINT,
    Address,
    AddressError,
    EntryPoint,
    StaticConfiguration,
    parse_address,
)
from config.static_errors import Problem
from config.static_providers import PRECEDENCE, KubernetesIngress
from config.static_schema import Indexed, Leaf, Named, Section, root

SHORTEST_LEASE_SECONDS: Final = 3
_BASE_PATH: Final = re.compile(r"/[a-zA-Z0-9/_.:~-]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_WILDCARDS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
# Integers whose negative values mean something.
_MAY_BE_NEGATIVE: Final = (
    "serversTransport.maxIdleConnsPerHost",
    "tcpServersTransport.dialKeepAlive",
    "tcpServersTransport.terminationDelay",
)


def derive(static: StaticConfiguration) -> StaticConfiguration:
    """Add the entry points that nobody declared but that are needed: `http` on :80, `traefik` on :8080."""
    points = dict(static.entry_points) or {"http": EntryPoint(address=":80")}
    if TRAEFIK_ENTRY_POINT not in points and _needs_traefik(static):
        points[TRAEFIK_ENTRY_POINT] = EntryPoint(address=":8080")
    return msgspec.structs.replace(static, entry_points=points)


def _needs_traefik(static: StaticConfiguration) -> bool:
    ping = static.ping
    on_ping = ping is not None and not ping.manual_routing and ping.entry_point == TRAEFIK_ENTRY_POINT
    prometheus = static.metrics.prometheus if static.metrics is not None else None
    on_metrics = (
        prometheus is not None and not prometheus.manual_routing and prometheus.entry_point == TRAEFIK_ENTRY_POINT
    )
    return on_ping or on_metrics or (static.api is not None and static.api.insecure)


def check(static: StaticConfiguration) -> Iterator[Problem]:
    """Everything that makes an effective configuration unusable."""
    yield from _check_addresses(static)
    for name, point in static.entry_points.items():
        yield from _check_entry_point(f"entryPoints.{name}", point)
    yield from _check_redirections(static)
    yield from _check_features(static)
    yield from _check_numbers(root(), static, "")
    if static.workers > SLOT_COUNT:
        yield _problem("workers", f"must not be above {SLOT_COUNT}")


def remarks(static: StaticConfiguration) -> Iterator[str]:
    """What works but is probably not what the user wants."""
    providers = static.providers
    ingress = providers.kubernetes_ingress
    if providers.kubernetes_crd is None and providers.manifests is None and ingress is None:
        yield "no provider is configured: every request will be answered 404"
    if ingress is not None and ingress.disable_ingress_class_lookup:
        yield (
            "providers.kubernetesIngress.disableIngressClassLookup is deprecated: "
            "write disableClusterScopeResources"
        )
    if static.core.default_rule_syntax == "v2":
        yield "core.defaultRuleSyntax: the v2 rule syntax is deprecated"
    for name, point in static.entry_points.items():
        if point.http.tls is not None and point.http.tls.cert_resolver:
            yield (
                f"entryPoints.{name}.http.tls.certResolver: there is no certificate resolver "
                f"{point.http.tls.cert_resolver}, this version of Pointsman orders no certificates; routers are "
                "served with those of Secrets, or the default one"
            )


def _check_addresses(static: StaticConfiguration) -> Iterator[Problem]:
    usable: list[tuple[str, Address]] = []
    for name, point in static.entry_points.items():
        path = f"entryPoints.{name}.address"
        if not point.address:
            yield _problem(path, "is missing; write [host]:port")
            continue
        try:
            address = parse_address(point.address)
        except AddressError as error:
            yield _problem(path, f"is wrong: {error}")
            continue
        usable.append((name, address))
        if point.http3 is not None:
            yield from _check_http3(name, address)
            usable.append((name, address._replace(protocol="udp")))
    for (first, one), (second, other) in combinations(usable, 2):
        if _collide(one, other):
            yield _problem(
                f"entryPoints.{second}.address",
                f"{static.entry_points[second].address} is taken by entry point {first} "
                f"({static.entry_points[first].address})",
            )


def _check_http3(name: str, address: Address) -> Iterator[Problem]:
    path = f"entryPoints.{name}.http3"
    if address.protocol != "tcp":
        yield _problem(path, "is for TCP entry points; HTTP/3 then takes the UDP port of the same number")
    elif not http3_twins.is_installed():
        yield _problem(path, f"needs an extra that is not installed: pip install '{http3_twins.EXTRA}'")


def _collide(one: Address, other: Address) -> bool:
    if one.port == 0 or (one.port, one.protocol) != (other.port, other.protocol):
        return False
    hosts = {one.host, other.host}
    if "0.0.0.0" in hosts and any(":" in host and host != "::" for host in hosts):  # noqa: S104
        return False
    return len(hosts) == 1 or not hosts.isdisjoint(_WILDCARDS)


def _is_udp(point: EntryPoint) -> bool:
    try:
        return point.protocol == "udp"
    except AddressError:
        return False


def _check_entry_point(path: str, point: EntryPoint) -> Iterator[Problem]:
    yield from _check_networks(f"{path}.forwardedHeaders.trustedIPs", point.forwarded_headers.trusted_ips)
    proxy_protocol = point.proxy_protocol
    if proxy_protocol is not None:
        yield from _check_networks(f"{path}.proxyProtocol.trustedIPs", proxy_protocol.trusted_ips)
        if not (proxy_protocol.insecure or proxy_protocol.trusted_ips):
            yield _problem(f"{path}.proxyProtocol", "believes nobody; write trustedIPs, or insecure=true")
    if point.udp.timeout_seconds <= 0:
        yield _problem(f"{path}.udp.timeout", "must be greater than zero")
    http = point.http
    if http.alias_headers_strategy and http.underscore_headers_strategy not in ("", http.alias_headers_strategy):
        yield _problem(
            f"{path}.http",
            "says different things with aliasHeadersStrategy and underscoreHeadersStrategy; write the former only",
        )
    redirect = point.http.redirections.entry_point
    if redirect is not None and not redirect.to:
        yield _problem(f"{path}.http.redirections.entryPoint.to", "is missing; write an entry point, or :port")


def _check_redirections(static: StaticConfiguration) -> Iterator[Problem]:
    for name, point in static.entry_points.items():
        redirect, path = point.http.redirections.entry_point, f"entryPoints.{name}.http.redirections.entryPoint"
        if redirect is None or not redirect.to:
            continue
        if redirect.to.startswith(":"):
            if not (redirect.to[1:].isascii() and redirect.to[1:].isdigit()):
                yield _problem(f"{path}.to", f"is {redirect.to!r}, which is no :port")
        elif redirect.to not in static.entry_points:
            known = ", ".join(sorted(static.entry_points))
            yield _problem(f"{path}.to", f"names {redirect.to!r}, which is no entry point (known: {known})")


def _check_networks(path: str, entries: Sequence[str]) -> Iterator[Problem]:
    for entry in entries:
        try:
            parse_network(entry)
        except NetworkError:
            yield _problem(path, f"holds {entry!r}, which is no address or CIDR block")


def _check_features(static: StaticConfiguration) -> Iterator[Problem]:
    ping, api, manifests = static.ping, static.api, static.providers.manifests
    if ping is not None:
        streams = sorted(name for name, point in static.entry_points.items() if not _is_udp(point))
        if not ping.manual_routing and ping.entry_point not in streams:
            what = "is for UDP" if ping.entry_point in static.entry_points else "is no entry point"
            yield _problem(
                "ping.entryPoint", f"names {ping.entry_point!r}, which {what} (known: {', '.join(streams)})"
            )
        if not 200 <= ping.terminating_status_code <= 599:
            yield _problem("ping.terminatingStatusCode", "must be a status from 200 to 599")
    yield from _check_metrics(static)
    if api is not None and not _BASE_PATH.fullmatch(api.base_path):
        yield _problem("api.basePath", "must begin with / and hold only letters, digits and / _ . : ~ -")
    crd = static.providers.kubernetes_crd
    if crd is not None and crd.report.lease_duration_seconds < SHORTEST_LEASE_SECONDS:
        yield _problem(
            "providers.kubernetesCRD.report.leaseDuration", f"must be {SHORTEST_LEASE_SECONDS}s at least"
        )
    yield from _check_ingress(static.providers.kubernetes_ingress)
    for name in static.providers.precedence:
        if name.lower() not in PRECEDENCE:
            yield _problem("providers.precedence", f"holds {name!r}, which is no provider of Traefik's")
    if manifests is not None and not manifests.directory:
        yield _problem("providers.manifests.directory", "is missing")


def _check_metrics(static: StaticConfiguration) -> Iterator[Problem]:
    prometheus = static.metrics.prometheus if static.metrics is not None else None
    if prometheus is None:
        return
    path, point = "metrics.prometheus", prometheus.entry_point
    streams = sorted(name for name, one in static.entry_points.items() if not _is_udp(one))
    if not prometheus.manual_routing and point not in streams:
        what = "is for UDP" if point in static.entry_points else "is no entry point"
        yield _problem(f"{path}.entryPoint", f"names {point!r}, which {what} (known: {', '.join(streams)})")
    buckets = prometheus.buckets
    if list(buckets) != sorted(set(buckets)) or any(bucket <= 0 for bucket in buckets):
        yield _problem(f"{path}.buckets", "must be positive and in rising order")
    for label in prometheus.header_labels:
        if not _LABEL.fullmatch(label):
            yield _problem(f"{path}.headerLabels", f"holds {label!r}, which cannot be the name of a label")


def _check_ingress(settings: KubernetesIngress | None) -> Iterator[Problem]:
    if settings is None or not settings.report_node_internal_ips:
        return
    path = "providers.kubernetesIngress.reportNodeInternalIPs"
    if settings.ingress_endpoint is not None:
        yield _problem(path, "cannot be combined with ingressEndpoint")
    if settings.disable_cluster_scope_resources:
        yield _problem(path, "needs Nodes and cannot be combined with disableClusterScopeResources")


def _check_numbers(section: Section, value: object, prefix: str) -> Iterator[Problem]:
    """No duration and, with few exceptions, no integer is negative."""
    for option in section.options.values():
        path, held = f"{prefix}{option.name}", getattr(value, option.attribute)
        match option:
            case Leaf(kind="int" | "duration"):
                if held < 0 and path not in _MAY_BE_NEGATIVE:
                    yield _problem(path, "must not be negative")
            case Section() if held is not None:
                yield from _check_numbers(option, held, f"{path}.")
            case Named():
                for name, below in held.items():
                    yield from _check_numbers(option.element, below, f"{path}.{name}.")
            case Indexed():
                for index, below in enumerate(held):
                    yield from _check_numbers(option.element, below, f"{path}[{index}].")


def _problem(path: str, message: str) -> Problem:
    return Problem(path, "", f"{path} {message}")

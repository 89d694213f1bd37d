"""TCP and UDP routers in what `pointsman check` finds and prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.master.inspecting import A, nowhere, pointsman, write
from tests.provider.support import Json, endpoints, service
from tests.provider.translate.routes import custom

__all__ = ["nowhere"]

BASE = [service("a"), endpoints("a", "10.0.0.1", "10.0.0.2")]
FLAGS = (
    "--entryPoints.tcp.address=:9000",
    "--entryPoints.dns.address=:5353/udp",
    "--entryPoints.out.address=:5354/udp",
)


def tcp(name: str, *routes: tuple[str, list[Json]], **spec: Any) -> Json:
    return custom(
        "IngressRouteTCP", name, routes=[{"match": match, "services": to} for match, to in routes], **spec
    )


def udp(name: str, *routes: list[Json], **spec: Any) -> Json:
    return custom("IngressRouteUDP", name, routes=[{"services": to} for to in routes], **spec)


def checked(folder: Path, *objects: Json, flags: tuple[str, ...] = FLAGS) -> Json:
    result = pointsman("check", "--output=json", write(folder, *BASE, *objects), *flags)
    assert result.exit_code in (0, 1), result.output
    report: Json = json.loads(result.stdout)
    return report


def rows(report: Json, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in report["routes"]]


def test_tcp_routers_with_their_servers_and_places(tmp_path: Path) -> None:
    one = tcp("db", ("HostSNI(`*`)", [A]), ("HostSNI(`db.example`)", [A, A | {"weight": 3}]), tls={})
    report = checked(tmp_path, one, tcp("plain", ("HostSNI(`*`)", [A])))
    assert rows(report, "protocol", "entryPoint", "tls", "status", "object", "field") == [
        ("tcp", "tcp", True, "enabled", "IngressRouteTCP default/db", "spec.routes[1]"),
        ("tcp", "tcp", True, "enabled", "IngressRouteTCP default/db", "spec.routes[0]"),
        ("tcp", "tcp", False, "enabled", "IngressRouteTCP default/plain", "spec.routes[0]"),
    ]
    assert {tuple(row["servers"]) for row in report["routes"]} == {("10.0.0.1:8080", "10.0.0.2:8080")}
    assert report["summary"]["routes"] == 3
    assert report["findings"] == []


def test_what_disables_a_tcp_router_is_told_once(tmp_path: Path) -> None:
    report = checked(
        tmp_path,
        tcp("noservice", ("HostSNI(`*`)", [{"name": "gone", "port": 80}])),
        tcp("notls", ("HostSNI(`a.example`)", [A])),
        tcp("elsewhere", ("HostSNI(`*`)", [A]), entryPoints=["nope"]),
    )
    found = sorted((one["name"], one["reason"]) for one in report["findings"] if one["severity"] == "error")
    assert found == [
        ("elsewhere", "NoEntryPoint"),
        ("noservice", "NoService"),
        ("noservice", "ServiceNotFound"),
        ("notls", "TLSMissing"),
    ]
    assert {status for (status,) in rows(report, "status")} == {"disabled"}
    assert report["summary"]["routesDisabled"] == 3


def test_udp_routers_the_one_that_serves_first(tmp_path: Path) -> None:
    report = checked(tmp_path, udp("dns", [A], entryPoints=["dns"]), udp("zone", [A], entryPoints=["dns", "out"]))
    assert rows(report, "protocol", "entryPoint", "router", "servers") == [
        ("udp", "dns", "default-zone-0@kubernetescrd", ["10.0.0.1:8080", "10.0.0.2:8080"]),
        ("udp", "dns", "default-dns-0@kubernetescrd", ["10.0.0.1:8080", "10.0.0.2:8080"]),
        ("udp", "out", "default-zone-0@kubernetescrd", ["10.0.0.1:8080", "10.0.0.2:8080"]),
    ]
    assert [one["reason"] for one in report["findings"]] == ["RouteNotServed"]


def test_udp_routers_where_entry_points_are_only_assumed(tmp_path: Path) -> None:
    report = checked(tmp_path, udp("dns", [A], entryPoints=["dns"]), flags=())
    assert rows(report, "entryPoint", "status", "errors") == [("dns", "unknown", [])]
    assert report["summary"]["routesDisabled"] == 0


def test_the_text_has_a_table_of_its_own_for_them(tmp_path: Path) -> None:
    path = write(tmp_path, *BASE, tcp("db", ("HostSNI(`*`)", [A])), udp("dns", [A], entryPoints=["dns"]))
    result = pointsman("check", path, *FLAGS)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "ENTRY POINT PROTOCOL TLS PRIORITY STATUS SERVERS SERVICE RULE"
    assert any(line.startswith("dns udp - - enabled 2 default-dns-0") for line in lines)
    assert any(line.startswith("tcp tcp no ") and line.endswith("HostSNI(`*`)") for line in lines)
    assert result.exit_code == 0

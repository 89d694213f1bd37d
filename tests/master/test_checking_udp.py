"""`pointsman check` on IngressRouteUDPs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.master.inspecting import nowhere, pointsman, write
from tests.provider.support import endpoints, service

__all__ = ["nowhere"]

POINTS = (
    "--entryPoints.web.address=:80",
    "--entryPoints.dns.address=:53/udp",
    "--entryPoints.log.address=:514/udp",
)


def udp_route(name: str, *entry_points: str) -> dict[str, Any]:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRouteUDP",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"entryPoints": list(entry_points), "routes": [{"services": [{"name": "a", "port": 80}]}]},
    }


def found(tmp_path: Path, *routes: dict[str, Any], points: tuple[str, ...] = POINTS) -> list[tuple[str, ...]]:
    path = write(tmp_path, *routes, service("a"), endpoints("a", "10.0.0.1"))
    result = pointsman("check", "--output=json", path, *points)
    assert result.exit_code in (0, 1), result.output
    return [
        (one["name"], one["severity"], one["reason"], one["message"])
        for one in json.loads(result.stdout)["findings"]
    ]


def test_entry_points_that_are_not_there_for_udp(tmp_path: Path) -> None:
    assert found(tmp_path, udp_route("half", "dns", "web"), udp_route("none", "nope")) == [
        ("none", "error", "NoEntryPoint", "the router is disabled: no valid entryPoint for this router"),
        ("half", "warning", "UnknownEntryPoint", 'entryPoint "web" doesn\'t exist'),
        ("none", "warning", "UnknownEntryPoint", 'entryPoint "nope" doesn\'t exist'),
    ]


def test_routes_of_different_objects_on_one_entry_point(tmp_path: Path) -> None:
    assert found(tmp_path, udp_route("all"), udp_route("dns", "dns")) == [
        (
            "all",
            "warning",
            "RouteNotServed",
            "an entry point serves one UDP route, the last by name: dns to default-dns-0@kubernetescrd",
        )
    ]


def test_nothing_is_said_where_entry_points_are_assumed(tmp_path: Path) -> None:
    assert found(tmp_path, udp_route("all"), udp_route("dns", "dns"), points=()) == []

"""IngressRouteUDP: names, what is lost with what. The shapes themselves are in the golden cases."""

from __future__ import annotations

from typing import Any

from tests.provider.support import Json
from tests.provider.translate.routes import built, custom, names, reasons, web


def one(*routes: list[Json], **spec: Any) -> Json:
    return custom("IngressRouteUDP", "one", routes=[{"services": services} for services in routes], **spec)


WEB = {"name": "web", "port": 80}


def test_a_route_is_named_by_its_place() -> None:
    result = built(*web(), one([WEB], [WEB, WEB | {"weight": 3}], entryPoints=["dns"]))
    assert names(result, "udp.routers") == ["default-one-0", "default-one-1"]
    assert result.configuration.udp.routers["default-one-1"].entry_points == ["dns"]
    assert names(result, "udp.services") == ["default-one-0", "default-one-1", "default-one-1-web-80"]
    weighted = result.configuration.udp.services["default-one-1"].weighted
    assert weighted is not None
    assert [entry.weight for entry in weighted.services] == [1, 3]


def test_routes_that_are_not_served_are_reported() -> None:
    result = built(*web(), one([WEB], [WEB], [{"name": "absent", "port": 80}]))
    assert reasons(result) == ["ServiceNotFound", "NoService", "RouteNotServed"]
    last = result.findings[-1]
    assert last.field == "spec.routes[0]"
    assert "default-one-1" in last.message


def test_the_qualified_name_decides_which_is_last() -> None:
    result = built(*web(), one(*([WEB] for _ in range(11))))
    messages = {finding.message for finding in result.findings}
    assert messages == {"an entry point serves one route, and that is default-one-9"}
    eleven = built(*web(), one(*([WEB] if index in (1, 10) else [] for index in range(11))))
    assert "that is default-one-1" in eleven.findings[-1].message  # `@` sorts after `0`


def test_a_foreign_service_is_left_out() -> None:
    result = built(*web(), one([{"name": "x", "namespace": "b", "port": 80}, WEB]))
    weighted = result.configuration.udp.services["default-one-0"].weighted
    assert weighted is not None
    assert len(weighted.services) == 1
    assert reasons(result) == ["CrossNamespaceNotAllowed"]


def test_other_classes_are_left_alone() -> None:
    result = built(one([WEB], ingressClassName="nginx"))
    assert names(result, "udp.routers") == []
    assert result.findings == []

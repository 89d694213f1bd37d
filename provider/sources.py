"""Where objects come from: a cluster's API server, a folder of manifests, or both, into one queue.

Raises at start what only the user can cure (a label selector, connection settings); what can heal by itself is
retried for ever by the threads started here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from config.static import StaticConfiguration
from config.static_providers import KubernetesCRD, Providers
from provider.feeds import Feeds
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.informer import Feed, Informer
from provider.kube.selectors import parse_selector
from provider.manifest_watch import ManifestWatcher
from provider.manifests import ManifestFolder
from provider.options import TranslationOptions
from provider.resources.kinds import KINDS, NODE

log = logging.getLogger(__name__)

Deliver = Callable[[Any], None]


class Sources:
    """Starts and stops the threads that deliver. `feeds` knows the state of each watched collection."""

    def __init__(
        self, static: StaticConfiguration, environ: Mapping[str, str], version: str, deliver: Deliver
    ) -> None:
        """Raises SelectorError or ConnectionSettings."""
        providers = static.providers
        self._settings = providers.kubernetes_crd or KubernetesCRD()
        self._deliver = deliver
        self._informers: list[Informer] = []
        self._watcher: ManifestWatcher | None = None
        self._api: Api | None = None
        self.feeds = Feeds()
        self.options = TranslationOptions.of(self._settings, static.core.default_rule_syntax)
        self.names: list[str] = []
        selector = parse_selector(self._settings.label_selector)
        if providers.kubernetes_crd is not None and not _is_only_manifests(providers, environ):
            self._api = Api(configure(self._settings, environ), version)
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
            if kind is not NODE:
                for namespace in self._settings.namespaces or [""]:
                    self._follow(Feed(kind, namespace))

    def want_nodes(self) -> None:
        """A route asks for Nodes: watch them from now on, if there is a cluster and we may."""
        feed = Feed(NODE)
        if feed not in self.feeds and not self._settings.disable_cluster_scope_resources:
            self._follow(feed)

    def stop(self) -> None:
        for informer in self._informers:
            informer.stop()
        if self._watcher is not None:
            self._watcher.stop()
        if self._api is not None:
            self._api.close()

    def _follow(self, feed: Feed) -> None:
        if self._api is None:
            return
        self.feeds.expect(feed)
        selector = self._settings.label_selector if feed.kind.is_custom else ""
        informer = Informer(self._api, feed, self._deliver, selector=selector)
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

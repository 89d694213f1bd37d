"""Where objects come from: a cluster's API server, a folder of manifests, or both, into one queue.

Raises at start what only the user can cure (a label selector, connection settings); what can heal by itself is
retried for ever by the threads started here. Both Kubernetes providers are fed from one connection: a collection
that both need is watched once, in the namespaces of both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from config.static import StaticConfiguration
from config.static_providers import KubernetesCRD, KubernetesOptions, Providers
from provider.environment import Environment
from provider.feeds import Feeds
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.errors import ConnectionSettings
from provider.kube.fetcher import Fetcher
from provider.kube.informer import Feed, Informer
from provider.kube.selectors import parse_selector
from provider.manifest_objects import Scope
from provider.manifest_watch import ManifestWatcher
from provider.manifests import ManifestFolder
from provider.options import TranslationOptions
from provider.resources.kinds import KINDS, Kind, ObjectKey

log = logging.getLogger(__name__)

Deliver = Callable[[Any], None]


class Sources:
    """Starts and stops the threads that deliver. `feeds` knows the state of each watched collection.

    `options` are those of each provider that translates, in order of precedence; `api` is None without a cluster.
    """

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
        self._watching: dict[str, KubernetesOptions] = _configured(providers)
        self._deliver = deliver
        self._informers: list[Informer] = []
        self._watcher: ManifestWatcher | None = None
        self._fetcher: Fetcher | None = None
        self._is_read = is_read
        self.api: Api | None = None
        self.feeds = Feeds(known_before)
        self.options = translation_options(static, Environment.of(static))
        self.names: list[str] = []
        scopes = {
            provider: Scope(parse_selector(settings.label_selector), self.options[provider].watches)
            for provider, settings in self._watching.items()
        }
        if self._watching and not _is_only_manifests(providers, environ):
            self.api = _connect(self._watching, environ, version)
            self._fetcher = Fetcher(self.api, deliver, is_read)
            self.names.append(f"kubernetes {self.api.host}")
        if providers.manifests is not None:
            selector, watches = scopes.get(PROVIDER_CRD, Scope())
            ingress = scopes.get(PROVIDER_INGRESS)
            folder = ManifestFolder(providers.manifests.directory, selector, watches, ingress=ingress)
            self._watcher = ManifestWatcher(folder, deliver)
            self.names.append(f"manifests {providers.manifests.directory}")

    @property
    def has_manifests(self) -> bool:
        return self._watcher is not None

    @property
    def build_pause_seconds(self) -> float:
        """Shortest pause between two builds. All are built together, so the least patient provider decides."""
        return min((one.throttle_duration_seconds for one in self._watching.values()), default=0.0)

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
        if self.api is not None:
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
        readers = [one for provider, one in self._watching.items() if kind.provider in ("", provider)]
        if not kind.namespaced:
            return [Feed(kind)] if any(not one.disable_cluster_scope_resources for one in readers) else []
        if any(not one.namespaces for one in readers):
            return [Feed(kind)]
        return [
            Feed(kind, namespace) for namespace in sorted({name for one in readers for name in one.namespaces})
        ]

    def stop(self) -> None:
        for informer in self._informers:
            informer.stop()
        if self._fetcher is not None:
            self._fetcher.stop()
        if self._watcher is not None:
            self._watcher.stop()
        if self.api is not None:
            self.api.close()

    def _follow(self, feed: Feed) -> None:
        if self.api is None:
            return
        self.feeds.expect(feed)
        selector = self._watching[feed.kind.provider].label_selector if feed.kind.routes else feed.kind.selector
        is_read = self._is_read if feed.kind.is_sparse else None
        informer = Informer(self.api, feed, self._deliver, selector=selector, is_read=is_read)
        self._informers.append(informer)
        informer.start()

    def _warn(self) -> None:
        for options in self.options.values():
            if options.allow_cross_namespace:
                log.warning("cross-namespace references are allowed (allowCrossNamespace)")
            if options.allow_external_name_services:
                log.info("ExternalName Services are allowed (%s.allowExternalNameServices)", options.section)
            if options.cross_provider_namespaces is not None:
                log.warning(
                    "references to other providers are limited (%s.crossProviderNamespaces)",
                    options.section,
                    extra={"namespaces": ",".join(sorted(options.cross_provider_namespaces)) or "none"},
                )


def translation_options(
    static: StaticConfiguration, environment: Environment | None = None
) -> dict[str, TranslationOptions]:
    """By the name of the provider, in order of precedence. Manifests alone stand for custom resources."""
    providers, syntax = static.providers, static.core.default_rule_syntax
    options = {}
    is_alone = providers.kubernetes_ingress is None
    if providers.kubernetes_crd is not None or providers.manifests is not None or is_alone:
        options[PROVIDER_CRD] = TranslationOptions.of(providers.kubernetes_crd or KubernetesCRD(), syntax)
    if providers.kubernetes_ingress is not None:
        options[PROVIDER_INGRESS] = TranslationOptions.of_ingress(providers.kubernetes_ingress, syntax)
    return {provider: replace(one, environment=environment) for provider, one in options.items()}


def _configured(providers: Providers) -> dict[str, KubernetesOptions]:
    """Settings of the providers that have a cluster."""
    given = {PROVIDER_CRD: providers.kubernetes_crd, PROVIDER_INGRESS: providers.kubernetes_ingress}
    return {provider: settings for provider, settings in given.items() if settings is not None}


def _connect(settings: Mapping[str, KubernetesOptions], environ: Mapping[str, str], version: str) -> Api:
    """The one connection of all providers. Raises ConnectionSettings."""
    named = {one.endpoint.rstrip("/") for one in settings.values() if one.endpoint}
    if len(named) > 1:
        raise ConnectionSettings(
            "providers.kubernetesCRD.endpoint and providers.kubernetesIngress.endpoint name different clusters: "
            "write the same URL, or start a second Pointsman"
        )
    provider = next((name for name, one in settings.items() if one.endpoint), next(iter(settings)))
    section = "providers.kubernetesCRD" if provider == PROVIDER_CRD else "providers.kubernetesIngress"
    return Api(configure(settings[provider], environ, section=section), version)


def _is_only_manifests(providers: Providers, environ: Mapping[str, str]) -> bool:
    """Manifests on disk, and Kubernetes given for its translation options alone: nothing names a cluster."""
    in_cluster = environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT")
    endpoints = any(settings.endpoint for settings in _configured(providers).values())
    return providers.manifests is not None and not (in_cluster or environ.get("KUBECONFIG") or endpoints)

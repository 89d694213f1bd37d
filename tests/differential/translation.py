"""Manifests through the real Traefik's provider and through ours, without any proxying: object by object.

Traefik logs the configuration that its provider has made, before anything is merged or judged; of Middlewares,
which the log may not show in full, the API has the rest. Neither shows certificates, authorities and keys, so
these are left out on both sides; that they are the right ones is for the unit tests to say.

    assert compare(manifests, options) == []
"""

from __future__ import annotations

import json
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

from config.dynamic import SECTIONS, objects_of
from config.masking import printable
from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from config.shape import Shape
from config.static_load import load
from config.static_providers import KubernetesCRD, KubernetesIngress, KubernetesOptions
from config.tls import TLSOptions
from provider.kube.watch import ListWatch
from provider.options import TranslationOptions
from provider.resources.kinds import KINDS
from provider.store import Store
from provider.translate.builder import BuildResult, build
from tests.differential.proxies import Proxy, traefik_binary
from tests.kube import KubeServer

Objects = dict[str, dict[str, Any]]
"""Plain objects by bare name by section."""

UNSEEN: Final = frozenset(("rootCAs", "certificates", "caFiles", "defaultCertificate"))
"""Members that the original shows nowhere."""
SENTINEL: Final = "zz-sentinel"
_SECTIONS: Final = {PROVIDER_CRD: "kubernetescrd", PROVIDER_INGRESS: "kubernetesingress"}
_CIPHER_SUITES: Final = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
)
_RUNTIME: Final = frozenset(("status", "usedBy", "error"))


@dataclass(frozen=True)
class Translation:
    """What both made of the same manifests. `result` is all of ours, findings included; `log` is theirs."""

    theirs: Objects
    ours: Objects
    result: BuildResult
    log: str

    def differences(self) -> list[str]:
        """One line for each: section, name and path, what they have, what we have."""
        return [
            line
            for section in SECTIONS
            if section != "tls.certificates"
            for line in _differences(section, self.theirs.get(section, {}), self.ours.get(section, {}))
        ]


def compare(manifests: str, options: Sequence[str] = ()) -> list[str]:
    """Differences between their translation and ours; empty if there are none. See `translate`."""
    return translate(manifests, options).differences()


def translate(manifests: str, options: Sequence[str] = (), provider: str = PROVIDER_CRD) -> Translation:
    """Both translations. `options` are arguments such as `--providers.kubernetescrd.allowemptyservices=true`.

    `provider`: the one that is compared. Needs the real Traefik, and takes as long as it needs to start.
    """
    section = _SECTIONS[provider]
    settings = _settings(section, options)
    if isinstance(settings, KubernetesIngress):
        sentinel, ours_options = _sentinel_ingress(settings), TranslationOptions.of_ingress(settings)
    else:
        sentinel, ours_options = _sentinel(settings), TranslationOptions.of(settings)
    with KubeServer() as kube, tempfile.TemporaryDirectory() as folder:
        kube.apply(manifests)
        kube.apply(sentinel)
        given = [f"--providers.{section}.endpoint={kube.url}", "--log.format=json", *options]
        theirs, log = _theirs(provider, given, Path(folder))
        result = build(_store(kube, settings), ours_options, provider)
    ours: Objects = {}
    for section, name, value in objects_of(result.configuration):
        if SENTINEL not in name:
            ours.setdefault(section, {})[name] = _visible(_printed(value))
    return Translation(theirs, ours, result, log)


def _settings(section: str, options: Sequence[str]) -> KubernetesCRD | KubernetesIngress:
    given = [f"--providers.{section}=true", *options]
    providers = load(given, {}, Path("/nonexistent"), validate=False).static.providers
    settings = providers.kubernetes_crd if section == _SECTIONS[PROVIDER_CRD] else providers.kubernetes_ingress
    assert settings is not None
    return settings


def _namespace(settings: KubernetesOptions) -> str:
    return settings.namespaces[0] if settings.namespaces else SENTINEL


def _sentinel(settings: KubernetesCRD) -> str:
    """A route that is taken whatever the options: when it shows up in their API, so does everything else."""
    key, _, value = settings.label_selector.partition("=")
    namespace = _namespace(settings)
    route = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {
            "name": SENTINEL,
            "namespace": namespace,
            "labels": {key: value} if key else {},
        },
        "spec": {
            "ingressClassName": settings.ingress_class,
            "routes": [
                {
                    "kind": "Rule",
                    "match": "Host(`sentinel`)",
                    "services": [{"name": "noop@internal", "kind": "TraefikService"}],
                }
            ],
        },
    }
    return yaml.safe_dump(route)


def _sentinel_ingress(settings: KubernetesIngress) -> str:
    """The same for Ingresses, which need a Service."""
    key, _, value = settings.label_selector.partition("=")
    metadata: dict[str, Any] = {"name": SENTINEL, "namespace": _namespace(settings)}
    backend = {"service": {"name": SENTINEL, "port": {"number": 80}}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"clusterIP": "10.96.9.9", "ports": [{"port": 80}]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": SENTINEL}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 80}],
        "endpoints": [{"addresses": ["10.9.9.9"]}],
    }
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            **metadata,
            "labels": {key: value} if key else {},
            "annotations": {"kubernetes.io/ingress.class": settings.ingress_class},
        },
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Exact", "backend": backend}]}}]},
    }
    return yaml.safe_dump_all([service, endpoints, ingress])


def _theirs(provider: str, given: Sequence[str], folder: Path) -> tuple[Objects, str]:
    proxy = Proxy("traefik", [str(traefik_binary()), *given], folder)
    try:
        proxy.wait_for_router(SENTINEL)
        rawdata, log = proxy.rawdata(), proxy.log()
    finally:
        proxy.stop()
    logged = _logged_configuration(provider, log)
    found: Objects = {}
    for section in SECTIONS:
        part, name = section.split(".")
        objects = (logged.get(part) or {}).get(name) or {}
        if section != "tls.certificates":
            found[section] = {key: _visible(value) for key, value in objects.items() if SENTINEL not in key}
    for name in found["http.middlewares"]:
        shown = rawdata["middlewares"][f"{name}@{provider}"]
        found["http.middlewares"][name] = {k: v for k, v in shown.items() if k not in _RUNTIME}
    return found, log


def _logged_configuration(provider: str, log: str) -> dict[str, Any]:
    for line in reversed(log.splitlines()):
        record = json.loads(line)
        if record.get("providerName") == provider and SENTINEL in json.dumps(record.get("config", "")):
            found: dict[str, Any] = record["config"]
            return found
    raise AssertionError("no configuration in the log")


def _store(kube: KubeServer, settings: KubernetesOptions) -> Store:
    """Everything the API server has, as our informers would read it."""
    store = Store()
    for kind in KINDS.values():
        selector = settings.label_selector if kind.routes else kind.selector
        for namespace in settings.namespaces if kind.namespaced and settings.namespaces else [""]:
            query = urllib.parse.urlencode({"labelSelector": selector} if selector else {})
            try:
                with urllib.request.urlopen(f"{kube.url}{kind.path(namespace)}?{query}", timeout=20) as answer:
                    snapshot = ListWatch(kind, namespace, Random(0)).page(answer.read())
            except urllib.error.HTTPError:
                assert kind.is_optional  # not installed
                continue
            assert snapshot is not None
            store.replace(kind, namespace, snapshot.objects)
    return store


def _printed(value: Shape) -> dict[str, Any]:
    """Our object as the original's log shows it: with what its TLS options have where nothing was given."""
    printed = printable(value, masked=False)
    if isinstance(value, TLSOptions):
        printed.setdefault("clientAuth", {})
        if value.alpn_protocols is None:
            printed["alpnProtocols"] = ["h2", "http/1.1", "acme-tls/1"]
        if value.cipher_suites is None:
            printed["cipherSuites"] = list(_CIPHER_SUITES)
    return printed


def _visible(value: Any) -> Any:
    """Plain data without what the original shows nowhere, and without what that leaves empty."""
    if isinstance(value, list):
        return [_visible(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {key: _visible(member) for key, member in value.items() if key not in UNSEEN}


def _differences(path: str, theirs: Any, ours: Any) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(theirs.keys() | ours.keys()):
            yield from _differences(f"{path} {key}", theirs.get(key, _NOTHING), ours.get(key, _NOTHING))
    elif theirs != ours:
        yield f"{path}: theirs {_text(theirs)}, ours {_text(ours)}"


def _text(value: Any) -> str:
    return "nothing" if value is _NOTHING else json.dumps(value)


_NOTHING: Final = object()

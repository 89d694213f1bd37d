"""Documents of manifest files -> objects by kind, as an API server would hold them.

What the API server fills in on writing is filled in here: the namespace and the defaults of the CRDs' schemas.
An object that two files define is taken from the first; kinds that nobody reads are counted and reported once.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from config.findings import Finding
from config.names import PROVIDER_CRD, PROVIDER_INGRESS
from provider.kube.selectors import Selector, parse_selector
from provider.resources.decode import Malformed, from_plain, key_of, without_nulls
from provider.resources.kinds import (
    ENDPOINT_SLICE,
    INGRESS_ROUTE,
    KINDS,
    SECRET,
    Kind,
    ObjectKey,
)
from provider.resources.unknown import UnknownField, unknown_fields
from provider.translate.typed import advice_for_unknown

DEFAULT_NAMESPACE = "default"

_SELECTORS = {kind.name: parse_selector(kind.selector) for kind in KINDS.values()}


@dataclass(frozen=True, slots=True)
class ManifestsRead:
    """All objects of the folder by kind; malformed ones are in their place."""

    objects: dict[str, list[Any]]
    findings: list[Finding]


class Scope(NamedTuple):
    """What one provider sees: its own kinds by label, and objects of watched namespaces."""

    selector: Selector = Selector()
    watches: Callable[[str], bool] = lambda namespace: True


class Gathering:
    """Objects of all files with what is wrong between them. Without `ingress` nobody has a use for Ingresses."""

    def __init__(self, selector: Selector, watches: Callable[[str], bool], ingress: Scope | None = None) -> None:
        self._scopes = {PROVIDER_CRD: Scope(selector, watches)}
        if ingress is not None:
            self._scopes[PROVIDER_INGRESS] = ingress
        self._objects: dict[str, list[Any]] = {name: [] for name in KINDS}
        self._seen: dict[ObjectKey, str] = {}
        self._ignored: dict[tuple[str, str], int] = {}
        self._findings: list[Finding] = []

    def add(self, name: str, document: dict[str, Any]) -> None:
        group = document["apiVersion"].rpartition("/")[0]
        kind = KINDS.get(document["kind"])
        if kind is None or kind.group != group or kind.provider not in ("", *self._scopes):
            ignored = (document["apiVersion"], document["kind"])
            self._ignored[ignored] = self._ignored.get(ignored, 0) + 1
            return
        plain = _with_defaults(kind, without_nulls(document))
        metadata = plain.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            self.note(name, "Malformed", f"a {kind.name} has no metadata.name", "name every object")
            return
        if self._is_wanted(kind, metadata):
            self._take(name, kind, plain)

    def note(self, name: str, reason: str, message: str, advice: str, line: int = 0) -> None:
        """An error of a file or of the folder; `name` is its path."""
        self._findings.append(
            Finding(
                kind="Manifest",
                namespace="",
                name=name,
                severity="error",
                reason=reason,
                message=message,
                field=f"line {line}" if line else "",
                advice=advice,
            )
        )

    def result(self) -> ManifestsRead:
        for (api_version, kind), count in sorted(self._ignored.items()):
            self._findings.append(
                Finding(
                    kind=kind,
                    namespace="",
                    name="",
                    severity="warning",
                    reason="IgnoredKind",
                    message=f"{count} of {api_version} ignored: there is no use for it",
                    advice=_use_of(api_version, kind),
                )
            )
        return ManifestsRead(self._objects, self._findings)

    def _is_wanted(self, kind: Kind, metadata: dict[str, Any]) -> bool:
        scopes = [self._scopes[kind.provider]] if kind.provider else list(self._scopes.values())
        namespace = str(metadata.get("namespace"))
        if kind.namespaced and not any(scope.watches(namespace) for scope in scopes):
            return False
        labels = metadata.get("labels")
        selector = scopes[0].selector if kind.routes else _SELECTORS[kind.name]
        return selector.matches(labels if isinstance(labels, dict) else {})

    def _take(self, name: str, kind: Kind, plain: dict[str, Any]) -> None:
        try:
            resource: Any = from_plain(kind, plain)
            key = key_of(kind, resource)
        except Malformed as malformed:
            resource, key = malformed, malformed.key
        except msgspec.MsgspecError as error:
            self.note(name, "Malformed", f"a {kind.name} is unreadable: {error}", "correct the object")
            return
        if key in self._seen:
            self._note_duplicate(key, self._seen[key], name)
            return
        self._seen[key] = name
        self._objects[kind.name].append(resource)
        for unknown in unknown_fields(kind, plain):
            self._note_unknown(key, unknown)

    def _note_unknown(self, key: ObjectKey, unknown: UnknownField) -> None:
        self._findings.append(
            Finding(
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                severity="warning",
                reason="UnknownField",
                message=f"{unknown.name} is not a field and has no effect",
                field=unknown.field,
                advice=advice_for_unknown(unknown.name, unknown.known),
            )
        )

    def _note_duplicate(self, key: ObjectKey, first: str, second: str) -> None:
        where = f"in {first} and in {second}" if first != second else f"twice in {first}"
        self._findings.append(
            Finding(
                kind=key.kind,
                namespace=key.namespace,
                name=key.name,
                severity="warning",
                reason="Duplicate",
                message=f"defined {where}; the first one is used",
                advice="remove one of them",
            )
        )


def _use_of(api_version: str, kind: str) -> str:
    """Advice for who has objects of a kind that is not read."""
    known = KINDS.get(kind)
    if known is None:
        return ""
    if known.api_version != api_version:
        return f"write apiVersion {known.api_version}"
    return "set providers.kubernetesIngress"


def _with_defaults(kind: Kind, plain: dict[str, Any]) -> dict[str, Any]:
    """The object as the API server would store it."""
    metadata = plain.get("metadata")
    if kind.namespaced and isinstance(metadata, dict) and not metadata.get("namespace"):
        plain = {**plain, "metadata": {**metadata, "namespace": DEFAULT_NAMESPACE}}
    if kind is INGRESS_ROUTE:
        for route in _dicts(plain.get("spec"), "routes"):
            if isinstance(route.get("observability"), dict):
                route["observability"].setdefault("traceVerbosity", "minimal")
    elif kind is SECRET:
        return _without_string_data(plain)
    elif kind is ENDPOINT_SLICE:
        for port in _dicts(plain, "ports"):
            port.setdefault("name", "")
    return plain


def _without_string_data(plain: dict[str, Any]) -> dict[str, Any]:
    """The Secret with its `stringData` in `data`, where line breaks count for nothing."""
    data, texts = plain.get("data") or {}, plain.get("stringData") or {}
    if not isinstance(data, dict) or not isinstance(texts, dict):
        return plain
    joined = {key: "".join(value.split()) if isinstance(value, str) else value for key, value in data.items()}
    for key, text in texts.items():
        joined[key] = base64.b64encode(text.encode()).decode() if isinstance(text, str) else text
    return {**plain, "data": joined}


def _dicts(holder: Any, name: str) -> list[dict[str, Any]]:
    items = holder.get(name) if isinstance(holder, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

"""The life of an object: create, update, patch, delete, with the checks and bookkeeping of a real server.

Decides names, uid, generation, the split between an object and its status, conflicts by resourceVersion,
finalizers, and that a write which changes nothing is no write. What a kind fills in is in `defaults.py`,
the version counter and the watches belong to `store.py`. Every method takes the store's lock.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from . import errors
from .defaults import Defaults
from .errors import Json
from .kinds import Kind, Registry, kind_of_definition
from .store import Entry, Store

Validator = Callable[[Json], list[str]]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACES = "namespaces"
_DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Objects:
    """Writes to the store on behalf of requests and of the Python interface."""

    def __init__(self, store: Store, registry: Registry, validators: Mapping[str, Validator]) -> None:
        self._store = store
        self._registry = registry
        self._validators = validators
        self._defaults = Defaults()

    def get(self, kind: Kind, namespace: str, name: str) -> Entry:
        with self._store.lock:
            entry = self._store.collection(kind).entries.get((namespace, name))
        if entry is None:
            raise errors.not_found(kind, name)
        return entry

    def create(self, kind: Kind, namespace: str, body: Json, *, dry_run: bool = False) -> Entry:
        with self._store.lock:
            document = _checked_body(kind, namespace, body)
            metadata = document["metadata"]
            if not metadata.get("name") and metadata.get("generateName"):
                metadata["name"] = f"{metadata['generateName']}{secrets.token_hex(3)[:5]}"
            _check_name(kind, metadata)
            name = metadata["name"]
            if metadata.get("resourceVersion"):
                raise errors.plain("resourceVersion should not be set on objects to be created")
            if (namespace, name) in self._store.collection(kind).entries:
                raise errors.already_exists(kind, name)
            if kind.status and not kind.status_on_create:
                document.pop("status", None)
            return self._store_new(kind, document, dry_run)

    def update(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Json,
        *,
        subresource: str = "",
        dry_run: bool = False,
    ) -> Entry:
        with self._store.lock:
            previous = self.get(kind, namespace, name)
            document = _checked_body(kind, namespace, body)
            _check_same_object(kind, name, document, previous)
            if not document["metadata"].get("resourceVersion") and not kind.unconditional_update:
                finding = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
                raise errors.invalid(kind, name, [finding])
            return self._store_changed(kind, document, previous, subresource, dry_run)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        change: Callable[[Json], Json],
        *,
        subresource: str = "",
        create_missing: bool = False,
        dry_run: bool = False,
    ) -> tuple[Entry, bool]:
        """Apply `change` to the current object; returns the result and whether it was created."""
        with self._store.lock:
            previous = self._store.collection(kind).entries.get((namespace, name))
            if previous is None:
                if not create_missing:
                    raise errors.not_found(kind, name)
                created = change({"metadata": {"name": name}})
                return self.create(kind, namespace, created, dry_run=dry_run), True
            document = _checked_body(kind, namespace, change(previous.document))
            _check_same_object(kind, name, document, previous)
            return self._store_changed(kind, document, previous, subresource, dry_run), False

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        preconditions: Json | None = None,
        *,
        dry_run: bool = False,
    ) -> Entry:
        """The deleted object, or what it is now if finalizers hold it back."""
        with self._store.lock:
            entry = self.get(kind, namespace, name)
            metadata = entry.document["metadata"]
            for field, wanted in (preconditions or {}).items():
                if wanted != metadata.get(field):
                    found = metadata.get(field)
                    why = f"Precondition failed: {field} in precondition: {wanted}, in object meta: {found}"
                    raise errors.conflict(kind, name, why)
            if dry_run:
                return entry
            if metadata.get("finalizers"):
                if metadata.get("deletionTimestamp"):
                    return entry
                marks = {"deletionTimestamp": now_text(), "deletionGracePeriodSeconds": 0}
                return self._store.write(kind, {**entry.document, "metadata": {**metadata, **marks}})
            return self._remove(kind, entry)

    def replace(self, body: Json) -> Entry:
        """Create an object or overwrite it whole, status included; uid and creation time survive."""
        with self._store.lock:
            kind = self._registry.find_object(body)
            metadata = body.get("metadata") or {}
            namespace = (metadata.get("namespace") or "default") if kind.namespaced else ""
            document = _checked_body(kind, namespace, body)
            _check_name(kind, document["metadata"])
            document["metadata"].pop("resourceVersion", None)
            previous = self._store.collection(kind).entries.get((namespace, document["metadata"]["name"]))
            if previous is None:
                return self._store_new(kind, document, False)
            if "status" not in document and "status" in previous.document:
                document["status"] = previous.document["status"]
            return self._commit(kind, document, previous, False)

    def _store_new(self, kind: Kind, document: Json, dry_run: bool) -> Entry:
        metadata = document["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now_text()
        if kind.generation:
            metadata["generation"] = 1
        self._fill(kind, document, None)
        self._validate(kind, document)
        if dry_run:
            return Entry(kind, document, self._store.version)
        if kind.namespaced:
            self.ensure_namespace(metadata["namespace"])
        return self._write(kind, document)

    def _store_changed(
        self, kind: Kind, document: Json, previous: Entry, subresource: str, dry_run: bool
    ) -> Entry:
        if subresource == "status":
            status = document.get("status")
            document = {key: value for key, value in previous.document.items() if key != "status"}
            document["metadata"] = dict(document["metadata"])
            if status is not None:
                document["status"] = status
        elif kind.status:
            document.pop("status", None)
            if "status" in previous.document:
                document["status"] = previous.document["status"]
        return self._commit(kind, document, previous, dry_run)

    def _commit(self, kind: Kind, document: Json, previous: Entry, dry_run: bool) -> Entry:
        """Carry over what the server owns, notice changes that are none, then write."""
        metadata, before = document["metadata"], previous.document["metadata"]
        owned = ("uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp")
        for field in (*owned, "deletionGracePeriodSeconds"):
            if field in before:
                metadata[field] = before[field]
            else:
                metadata.pop(field, None)
        self._fill(kind, document, previous.document)
        self._validate(kind, document)
        if document == previous.document:
            return previous
        if kind.generation and _content(kind, document) != _content(kind, previous.document):
            metadata["generation"] = before.get("generation", 0) + 1
        if dry_run:
            return Entry(kind, document, previous.version)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return self._remove(kind, previous)
        return self._write(kind, document)

    def _write(self, kind: Kind, document: Json) -> Entry:
        entry = self._store.write(kind, document)
        if kind.resource == _DEFINITIONS:
            self._install(kind_of_definition(document))
        return entry

    def _install(self, introduced: Kind) -> None:
        if self._registry.lookup(introduced.group, introduced.version, introduced.plural) is None:
            self._registry.add(introduced)

    def _remove(self, kind: Kind, entry: Entry) -> Entry:
        removed = self._store.remove(kind, entry.key)
        if kind.resource == _NAMESPACES:
            self._empty(lambda key: key[0] == entry.key[1])
        elif kind.resource == _DEFINITIONS:
            introduced = kind_of_definition(entry.document)
            self.remove_all(introduced)
            self._registry.remove(introduced)
        return removed

    def _empty(self, belongs: Callable[[tuple[str, str]], bool]) -> None:
        for collection in self._store:
            for key in [key for key in collection.entries if belongs(key)]:
                self._store.remove(collection.kind, key)

    def remove_all(self, kind: Kind) -> None:
        """Delete every object of a kind, as happens when its definition goes."""
        with self._store.lock:
            for key in list(self._store.collection(kind).entries):
                self._store.remove(kind, key)

    def ensure_namespace(self, name: str) -> None:
        """Namespaces come into being with their first object, unlike on the real server."""
        with self._store.lock:
            kind = self._registry.lookup("", "v1", _NAMESPACES)
            if kind is not None and ("", name) not in self._store.collection(kind).entries:
                self._store_new(kind, {"metadata": {"name": name}}, False)

    def _fill(self, kind: Kind, document: Json, previous: Json | None) -> None:
        """Defaults read the document as their kind, so they notice what does not fit it."""
        try:
            self._defaults.fill(kind.resource, document, previous)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise errors.bad_request(f"the object cannot be handled as a {kind.kind}: {error!r}") from error

    def _validate(self, kind: Kind, document: Json) -> None:
        validator = self._validators.get(kind.kind)
        findings = validator(document) if validator is not None else []
        if findings:
            raise errors.invalid(kind, document["metadata"]["name"], findings)


def _checked_body(kind: Kind, namespace: str, body: Json) -> Json:
    """A deep copy of the body with metadata that fits the request."""
    if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
        raise errors.bad_request("the object provided is unrecognized (must be of type object)")
    _check_kind(kind, body)
    document: Json = json.loads(json.dumps(body))
    metadata = document.setdefault("metadata", {})
    metadata.pop("managedFields", None)
    for field in ("labels", "annotations"):
        texts = metadata.get(field) or {}
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise errors.bad_request(f"{kind.kind}: metadata.{field} is not a map of texts: {texts}")
    if kind.namespaced:
        if metadata.get("namespace") not in (None, "", namespace):
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(message)
        metadata["namespace"] = namespace
    else:
        metadata.pop("namespace", None)
    return {"kind": kind.kind, "apiVersion": kind.api_version, **document}


def _check_kind(kind: Kind, body: Json) -> None:
    """Built-in kinds may leave out what the path says already, custom ones may not."""
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        given = body.get(field)
        if not given and kind.custom:
            message = f"the object provided is unrecognized (must be of type {kind.kind}): {field} is missing"
            raise errors.bad_request(message)
        if given and given != wanted:
            if kind.custom:
                name = str(body.get("metadata", {}).get("name"))
                raise errors.invalid(kind, name, [f'{field}: Invalid value: "{given}": must be {wanted}'])
            raise errors.bad_request(f"{field} {given!r} in the data cannot be handled as {wanted!r}")


def _check_name(kind: Kind, metadata: Json) -> None:
    name = metadata.get("name")
    if not name:
        finding = "metadata.name: Required value: name or generateName is required"
        raise errors.invalid(kind, "", [finding])
    if not isinstance(name, str) or len(name) > 253 or not _NAME.fullmatch(name):
        rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        raise errors.invalid(kind, str(name), [f'metadata.name: Invalid value: "{name}": {rule}'])


def _check_same_object(kind: Kind, name: str, document: Json, previous: Entry) -> None:
    metadata, before = document["metadata"], previous.document["metadata"]
    if metadata.setdefault("name", name) != name:
        message = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        raise errors.bad_request(message)
    if metadata.get("uid") not in (None, "", before["uid"]):
        raise errors.conflict(kind, name, "Precondition failed: UID in precondition differs from the object")
    if metadata.get("resourceVersion") not in (None, "", before["resourceVersion"]):
        raise errors.conflict(kind, name)


def _content(kind: Kind, document: Json) -> Json:
    """What `metadata.generation` counts changes of."""
    ignored = ("metadata", "status") if kind.status else ("metadata",)
    return {key: value for key, value in document.items() if key not in ignored}

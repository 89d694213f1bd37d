"""`KubeServer`: the API server as tests and benchmarks see it.

    with KubeServer() as server:
        server.apply(manifests)
        ...  # point a client at server.url
        server.wait_for_watchers(["IngressRoute", "Service"], 5)

Kinds are named by kind (`IngressRoute`), plural (`ingressroutes`) or `plural.group`. All methods may be
called from any thread; waiting ones take a deadline in seconds and raise `TimeoutError`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from typing import Any

from . import documents, errors
from .api import Api, Rules
from .control import Control
from .documents import Source
from .endpoints import endpoint_slice
from .errors import Json
from .kinds import CORE_KINDS, OPTIONAL_KINDS, TRAEFIK_KINDS, Kind, Registry
from .listener import Listener
from .messages import LoggedRequest
from .objects import Objects, Validator
from .outages import OutageMode, Outages
from .reads import Reads, ReadSettings
from .store import Store
from .watch import Ending, Watch


class KubeServer:
    """An in-memory Kubernetes API server listening on a port of its own."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        tls_cert: str | PathLike[str] | None = None,
        tls_key: str | PathLike[str] | None = None,
        client_ca: str | PathLike[str] | None = None,
        validators: Mapping[str, Validator] | None = None,
        crd_status: bool = True,
        first_version: int = 1000,
    ) -> None:
        """`token`: bearer token to demand. `client_ca`: certificates by it are as good as the token.

        `validators`: kind -> function from an object to findings (`field.path: sentence`) that refuse it.
        `crd_status`: the traefik.io kinds have a status subresource. `first_version`: where versions start.
        """
        self.validators: dict[str, Validator] = dict(validators or {})
        self.settings = ReadSettings()
        self._store = Store(first_version)
        custom = [replace(kind, status=crd_status) for kind in TRAEFIK_KINDS]
        served = (*CORE_KINDS, *custom)
        self._registry = Registry(served, (*served, *OPTIONAL_KINDS))
        self._objects = Objects(self._store, self._registry, self.validators)
        self._rules = Rules(token=token)
        self._api = Api(self._store, self._registry, self._objects, Reads(self._store, self.settings), self._rules)
        context = _tls_context(tls_cert, tls_key, client_ca)
        self._scheme = "https" if context is not None else "http"
        self._host = f"[{host}]" if ":" in host else host
        self._listener = Listener(host, port, context, self._api.handle)
        self._outages = Outages(self._store, self._rules, self._listener)
        for name in ("default", "kube-system"):
            self._objects.ensure_namespace(name)

    # --- running -------------------------------------------------------------------------------------

    def __enter__(self) -> KubeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._host}:{self.port}"

    def start(self) -> None:
        """Listen, again on the same port after a `stop`. Objects and versions are as they were."""
        self._listener.start()

    def stop(self, *, hold_port: bool = False) -> None:
        """Close every connection and join every thread.

        With `hold_port` the port stays ours: connects are refused, nobody else can get it before `start`.
        """
        self._listener.stop(hold_port=hold_port)

    def serve_control(self) -> None:
        """Also answer the paths of `control.py`."""
        self._listener.network.control = Control(self).handle

    # --- objects -------------------------------------------------------------------------------------

    def apply(self, source: Source) -> list[Json]:
        """Create or replace objects given as YAML or JSON text or as dicts; returns them as stored.

        Namespaced objects without a namespace go to `default`. A status is stored if given, kept if not.
        """
        parsed = list(documents.objects(source))
        with self._store.lock:
            return [self._objects.replace(document).document for document in parsed]

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object; `ApiError` 404 if there is none. `namespace` is "" for cluster-scoped kinds."""
        self._objects.delete(self._kind(kind), namespace, name)

    def get(self, kind: str, namespace: str, name: str) -> Json:
        """The stored object, not to be changed; `ApiError` 404 if there is none."""
        return self._objects.get(self._kind(kind), namespace, name).document

    def objects(self, kind: str, namespace: str = "") -> list[Json]:
        """All objects of a kind by namespace and name, not to be changed."""
        with self._store.lock:
            entries = self._store.collection(self._kind(kind)).ordered()
            return [entry.document for entry in entries if namespace in ("", entry.key[0])]

    def set_endpoints(
        self,
        namespace: str,
        service: str,
        addresses: Sequence[str | Mapping[str, Any]],
        *,
        port: int = 80,
        port_name: str = "",
        protocol: str = "TCP",
        ready: bool | None = True,
        serving: bool | None = None,
        terminating: bool | None = None,
        slice_name: str = "",
    ) -> Json:
        """Create or replace the EndpointSlice of a Service.

        An address is text, or an endpoint as a dict where single ones differ. Conditions that are None are
        left out. `slice_name` adds a second slice instead of replacing the only one.
        """
        conditions = {"ready": ready, "serving": serving, "terminating": terminating}
        ports = [{"name": port_name, "port": port, "protocol": protocol}]
        document = endpoint_slice(namespace, service, addresses, ports, conditions, slice_name)
        return self.apply(document)[0]

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        with self._store.lock:
            return self._store.version

    def counters(self) -> Json:
        """Versions, requests, and by plural the objects and open watches."""
        with self._store.lock:
            collections = [one for one in self._store if one.entries or one.watches]
            return {
                "version": self._store.version,
                "requests": self._api.request_count,
                "objects": {one.kind.plural: len(one.entries) for one in collections},
                "watchers": {one.kind.plural: len(one.watches) for one in collections if one.watches},
            }

    # --- what clients did ----------------------------------------------------------------------------

    @property
    def requests(self) -> list[LoggedRequest]:
        """The last requests, oldest first."""
        with self._store.lock:
            return list(self._api.requests)

    @property
    def request_count(self) -> int:
        """All requests ever, also those no longer in `requests`."""
        with self._store.lock:
            return self._api.request_count

    def forget_requests(self) -> None:
        with self._store.lock:
            self._api.requests.clear()

    def watchers(self, kind: str) -> int:
        """How many watches of a kind are open."""
        with self._store.lock:
            return len(self._store.collection(self._kind(kind)).watches)

    def wait_until(self, predicate: Callable[[], bool], deadline_seconds: float, what: str = "") -> None:
        """Wait for something that only requests, watches or writes change. Raises `TimeoutError`."""
        with self._store.changed:
            if not self._store.changed.wait_for(predicate, deadline_seconds):
                raise TimeoutError(what or f"not reached within {deadline_seconds} s")

    def wait_for_watchers(self, kinds: Iterable[str], deadline_seconds: float) -> None:
        """Wait until each kind has at least one open watch. Raises `TimeoutError` naming the missing."""
        wanted = list(kinds)
        try:
            self.wait_until(lambda: all(self.watchers(kind) for kind in wanted), deadline_seconds)
        except TimeoutError:
            missing = [kind for kind in wanted if not self.watchers(kind)]
            raise TimeoutError(f"no watch of {missing} within {deadline_seconds} s") from None

    # --- watches and versions ------------------------------------------------------------------------

    def drop_watches(self, kind: str | None = None, *, clean: bool = False) -> int:
        """End open watches: like a broken connection, or with `clean` like a timeout. Returns how many."""
        watches = self._watches(kind)
        for watch in watches:
            watch.end(Ending.CLEAN if clean else Ending.ABRUPT)
        return len(watches)

    def compact(self) -> int:
        """Forget all changes: watching or paging from any version seen so far is 410. Returns the version."""
        return self._store.compact()

    def send_bookmarks(self, kind: str | None = None) -> int:
        """Send a bookmark now to the watches that asked for bookmarks. Returns how many."""
        return sum(watch.ask_bookmark() for watch in self._watches(kind))

    def send_watch_error(self, kind: str, code: int = 410, message: str = "") -> int:
        """Send an ERROR event to the open watches of a kind and end them. Returns how many."""
        error = errors.expired(message or "The resourceVersion for the provided watch is too old.")
        if code != 410:
            error = errors.outage(code, None)
        watches = self._watches(kind)
        for watch in watches:
            watch.send_error(error)
        return len(watches)

    def send_raw(self, kind: str, line: bytes) -> int:
        """Send any bytes into the open watches of a kind. Returns how many."""
        watches = self._watches(kind)
        for watch in watches:
            watch.send_raw(line)
        return len(watches)

    def _watches(self, kind: str | None) -> list[Watch]:
        wanted = None if kind is None else self._kind(kind).resource
        with self._store.lock:
            collections = [one for one in self._store if wanted in (None, one.kind.resource)]
            return [watch for collection in collections for watch in collection.watches]

    # --- failures ------------------------------------------------------------------------------------

    @property
    def token(self) -> str | None:
        return self._rules.token

    @token.setter
    def token(self, value: str | None) -> None:
        self._rules.token = value

    def forbid(self, resource: str, verb: str = "*") -> None:
        """Answer 403 for a verb (`list`, `watch`, `patch`...) on a kind or on `plural/status`."""
        with self._store.lock:
            self._rules.forbidden.add((self._resource(resource), verb))

    def allow(self, resource: str, verb: str = "*") -> None:
        """Take back `forbid`; without a verb all of them."""
        plural = self._resource(resource)
        with self._store.lock:
            kept = {pair for pair in self._rules.forbidden if pair[0] != plural or verb not in ("*", pair[1])}
            self._rules.forbidden = kept

    def remove_kind(self, kind: str, *, delete_objects: bool = False) -> None:
        """Serve the kind no longer: 404 on its paths, gone from discovery, its watches end.

        Deleting a real CRD deletes the objects first, which `delete_objects` imitates.
        """
        found = self._kind(kind)
        with self._store.lock:
            if delete_objects:
                self._objects.remove_all(found)
            self._registry.remove(found)
            for watch in self._store.collection(found).watches:
                watch.end(Ending.CLEAN)

    def add_kind(self, kind: str | Kind) -> None:
        """Serve a kind again, one that is off by default (`referencegrants`), or a new one."""
        with self._store.lock:
            self._registry.add(self._kind(kind) if isinstance(kind, str) else kind)

    @contextmanager
    def outage(
        self,
        mode: OutageMode,
        *,
        retry_after_seconds: int | None = None,
        kinds: Iterable[str] = (),
        keep_watches: bool | None = None,
    ) -> Iterator[None]:
        """Fail for the length of a `with` block.

        A number answers every request with that status; `hang` answers nothing and open watches fall
        silent, `drop` closes connections instead of answering, `refuse` does not accept them. `kinds` limits
        a number to requests about those. Open watches are cut unless the mode is `hang` or `keep_watches`.
        """
        keep = mode == "hang" if keep_watches is None else keep_watches
        concerned = [self._kind(name) for name in kinds]
        self._outages.begin(mode, retry_after_seconds, concerned)
        try:
            if not keep:
                for watch in self._watches(None):
                    if not concerned or watch.collection.kind in concerned:
                        watch.end(Ending.ABRUPT)
            yield
        finally:
            self._outages.end(mode)

    def _kind(self, name: str) -> Kind:
        with self._store.lock:
            return self._registry.find(name)

    def _resource(self, name: str) -> str:
        head, slash, subresource = name.partition("/")
        return self._kind(head).plural + slash + subresource


def _tls_context(
    certificate: str | PathLike[str] | None,
    key: str | PathLike[str] | None,
    client_ca: str | PathLike[str] | None,
) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context

"""The only door to the API server: collections and watch streams as raw bytes, and writes to single objects.

Transport, TLS, credentials and their refresh are the official client's; its model classes are not used, since
decoding full models costs far too much at ten thousand objects. A status becomes a typed error here and
nowhere else.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from provider.kube.errors import (
    ApiError,
    Forbidden,
    Gone,
    KindMissing,
    ServerTrouble,
    TooManyRequests,
    Unauthorized,
    Unreachable,
    error_of_one,
)
from provider.resources.core import Resource
from provider.resources.kinds import Kind

CONNECT_SECONDS: Final = 10.0
LIST_READ_SECONDS: Final = 60.0
WATCH_GRACE_SECONDS: Final = 30.0
OBJECT_READ_SECONDS: Final = 10.0
_LARGEST_ERROR_BYTES: Final = 64 << 10
_CHUNK_BYTES: Final = 64 << 10
_MERGE_PATCH: Final = "application/merge-patch+json"


class Status(Resource, frozen=True, kw_only=True):
    """The API server's own error object, as an HTTP body or in a watch stream."""

    message: str = ""
    reason: str = ""
    code: int = 0


class Api:
    """Any thread may use it; each request has its own connection from the client's pool."""

    def __init__(self, configuration: Any, version: str) -> None:
        self._configuration = configuration
        self._client = ApiClient(configuration)
        self._client.user_agent = f"pointsman/{version} (linux/amd64) kubernetes/crd"
        self.host = str(configuration.host)

    def fetch(self, kind: Kind, namespace: str, query: list[tuple[str, str]]) -> bytes:
        """Body of one page. Raises ApiError."""
        with self._get(kind, namespace, query, LIST_READ_SECONDS) as response:
            return _body(response)

    def read(self, kind: Kind, namespace: str, name: str) -> bytes:
        """One object. Raises ApiError, of which ObjectMissing says that there is none."""
        return self._write("GET", kind, namespace, name)

    def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> bytes:
        """The object as stored. Raises ApiError, of which Conflict says that there is one already."""
        return self._write("POST", kind, namespace, body=body)

    def patch(
        self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> bytes:
        """Merge `body` into an object or its subresource; the object as stored.

        With `metadata.resourceVersion` in the body it must not have changed since: Conflict. Raises ApiError.
        """
        return self._write("PATCH", kind, namespace, name, body, subresource)

    def replace(
        self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any], subresource: str = ""
    ) -> bytes:
        """Put `body` in the place of an object or its subresource; the object as stored.

        With `metadata.resourceVersion` in the body it must not have changed since: Conflict. Raises ApiError.
        """
        return self._write("PUT", kind, namespace, name, body, subresource)

    @contextlib.contextmanager
    def watch(
        self, kind: Kind, namespace: str, query: list[tuple[str, str]], timeout_seconds: float
    ) -> Iterator[WatchStream]:
        """An open stream of newline-separated events. Raises ApiError, also while it is read."""
        with self._get(kind, namespace, query, timeout_seconds + WATCH_GRACE_SECONDS) as response:
            yield WatchStream(response)

    def close(self) -> None:
        self._client.close()

    @contextlib.contextmanager
    def _get(self, kind: Kind, namespace: str, query: list[tuple[str, str]], read_seconds: float) -> Iterator[Any]:
        others = list(kind.other_versions)
        version = kind.version
        while True:
            with self._request("GET", kind.path(namespace, version), read_seconds, query) as response:
                if response.status == HTTPStatus.OK:
                    yield response
                    return
                status, retry_after = self._refusal(response)
                if response.status != HTTPStatus.NOT_FOUND or not others:
                    raise error_of(response.status, status, kind, namespace, retry_after)
            version = others.pop(0)

    def _write(
        self,
        method: str,
        kind: Kind,
        namespace: str,
        name: str = "",
        body: Mapping[str, Any] | None = None,
        subresource: str = "",
    ) -> bytes:
        """A request about one object; the body of the answer. Raises ApiError."""
        path = "/".join(filter(None, (kind.path(namespace), name, subresource)))
        with self._request(method, path, OBJECT_READ_SECONDS, body=body) as response:
            if response.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
                status, retry_after = self._refusal(response)
                place = (kind, namespace, name, subresource)
                raise error_of_one(method, response.status, status.message, place, _seconds(retry_after))
            return _body(response)

    @contextlib.contextmanager
    def _request(
        self,
        method: str,
        path: str,
        read_seconds: float,
        query: list[tuple[str, str]] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Iterator[Any]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _MERGE_PATCH if method == "PATCH" else "application/json"
        with _translated():
            method, url, headers, content, _ = self._client.param_serialize(
                method=method,
                resource_path=path,
                query_params=query or [],
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(
                method, url, headers, content, _request_timeout=(CONNECT_SECONDS, read_seconds)
            ).response
        finished = False
        try:
            yield response
            finished = True
        finally:
            # a half-read answer must not go back to the pool
            if finished:
                response.release_conn()
            else:
                response.close()

    def _refusal(self, response: Any) -> tuple[Status, str | None]:
        """What the server says, and its Retry-After."""
        with _translated():
            status = _status(response.read(_LARGEST_ERROR_BYTES))
        if response.status == HTTPStatus.UNAUTHORIZED:
            expire = getattr(getattr(self._configuration.refresh_api_key_hook, "__self__", None), "expire", None)
            if expire is not None:
                expire()
        return status, response.headers.get("Retry-After")


class WatchStream:
    """Bytes of one watch as they arrive."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def chunks(self) -> Iterator[bytes]:
        """Raises Unreachable when the stream breaks or stays silent for too long."""
        with _translated():
            while data := self._response.read1(_CHUNK_BYTES):
                yield data

    def abort(self) -> None:
        """End the stream from another thread."""
        connection = self._response.connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(2)


def error_of(code: int, status: Status, kind: Kind, namespace: str, retry_after: str | None = None) -> ApiError:
    """The typed error of an HTTP status or of an ERROR event of a watch."""
    where = f"{kind.plural} in namespace {namespace}" if namespace else f"{kind.plural} of all namespaces"
    detail = f": {status.message}" if status.message else ""
    message = f"cannot read {where} ({code}{detail})"
    pause = _seconds(retry_after)
    match code:
        case 401:
            return Unauthorized(message)
        case 403:
            return Forbidden(message, kind, namespace)
        case 404:
            return KindMissing(message, kind)
        case 410:
            return Gone(message)
        case 429:
            return TooManyRequests(message, retry_after_seconds=pause)
        case _:
            return ServerTrouble(message, retry_after_seconds=pause)


def _body(response: Any) -> bytes:
    with _translated():
        body: bytes = response.read()
        return body


def _status(body: bytes) -> Status:
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.MsgspecError:
        return Status(message=body[:200].decode("utf-8", "replace").strip())


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; a date, which API servers never send, counts as not given."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Errors of the client and its transport become Unreachable; ours pass."""
    try:
        yield
    except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
        raise Unreachable(f"no answer from the API server: {_one_line(error)}") from error


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())

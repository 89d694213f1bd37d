"""The line of the format `json`: one object, keys sorted, durations in nanoseconds, as the original writes it.

Each field has a function that gets it from the request, or None where it is absent. JSON's own escapes keep a
client from forging anything.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from config.http import IngressSource
from config.static_observability import AccessLogFields, FieldHeaders
from workers.access_line import Fields
from workers.exchange import Exchange, Header, Note
from workers.forwarded import Client

Formatter = Callable[[str, Exchange, Note, float, int, int], bytes]
_NANO: Final = 1_000_000_000
_ABSENT: Final = "-"


class View:
    """One request that is over, as the fields see it."""

    __slots__ = ("began_ns", "entry_point", "exchange", "note", "now", "number", "request", "seconds", "status")

    def __init__(
        self, entry_point: str, exchange: Exchange, note: Note, seconds: float, status: int, number: int
    ) -> None:
        self.entry_point = entry_point
        self.exchange = exchange
        self.request = exchange.request
        self.note = note
        self.seconds = seconds
        self.status = status
        self.number = number
        self.now = time.time()
        self.began_ns = int((self.now - seconds) * _NANO)

    @property
    def client(self) -> Client:
        return self.request.client


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANO)


def _utc(view: View) -> str:
    return rfc3339(view.began_ns, local=False)


def _local(view: View) -> str:
    return rfc3339(view.began_ns, local=True)


def rfc3339(nanoseconds: int, *, local: bool) -> str:
    """With as many digits behind the second as are not zero."""
    second, fraction = divmod(nanoseconds, _NANO)
    text, zone = _second(second, local)
    return f"{text}.{fraction:09d}".rstrip("0") + zone if fraction else text + zone


@functools.lru_cache(16)
def _second(second: int, local: bool) -> tuple[str, str]:
    moment = time.localtime(second) if local else time.gmtime(second)
    zone = time.strftime("%z", moment) if local else "+0000"
    text = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
    return text, "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"


def _host_and_port(host: bytes) -> tuple[str, str]:
    """As the original splits them: without a port everything is the host."""
    text = _text(host)
    name, colon, port = text.rpartition(":")
    if not colon or (":" in name and not (name.startswith("[") and name.endswith("]"))):
        return text, _ABSENT
    return name.removeprefix("[").removesuffix("]"), port


def _client_host(view: View) -> str:
    return _text(view.note.forwarded_for or view.client.plain_ip)


def _client_address(view: View) -> str:
    ip = view.client.ip
    return f"[{ip}]:{view.client.port}" if ":" in ip else f"{ip}:{view.client.port}"


def _router(view: View) -> str | None:
    route = view.note.route
    return view.note.router or (route.name if route is not None else None)


def _path(view: View) -> str:
    return _text(view.note.target)


def _bare_path(view: View) -> str:
    return _text(view.note.target.partition(b"?")[0])


def _ratio(view: View) -> float | None:
    sent, received = view.exchange.sent_bytes, view.note.origin_bytes
    return received / sent if sent and sent != received else None


def _subject(view: View) -> str | None:
    chain = view.client.tls.client_certificates if view.client.tls is not None else ()
    return chain[0].subject.rfc4514_string() if chain else None


def _overhead(view: View) -> int:
    return _nanoseconds(view.seconds) - _nanoseconds(view.note.origin_seconds)


def _service_address(view: View) -> str | None:
    return view.note.server.partition("://")[2].partition("/")[0] or None


def _ingress(view: View) -> IngressSource | None:
    """The object behind the innermost router that has one."""
    note = view.note
    for route in (*reversed(note.below), note.route):
        if route is not None and route.source is not None:
            return route.source
    return None


def _kubernetes(view: View) -> Iterator[tuple[str, str]]:
    """Fields whose names depend on the kind of the object."""
    source, service = _ingress(view), view.note.source
    if source is not None:
        kind = source.kind or "Ingress"
        yield f"Kubernetes{kind}Name", source.name
        yield f"Kubernetes{kind}Namespace", source.namespace
    if service is not None:
        yield "KubernetesServiceName", service.name
        yield "KubernetesServiceNamespace", service.namespace
        yield "KubernetesServicePort", service.port


_FIELDS: Final[dict[str, Callable[[View], Any]]] = {
    "ClientAddr": _client_address,
    "ClientHost": _client_host,
    "ClientPort": lambda view: str(view.client.port),
    "ClientUsername": lambda view: view.note.user or _ABSENT,
    "DownstreamContentSize": lambda view: view.exchange.sent_bytes,
    "DownstreamStatus": lambda view: view.status,
    "Duration": lambda view: _nanoseconds(view.seconds),
    "GzipRatio": _ratio,
    "OriginContentSize": lambda view: view.note.origin_bytes,
    "OriginDuration": lambda view: _nanoseconds(view.note.origin_seconds),
    "OriginStatus": lambda view: view.note.origin_status,
    "Overhead": _overhead,
    "RequestAddr": lambda view: _text(view.note.host) or None,
    "RequestContentSize": lambda view: view.note.received_bytes,
    "RequestCount": lambda view: view.number,
    "RequestHost": lambda view: _host_and_port(view.note.host)[0] if view.note.host else None,
    "RequestMethod": lambda view: _text(view.note.method),
    "RequestPath": _path,
    "RequestPort": lambda view: _host_and_port(view.note.host)[1] if view.note.host else None,
    "RequestProtocol": lambda view: _text(view.request.protocol) if view.request.minor_version else "HTTP/1.0",
    "RequestScheme": lambda view: "https" if view.client.is_tls else "http",
    "RetryAttempts": lambda view: view.note.retries,
    "RouterName": _router,
    "ServiceAddr": _service_address,
    "ServiceName": lambda view: view.note.service or None,
    "ServiceURL": lambda view: view.note.server or None,
    "StartLocal": _local,
    "StartUTC": _utc,
    "TLSCipher": lambda view: _text(view.client.tls.session_labels[1]) if view.client.tls is not None else None,
    "TLSClientSubject": _subject,
    "TLSVersion": lambda view: _text(view.client.tls.session_labels[0]) if view.client.tls is not None else None,
    "entryPointName": lambda view: view.entry_point,
}
_ALWAYS: Final[dict[str, Callable[[View], Any]]] = {
    "level": lambda _: "info",
    "msg": lambda _: "",
    "time": lambda view: rfc3339(int(view.now) * _NANO, local=True),
}


def wants_headers(headers: FieldHeaders) -> bool:
    """Are there headers to show?"""
    return headers.default_mode != "drop" or any(mode != "drop" for mode in headers.names.values())


def json_formatter(fields: AccessLogFields) -> Formatter:
    """Makes the lines."""
    keeps = Fields(fields).keeps
    wanted = {name: get for name, get in _FIELDS.items() if keeps(name)}
    if "RequestPath" in wanted and fields.query_parameters.default_mode == "drop":
        wanted["RequestPath"] = _bare_path
    getters = sorted((wanted | _ALWAYS).items())
    headers = _Headers(fields.headers) if wants_headers(fields.headers) else None
    encode = msgspec.json.encode

    def line(entry_point: str, exchange: Exchange, note: Note, seconds: float, status: int, number: int) -> bytes:
        view = View(entry_point, exchange, note, seconds, status, number)
        found = {name: value for name, get in getters if (value := get(view)) is not None}
        if note.route is not None and (note.source is not None or note.route.source is not None):
            found |= {name: value for name, value in _kubernetes(view) if keeps(name)}
            if headers is None:
                found = dict(sorted(found.items()))
        if headers is not None:
            found |= headers.fields("request", view.request.headers)
            found |= headers.fields("origin", note.origin_headers)
            found |= headers.fields("downstream", note.sent_headers)
            found = dict(sorted(found.items()))
        return encode(found) + b"\n"

    return line


class _Headers:
    """Header lines as fields, by mode."""

    def __init__(self, options: FieldHeaders) -> None:
        self._default = options.default_mode
        self._named = {name.lower().encode(): mode for name, mode in options.names.items()}

    def fields(self, prefix: str, lines: Iterable[Header]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in lines:
            mode = self._named.get(name.lower(), self._default)
            if mode == "drop":
                continue
            key = f"{prefix}_{canonical(name)}"
            text = "REDACTED" if mode == "redact" else _text(value)
            if mode != "redact" and key in found:
                text = f"{found[key]},{text}"
            found[key] = text
        return found


def canonical(name: bytes) -> str:
    """`x-real-ip` -> `X-Real-Ip`."""
    return "-".join(part.capitalize() for part in _text(name).split("-"))

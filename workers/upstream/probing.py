"""Active health checks: servers are asked at intervals, by one worker of the machine.

As in the original healthy and unhealthy servers have a loop each, a loop asks one server after the other, and
the first question comes after a whole interval. One answer decides, in either direction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import gevent
import msgspec
from gevent.event import Event

from config.http import HealthCheck
from config.units import DurationError, parse_duration
from workers.building import BuildError
from workers.errors import ProxyError
from workers.exchange import Header
from workers.shared import CellsBusy
from workers.upstream.candidate import Candidate
from workers.upstream.probe import Fetched, fetch
from workers.upstream.server import UpstreamServer
from workers.upstream.transport import Transport

DEFAULT_INTERVAL_SECONDS: Final = 30.0
DEFAULT_TIMEOUT_SECONDS: Final = 5.0
MOST_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_USER_AGENT: Final = (b"User-Agent", b"Go-http-client/1.1")
_GRPC_PATH: Final = b"/grpc.health.v1.Health/Check"
_GRPC_HEADERS: Final = (
    (b"Content-Type", b"application/grpc"),
    (b"Te", b"trailers"),
    (b"User-Agent", b"grpc-go/1"),
)
_EMPTY_MESSAGE: Final = b"\0\0\0\0\0"
_SERVING: Final = b"\0\0\0\0\x02\x08\x01"
_GRPC_ANSWER_BYTES: Final = 1024

log = logging.getLogger(__name__)


class CheckOptions(msgspec.Struct, frozen=True):
    """A health check with its defaults filled in."""

    check: HealthCheck
    interval_seconds: float
    unhealthy_interval_seconds: float
    timeout_seconds: float

    @classmethod
    def of(cls, check: HealthCheck) -> CheckOptions:
        """Raises BuildError for a duration that cannot be read."""
        interval = _seconds("interval", check.interval, DEFAULT_INTERVAL_SECONDS)
        unhealthy = _seconds("unhealthyInterval", check.unhealthy_interval, DEFAULT_INTERVAL_SECONDS)
        return cls(
            check,
            interval,
            unhealthy if check.unhealthy_interval else interval,
            _seconds("timeout", check.timeout, DEFAULT_TIMEOUT_SECONDS),
        )

    @property
    def longest_seconds(self) -> float:
        """An upper bound of the time between two verdicts about a few servers."""
        return max(self.interval_seconds, self.unhealthy_interval_seconds) + self.timeout_seconds


def _seconds(name: str, text: str, default: float) -> float:
    try:
        seconds = parse_duration(text) if text else default
    except DurationError as error:
        raise BuildError(f"health check {name}: {error}") from error
    return seconds if seconds > 0 else default


class Prober:
    """Asks the servers of one service until `stop`."""

    __slots__ = ("_may_probe", "_options", "_servers", "_stopping", "_transport", "_write")

    def __init__(
        self,
        options: CheckOptions,
        transport: Transport,
        servers: Callable[[], list[Candidate]],
        may_probe: Callable[[], bool],
        write: Callable[[str, bool], None],
    ) -> None:
        """`write` gets a server's URL and the verdict."""
        self._options = options
        self._transport = transport
        self._servers = servers
        self._may_probe = may_probe
        self._write = write
        self._stopping = Event()
        gevent.spawn(self._run, options.interval_seconds, True)
        gevent.spawn(self._run, options.unhealthy_interval_seconds, False)

    def _run(self, interval_seconds: float, healthy: bool) -> None:
        while not self._stopping.wait(interval_seconds):
            if not self._may_probe():
                continue
            for candidate in self._servers():
                if candidate.passed_check is healthy and not self._stopping.is_set():
                    self._ask(candidate)

    def _ask(self, candidate: Candidate) -> None:
        try:
            problem = probe(self._options, self._transport, candidate)
        except Exception as error:  # whatever a server does, the next one is asked
            problem = repr(error)
        if self._stopping.is_set():
            return
        if problem and candidate.passed_check:
            log.warning("health check failed: %s: %s", candidate.name, problem)
        try:
            self._write(candidate.name, not problem)
        except CellsBusy:
            log.warning("health check of %s: its result could not be shared", candidate.name)

    def stop(self) -> None:
        """No more questions; one under way ends in its own time, and what it tells is not used."""
        self._stopping.set()


def probe(options: CheckOptions, transport: Transport, candidate: Candidate) -> str:
    """Ask one server now; why it is unhealthy, empty if it is well."""
    try:
        if options.check.mode == "grpc":
            return _probe_grpc(options, transport, candidate)
        return _probe_http(options, transport, candidate)
    except (ProxyError, ValueError) as error:
        return str(error)


def _probe_http(options: CheckOptions, transport: Transport, candidate: Candidate) -> str:
    check = options.check
    parts: Any = urlsplit(check.path)
    if parts.scheme or parts.netloc:
        return f"path {check.path!r} is an absolute URL; write a path"
    base = _base(check, candidate)
    answer = _follow(options, transport, urljoin(base, check.path), base)
    if check.status:
        return "" if answer.status == check.status else f"status {answer.status}, wanted {check.status}"
    return "" if 200 <= answer.status < 400 else f"status {answer.status}"


def _base(check: HealthCheck, candidate: Candidate) -> str:
    """The server's URL with scheme and port of the check."""
    parts = urlsplit(candidate.name)
    scheme = check.scheme or parts.scheme
    if not check.port:
        return parts._replace(scheme=scheme).geturl()
    host = f"[{candidate.host}]" if ":" in candidate.host else candidate.host
    return parts._replace(scheme=scheme, netloc=f"{host}:{check.port}").geturl()


def _follow(options: CheckOptions, transport: Transport, url: str, base: str) -> Fetched:
    check = options.check
    headers: list[Header] = [
        (name.encode(), value.encode()) for name, value in check.headers.items() if name.lower() != "host"
    ]
    if not any(name.lower() == b"user-agent" for name, _ in headers):
        headers.append(_USER_AGENT)
    method = (check.method or "GET").upper().encode()
    host = check.hostname.encode()
    for _ in range(MOST_REDIRECTS):
        server, target = _place(url)
        answer = fetch(
            transport, server, method, target, host or server.host_header, headers, options.timeout_seconds, 0
        )
        location = next((value for name, value in answer.headers if name.lower() == b"location"), b"")
        if check.follow_redirects is False or answer.status not in _REDIRECTS or not location:
            return answer
        url, host = urljoin(url, location.decode("latin-1")), b""
    raise ValueError(f"stopped after {MOST_REDIRECTS} redirects")


def _place(url: str) -> tuple[UpstreamServer, bytes]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return UpstreamServer(url), target.replace(" ", "%20").encode()


def _probe_grpc(options: CheckOptions, transport: Transport, candidate: Candidate) -> str:
    """grpc.health.v1, for the server as a whole; plaintext whatever the server's own scheme is."""
    check = options.check
    if check.scheme not in ("", "http", "h2c"):
        return f"gRPC checks are made in plaintext, not over {check.scheme}"
    host = f"[{candidate.host}]" if ":" in candidate.host else candidate.host
    server = UpstreamServer(f"h2c://{host}:{check.port or candidate.port}")
    answer = fetch(
        transport,
        server,
        b"POST",
        _GRPC_PATH,
        check.hostname.encode() or server.host_header,
        _GRPC_HEADERS,
        options.timeout_seconds,
        _GRPC_ANSWER_BYTES,
        _EMPTY_MESSAGE,
    )
    return "" if answer.status == 200 and answer.body == _SERVING else "not SERVING"

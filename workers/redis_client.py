"""The one door to Redis: scripts run by the official client in threads of their own, awaited by greenlets.

The client blocks, so it never runs in the hub's thread; it is loaded only where a configuration asks for it (extra
`redis`). Equal options share one client for as long as somebody holds it. Nothing connects before the first call.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final
from weakref import WeakValueDictionary

import gevent
import msgspec
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from config.middlewares_auth import ClientTLS
from config.middlewares_traffic import REDIS_DEFAULTS, Redis
from config.units import DurationError, parse_duration
from workers.building import BuildError

CALLS_AT_ONCE: Final = 10
"""Connections of a worker to one Redis where the options name no number; what the original has per processor."""
MOST_CALLS_AT_ONCE: Final = 64
_QUEUE_SECONDS: Final = 1.0
"""Beyond the time a call may take: who waits longer for a free connection fails."""


class RedisUnavailable(Exception):
    """No answer from Redis, for whatever reason; the message is for logs."""


class Script:
    """A Lua script: sent by its digest, in full where the server does not know it yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Made by `redis_client`. `run` may be called from any greenlet of the worker."""

    def __init__(self, options: Redis) -> None:
        try:
            self._client, self._errors = _connected_later(options)
        except ImportError:
            raise BuildError("a rate limit in Redis needs the client library: install pointsman[redis]") from None
        calls = options.pool_size or CALLS_AT_ONCE
        if options.max_active_conns:
            calls = min(calls, options.max_active_conns)
        self._turns = BoundedSemaphore(min(calls, MOST_CALLS_AT_ONCE))
        self._patience = _QUEUE_SECONDS + (_timeout(options.read_timeout) or 0.0)

    def run(self, script: Script, key: bytes, arguments: Sequence[int | float]) -> Any:
        """The script's reply. Waits without blocking the worker. Raises RedisUnavailable."""
        if not self._turns.acquire(timeout=self._patience):
            raise RedisUnavailable("all connections to Redis are busy")
        try:
            reply = _threads().apply(self._run, (script, key, arguments))
        finally:
            self._turns.release()
        if isinstance(reply, Exception):
            raise RedisUnavailable(str(reply)) from reply
        return reply

    def _run(self, script: Script, key: bytes, arguments: Sequence[int | float]) -> Any:
        """In a thread. Errors are returned: the pool prints those that are raised."""
        errors = self._errors
        try:
            try:
                return self._client.evalsha(script.sha, 1, key, *arguments)
            except errors.NoScriptError:
                return self._client.eval(script.text, 1, key, *arguments)
        except (errors.RedisError, OSError, RedisUnavailable) as error:
            return error


_clients: Final[WeakValueDictionary[bytes, RedisClient]] = WeakValueDictionary()
_pools: Final[list[ThreadPool]] = []


def redis_client(options: Redis) -> RedisClient:
    """Raises BuildError for options that cannot work."""
    key = msgspec.json.encode(options)
    client = _clients.get(key)
    if client is None:
        client = _clients[key] = RedisClient(options)
    return client


def _threads() -> ThreadPool:
    """Apart from the hub's own: a Redis that does not answer must not hold up name resolution or passwords."""
    if not _pools:
        _pools.append(ThreadPool(MOST_CALLS_AT_ONCE, hub=gevent.get_hub()))
    return _pools[0]


def end_threads() -> None:
    """Only where no call is under way; the next one starts threads anew."""
    while _pools:
        _pools.pop().kill()


def _connected_later(options: Redis) -> tuple[Any, Any]:
    """(client, module of its exceptions)."""
    import redis

    addresses = options.endpoints or REDIS_DEFAULTS.endpoints
    common: dict[str, Any] = {
        "connection_class": _wire(redis.Connection, _tls(options.tls), _timeout(options.write_timeout)),
        "username": options.username or None,
        "password": options.password or None,
        "socket_timeout": _timeout(options.read_timeout),
        "socket_connect_timeout": _timeout(options.dial_timeout) or _timeout(REDIS_DEFAULTS.dial_timeout),
        "max_connections": MOST_CALLS_AT_ONCE,
    }
    # one more try heals a connection that the server closed while it was idle
    retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.01), 1)
    if len(addresses) == 1:
        return _Later(lambda: _single(redis, addresses[0], options.db, retry, common)), redis.exceptions
    return _Later(lambda: _cluster(redis, addresses, retry, common)), redis.exceptions


class _Later:
    """Makes the client at the first call, in a thread: it may connect, or find that an address is none."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def _single(redis: Any, address: str, db: int, retry: Any, common: dict[str, Any]) -> Any:
    host, port = _endpoint(address)
    return redis.Redis(connection_pool=redis.ConnectionPool(host=host, port=port, db=db, retry=retry, **common))


def _cluster(redis: Any, addresses: list[str], retry: Any, common: dict[str, Any]) -> Any:
    (host, port), *others = map(_endpoint, addresses)
    nodes = [redis.cluster.ClusterNode(*other) for other in others]
    written = f"[{host}]" if ":" in host else host
    # only with an address of this form does it take a connection class
    return redis.RedisCluster(startup_nodes=nodes, url=f"redis://{written}:{port}", retry=retry, **common)


def _wire(base: type, context: ssl.SSLContext | None, write_timeout_seconds: float | None) -> type:
    """The library's connection with a TLS context of ours and a limit of its own for writing."""

    class Wire(base):
        def _connect(self) -> Any:
            sock = super()._connect()
            if context is None:
                return sock
            try:
                return context.wrap_socket(sock, server_hostname=self.host)
            except OSError:
                sock.close()
                raise

        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            if self._sock is None:
                self.connect_check_health(check_health=False)
            self._sock.settimeout(write_timeout_seconds)
            try:
                super().send_packed_command(command, check_health)
            finally:
                if self._sock is not None:
                    self._sock.settimeout(self.socket_timeout)

    return Wire


def _endpoint(text: str) -> tuple[str, int]:
    """Raises RedisUnavailable."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise RedisUnavailable(f"redis endpoint {text!r} is not an address; write host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _timeout(text: str | None) -> float | None:
    """Seconds; None for no limit. Raises BuildError."""
    try:
        seconds = parse_duration(text) if text else 0.0
    except DurationError as error:
        raise BuildError(f"redis: {error}") from error
    return seconds if seconds > 0 else None


def _tls(options: ClientTLS | None) -> ssl.SSLContext | None:
    """Trusts what is configured and nothing else. Raises BuildError."""
    if options is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if options.ca:
            context.load_verify_locations(cadata=options.ca)
        else:
            context.load_default_certs()
        if options.cert or options.key:
            _load_pair(context, options.cert, options.key)
    except (ssl.SSLError, ValueError) as error:
        raise BuildError(f"redis: unable to create client TLS configuration: {error}") from error
    if options.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """The ssl module reads pairs from files only; this one has no name and never touches a disk."""
    descriptor = os.memfd_create("pointsman-redis-pair", os.MFD_CLOEXEC)
    with contextlib.closing(os.fdopen(descriptor, "wb")) as file:
        file.write(f"{certificate}\n{key}\n".encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")

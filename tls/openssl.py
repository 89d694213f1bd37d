"""The few OpenSSL calls that pyOpenSSL does not wrap, behind typed functions: the only door to the raw binding.

All are part of the binding that pyOpenSSL itself is written on. Each checks the result and raises SSL.Error: a
setting that did not take is never passed over.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn

from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL, crypto

_lib: Final[Any] = Binding().lib
_ffi: Final[Any] = Binding().ffi

OP_PRIORITIZE_CHACHA: Final = 1 << 21
"""Prefer ChaCha20 where the client lists it first (no AES hardware there); not named by pyOpenSSL."""
OP_NO_RENEGOTIATION: Final[int] = _lib.SSL_OP_NO_RENEGOTIATION
MODE_RELEASE_BUFFERS: Final[int] = _lib.SSL_MODE_RELEASE_BUFFERS

RECORD_BYTES: Final = 16384
"""The most that one record holds."""


class Transfer(NamedTuple):
    """`receive` takes at most RECORD_BYTES and returns some; `send` returns how many bytes were taken.

    Both raise what `recv` and `send` of the connection raise. Neither may be called once its descriptor is closed.
    """

    receive: Callable[[int], bytes]
    send: Callable[[bytes | memoryview], int]


def transfer(connection: SSL.Connection) -> Transfer:
    """Reading and writing a connection at half the cost of its own methods; for the thread that calls this alone.

    A buffer is allocated for each read there, and the outcome of each call examined for what only handshakes
    do. Here all connections of a thread read through one buffer, which is copied out before the call returns.
    """
    ssl, judge = connection._ssl, connection._raise_ssl_error
    buffer, view = _buffer()
    read, write = _lib.SSL_read, _lib.SSL_write

    def receive(limit_bytes: int) -> bytes:
        count = read(ssl, buffer, limit_bytes if limit_bytes < RECORD_BYTES else RECORD_BYTES)
        if count > 0:
            taken: bytes = view[:count]
            return taken
        _fail(judge, ssl, count)

    def send(data: bytes | memoryview) -> int:
        if type(data) is bytes:
            count: int = write(ssl, data, len(data))
        else:
            with _ffi.from_buffer(data) as shared:
                count = write(ssl, shared, len(shared))
        if count > 0:
            return count
        _fail(judge, ssl, count)

    return Transfer(receive, send)


def _fail(judge: Callable[[Any, int], None], ssl: Any, result: int) -> NoReturn:
    judge(ssl, result)
    raise SSL.Error("OpenSSL failed without a reason")


_buffers = threading.local()


def _buffer() -> tuple[Any, Any]:
    """This thread's buffer and the view that copies out of it."""
    try:
        pair: tuple[Any, Any] = _buffers.pair
    except AttributeError:
        memory = _ffi.new("char[]", RECORD_BYTES)
        pair = _buffers.pair = (memory, _ffi.buffer(memory))
    return pair


def set_context_groups(context: SSL.Context, groups: str) -> bool:
    """Groups for every connection made from `context`; False if this OpenSSL does not know one of them."""
    done = bool(_lib.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1)
    _lib.ERR_clear_error()
    return done


def set_groups(connection: SSL.Connection, groups: str) -> None:
    """Groups of one connection, before its handshake. Raises SSL.Error."""
    _check(_lib.SSL_set1_curves_list(connection._ssl, groups.encode()), f"groups {groups} cannot be used")


def was_resumed(connection: SSL.Connection) -> bool:
    """Whether the finished handshake resumed an earlier session."""
    return bool(_lib.SSL_session_reused(connection._ssl))


def expect_host(connection: SSL.Connection, host: str) -> None:
    """Let the handshake fail unless a subject alternative name of the peer covers `host` (a name or an address).

    As Go: a wildcard is a whole first label and the common name never counts. Raises SSL.Error.
    """
    if not host or host.startswith("."):  # OpenSSL would take them for any host, and for all below a domain
        raise SSL.Error(f"{host!r} cannot be verified")
    parameters = _lib.SSL_get0_param(connection._ssl)
    flags = _lib.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | _lib.X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    _lib.X509_VERIFY_PARAM_set_hostflags(parameters, flags)
    try:
        packed = ipaddress.ip_address(host).packed
    except ValueError:
        encoded = host.encode("idna" if not host.isascii() else "ascii")
        done = _lib.X509_VERIFY_PARAM_set1_host(parameters, encoded, len(encoded))
    else:
        done = _lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
    _check(done, f"{host!r} cannot be verified")


def ask_for_clients(store: crypto.X509Store) -> None:
    """Let a store's chains count for certificates of clients only. Raises SSL.Error."""
    _check(_lib.X509_STORE_set_purpose(store._store, _lib.X509_PURPOSE_SSL_CLIENT), "no purpose for a store")


def verify_failure(connection: SSL.Connection) -> str:
    """OpenSSL's sentence about the peer's certificate, empty if it was fine or never judged."""
    code = _lib.SSL_get_verify_result(connection._ssl)
    if code == _lib.X509_V_OK:
        return ""
    return str(_ffi.string(_lib.X509_verify_cert_error_string(code)).decode("ascii", "replace"))


def clear_errors() -> None:
    """Empty the thread's queue of errors after a failure: OpenSSL would blame the next connection for them."""
    _lib.ERR_clear_error()


def _check(result: int, message: str) -> None:
    if result != 1:
        _lib.ERR_clear_error()
        raise SSL.Error(message)

"""TLS for tests of the workers: an authority, an engine without RSA keys, tables, clients in the test's hub."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from gevent import ssl

from config.tls import TLSOptions
from tests.tls.pki import Authority, Pair
from tls.options import TLSSettings, resolve
from tls.selection import TLSTable
from tls.server_names import NameTable
from tls.store import Bundle, CertificateStore
from workers.tls_engine import TLSEngine
from workers.tls_state import UNSERVED

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3


@functools.cache
def authority() -> Authority:
    return Authority()


@functools.cache
def default_pair() -> Pair:
    return authority().issue("default.test", common_name="default.test")


def engine() -> TLSEngine:
    return TLSEngine(Bundle([default_pair().loaded()]))


def settings(name: str = "default", **options: object) -> TLSSettings:
    return resolve(TLSOptions(**options), name, unserved=UNSERVED)  # type: ignore[arg-type]


def table(
    pairs: Mapping[str, Pair] | None = None,
    options: Sequence[TLSSettings] = (),
    hosts: Mapping[str, str] | None = None,
) -> TLSTable:
    """`pairs` by source; `options` besides a default one; `hosts`: option by host."""
    store = CertificateStore(
        {source: pair.loaded() for source, pair in (pairs or {}).items()}, Bundle([default_pair().loaded()])
    )
    known = {one.name: one for one in (settings(), *options)}
    return TLSTable(store, known, NameTable((hosts or {}).items()))


def client_context(
    *, only: ssl.TLSVersion | None = None, alpn: Sequence[str] = (), certificate: str = ""
) -> ssl.SSLContext:
    """A client of gevent that judges nothing. `certificate`: path of a file with key and chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if only is not None:
        context.minimum_version = context.maximum_version = only
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if certificate:
        context.load_cert_chain(certificate)
    return context

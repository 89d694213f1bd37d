"""What handshakes of a worker are decided by: certificates and TLS options of the running configuration.

A TLSState is immutable; `updated` makes the next one at a cost that follows the change. What cannot be used is
left out and its reason kept: a certificate is not shown, an option closes connections and disables routers. The
texts themselves are never repeated in a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

import msgspec

from config import tls as config
from tls import options as judge
from tls.certificates import Certificate, CertificateError
from tls.options import Admission, OptionError, TLSSettings
from tls.selection import DEFAULT_OPTION
from tls.store import Bundle, CertificateStore

DEFAULT_STORE: Final = "default"
UNSERVED: Final[frozenset[str]] = frozenset()
"""ALPN protocols that the workers do not speak: they are never offered."""
_AT_ONCE: Final = 256
"""So many certificates change a store before requests get their turn."""


class TLSChanges(msgspec.Struct):
    """What differs from the running configuration; None means: gone.

    Certificates by `namespace/secret`, options and stores by qualified name or `default`.
    """

    certificates: dict[str, config.StoredCertificate | None] = {}
    options: dict[str, config.TLSOptions | None] = {}
    stores: dict[str, config.TLSStore | None] = {}

    def __bool__(self) -> bool:
        return bool(self.certificates or self.options or self.stores)


class TLSState:
    """`settings`: the usable options by name, `default` always among them unless it is broken.

    `store` is what certificates are chosen from. `errors`: by option name, `spoilt`: by certificate.
    """

    __slots__ = ("_generated", "errors", "settings", "spoilt", "store")

    def __init__(self, generated: Bundle | None = None) -> None:
        """`generated`: the certificate of last resort; None only where no connection is ever made."""
        self._generated = generated
        self.settings: dict[str, TLSSettings] = {DEFAULT_OPTION: _settings(DEFAULT_OPTION, None)}
        self.errors: dict[str, str] = {}
        self.spoilt: dict[str, str] = {}
        self.store = CertificateStore(default=generated)

    def updated(self, changes: TLSChanges, pause: Callable[[], None]) -> tuple[TLSState, set[str]]:
        """The next state, and the options whose routers need a new look: come, gone, broken, letting in others."""
        if not changes:
            return self, set()
        new = TLSState.__new__(TLSState)
        new._generated = self._generated
        new.spoilt = dict(self.spoilt)
        new.settings, new.errors = dict(self.settings), dict(self.errors)
        new.store = self._with_certificates(new, changes.certificates, pause)
        if DEFAULT_STORE in changes.stores:
            new.store = new._with_default(changes.stores[DEFAULT_STORE])
        return new, new._change_options(changes.options, self)

    def problem(self, option: str) -> str:
        """Why routers with this option cannot be served, empty if they can."""
        if option in self.settings:
            return ""
        error = self.errors.get(option)
        return f"building TLS config: {error}" if error else f"unknown TLS options: {option}"

    def admission(self, option: str) -> Admission | None:
        """Whom the option lets in; None if it cannot be used."""
        settings = self.settings.get(option)
        return settings.admission if settings is not None else None

    def _with_certificates(
        self, new: TLSState, changes: Mapping[str, config.StoredCertificate | None], pause: Callable[[], None]
    ) -> CertificateStore:
        store = self.store
        pending = iter(changes.items())
        while batch := dict(islice(pending, _AT_ONCE)):
            added = {}
            for source, pair in batch.items():
                certificate = new._load(source, pair)
                if certificate is not None:
                    added[source] = certificate
                pause()
            store = store.replaced([source for source in batch if source not in added], added)
            pause()
        return store

    def _load(self, source: str, pair: config.StoredCertificate | None) -> Certificate | None:
        self.spoilt.pop(source, None)
        if pair is None or (pair.stores and DEFAULT_STORE not in pair.stores):
            return None
        try:
            return Certificate.load(pair.cert_file.encode(), pair.key_file.encode())
        except CertificateError as error:
            self.spoilt[source] = str(error)
            return None

    def _with_default(self, store: config.TLSStore | None) -> CertificateStore:
        """A default certificate that is configured and cannot be used leaves none: nothing else steps in."""
        default = self._generated
        name = f"store {DEFAULT_STORE}"
        self.spoilt.pop(name, None)
        if store is not None and store.default_certificate is not None:
            pair = store.default_certificate
            try:
                default = Bundle([Certificate.load(pair.cert_file.encode(), pair.key_file.encode())])
            except CertificateError as error:
                self.spoilt[name] = str(error)
                default = None
        changed = self.store.replaced((), {})
        changed.default = default
        return changed

    def _change_options(self, changes: Mapping[str, config.TLSOptions | None], old: TLSState) -> set[str]:
        for name, options in changes.items():
            self.settings.pop(name, None)
            self.errors.pop(name, None)
            if options is None and name != DEFAULT_OPTION:
                continue
            try:
                self.settings[name] = _settings(name, options)
            except OptionError as error:
                self.errors[name] = str(error)
        return {
            name
            for name in changes
            if self.problem(name) != old.problem(name) or self.admission(name) != old.admission(name)
        }

    def __repr__(self) -> str:
        return f"<TLSState {self.store!r}, options {', '.join(sorted(self.settings))}>"


def _settings(name: str, options: config.TLSOptions | None) -> TLSSettings:
    """Raises OptionError."""
    return judge.resolve(options or config.TLSOptions(), name, unserved=UNSERVED)

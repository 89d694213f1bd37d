"""Which certificate a handshake shows: from the server name to a bundle, in constant time.

The order is the original's. Every certificate has a key, its names sorted and joined; of all certificates that
cover a name, exactly or by a wildcard of one label, the one with the greatest key wins. `*` sorts before letters,
so a certificate without wildcards beats every one with them. Dates do not count.

Certificates of one key but different key types (ECDSA and RSA for the same names) stand side by side in one
bundle and the client's abilities choose. Of two with the same key and type the one whose source sorts first
stays: the outcome never depends on the order of arrival.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from tls.alerts import UNRECOGNIZED_NAME, HandshakeRefused
from tls.certificates import Certificate, KeyType
from tls.server_names import normalize_server_name, parent_name, wildcard_suffix


class Bundle:
    """What one context shows: at most one certificate of each key type. Equal when the certificates are."""

    __slots__ = ("certificates", "digest", "key")

    def __init__(self, certificates: Iterable[Certificate]) -> None:
        """Of several certificates of one type the first is kept; at least one is needed."""
        kept: dict[KeyType, Certificate] = {}
        for certificate in certificates:
            kept.setdefault(certificate.key_type, certificate)
        self.certificates = tuple(kept[key_type] for key_type in sorted(kept))
        self.key = self.certificates[0].key
        digests = b"".join(certificate.digest for certificate in self.certificates)
        self.digest = hashlib.blake2b(digests, digest_size=16).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bundle) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        kinds = "+".join(certificate.key_type for certificate in self.certificates)
        return f"<Bundle {self.key or '(no name)'} {kinds}>"


class CertificateStore:
    """All certificates of a generation by name, and the default. Immutable: a change makes another store."""

    __slots__ = ("_bundles", "_exact", "_members", "_sources", "_wildcard", "default")

    def __init__(
        self, certificates: Mapping[str, Certificate] | None = None, default: Bundle | None = None
    ) -> None:
        """`certificates`: by source (`namespace/secret`). `default` None: nothing to show, handshakes end."""
        self.default = default
        self._sources: dict[str, Certificate] = {}
        self._members: dict[str, dict[str, Certificate]] = {}
        self._bundles: dict[str, Bundle] = {}
        self._exact: dict[str, tuple[str, ...]] = {}
        self._wildcard: dict[str, tuple[str, ...]] = {}
        self._change((), certificates or {})

    def replaced(
        self, removed: Iterable[str], added: Mapping[str, Certificate], default: Bundle | None = None
    ) -> CertificateStore:
        """A store without the sources `removed` and with `added`; `default` None keeps the present one.

        Tables are copied, certificates are not parsed or compared again: the cost follows the change.
        """
        other = CertificateStore.__new__(CertificateStore)
        other.default = self.default if default is None else default
        other._sources = self._sources.copy()
        other._members = self._members.copy()
        other._bundles = self._bundles.copy()
        other._exact = self._exact.copy()
        other._wildcard = self._wildcard.copy()
        other._change(removed, added)
        return other

    def find(self, name: str) -> Bundle | None:
        """The bundle that covers `name` (normalized, or an address), without the default."""
        exact = self._exact.get(name)
        wild = self._wildcard.get(parent_name(name))
        if exact and wild:
            return self._bundles[max(exact[0], wild[0])]
        keys = exact or wild
        return self._bundles[keys[0]] if keys else None

    def choose(self, server_name: str, local_ip: str = "", *, strict: bool = False) -> Bundle:
        """The bundle for a handshake. Without a server name the address the client dialled stands in for it.

        Raises HandshakeRefused if nothing covers the name and `strict` holds or there is no default.
        """
        found = self.find(server_name or normalize_server_name(local_ip))
        if found is None and not strict:
            found = self.default
        if found is None:
            shown = repr(server_name) if server_name else "a client without a server name"
            raise HandshakeRefused(f"no certificate for {shown}", UNRECOGNIZED_NAME)
        return found

    @property
    def certificates(self) -> Iterable[Certificate]:
        """All but the default, in no particular order."""
        return self._sources.values()

    def __contains__(self, source: str) -> bool:
        return source in self._sources

    def __len__(self) -> int:
        return len(self._sources)

    def __repr__(self) -> str:
        return f"<CertificateStore of {len(self)} certificates, default {self.default!r}>"

    def _change(self, removed: Iterable[str], added: Mapping[str, Certificate]) -> None:
        touched: dict[str, dict[str, Certificate]] = {}
        gone = [source for source in (*removed, *added) if source in self._sources]
        for source in gone:
            certificate = self._sources.pop(source, None)
            if certificate is not None:
                self._own(touched, certificate.key).pop(source, None)
        for source, certificate in added.items():
            self._sources[source] = certificate
            self._own(touched, certificate.key)[source] = certificate
        for key, members in touched.items():
            self._settle(key, members)

    def _own(self, touched: dict[str, dict[str, Certificate]], key: str) -> dict[str, Certificate]:
        """The members of `key`, copied once per change since other stores share the old ones."""
        if key not in touched:
            touched[key] = dict(self._members.get(key, {}))
        return touched[key]

    def _settle(self, key: str, members: dict[str, Certificate]) -> None:
        known = key in self._bundles
        if not members:
            if known:
                del self._members[key], self._bundles[key]
                self._index(key, present=False)
            return
        self._members[key] = members
        self._bundles[key] = Bundle(members[source] for source in sorted(members))
        if not known:
            self._index(key, present=True)

    def _index(self, key: str, *, present: bool) -> None:
        for name in filter(None, key.split(",")):
            suffix = wildcard_suffix(name)
            table, entry = (self._wildcard, suffix) if suffix else (self._exact, name)
            keys = {other for other in table.get(entry, ()) if other != key}
            if present:
                keys.add(key)
            if keys:
                table[entry] = tuple(sorted(keys, reverse=True))
            else:
                table.pop(entry, None)

"""Certificates and authorities out of Secrets and ConfigMaps, always those of the holder's own namespace.

What a Secret holds is content and never a path, whatever it looks like. What is missing raises Rejected, and the
holder decides what is lost with it. What is there but worthless (no PEM, a key for another certificate, expired)
is handed on all the same, as Traefik does: the workers refuse it at its place, which keeps, for instance, a
transport with a spoilt authority from trusting everybody. The finding says so beforehand. No message ever
contains a value of a Secret.

Every `field` is the full path of the reference in the holder, as findings show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from config.tls import Certificate, StoredCertificate
from provider.findings import Rejected
from provider.resources import core
from provider.translate import pem
from provider.translate.holder import Holder
from provider.translate.output import Output

CERTIFICATE_KEYS: Final = ("tls.crt", "tls.key")
AUTHORITY_KEYS: Final = ("tls.ca", "ca.crt")
"""In the order in which they are looked for."""

CERTIFICATES: Final = "tls.certificates"


def certificate(holder: Holder, secret_name: str, field: str) -> Certificate:
    """The pair of a Secret with `tls.crt` and `tls.key`; its type is of no concern. Raises Rejected.

    A pair that no handshake can use, or whose dates are wrong, is reported to the holder and returned.
    """
    secret = secret_of(holder, secret_name, field)
    _check_entries(secret.data, _title("Secret", holder, secret_name), field)
    chain, key = (_text(secret.data[name]) for name in CERTIFICATE_KEYS)
    _report_pair(holder, secret_name, chain, key, field)
    return Certificate(cert_file=chain, key_file=key)


def stored_certificate(
    holder: Holder, output: Output, secret_name: str, field: str, stores: list[str] | None = None
) -> None:
    """Put a Secret's certificate among those for handshakes. Raises Rejected.

    It is keyed by `namespace/secret`, so that all who name the Secret share it. `stores` None: the default one.
    """
    pair = certificate(holder, secret_name, field)
    stored = StoredCertificate(cert_file=pair.cert_file, key_file=pair.key_file, stores=stores or [])
    output.put(CERTIFICATES, f"{holder.namespace}/{secret_name}", stored)


def route_certificate(holder: Holder, output: Output, secret_name: str) -> None:
    """Store what `spec.tls.secretName` of a route object names; never raises.

    If it cannot be had the routes are served over TLS all the same, with whatever certificate covers their names.
    """
    if not secret_name:
        return
    try:
        stored_certificate(holder, output, secret_name, "spec.tls.secretName")
    except Rejected as error:
        holder.report.rejected(error)


def certificate_authority(holder: Holder, secret_name: str, field: str, *, allow_single_key: bool = True) -> str:
    """PEM text of a Secret's `tls.ca`, else `ca.crt`, else its only entry if that is allowed. Raises Rejected.

    An entry without a readable certificate, even an empty one, is reported to the holder and returned: it trusts
    nobody.
    """
    secret = secret_of(holder, secret_name, field)
    data = secret.data
    found = next((data[name] for name in AUTHORITY_KEYS if name in data), None)
    if found is None and allow_single_key and len(data) == 1:
        (found,) = data.values()
    title = _title("Secret", holder, secret_name)
    if found is None:
        raise _no_authority(title, field)
    return _reported_authority(holder, title, _text(found), field)


def config_map_authority(holder: Holder, name: str, field: str) -> str:
    """PEM text of a ConfigMap's `tls.ca`, else `ca.crt`. Raises Rejected; reports as for a Secret."""
    title = _title("ConfigMap", holder, name)
    found = holder.view.config_map(holder.namespace, name) if name else None
    if found is None:
        raise _not_found("ConfigMap", title, name, field)
    text = next((found.data[key] for key in AUTHORITY_KEYS if key in found.data), None)
    if text is None:
        raise _no_authority(title, field)
    return _reported_authority(holder, title, text, field)


def secret_of(holder: Holder, name: str, field: str) -> core.Secret:
    """The Secret of that name in the holder's namespace. Raises Rejected if there is none to be seen."""
    found = holder.view.secret(holder.namespace, name) if name else None
    if found is None:
        raise _not_found("Secret", _title("Secret", holder, name), name, field)
    return found


def _check_entries(data: Mapping[str, bytes], title: str, field: str) -> None:
    missing = [name for name in CERTIFICATE_KEYS if name not in data]
    empty = [name for name in CERTIFICATE_KEYS if not data.get(name)]
    if missing or empty:
        what = f"has no {' and no '.join(missing)}" if missing else f"has an empty {' and an empty '.join(empty)}"
        raise Rejected(
            "SecretIncomplete",
            f"{title} {what}",
            field=field,
            advice="store the certificate chain as tls.crt and its private key as tls.key, both in PEM form",
        )


def _report_pair(holder: Holder, secret_name: str, chain: str, key: str, field: str) -> None:
    title = _title("Secret", holder, secret_name)
    verdict = pem.judge_pair(chain, key)
    if verdict.flaw:
        holder.report.rejected(
            Rejected(
                "InvalidCertificate",
                f"{title} cannot be used: {verdict.flaw}",
                field=field,
                advice="store a PEM chain that begins with the leaf, and the private key that belongs to it",
            )
        )
    elif wrong_date := pem.date_flaw(verdict):
        holder.report.warning(
            "CertificateDates",
            f"the certificate in {title} {wrong_date}; it is used all the same",
            field=field,
            advice="renew the certificate",
        )


def _reported_authority(holder: Holder, title: str, text: str, field: str) -> str:
    if not pem.has_authority(text):
        holder.report.rejected(
            Rejected(
                "InvalidAuthority",
                f"{title} holds no certificate that can be read, so nobody is trusted for it",
                field=field,
                advice="store the certificates of the authority in PEM form",
            )
        )
    return text


def _not_found(kind: str, title: str, name: str, field: str) -> Rejected:
    if not name:
        return Rejected(f"{kind}NotFound", f"no {kind} is named", field=field, advice="write its name")
    return Rejected(
        f"{kind}NotFound",
        f"{title} does not exist",
        field=field,
        advice="create it in the namespace of this object",
    )


def _no_authority(title: str, field: str) -> Rejected:
    return Rejected(
        "AuthorityMissing",
        f"{title} has neither {AUTHORITY_KEYS[0]} nor {AUTHORITY_KEYS[1]}",
        field=field,
        advice="store the certificates of the authority as ca.crt, in PEM form",
    )


def _title(kind: str, holder: Holder, name: str) -> str:
    return f"{kind} {holder.namespace}/{name}"


def _text(value: bytes) -> str:
    # PEM is ASCII; remarks between its blocks may be in any encoding and mean nothing
    return value.decode("utf-8", errors="replace")

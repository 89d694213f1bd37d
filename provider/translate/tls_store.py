"""TLSStore -> a store and the certificates in it.

Without the default certificate that it names a store is lost, and its other certificates with it. One of those
others that cannot be had is left out alone.
"""

from __future__ import annotations

from typing import Final

from config import tls
from provider.findings import Rejected
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_tls import GeneratedCertificate, TLSStore
from provider.translate.holder import Holder
from provider.translate.no_effect import note_resolver
from provider.translate.output import Output
from provider.translate.secrets import certificate, stored_certificate
from provider.translate.tls_defaults import DEFAULT, check_may_be_default, check_only_default, output_name
from provider.translate.view import View

SECTION: Final = "tls.stores"


def translate(view: View, store: TLSStore) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata = store.metadata
    output = Output.of(ObjectKey("TLSStore", metadata.namespace, metadata.name))
    holder = Holder(view, metadata.namespace, output.report)
    _warn(holder, store)
    try:
        check_may_be_default(view, "TLSStore", metadata.namespace, metadata.name)
        default = _default_certificate(holder, store)
    except Rejected as error:
        output.report.rejected(error)
        return output
    name = output_name(view.naming, metadata.namespace, metadata.name)
    try:
        check_only_default(view, "TLSStore", metadata.namespace, metadata.name)
    except Rejected as error:
        output.report.rejected(error)
    else:
        generated = _generated(store.spec.default_generated_cert)
        output.put(SECTION, name, tls.TLSStore(default_certificate=default, default_generated_cert=generated))
    _put_certificates(holder, output, store, name)
    return output


def _put_certificates(holder: Holder, output: Output, store: TLSStore, name: str) -> None:
    """Those of a `default` are served even where there is another and neither counts as a store."""
    for index, reference in enumerate(store.spec.certificates):
        field = f"spec.certificates[{index}].secretName"
        try:
            if name == DEFAULT:
                stored_certificate(holder, output, reference.secret_name, field, [name])
            else:
                # claiming the Secret for a store that nobody is served from would take it away from routes
                certificate(holder, reference.secret_name, field)
        except Rejected as error:
            output.report.rejected(error)


def _default_certificate(holder: Holder, store: TLSStore) -> tls.Certificate | None:
    reference = store.spec.default_certificate
    if reference is None:
        return None
    try:
        return certificate(holder, reference.secret_name, "spec.defaultCertificate.secretName")
    except Rejected as error:
        lost = "the store and all its certificates are left out"
        raise Rejected(error.reason, f"{error.message}; {lost}", field=error.field, advice=error.advice) from error


def _generated(given: GeneratedCertificate | None) -> tls.GeneratedCertificate | None:
    if given is None:
        return None
    domain = tls.Domain(main=given.domain.main, sans=given.domain.sans) if given.domain else None
    return tls.GeneratedCertificate(resolver=given.resolver, domain=domain)


def _warn(holder: Holder, store: TLSStore) -> None:
    if store.metadata.name != DEFAULT:
        holder.report.warning(
            "StoreNotServed",
            "certificates are only ever chosen from the store named default",
            field="metadata.name",
            advice="list these certificates in the TLSStore default, or name them in tls.secretName of the routes",
        )
    elif store.spec.default_generated_cert is not None and store.spec.default_certificate is None:
        note_resolver(holder.report, "spec.defaultGeneratedCert")
    if store.spec.default_certificate is not None and store.spec.default_generated_cert is not None:
        holder.report.warning(
            "OptionIgnored",
            "has no effect beside defaultCertificate",
            field="spec.defaultGeneratedCert",
            advice="remove one of the two",
        )

"""TLSOption -> TLS options, judged with the code the workers use.

No error in a field drops an option, since nothing weaker may step in for a demand that cannot be met. One that the
workers cannot use is emitted as it is written; whoever refers to it is refused connections, and the finding here
says why.
"""

from __future__ import annotations

from typing import Final

from config import tls
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_tls import ClientAuth, TLSOption, TLSOptionSpec
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.pem import has_authority
from provider.translate.secrets import certificate_authority
from provider.translate.tls_defaults import DEFAULT, check_may_be_default, check_only_default, output_name
from provider.translate.view import View
from tls import options as judge

SECTION: Final = "tls.options"
_SERVER_ORDER: Final = "preferServerCipherSuites has no effect: the server's order always counts"
SECRET_NAMES: Final = "spec.clientAuth.secretNames"  # noqa: S105 - a field's path

UNUSABLE: Final = tls.TLSOptions(client_auth=tls.ClientAuth(client_auth_type="Untranslatable"))
"""Workers know no such type, so they close connections."""


def translate(view: View, option: TLSOption) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata, spec = option.metadata, option.spec
    output = Output.of(ObjectKey("TLSOption", metadata.namespace, metadata.name))
    holder = Holder(view, metadata.namespace, output.report)
    options = tls.TLSOptions(
        min_version=spec.min_version,
        max_version=spec.max_version,
        cipher_suites=spec.cipher_suites,
        curve_preferences=spec.curve_preferences,
        client_auth=_client_auth(holder, spec.client_auth),
        sni_strict=spec.sni_strict,
        alpn_protocols=spec.alpn_protocols,
        disable_session_tickets=spec.disable_session_tickets,
    )
    output.fate = SECTION, output_name(view.naming, metadata.namespace, metadata.name)
    output.flaw = _report_use(output.report, spec, options)
    try:
        check_may_be_default(view, "TLSOption", metadata.namespace, metadata.name)
        check_only_default(view, "TLSOption", metadata.namespace, metadata.name)
    except Rejected as error:
        output.report.rejected(error)
        output.fate = None  # there is a default one all the same, the built-in
    else:
        output.put(*output.fate, options)
    return output


def put_unusable(view: View, output: Output) -> None:
    """Stand for a TLSOption that could not be translated, which its output has said.

    Nothing is missed by who names it and finds nothing; but were there no default one, the built-in would step in
    for it, and be weaker. So connections are closed.
    """
    _, namespace, name = output.key
    section_and_name = SECTION, output_name(view.naming, namespace, name)
    if name == DEFAULT:
        try:
            check_may_be_default(view, output.key.kind, namespace, name)
            check_only_default(view, output.key.kind, namespace, name)
        except Rejected:
            return
        output.put(*section_and_name, UNUSABLE)
    output.judge(*section_and_name)


def _client_auth(holder: Holder, auth: ClientAuth) -> tls.ClientAuth:
    """Authorities that cannot be had are left out; an option that needs one and has none is then broken."""
    authorities = []
    for index, name in enumerate(auth.secret_names):
        try:
            field = f"{SECRET_NAMES}[{index}]"
            authorities.append(certificate_authority(holder, name, field, allow_single_key=False))
        except Rejected as error:
            holder.report.rejected(error)
    return tls.ClientAuth(ca_files=authorities, client_auth_type=auth.client_auth_type)


def _report_use(report: Report, spec: TLSOptionSpec, options: tls.TLSOptions) -> str:
    """Why the workers cannot use it, empty if they can."""
    try:
        settings = judge.resolve(options)
    except judge.OptionError as error:
        broken = _broken(error, options)
        report.rejected(broken)
        return broken.message
    warnings = list(settings.warnings)
    if spec.prefer_server_cipher_suites is not None:
        warnings.append(_SERVER_ORDER)
    for warning in warnings:
        field, _, message = warning.partition(": ")
        path = f"spec.{field}" if message else "spec"
        report.warning("OptionIgnored", message or warning, field=path, advice="correct or remove the field")
    return ""


def _broken(error: judge.OptionError, options: tls.TLSOptions) -> Rejected:
    field, message = f"spec.{error.field}", error.message
    if error.field.startswith("clientAuth.caFiles"):
        field = SECRET_NAMES
        unreadable = [text for text in options.client_auth.ca_files if not has_authority(text)]
        message = "a Secret holds no certificate that can be read" if unreadable else message
    return Rejected(
        "BrokenTLSOption",
        f"{message}; routers that refer to this option are disabled, and connections to their hosts closed",
        field=field,
        advice=error.advice,
    )

"""What servers transports of HTTP and TCP have in common: whom to trust, who to be, and lenient durations.

Each of these costs at most the item that is wrong. Findings have the item's full path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from config.http import Spiffe
from config.tls import Certificate
from config.units import DurationError, format_duration, parse_duration
from provider.findings import Rejected, Report
from provider.resources import traefik_transports
from provider.resources.traefik_transports import RootCA
from provider.translate import pem
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.secrets import certificate, certificate_authority, config_map_authority


def root_authorities(holder: Holder, deprecated: list[str], given: list[RootCA], path: str) -> list[str]:
    """PEM texts of `rootCAsSecrets` and then of `rootCAs`; `path` leads to where both are written."""
    authorities: list[str] = []
    if deprecated:
        holder.report.warning(
            "Deprecated",
            "the field is deprecated",
            field=f"{path}.rootCAsSecrets",
            advice="write rootCAs: [{secret: ...}]",
        )
    references = [(RootCA(secret=name), f"{path}.rootCAsSecrets[{i}]") for i, name in enumerate(deprecated)]
    references += [(one, f"{path}.rootCAs[{i}]") for i, one in enumerate(given)]
    for reference, field in references:
        try:
            authorities.append(_authority(holder, reference, field))
        except Rejected as error:
            holder.report.rejected(error)
    if references and not authorities:
        holder.report.warning(
            "SystemAuthorities",
            "none of the authorities named here can be used, so those of the system are trusted",
            field=path,
            advice="see the errors of the single authorities",
        )
    return authorities


def _authority(holder: Holder, reference: RootCA, field: str) -> str:
    if (reference.secret is None) == (reference.config_map is None):
        given = "both a Secret and a ConfigMap are" if reference.secret is not None else "nothing is"
        raise Rejected(
            "AmbiguousAuthority",
            f"{given} named; the entry is left out",
            field=field,
            advice="write either secret or configMap",
        )
    if reference.secret is not None:
        return certificate_authority(holder, reference.secret, field)
    return config_map_authority(holder, reference.config_map or "", field)


def client_certificates(holder: Holder, secret_names: list[str], field: str) -> list[Certificate]:
    """The pairs with which we answer a server that asks who we are."""
    certificates = []
    for index, name in enumerate(secret_names):
        try:
            certificates.append(certificate(holder, name, f"{field}[{index}]"))
        except Rejected as error:
            holder.report.rejected(error)
    return certificates


def lenient_duration(report: Report, value: int | str | None, default: str, field: str) -> str:
    """Go text of an int-or-string duration, empty for zero. What cannot be read is zero too, with a finding."""
    if value is None:
        return default
    try:
        seconds = parse_duration(value)
    except DurationError as error:
        report.rejected(Rejected("InvalidDuration", f"{error}; taken as 0, that is none", field=field))
        return ""
    return format_duration(seconds) if seconds else ""


def spiffe(given: traefik_transports.Spiffe | None) -> Spiffe | None:
    return Spiffe(ids=given.ids, trust_domain=given.trust_domain) if given else None


def judge(output: Output, name: tuple[str, str], flaws: Iterable[Rejected]) -> None:
    """Report what keeps workers from building the transport; whoever names it is then disabled."""
    output.fate = name
    for flaw in flaws:
        output.report.rejected(flaw)
        output.flaw = output.flaw or flaw.message


def pair_flaws(certificates: list[Certificate], field: str) -> Iterator[Rejected]:
    """Pairs that cannot be shown. The Secret has been reported already, but not what follows."""
    for index, one in enumerate(certificates):
        flaw = pem.judge_pair(one.cert_file, one.key_file).flaw
        if flaw:
            yield unbuildable(f"a certificate cannot be used: {flaw}", f"{field}[{index}]", "correct the Secret")


def spiffe_flaws(given: traefik_transports.Spiffe | None, field: str) -> Iterator[Rejected]:
    if given is not None:
        yield unbuildable(
            "there is no SPIFFE workload API in this version of Pointsman",
            field,
            "write rootCAs, certificatesSecrets and peerCertURI",
        )


def unbuildable(message: str, field: str, advice: str) -> Rejected:
    consequence = "services that name this transport will be disabled"
    return Rejected("BrokenServersTransport", f"{message}; {consequence}", field=field, advice=advice)

"""Fields that are accepted and change nothing where they stand: each gets a warning, for silence reads as consent.

What a worker cannot do is not for here; these are fields that mean nothing in their place, or that ask for
something no process of ours does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from provider.findings import Report
from provider.resources.core import Service
from provider.resources.traefik import TLS, LoadBalancerSpec
from provider.resources.traefik_layer4 import TLSTCP
from provider.translate.kube_service import EXTERNAL_NAME, NODE_PORT, ServiceReference

REASON: Final = "OptionIgnored"

_OF_A_KUBERNETES_SERVICE: Final[Mapping[str, str]] = {
    "scheme": "scheme",
    "strategy": "strategy",
    "sticky": "sticky",
    "pass_host_header": "passHostHeader",
    "response_forwarding": "responseForwarding",
    "servers_transport": "serversTransport",
    "native_lb": "nativeLB",
    "node_port_lb": "nodePortLB",
    "middlewares": "middlewares",
    "health_check": "healthCheck",
    "passive_health_check": "passiveHealthCheck",
}


def note_composed(report: Report, spec: LoadBalancerSpec, field: str) -> None:
    """`spec` refers to a TraefikService, which says itself how its requests are spread."""
    for attribute, name in _OF_A_KUBERNETES_SERVICE.items():
        given = getattr(spec, attribute)
        if given not in (None, "", [], False) or (given is False and attribute == "pass_host_header"):
            where = "the route or the TraefikService's own services" if name == "middlewares" else "its services"
            report.warning(
                REASON,
                f"{name} has no effect on a reference to a TraefikService",
                field=f"{field}.{name}",
                advice=f"write it at {where}",
            )


def note_addressing(report: Report, spec: ServiceReference, service: Service, field: str) -> None:
    """How the servers of a Kubernetes Service are found, where its type leaves no choice."""
    type_ = service.spec.type
    if spec.node_port_lb and type_ != NODE_PORT:
        report.warning(
            REASON,
            f"nodePortLB has no effect on a Service of type {type_}",
            field=f"{field}.nodePortLB",
            advice="remove it, or give the Service type NodePort",
        )
    if spec.native_lb and type_ == EXTERNAL_NAME:
        report.warning(
            REASON,
            f"nativeLB has no effect on a Service of type {type_}",
            field=f"{field}.nativeLB",
            advice="remove it",
        )


def note_weight(report: Report, weight: int | None, field: str) -> None:
    """Of the only service of a route."""
    if weight == 0:
        report.warning(
            REASON,
            "weight has no effect on the only service of a route, which gets every request",
            field=f"{field}.weight",
            advice="remove the route to take the service out",
        )


def note_tls(report: Report, tls: TLS) -> None:
    """The `tls` of a route of HTTP or TCP."""
    if tls.store is not None:
        report.warning(
            REASON,
            "certificates are only ever chosen from the TLSStore named default",
            field="spec.tls.store",
            advice="remove it",
        )
    passthrough = isinstance(tls, TLSTCP) and tls.passthrough
    if passthrough and tls.secret_name:
        report.warning(
            REASON,
            "with passthrough the server shows its own certificate, so the Secret is not loaded",
            field="spec.tls.secretName",
            advice="remove secretName, or passthrough to have TLS end here",
        )
    elif tls.cert_resolver:
        note_resolver(report, "spec.tls.certResolver")
    if passthrough and tls.options is not None and tls.options.name:
        report.warning(
            REASON,
            "with passthrough the server ends TLS, so the options are not asked for",
            field="spec.tls.options",
            advice="remove options, or passthrough to have TLS end here",
        )


def note_resolver(report: Report, field: str) -> None:
    report.warning(
        "CertResolverNotServed",
        "this version of Pointsman orders no certificates; those of Secrets, or the default one, are shown",
        field=field,
        advice="let cert-manager keep the certificate in a Secret and name that",
    )

"""ServersTransportTCP -> TCP servers transport; as for HTTP, no error drops it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from config import layer4
from provider.findings import Rejected
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_transports import (
    ProxyProtocol,
    ServersTransportTCP,
    ServersTransportTCPSpec,
    TLSClientConfig,
)
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.services_layer4 import PROXY_PROTOCOL_VERSIONS
from provider.translate.transport_parts import (
    client_certificates,
    judge,
    lenient_duration,
    pair_flaws,
    root_authorities,
    spiffe,
    spiffe_flaws,
    unbuildable,
)
from provider.translate.view import View

SECTION: Final = "tcp.serversTransports"


def translate(view: View, transport: ServersTransportTCP) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata, spec = transport.metadata, transport.spec
    output = Output.of(ObjectKey("ServersTransportTCP", metadata.namespace, metadata.name))
    holder, report = Holder(view, metadata.namespace, output.report), output.report
    defaults = layer4.TCP_SERVERS_TRANSPORT_DEFAULTS
    delay = lenient_duration(report, spec.termination_delay, defaults.termination_delay, "spec.terminationDelay")
    value = layer4.TCPServersTransport(
        dial_keep_alive=lenient_duration(
            report, spec.dial_keep_alive, defaults.dial_keep_alive, "spec.dialKeepAlive"
        ),
        dial_timeout=lenient_duration(report, spec.dial_timeout, defaults.dial_timeout, "spec.dialTimeout"),
        proxy_protocol=_proxy_protocol(spec.proxy_protocol),
        termination_delay=delay,
        tls=_tls(holder, spec.tls),
    )
    name = SECTION, view.naming.object(metadata.namespace, metadata.name)
    output.put(*name, value)
    judge(output, name, _flaws(value, spec))
    return output


def _flaws(value: layer4.TCPServersTransport, spec: ServersTransportTCPSpec) -> Iterator[Rejected]:
    given = value.proxy_protocol
    if given is not None and given.version not in PROXY_PROTOCOL_VERSIONS:
        message = f"there is no version {given.version} of the PROXY protocol"
        yield unbuildable(message, "spec.proxyProtocol.version", "write 1 or 2")
    if spec.tls is not None and value.tls is not None:
        yield from spiffe_flaws(spec.tls.spiffe, "spec.tls.spiffe")
        yield from pair_flaws(value.tls.certificates, "spec.tls.certificatesSecrets")


def _proxy_protocol(given: ProxyProtocol | None) -> layer4.ProxyProtocol | None:
    return layer4.ProxyProtocol(version=given.version) if given else None


def _tls(holder: Holder, given: TLSClientConfig | None) -> layer4.TLSClientConfig | None:
    if given is None:
        return None
    return layer4.TLSClientConfig(
        server_name=given.server_name,
        insecure_skip_verify=given.insecure_skip_verify,
        root_cas=root_authorities(holder, given.root_cas_secrets, given.root_cas, "spec.tls"),
        certificates=client_certificates(holder, given.certificates_secrets, "spec.tls.certificatesSecrets"),
        peer_cert_uri=given.peer_cert_uri,
        spiffe=spiffe(given.spiffe),
    )

"""ServersTransportTCP -> TCP servers transport; as for HTTP, no error drops it."""

from __future__ import annotations

from typing import Final

from config import layer4
from config.names import normalize, object_id
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_transports import ProxyProtocol, ServersTransportTCP, TLSClientConfig
from provider.translate.holder import Holder
from provider.translate.output import Output
from provider.translate.transport_parts import client_certificates, lenient_duration, root_authorities, spiffe
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
    output.put(SECTION, normalize(object_id(metadata.namespace, metadata.name)), value)
    return output


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

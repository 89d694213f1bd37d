"""What the CRDs say about TLSOption, TLSStore and the servers transports; see `words.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from provider.resources import traefik_tls, traefik_transports
from provider.resources.words import Words, one_of
from provider.resources.words_middlewares import DURATION

_SERVER_TLS: Final[Mapping[str, Words]] = {
    "serverName": Words("Name to ask the servers for and to find in their certificates; unset: their host."),
    "insecureSkipVerify": Words("Accept any certificate of the servers."),
    "rootCAs": Words("Authorities to trust instead of those of the system."),
    "rootCAsSecrets": Words("Deprecated: Secrets with authorities to trust; write rootCAs."),
    "certificatesSecrets": Words("Secrets with our certificates for servers that ask, as tls.crt and tls.key."),
    "peerCertURI": Words("URI that the certificate of a server must hold, in place of its host."),
    "spiffe": Words("Accept servers by their SPIFFE identity; excludes the other TLS options."),
}

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    traefik_tls.TLSOptionSpec: {
        "minVersion": Words("Lowest version, such as VersionTLS13; VersionTLS12 unless set."),
        "maxVersion": Words("Highest version, such as VersionTLS12; unset: the newest."),
        "cipherSuites": Words("Cipher suites for TLS 1.2 and below; unset: the secure ones."),
        "curvePreferences": Words("Curves for the key exchange in order of preference, such as X25519."),
        "clientAuth": Words("Whether clients must show a certificate, and whose."),
        "sniStrict": Words("Refuse clients that ask for a name without a certificate here."),
        "alpnProtocols": Words("Protocols on offer in order of preference; h2 and http/1.1 unless set."),
        "disableSessionTickets": Words("Do not let clients resume sessions by tickets."),
        "preferServerCipherSuites": Words("Deprecated, without effect: the order of the proxy counts."),
    },
    traefik_tls.ClientAuth: {
        "secretNames": Words("Secrets with the authorities of clients, as tls.ca or ca.crt."),
        "clientAuthType": Words(
            "What is asked of clients; RequireAndVerifyClientCert if authorities are given, else NoClientCert.",
            keywords=one_of(
                "NoClientCert",
                "RequestClientCert",
                "RequireAnyClientCert",
                "VerifyClientCertIfGiven",
                "RequireAndVerifyClientCert",
            ),
        ),
    },
    traefik_tls.TLSStoreSpec: {
        "defaultCertificate": Words("Certificate for clients that ask for no name or for one without its own."),
        "defaultGeneratedCert": Words("Obtain the default certificate; without effect beside defaultCertificate."),
        "certificates": Words("Certificates that are chosen by the name a client asks for."),
    },
    traefik_tls.CertificateSecret: {
        "secretName": Words("Secret with tls.crt and tls.key in the namespace of this object.", required=True),
    },
    traefik_tls.GeneratedCertificate: {
        "resolver": Words("Resolver that obtains the certificate."),
        "domain": Words("Names of the certificate."),
    },
    traefik_transports.ServersTransportSpec: {
        **_SERVER_TLS,
        "cipherSuites": Words("Cipher suites for TLS 1.2 and below; unset: the secure ones."),
        "minVersion": Words("Lowest version, such as VersionTLS12; VersionTLS12 unless set."),
        "maxVersion": Words("Highest version, such as VersionTLS13; unset: the newest."),
        "maxIdleConnsPerHost": Words(
            "Idle connections kept to each server; 0: the default number, -1: none.", keywords={"minimum": -1}
        ),
        "disableHTTP2": Words("Speak HTTP/1.1 with the servers, even if they offer HTTP/2."),
        "forwardingTimeouts": Words("How long to wait for the servers."),
    },
    traefik_transports.ForwardingTimeouts: {
        "dialTimeout": Words("Longest time to connect; 30s unless set, 0: no limit.", keywords=DURATION),
        "responseHeaderTimeout": Words(
            "Longest wait for the head of an answer once the request is sent; no limit unless set.",
            keywords=DURATION,
        ),
        "idleConnTimeout": Words("How long an idle connection is kept; 90s unless set.", keywords=DURATION),
        "readIdleTimeout": Words(
            "Time without a frame after which an HTTP/2 connection is probed; never unless set.",
            keywords=DURATION,
        ),
        "pingTimeout": Words("How long such a probe may stay unanswered; 15s unless set.", keywords=DURATION),
    },
    traefik_transports.RootCA: {
        "secret": Words("Secret with the authority, as tls.ca or ca.crt; excludes configMap."),
        "configMap": Words("ConfigMap with the authority, as tls.ca or ca.crt; excludes secret."),
    },
    traefik_transports.Spiffe: {
        "ids": Words("Identities to accept; they win over trustDomain."),
        "trustDomain": Words("Domain whose identities are accepted."),
    },
    traefik_transports.ServersTransportTCPSpec: {
        "dialTimeout": Words("Longest time to connect; 30s unless set, 0: no limit.", keywords=DURATION),
        "dialKeepAlive": Words("Pause between keep-alive probes; 15s unless set.", keywords=DURATION),
        "terminationDelay": Words(
            "How long one side may go on sending when the other has finished; 100ms unless set.",
            keywords=DURATION,
        ),
        "proxyProtocol": Words("Tell the servers the address of the client by the PROXY protocol."),
        "tls": Words("TLS towards servers that are marked for it in the route."),
    },
    traefik_transports.TLSClientConfig: _SERVER_TLS,
    traefik_transports.ProxyProtocol: {
        "version": Words("Version of the protocol.", keywords={"minimum": 1, "maximum": 2}),
    },
}

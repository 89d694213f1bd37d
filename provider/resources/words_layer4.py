"""What the CRDs say about TCP and UDP routes; see `words.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from provider.resources import traefik, traefik_layer4
from provider.resources.words import FIELDS as COMMON
from provider.resources.words import Words, one_of

_SERVICE: Final[Mapping[str, Words]] = {
    "name": Words("Name of the Service.", required=True),
    "namespace": Words("Namespace of the Service; empty: that of this object."),
    "port": Words("Port of the Service, by number or by name.", required=True),
    "weight": Words("Share among several services; 1 unless set.", keywords={"minimum": 0}),
    "nativeLB": Words("Use the cluster address of the Service instead of its endpoints."),
    "nodePortLB": Words("Use the node port of the Service on every node."),
}
_CLASS: Final = Words("Class of the controller that serves this object.")

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    traefik_layer4.IngressRouteTCPSpec: {
        "routes": Words("The routes; each becomes a router.", required=True),
        "entryPoints": Words("Entry points to serve the routes on; empty: the default ones."),
        "tls": Words("Present, even empty: serve the routes over TLS only. Needed for names in HostSNI."),
        "ingressClassName": _CLASS,
    },
    traefik_layer4.RouteTCP: {
        "match": Words("Rule that selects the connections, as HostSNI(`example.com`).", required=True),
        "priority": Words(
            "Routes with a higher number are tried first; 0: the length of the rule.",
            keywords={"maximum": 9_223_372_036_854_774_807},
        ),
        "syntax": Words("Syntax of the rule, v3 or v2. Deprecated.", keywords=one_of("v3", "v2")),
        "services": Words("Where the connections go; several services share them by weight."),
        "middlewares": Words("Middlewares of kind MiddlewareTCP for the connections of this route, in order."),
    },
    traefik_layer4.TLSTCP: {
        **COMMON[traefik.TLS],
        "passthrough": Words("Leave TLS to the server; its certificates are used, not those named here."),
    },
    traefik_layer4.ServiceTCP: {
        **_SERVICE,
        "tls": Words("Use TLS to reach the servers."),
        "serversTransport": Words("ServersTransportTCP of this object's namespace to reach the servers with."),
        "proxyProtocol": Words("Tell the servers the client's address. Deprecated: see ServersTransportTCP."),
        "terminationDelay": Words(
            "Milliseconds one side may go on sending after the other has ended; 100 unless set, negative: "
            "no limit. Deprecated: see ServersTransportTCP."
        ),
    },
    traefik_layer4.ProxyProtocol: {
        "version": Words("Version of the PROXY protocol; 2 unless set.", keywords={"minimum": 1, "maximum": 2}),
    },
    traefik_layer4.IngressRouteUDPSpec: {
        "routes": Words("The routes; each becomes a router.", required=True),
        "entryPoints": Words("Entry points to serve the routes on; empty: all for UDP."),
        "ingressClassName": _CLASS,
    },
    traefik_layer4.RouteUDP: {
        "services": Words("Where the datagrams go; several services share the clients by weight."),
    },
    traefik_layer4.ServiceUDP: _SERVICE,
}

"""What the CRDs say about each field beyond its type: a sentence, whether it is required, which values it takes.

The API server enforces these; decoding does not. Objects reach us past the CRD too (old CRDs, manifests on
disk), and there one bad field must cost one route, not the whole object, so the constraints stand here and not
as `msgspec.Meta` on the structs. `schema.py` reads this table; a test keeps it complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from provider.resources import traefik


class Words(NamedTuple):
    """Description of a field and further OpenAPI keywords; `type` only where the struct has no such field."""

    text: str
    required: bool = False
    keywords: Mapping[str, object] = {}
    type: Any = None


def one_of(*values: str, **keywords: object) -> Mapping[str, object]:
    return {"enum": list(values), **keywords}


FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    traefik.IngressRouteSpec: {
        "routes": Words("The routes; each becomes a router.", required=True),
        "entryPoints": Words("Entry points to serve the routes on; empty: the default ones."),
        "tls": Words("Present, even empty: serve the routes over TLS only."),
        "parentRefs": Words("IngressRoutes whose requests these routes refine."),
        "ingressClassName": Words("Class of the controller that serves this object."),
    },
    traefik.Route: {
        "match": Words("Rule that selects the requests, as Host(`example.com`) && Path(`/a`).", required=True),
        "kind": Words("Always Rule.", keywords=one_of("Rule")),
        "priority": Words(
            "Routes with a higher number are tried first; 0: the length of the rule.",
            keywords={"maximum": 9_223_372_036_854_774_807},
        ),
        "syntax": Words("Syntax of the rule, v3 or v2. Deprecated."),
        "services": Words("Where the requests go; several services share them by weight."),
        "middlewares": Words("Middlewares for the requests of this route, in order."),
        "observability": Words("What is recorded about the requests of this route."),
    },
    traefik.Observability: {
        "accessLogs": Words("Write access log lines; unset: as the entry point says."),
        "metrics": Words("Count the requests; unset: as the entry point says."),
        "tracing": Words("Trace the requests; unset: as the entry point says."),
        "traceVerbosity": Words(
            "Detail of the traces.", keywords=one_of("minimal", "detailed", default="minimal")
        ),
    },
    traefik.ObjectReference: {
        "name": Words("Name of the object.", required=True),
        "namespace": Words("Namespace of the object; empty: that of the object that refers to it."),
    },
    traefik.TLS: {
        "secretName": Words("Secret of type kubernetes.io/tls in the namespace of this object."),
        "options": Words("TLSOption for the connections of these routes."),
        "store": Words("Accepted for compatibility, without effect."),
        "certResolver": Words("Resolver that obtains the certificate."),
        "domains": Words("Names to obtain certificates for; empty: the hosts of the rules."),
    },
    traefik.Domain: {
        "main": Words("Main name of the certificate."),
        "sans": Words("Further names of the certificate."),
    },
    traefik.LoadBalancerSpec: {
        "name": Words("Name of the Service or TraefikService, or name@provider.", required=True),
        "kind": Words("Service unless set.", keywords=one_of("Service", "TraefikService")),
        "namespace": Words("Namespace of the service; empty: that of this object."),
        "port": Words("Port of the Service, by number or by name; required for kind Service."),
        "scheme": Words("http, https or h2c; empty: https for port 443 and port names with prefix https."),
        "strategy": Words(
            "How a server is chosen; wrr unless set. RoundRobin is the deprecated name of wrr.",
            keywords=one_of("wrr", "p2c", "hrw", "leasttime", "RoundRobin"),
        ),
        "sticky": Words("Keep a client at one server."),
        "passHostHeader": Words("Send the client's Host header to the server; true unless set."),
        "responseForwarding": Words("How response bytes are passed on."),
        "serversTransport": Words("ServersTransport to reach the servers with."),
        "weight": Words("Share among several services; 1 unless set.", keywords={"minimum": 0}),
        "nativeLB": Words("Use the cluster address of the Service instead of its endpoints."),
        "nodePortLB": Words("Use the node port of the Service on every node."),
        "middlewares": Words("Middlewares for all requests to this service, in order."),
        "healthCheck": Words("Active health check; only for Services of type ExternalName."),
        "passiveHealthCheck": Words("Take out a server whose requests fail."),
    },
    traefik.Sticky: {"cookie": Words("The cookie; without it the section has no effect.")},
    traefik.Cookie: {
        "name": Words("Name of the cookie; empty: derived from the name of the service."),
        "secure": Words("Set the Secure attribute."),
        "httpOnly": Words("Set the HttpOnly attribute."),
        "sameSite": Words(
            "The SameSite attribute.", keywords=one_of("none", "lax", "strict", "None", "Lax", "Strict")
        ),
        "maxAge": Words("Max-Age in seconds; 0 leaves it out, a negative number expires the cookie."),
        "path": Words("The Path attribute; / unless set."),
        "domain": Words("The Domain attribute."),
    },
    traefik.ResponseForwarding: {
        "flushInterval": Words("Longest time to hold bytes back, a bare number in seconds; negative: never."),
    },
    traefik.HealthCheck: {
        "scheme": Words("Scheme of the probe; unset: the server's."),
        "mode": Words("http or grpc."),
        "path": Words("Path of the probe."),
        "method": Words("Method of the probe."),
        "status": Words("Expected status; unset: any from 200 to 399."),
        "port": Words("Port of the probe; unset: the server's."),
        "interval": Words("Pause between probes of a healthy server; 30s unless set."),
        "unhealthyInterval": Words("Pause between probes of an unhealthy server; as interval unless set."),
        "timeout": Words("Longest time for one probe; 5s unless set."),
        "hostname": Words("Host header of the probe."),
        "followRedirects": Words("Follow redirects; true unless set."),
        "headers": Words("Further headers of the probe."),
    },
    traefik.PassiveHealthCheck: {
        "failureWindow": Words("Time within which failures are counted; 10s unless set."),
        "maxFailedAttempts": Words("Failures within the window that take a server out; 1 unless set."),
    },
}

"""The rows of benchmarks/middlewares.py: which middlewares, asked how, compared with what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.middleware_clients import Client, WithCertificate, WithDigest, WithNothing
from benchmarks.other_proxies import CHUNKED_PATH

NONE = "none"


@dataclass(frozen=True)
class Case:
    """One row: middlewares as in the file provider, and where the CRD says it differently, as there.

    `objects` are further Kubernetes objects (Secrets, say). `path` is what is asked for, with `headers`, and with
    `body` where it is a POST. BACKEND_PORT in a spec stands for the port of the server.
    """

    name: str
    specs: list[dict[str, Any]]
    crd_specs: list[dict[str, Any]] | None = None
    objects: list[dict[str, Any]] = field(default_factory=list)
    path: str = "/api/users/42?page=7"
    headers: tuple[str, ...] = ()
    body: str = ""
    routed: int | None = None
    """How many of the middlewares the route names, the first ones; None: all."""
    base: str = NONE
    """The row without the middleware, from which `adds` is counted."""
    client: Client | None = None
    """Who asks, where wrk cannot."""
    asks_for_certificate: bool = False
    """The route is one for TLS, and the handshake asks for the client's certificate."""

    @property
    def names(self) -> list[str]:
        """Of the middlewares, in the order of the specs."""
        return [f"m{number}" for number in range(len(self.specs))]

    @property
    def named(self) -> list[str]:
        """Those that the route names."""
        return self.names[: self.routed]


_CORS = {
    "accessControlAllowOriginList": ["https://a"],
    "accessControlAllowMethods": ["GET"],
    "addVaryHeader": True,
}
_SECURITY = {
    "stsSeconds": 31536000,
    "forceSTSHeader": True,
    "frameDeny": True,
    "contentTypeNosniff": True,
    "referrerPolicy": "no-referrer",
}
_THREE: list[dict[str, Any]] = [
    {"stripPrefix": {"prefixes": ["/api"]}},
    {"ipAllowList": {"sourceRange": ["127.0.0.0/8"]}},
    {"headers": {"customRequestHeaders": {"X-A": "1"}}},
]
OWN_CLIENT = "none, asked from this process"
CLIENT_CERTIFICATE = "none, TLS with a client certificate"
WITHOUT_CHAIN = "stripPrefix, ipAllowList, headers"
_DIGEST_USER = "test:traefik:a2688e031edb4be6a3797f3882655c05"
_USER = "test:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="


def _secret(name: str, texts: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}


CASES = (
    Case(NONE, []),
    Case("addPrefix", [{"addPrefix": {"prefix": "/v1"}}]),
    Case("stripPrefix", [{"stripPrefix": {"prefixes": ["/api"]}}]),
    Case("stripPrefixRegex", [{"stripPrefixRegex": {"regex": ["/api/[a-z]+"]}}]),
    Case("replacePath", [{"replacePath": {"path": "/x"}}]),
    Case("replacePathRegex", [{"replacePathRegex": {"regex": "^/api/(.*)", "replacement": "/v1/$1"}}]),
    Case("redirectScheme", [{"redirectScheme": {"scheme": "https"}}]),
    Case("redirectRegex", [{"redirectRegex": {"regex": "^http://(.*)", "replacement": "https://$1"}}]),
    Case("redirectRegex, no match", [{"redirectRegex": {"regex": "^https://(.*)", "replacement": "http://$1"}}]),
    Case(
        "headers, custom",
        [{"headers": {"customRequestHeaders": {"X-A": "1"}, "customResponseHeaders": {"X-B": "1", "Server": ""}}}],
    ),
    Case("headers, CORS", [{"headers": _CORS}], headers=("Origin: https://a",)),
    Case("headers, security", [{"headers": _SECURITY}]),
    Case("ipAllowList", [{"ipAllowList": {"sourceRange": ["10.0.0.0/8", "127.0.0.0/8"]}}]),
    Case("contentType", [{"contentType": {}}]),
    Case("encodedCharacters", [{"encodedCharacters": {"allowEncodedSlash": True}}]),
    Case("rateLimit", [{"rateLimit": {"average": 1000000, "burst": 1000000}}]),
    Case("inFlightReq", [{"inFlightReq": {"amount": 1000000}}]),
    Case("circuitBreaker", [{"circuitBreaker": {"expression": "NetworkErrorRatio() > 0.5"}}]),
    Case("retry", [{"retry": {"attempts": 3}}]),
    Case("buffering", [{"buffering": {"maxRequestBodyBytes": 1000000}}]),
    Case(
        "compress, gzip",
        [{"compress": {"minResponseBodyBytes": 1}}],
        headers=("Accept-Encoding: gzip",),
    ),
    Case("compress, not asked for", [{"compress": {}}]),
    Case(
        "grpcWeb, a call",
        [{"grpcWeb": {"allowOrigins": ["*"]}}],
        path=CHUNKED_PATH,  # the original cuts an answer off whose length the server has said
        headers=("Content-Type: application/grpc-web+proto", "Origin: https://a"),
        body="01234567890123456789",
    ),
    Case("grpcWeb, other request", [{"grpcWeb": {"allowOrigins": ["*"]}}]),
    Case(
        "errors, none",
        [{"errors": {"status": ["500-599"], "service": "bench", "query": "/"}}],
        [{"errors": {"status": ["500-599"], "service": {"name": "bench", "port": 80}, "query": "/"}}],
    ),
    Case(
        "errors, a page for each answer",
        [{"errors": {"status": ["200"], "service": "bench", "query": "/"}}],
        [{"errors": {"status": ["200"], "service": {"name": "bench", "port": 80}, "query": "/"}}],
    ),
    Case(WITHOUT_CHAIN, _THREE),
    Case(
        "chain of these",
        [{"chain": {"middlewares": ["m1", "m2", "m3"]}}, *_THREE],
        [{"chain": {"middlewares": [{"name": "m1"}, {"name": "m2"}, {"name": "m3"}]}}, *_THREE],
        routed=1,
        base=WITHOUT_CHAIN,
    ),
    Case(
        "basicAuth, sha1",
        [{"basicAuth": {"users": [_USER]}}],
        [{"basicAuth": {"secret": "users"}}],
        [_secret("users", {"users": _USER})],
        headers=("Authorization: Basic dGVzdDp0ZXN0",),
    ),
    Case(OWN_CLIENT, [], client=WithNothing()),
    Case(
        "digestAuth",
        [{"digestAuth": {"users": [_DIGEST_USER]}}],
        [{"digestAuth": {"secret": "digest"}}],
        [_secret("digest", {"users": _DIGEST_USER})],
        client=WithDigest("test", "test"),
        base=OWN_CLIENT,
    ),
    Case(CLIENT_CERTIFICATE, [], client=WithCertificate(), asks_for_certificate=True),
    Case(
        "passTLSClientCert, PEM and info",
        [{"passTLSClientCert": {"pem": True, "info": {"notAfter": True, "subject": {"commonName": True}}}}],
        client=WithCertificate(),
        asks_for_certificate=True,
        base=CLIENT_CERTIFICATE,
    ),
    Case("forwardAuth", [{"forwardAuth": {"address": "http://127.0.0.1:BACKEND_PORT/auth"}}]),
)

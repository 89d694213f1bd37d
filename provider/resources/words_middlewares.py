"""What the CRDs say about the types of middleware that Kubernetes spells differently; see `words.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from provider.resources import traefik_middlewares as written
from provider.resources.words import Words

AT_LEAST_ZERO: Final[Mapping[str, object]] = {"minimum": 0}
DURATION: Final[Mapping[str, object]] = {"pattern": "^([0-9]+(ns|us|µs|ms|s|m|h)?)+$"}
"""Lets `10m5` pass, which then cannot be read. That is the original's pattern."""
STATUS: Final[Mapping[str, object]] = {
    "items": {"type": "string", "pattern": "^([1-5][0-9]{2}[,-]?)+$"},
}

_AUTH: Final[Mapping[str, Words]] = {
    "secret": Words("Secret with the users, in the namespace of this object."),
    "realm": Words("Name of the protected area that clients are shown; traefik unless set."),
    "removeHeader": Words("Remove the Authorization header before the request goes on."),
    "headerField": Words("Request header that gets the name of the user."),
}
_TLS: Final[Mapping[str, Words]] = {
    "caSecret": Words("Secret with the authority to trust, as tls.ca or ca.crt; empty: those of the system."),
    "certSecret": Words("Secret with our certificate, as tls.crt and tls.key."),
    "insecureSkipVerify": Words("Accept any certificate of the server."),
}

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    written.MiddlewareSpec: {
        "addPrefix": Words("Puts a prefix before the path."),
        "stripPrefix": Words("Removes a prefix from the path."),
        "stripPrefixRegex": Words("Removes a prefix that an expression describes."),
        "replacePath": Words("Replaces the path."),
        "replacePathRegex": Words("Replaces the path by an expression."),
        "chain": Words("Runs other middlewares, in order."),
        "ipWhiteList": Words("Deprecated name of ipAllowList."),
        "ipAllowList": Words("Lets only some client addresses pass."),
        "headers": Words("Changes headers; answers for other origins (CORS); adds security headers."),
        "encodedCharacters": Words("Refuses percent-encoded characters in the path unless allowed here."),
        "errors": Words("Replaces error answers by pages of another service."),
        "rateLimit": Words("Limits the number of requests of a source in a period."),
        "redirectRegex": Words("Redirects to an address made from the one asked for."),
        "redirectScheme": Words("Redirects to another scheme, such as https."),
        "basicAuth": Words("Asks for a user name and a password."),
        "digestAuth": Words("Asks for a user name and a password by digest authentication."),
        "forwardAuth": Words("Asks another server whether the request may pass."),
        "inFlightReq": Words("Limits the number of requests of a source at one time."),
        "buffering": Words("Reads bodies completely before they go on, within limits."),
        "circuitBreaker": Words("Stops sending requests to a service that fails."),
        "compress": Words("Compresses answers."),
        "passTLSClientCert": Words("Passes the certificate of the client on in headers."),
        "retry": Words("Sends a request again if it fails."),
        "contentType": Words("Guesses the content type of answers that have none."),
        "grpcWeb": Words("Translates gRPC-Web requests to gRPC."),
        "plugin": Words(
            "Options of one plugin, by its name: a middleware from a Python package.",
            keywords={"additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}},
        ),
    },
    written.MiddlewareTCPSpec: {
        "inFlightConn": Words("Limits the number of connections of a client address at one time."),
        "ipWhiteList": Words("Deprecated name of ipAllowList."),
        "ipAllowList": Words("Lets only some client addresses connect."),
    },
    written.Chain: {"middlewares": Words("The middlewares, in order.")},
    written.SecretAuth: _AUTH,
    written.ClientTLS: {**_TLS, "caOptional": Words("Deprecated, without effect.")},
    written.RedisTLS: _TLS,
    written.ForwardAuth: {
        "address": Words("URL of the server that decides."),
        "trustForwardHeader": Words("Pass the X-Forwarded headers of the client on to the server."),
        "authResponseHeaders": Words("Headers of the server's answer to copy to the request."),
        "authResponseHeadersRegex": Words("Expression for further headers to copy to the request."),
        "authRequestHeaders": Words("Headers of the request to send to the server; empty: all."),
        "tls": Words("TLS towards the server."),
        "addAuthCookiesToResponse": Words("Cookies of the server's answer to copy to the client's."),
        "headerField": Words("Header of the server's answer that names the user for the access log."),
        "forwardBody": Words("Send the body of the request to the server."),
        "maxBodySize": Words("Largest body to send to the server, in bytes; -1: no limit."),
        "maxResponseBodySize": Words("Largest body of the server's answer, in bytes; unset or -1: no limit."),
        "preserveLocationHeader": Words("Leave the Location header of the server's answer as it is."),
        "preserveRequestMethod": Words("Ask the server with the method of the request instead of GET."),
        "authSigninURL": Words("Where to redirect a client that the server does not know."),
    },
    written.Compress: {
        "excludedContentTypes": Words("Content types that are not compressed."),
        "includedContentTypes": Words("Content types that are compressed; empty: all."),
        "minResponseBodyBytes": Words("Smallest body to compress; 1024 unless set.", keywords=AT_LEAST_ZERO),
        "encodings": Words("Encodings in order of preference; gzip, br, zstd unless set."),
        "defaultEncoding": Words("Encoding for clients that send no Accept-Encoding; empty: none."),
    },
    written.CircuitBreaker: {
        "expression": Words("When to stop, as NetworkErrorRatio() > 0.5."),
        "checkPeriod": Words("Pause between looks at the expression; 100ms unless set.", keywords=DURATION),
        "fallbackDuration": Words("Time without any request once stopped; 10s unless set."),
        "recoveryDuration": Words("Time to come back step by step; 10s unless set.", keywords=DURATION),
        "responseCode": Words(
            "Status answered while stopped; 503 unless set.", keywords={"minimum": 100, "maximum": 599}
        ),
    },
    written.Retry: {
        "attempts": Words("How often a request is tried, the first time included.", keywords=AT_LEAST_ZERO),
        "initialInterval": Words("First pause; later ones grow; 0: no pause.", keywords=DURATION),
        "timeout": Words("No attempt begins after this time; 0: no limit.", keywords=DURATION),
        "maxRequestBodyBytes": Words(
            "Largest body that is kept for another attempt; 2097152 unless set, -1: no limit.",
            keywords={"minimum": -1},
        ),
        "status": Words("Codes and ranges of answers to try again for, such as 502-504."),
        "disableRetryOnNetworkError": Words("Do not try again when the server cannot be reached."),
        "retryNonIdempotentMethod": Words("Try POST, LOCK and PATCH again too."),
    },
    written.RateLimit: {
        "average": Words("Requests allowed in a period; 0: no limit.", keywords=AT_LEAST_ZERO),
        "period": Words("The period; 1s unless set."),
        "burst": Words("Requests allowed at one moment; 1 unless set.", keywords=AT_LEAST_ZERO),
        "sourceCriterion": Words("What makes requests come from one source; unset: the client address."),
        "redis": Words("Redis that several proxies count in together."),
    },
    written.Redis: {
        "endpoints": Words("Addresses of the servers; localhost:6379 unless set."),
        "secret": Words("Secret with username and password."),
        "tls": Words("TLS towards the servers."),
        "db": Words("Number of the database."),
        "poolSize": Words("Connections kept, without those of pub/sub; 0: ten a processor."),
        "minIdleConns": Words("Idle connections kept at least."),
        "maxActiveConns": Words("Connections at most; 0: no limit."),
        "readTimeout": Words("Longest wait for an answer; 3s unless set.", keywords=DURATION),
        "writeTimeout": Words("Longest time to send a command; 3s unless set.", keywords=DURATION),
        "dialTimeout": Words("Longest time to connect; 5s unless set.", keywords=DURATION),
    },
    written.Errors: {
        "status": Words("Codes and ranges to replace, such as 404 or 500-599.", keywords=STATUS),
        "statusRewrites": Words("Code or range to the code that the client gets instead."),
        "service": Words("The service with the pages."),
        "query": Words("Address of the page; {status} stands for the code."),
        "errorRequestHeaders": Words("Request headers to pass on to the service; unset: all, empty: none."),
    },
}

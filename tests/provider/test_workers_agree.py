"""A route that workers do not serve is not accepted: its object has an error, and only such objects have one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.provider.agreement import judged
from tests.provider.support import Json, middleware, route, rule
from tests.provider.translate.routes import custom

A: Json = {"name": "web", "port": 80}
LONG = "(" * 60 + "NetworkErrorRatio() > 0.1" + ")" * 60

BAD_MIDDLEWARES: dict[str, Json] = {
    "no type": {},
    "several types": {"stripPrefix": {"prefixes": ["/a"]}, "compress": {}},
    "add prefix": {"addPrefix": {}},
    "strip prefix": {"stripPrefix": {"prefixes": ["/\u0007"]}},
    "strip regex": {"stripPrefixRegex": {"regex": ["("]}},
    "replace regex": {"replacePathRegex": {"regex": "[", "replacement": "/"}},
    "redirect regex": {"redirectRegex": {"regex": "\\C", "replacement": "/"}},
    "redirect scheme": {"redirectScheme": {}},
    "allow nobody": {"ipAllowList": {}},
    "allow nonsense": {"ipAllowList": {"sourceRange": ["10.0.0.0/33"]}},
    "reject status": {"ipAllowList": {"sourceRange": ["::/0"], "rejectStatusCode": 299}},
    "excluded": {"ipAllowList": {"sourceRange": ["::/0"], "ipStrategy": {"excludedIPs": ["x"]}}},
    "white list": {"ipWhiteList": {"sourceRange": ["a"]}},
    "subnet": {"rateLimit": {"average": 1, "sourceCriterion": {"ipStrategy": {"ipv6Subnet": 129}}}},
    "period": {"rateLimit": {"average": 1, "period": "-1s"}},
    "criteria": {"inFlightReq": {"amount": 1, "sourceCriterion": {"requestHost": True, "requestHeaderName": "A"}}},
    "headers": {"headers": {}},
    "request header": {"headers": {"customRequestHeaders": {"a b": "c"}}},
    "policy": {"headers": {"referrerPolicy": "\u0000"}},
    "origins": {"headers": {"accessControlAllowOriginListRegex": ["("]}},
    "exposed": {"headers": {"accessControlExposeHeaders": ["\u0001"]}},
    "lists": {"compress": {"excludedContentTypes": ["a/b"], "includedContentTypes": ["a/c"]}},
    "encoding": {"compress": {"encodings": ["lzma"]}},
    "no encoding": {"compress": {"encodings": []}},
    "default encoding": {"compress": {"encodings": ["br"], "defaultEncoding": "gzip"}},
    "media type": {"compress": {"excludedContentTypes": ["a/"]}},
    "small": {"compress": {"minResponseBodyBytes": -1}},
    "attempts": {"retry": {"attempts": 0}},
    "nothing to retry": {"retry": {"attempts": 2, "disableRetryOnNetworkError": True}},
    "retried status": {"retry": {"attempts": 2, "status": ["5xx"]}},
    "breaker": {"circuitBreaker": {"expression": "Ratio() > 1"}},
    "deep breaker": {"circuitBreaker": {"expression": LONG}},
    "breaker status": {"circuitBreaker": {"expression": "NetworkErrorRatio() > 0.1", "responseCode": 101}},
    "buffer": {"buffering": {"maxRequestBodyBytes": -1}},
    "again": {"buffering": {"retryExpression": "Attempts()"}},
    "page status": {"errors": {"status": ["a"], "service": A}},
    "page rewrite": {"errors": {"status": ["404"], "statusRewrites": {"404": 1000}, "service": A}},
    "page service": {"errors": {"status": ["404"], "service": {"name": "gone", "port": 80}}},
    "auth": {"forwardAuth": {}},
    "auth regex": {"forwardAuth": {"address": "http://a", "authResponseHeadersRegex": "("}},
    "auth field": {"basicAuth": {"secret": "gone"}},
    "plugin": {"plugin": {"nonsense": {"a": 1}}},
    "chain": {"chain": {"middlewares": [{"name": "gone"}]}},
    "itself": {"chain": {"middlewares": [{"name": "m"}]}},
}
GOOD: dict[str, Json] = {
    "prefix": {"addPrefix": {"prefix": "/a"}},
    "list": {"ipAllowList": {"sourceRange": ["10.0.0.0/8", "::1"], "rejectStatusCode": 404}},
    "limit": {"rateLimit": {"average": 10, "period": "2s"}},
    "breaker": {"circuitBreaker": {"expression": "LatencyAtQuantileMS(50.0) > 100 || NetworkErrorRatio() > 0.3"}},
    "again": {"buffering": {"retryExpression": "IsNetworkError() && Attempts() < 2"}},
    "security": {"headers": {"stsSeconds": 0, "customResponseHeaders": {"a b": "c"}}},
    "retry": {"retry": {"attempts": 2, "status": ["500-599"]}},
    "compress": {"compress": {}},
    "errors": {"errors": {"status": ["500-599"], "statusRewrites": {"418": 404}, "service": A}},
    "auth": {"forwardAuth": {"address": "http://auth.example"}},
}


def composed(**spec: Any) -> list[Json]:
    reference = {"kind": "TraefikService", "name": "s"}
    return [custom("TraefikService", "s", **spec), route("r", rule("Host(`a`)", reference))]


def served(**fields: Any) -> list[Json]:
    return [route("r", rule("Host(`a`)", {**A, **fields}))]


OTHERS: dict[str, list[Json]] = {
    "rule": [route("r", rule("Hots(`a`)", A))],
    "priority": [route("r", rule("Host(`a`)", A, priority=1 << 62), rule("Host(`b`)", A, priority=(1 << 63) - 1))],
    "no service": [route("r", rule("Host(`a`)"))],
    "no middleware": [route("r", rule("Host(`a`)", A, middlewares=[{"name": "gone"}]))],
    "no option": [route("r", rule("Host(`a`)", A), tls={"options": {"name": "gone"}})],
    "the default option": [route("r", rule("Host(`a`)", A), tls={"options": {"name": "default"}})],
    "option": [
        custom("TLSOption", "o", clientAuth={"clientAuthType": "RequireAndVerifyClientCert"}),
        route("r", rule("Host(`a`)", A), tls={"options": {"name": "o"}}),
    ],
    "no transport": served(serversTransport="gone"),
    "transport": [*served(serversTransport="t"), custom("ServersTransport", "t", spiffe={"trustDomain": "a"})],
    "service middleware": [*served(middlewares=[{"name": "m"}]), middleware("m", addPrefix={})],
    "no TraefikService": [route("r", rule("Host(`a`)", {"kind": "TraefikService", "name": "gone"}))],
    "percent": composed(mirroring={**A, "mirrors": [{**A, "percent": 101}]}),
    "failover": composed(failover={"service": A, "fallback": A}),
    "failover status": composed(failover={"service": A, "fallback": A, "errors": {"status": ["5xx"]}}),
    "below": composed(weighted={"services": [{**A, "serversTransport": "gone"}]}),
    "TCP without TLS": [custom("IngressRouteTCP", "r", routes=[{"match": "HostSNI(`a`)", "services": [A]}])],
    "TCP middleware": [
        custom("MiddlewareTCP", "m", ipAllowList={"sourceRange": ["x"]}),
        custom(
            "IngressRouteTCP",
            "r",
            routes=[{"match": "HostSNI(`*`)", "services": [A], "middlewares": [{"name": "m"}]}],
        ),
    ],
    "TCP transport": [
        custom("ServersTransportTCP", "t", proxyProtocol={"version": 7}),
        custom(
            "IngressRouteTCP",
            "r",
            routes=[{"match": "HostSNI(`*`)", "services": [{**A, "serversTransport": "t"}]}],
        ),
    ],
    "child of none": [
        route("r", rule("Path(`/`)", A), parentRefs=[{"name": "p"}]),
        route("p", rule("Host(`a`)", A)),
    ],
    "entry points of a child": [
        route("r", rule("Path(`/`)", A), parentRefs=[{"name": "p"}], entryPoints=["web"]),
        route("p", rule("Host(`a`)")),
    ],
}
CASES = {
    **{f"middleware: {name}": [middleware("m", **spec)] for name, spec in BAD_MIDDLEWARES.items()},
    **{f"good middleware: {name}": [middleware("m", **spec)] for name, spec in GOOD.items()},
    **OTHERS,
}


@pytest.mark.parametrize("name", CASES)
def test_what_workers_disable_has_an_error_and_nothing_else_has(name: str, tmp_path: Path) -> None:
    objects = CASES[name]
    if "middleware: " in name:
        objects = [*objects, route("r", rule("Host(`a`)", A, middlewares=[{"name": "m"}]))]
    found = judged(tmp_path, objects)
    assert found.unserved == found.wrong
    assert bool(found.wrong) != name.startswith("good")

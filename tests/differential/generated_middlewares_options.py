"""Drawn options of every HTTP middleware, as a Middleware object has them; most are valid, some are not.

`PORT` stands for the port of the server that also plays the auth server (`/auth`) and the error pages (`/page`).
Left out is what docs/compatibility.md says we treat otherwise on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from tests.differential.generated_middlewares_headers import headers
from tests.differential.generated_middlewares_values import (
    ENCODINGS,
    NETWORKS,
    ORIGINS,
    PATTERNS,
    PREFIXES,
    STATUS_ITEMS,
    TEMPLATES,
    URL_PATTERNS,
    URLS,
    Options,
    flags,
    one,
    partly,
    some,
)


def _strategy(random: Random) -> Options:
    options = partly(random, depth=random.choice([0, 1, 2, 5]), excludedIPs=some(random, NETWORKS, 2))
    return (
        {**options, **partly(random, ipv6Subnet=random.choice([64, 128, 1]))} if random.random() < 0.5 else options
    )


def _criterion(random: Random) -> Options:
    return random.choice(
        [{"ipStrategy": _strategy(random)}, {"requestHeaderName": "X-K"}, {"requestHost": True}, {}]
    )


def _range(random: Random) -> Options:
    options: Options = {"sourceRange": some(random, NETWORKS, 3, 1)}
    return {**options, **partly(random, ipStrategy=_strategy(random))}


def _errors(random: Random) -> Options:
    queries = [
        "/page/{status}",
        "page/{status}.html?o={originalStatus}",
        "/page?u={url}",
        "",
        "/page/a b",
        "/page/%zz",
    ]
    return {
        "status": some(random, STATUS_ITEMS, 3),
        "service": {"name": "pages", "port": 80},
        **partly(
            random,
            query=random.choice(queries),
            statusRewrites={random.choice(["418", "500-599", "401"]): random.choice([404, 503, 200, 418])},
            errorRequestHeaders=some(random, ["Cookie", "authorization", "X-A"], 2),
        ),
    }


def _forward_auth(random: Random) -> Options:
    return {
        "address": random.choice(["http://127.0.0.1:PORT/auth", "http://127.0.0.1:PORT/auth/x?y=1"]),
        **flags(random, "trustForwardHeader", "forwardBody", "preserveLocationHeader", "preserveRequestMethod"),
        **partly(
            random,
            authResponseHeaders=some(random, ["X-User", "x-a", "X-Gone", "Authorization"], 3),
            authResponseHeadersRegex=random.choice(["^X-", "User", "(?i)^x-a$", ""]),
            authRequestHeaders=some(random, ["accept", "X-A", "Cookie", "X-Forwarded-Host"], 3),
            addAuthCookiesToResponse=some(random, ["sid", "b"], 2),
            maxBodySize=random.choice([-1, 0, 5, 10]),
            maxResponseBodySize=random.choice([-1, 0, 5, 100]),
            authSigninURL="https://s/in?u={url}",
        ),
    }


def _breaker(random: Random) -> Options:
    expressions = [
        *(
            "NetworkErrorRatio() > 0.3",
            "ResponseCodeRatio(500, 600, 0, 600) > 0.25",
            "LatencyAtQuantileMS(50.0) >= 0",
        ),
        *("NetworkErrorRatio() > 0.3 || ResponseCodeRatio(400, 500, 200, 600) >= 0.5", "NetworkErrorRatio() > 1"),
        "LatencyAtQuantileMS(99.0) > 60000 && NetworkErrorRatio() > 0.0",
    ]
    times = partly(random, responseCode=random.choice([418, 500, 200]), fallbackDuration=3600)
    return {"expression": random.choice(expressions), "checkPeriod": random.choice(["1us", 3600]), **times}


def _compress(random: Random) -> Options:
    types = ["text/plain", "text/html; charset=utf-8", "image/png", "application/xml"]
    listed = random.choice(["excludedContentTypes", "includedContentTypes"])
    options: Options = partly(
        random, encodings=some(random, ENCODINGS, 3, 1), minResponseBodyBytes=one(random, 0, 10)
    )
    if random.random() < 0.5:
        options[listed] = some(random, types, 2)
    if random.random() < 0.3:
        options["defaultEncoding"] = random.choice(options.get("encodings", ENCODINGS))
    return options


def _buffering(random: Random) -> Options:
    expressions = [
        *("IsNetworkError() && Attempts() <= 2", "ResponseCode() == 503 && Attempts() < 2", "Attempts() < 3"),
        *(
            'RequestMethod() == "GET" && ResponseCode() >= 500',
            "(Attempts() > 1 || ResponseCode() != 200) && Attempts() < 4",
        ),
    ]
    return partly(
        random,
        maxRequestBodyBytes=random.choice([0, 5, 10]),
        memRequestBodyBytes=random.choice([0, 1, 10]),
        maxResponseBodyBytes=random.choice([0, 10, 100]),
        memResponseBodyBytes=random.choice([0, 1, 10]),
        retryExpression=random.choice(expressions),
    )


def _retry(random: Random) -> Options:
    return {
        "attempts": random.choice([1, 2, 3, 3]),
        **flags(random, "retryNonIdempotentMethod"),
        **partly(
            random,
            status=some(random, STATUS_ITEMS, 2, 1),
            initialInterval=random.choice(["1ms", 0, "10us"]),
            maxRequestBodyBytes=random.choice([-1, 0, 5, 10]),
            timeout=random.choice([3600, 0]),
            disableRetryOnNetworkError=random.random() < 0.5,
        ),
    }


def _pass_certificate(random: Random) -> Options:
    issuer = flags(
        random, "country", "province", "locality", "organization", "commonName", "serialNumber", "domainComponent"
    )
    info = {
        **flags(random, "notAfter", "notBefore", "sans", "serialNumber"),
        **partly(random, subject={**issuer, "organizationalUnit": True}, issuer=issuer),
    }
    return {**flags(random, "pem"), **partly(random, info=info)}


def _rate(random: Random) -> Options:
    return {
        **partly(random, burst=random.choice([0, 1, 2, 3]), sourceCriterion=_criterion(random)),
        "average": random.choice([0, 1, 1, 1]),
        "period": random.choice([3600, "1h", "120m"]),
    }


def _auth(random: Random, *secrets: str) -> Options:
    return {
        "secret": random.choice(secrets),
        **flags(random, "removeHeader"),
        **partly(random, realm=random.choice(["own", "traefik", 'a "b"']), headerField="X-WebAuth-User"),
    }


def _in_flight(random: Random) -> Options:
    return partly(random, amount=random.choice([0, 1, 2]), sourceCriterion=_criterion(random))


def _codes(random: Random) -> Options:
    names = ("Slash", "BackSlash", "NullCharacter", "Semicolon", "Percent", "QuestionMark", "Hash")
    return flags(random, *(f"allowEncoded{name}" for name in names))


KINDS: Final[dict[str, Callable[[Random], Options]]] = {
    "addPrefix": lambda random: {"prefix": random.choice(PREFIXES)},
    "basicAuth": lambda random: _auth(random, "sha", "apr", "apr", "plain", "typed", "none"),
    "buffering": _buffering,
    "circuitBreaker": _breaker,
    "compress": _compress,
    "contentType": lambda random: partly(random, autoDetect=random.random() < 0.5),
    "digestAuth": lambda random: _auth(random, "digest"),
    "encodedCharacters": _codes,
    "errors": _errors,
    "forwardAuth": _forward_auth,
    "grpcWeb": lambda random: {"allowOrigins": some(random, ORIGINS, 3)},
    "headers": headers,
    "inFlightReq": _in_flight,
    "ipAllowList": lambda random: {
        **_range(random),
        **partly(random, rejectStatusCode=one(random, 404, 503, 600, 0)),
    },
    "ipWhiteList": _range,
    "passTLSClientCert": _pass_certificate,
    "rateLimit": _rate,
    "redirectRegex": lambda random: {
        "regex": random.choice(URL_PATTERNS),
        "replacement": random.choice(URLS),
        **flags(random, "permanent"),
    },
    "redirectScheme": lambda random: {
        "scheme": random.choice(["https", "http", "https", "wss"]),
        **partly(random, port=random.choice(["443", "80", "8443", ""]), permanent=True),
    },
    "replacePath": lambda random: {"path": random.choice([*TEMPLATES[:-1], *PREFIXES])},
    "replacePathRegex": lambda random: {"regex": random.choice(PATTERNS), "replacement": random.choice(TEMPLATES)},
    "retry": _retry,
    "stripPrefix": lambda random: {"prefixes": some(random, PREFIXES, 3), **flags(random, "forceSlash")},
    "stripPrefixRegex": lambda random: {"regex": some(random, PATTERNS, 2)},
}
"""By the name of the kind. `chain` is made of these, see generated_middlewares."""
STATEFUL: Final = frozenset(("digestAuth", "inFlightReq"))
"""Kinds with conversations of their own: never with others in one route."""

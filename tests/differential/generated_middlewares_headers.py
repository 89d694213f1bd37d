"""Drawn options of the `headers` middleware: custom headers, those of CORS, those of security, and all at once."""

from __future__ import annotations

from random import Random
from typing import Final

from tests.differential.generated_middlewares_values import ORIGINS, Options, flags, partly, some

HEADER_NAMES: Final = ["X-A", "x-b", "X-Forwarded-For", "Host", "Authorization", "Cookie", "x-Empty", "Accept"]
ANSWER_NAMES: Final = ["X-A", "x-b", "Server", "Vary", "X-Frame-Options", "Set-Cookie", "Cache-Control", "ETag"]


def headers(random: Random) -> Options:
    return random.choice([_custom, _cross_origin, _security, _all_headers])(random)


def _custom(random: Random) -> Options:
    values = ["", "v", "a, b", "x y"]
    requested = {name: random.choice(values) for name in some(random, HEADER_NAMES, 3)}
    if "Host" in requested:
        requested["Host"] = random.choice(["", "other.test", "v:8080"])
    return {
        "customRequestHeaders": requested,
        "customResponseHeaders": {name: random.choice(values) for name in some(random, ANSWER_NAMES, 3)},
    }


def _cross_origin(random: Random) -> Options:
    return {
        "accessControlAllowOriginList": some(random, ORIGINS, 2),
        **partly(
            random,
            accessControlAllowOriginListRegex=some(random, ["https://.*", "^https://[a-z]$", "org$", "."], 2),
            accessControlAllowCredentials=True,
            accessControlAllowHeaders=some(random, ["*", "X-Q", "content-type"], 2),
            accessControlAllowMethods=some(random, ["GET", "PUT", "*", "options"], 2),
            accessControlExposeHeaders=some(random, ["*", "X-A", "x-b"], 2),
            accessControlMaxAge=random.choice([0, 100, -1]),
            addVaryHeader=True,
        ),
    }


def _security(random: Random) -> Options:
    return {
        **flags(random, "stsIncludeSubdomains", "stsPreload", "forceSTSHeader", "frameDeny", "isDevelopment"),
        **flags(random, "contentTypeNosniff", "browserXssFilter", "sslRedirect"),
        **partly(
            random,
            stsSeconds=random.choice([0, 1, 31536000]),
            customFrameOptionsValue="SAMEORIGIN",
            customBrowserXSSValue="0",
            contentSecurityPolicy="script-src $NONCE; x $NONCE",
            contentSecurityPolicyReportOnly="script-src $NONCE",
            publicKey='pin-sha256="x"',
            referrerPolicy="no-referrer",
            permissionsPolicy="camera=()",
            sslProxyHeaders={"X-Forwarded-Proto": "https"},
        ),
        **(partly(random, allowedHosts=["HOST", "Other.test:8080"]) if random.random() < 0.4 else {}),
        **partly(random, hostsProxyHeaders=some(random, ["X-Forwarded-Host", "X-A"], 2)),
    }


def _all_headers(random: Random) -> Options:
    return {**_custom(random), **_cross_origin(random), **_security(random)}

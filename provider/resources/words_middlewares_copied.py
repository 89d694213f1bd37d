"""What the CRDs say about the types of middleware that are copied as they are written; see `words.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from config import layer4, middlewares_auth, middlewares_paths, middlewares_responses
from config import middlewares_source as source
from config import middlewares_traffic as traffic
from provider.resources.words import Words
from provider.resources.words_middlewares import AT_LEAST_ZERO

_LEADING_SLASH: Final[Mapping[str, Any]] = {
    "x-kubernetes-validations": [{"message": "must start with a '/'", "rule": "self.startsWith('/')"}]
}
_NAMES: Final[Mapping[str, Words]] = {
    "country": Words("The country, C."),
    "province": Words("The state or province, ST."),
    "locality": Words("The locality, L."),
    "organization": Words("The organization, O."),
    "commonName": Words("The common name, CN."),
    "serialNumber": Words("The serial number, SN."),
    "domainComponent": Words("The domain components, DC."),
}

FIELDS: Final[Mapping[type[msgspec.Struct], Mapping[str, Words]]] = {
    middlewares_paths.AddPrefix: {"prefix": Words("What to put before the path.", keywords=_LEADING_SLASH)},
    middlewares_paths.StripPrefix: {
        "prefixes": Words("Prefixes; the first one that fits is removed."),
        "forceSlash": Words("Deprecated."),
    },
    middlewares_paths.StripPrefixRegex: {"regex": Words("Expressions for the prefix.")},
    middlewares_paths.ReplacePath: {"path": Words("The new path.")},
    middlewares_paths.ReplacePathRegex: {
        "regex": Words("Expression to find in the path."),
        "replacement": Words("The new path; $1 stands for the first group."),
    },
    middlewares_paths.RedirectRegex: {
        "regex": Words("Expression to find in the whole address."),
        "replacement": Words("The new address; $1 stands for the first group."),
        "permanent": Words("Redirect for good."),
    },
    middlewares_paths.RedirectScheme: {
        "scheme": Words("The new scheme."),
        "port": Words("The new port, as text; empty: the scheme's own."),
        "permanent": Words("Redirect for good."),
    },
    middlewares_paths.EncodedCharacters: {
        "allowEncodedSlash": Words("Allow %2F in the path."),
        "allowEncodedBackSlash": Words("Allow %5C in the path."),
        "allowEncodedNullCharacter": Words("Allow %00 in the path."),
        "allowEncodedSemicolon": Words("Allow %3B in the path."),
        "allowEncodedPercent": Words("Allow %25 in the path."),
        "allowEncodedQuestionMark": Words("Allow %3F in the path."),
        "allowEncodedHash": Words("Allow %23 in the path."),
    },
    middlewares_responses.ContentType: {"autoDetect": Words("Deprecated; false turns the middleware off.")},
    middlewares_responses.GrpcWeb: {"allowOrigins": Words("Origins that may ask; * for all.")},
    middlewares_responses.Headers: {
        "customRequestHeaders": Words("Request headers to set; an empty value removes the header."),
        "customResponseHeaders": Words("Response headers to set; an empty value removes the header."),
        "accessControlAllowCredentials": Words("Let pages of other origins send credentials."),
        "accessControlAllowHeaders": Words("Request headers that pages of other origins may set."),
        "accessControlAllowMethods": Words("Methods that pages of other origins may use."),
        "accessControlAllowOriginList": Words("Origins that may ask; * for all."),
        "accessControlAllowOriginListRegex": Words("Expressions for origins that may ask."),
        "accessControlExposeHeaders": Words("Response headers that pages of other origins may read."),
        "accessControlMaxAge": Words("How long a browser may remember this, in seconds."),
        "addVaryHeader": Words("Say in a Vary header that the answer depends on the origin."),
        "allowedHosts": Words("Names of hosts that may be asked for; empty: all."),
        "hostsProxyHeaders": Words("Request headers that may hold the name of the host."),
        "sslProxyHeaders": Words("Request headers and values that mark a request as having come over TLS."),
        "stsSeconds": Words("Max-age of Strict-Transport-Security; 0: no header.", keywords=AT_LEAST_ZERO),
        "stsIncludeSubdomains": Words("Add includeSubDomains to that header."),
        "stsPreload": Words("Add preload to that header."),
        "forceSTSHeader": Words("Send that header without TLS too."),
        "frameDeny": Words("Send X-Frame-Options: DENY."),
        "customFrameOptionsValue": Words("Value of X-Frame-Options."),
        "contentTypeNosniff": Words("Send X-Content-Type-Options: nosniff."),
        "browserXssFilter": Words("Send X-XSS-Protection: 1; mode=block."),
        "customBrowserXSSValue": Words("Value of X-XSS-Protection."),
        "contentSecurityPolicy": Words("Value of Content-Security-Policy."),
        "contentSecurityPolicyReportOnly": Words("Value of Content-Security-Policy-Report-Only."),
        "publicKey": Words("Value of Public-Key-Pins."),
        "referrerPolicy": Words("Value of Referrer-Policy."),
        "permissionsPolicy": Words("Value of Permissions-Policy."),
        "isDevelopment": Words("Leave out checks of the host, of TLS and of transport security."),
        "featurePolicy": Words("Deprecated, without effect."),
        "sslRedirect": Words("Deprecated, without effect."),
        "sslTemporaryRedirect": Words("Deprecated, without effect."),
        "sslHost": Words("Deprecated, without effect."),
        "sslForceHost": Words("Deprecated, without effect."),
    },
    source.IPStrategy: {
        "depth": Words(
            "Take this entry of X-Forwarded-For, counted from the right; 0: do not.", keywords=AT_LEAST_ZERO
        ),
        "excludedIPs": Words("Take the last entry of X-Forwarded-For that is none of these."),
        "ipv6Subnet": Words("Cut IPv6 addresses to a prefix of so many bits."),
    },
    source.SourceCriterion: {
        "ipStrategy": Words("The client address, found this way."),
        "requestHeaderName": Words("The value of this request header."),
        "requestHost": Words("The name of the host that is asked for."),
    },
    source.IPAllowList: {
        "sourceRange": Words("Addresses and networks that may pass."),
        "ipStrategy": Words("How the client address is found; unset: the peer of the connection."),
        "rejectStatusCode": Words("Status for all others; 403 unless set."),
    },
    source.IPWhiteList: {
        "sourceRange": Words("Addresses and networks that may pass."),
        "ipStrategy": Words("How the client address is found; unset: the peer of the connection."),
    },
    traffic.InFlightReq: {
        "amount": Words("Requests of one source at one time.", keywords=AT_LEAST_ZERO),
        "sourceCriterion": Words("What makes requests come from one source; unset: the host asked for."),
    },
    traffic.Buffering: {
        "maxRequestBodyBytes": Words("Largest body of a request; 0: no limit."),
        "memRequestBodyBytes": Words("How much of it is kept in memory; 0: one MiB."),
        "maxResponseBodyBytes": Words("Largest body of an answer; 0: no limit."),
        "memResponseBodyBytes": Words("How much of it is kept in memory; 0: one MiB."),
        "retryExpression": Words("When to try again, as IsNetworkError() && Attempts() < 2."),
    },
    middlewares_auth.PassTLSClientCert: {
        "pem": Words("Pass the whole certificate on in X-Forwarded-Tls-Client-Cert."),
        "info": Words("What to pass on in X-Forwarded-Tls-Client-Cert-Info."),
    },
    middlewares_auth.ClientCertificateInfo: {
        "notAfter": Words("The end of its validity."),
        "notBefore": Words("The start of its validity."),
        "sans": Words("Its alternative names."),
        "serialNumber": Words("Its serial number."),
        "subject": Words("Attributes of the subject."),
        "issuer": Words("Attributes of the issuer."),
    },
    middlewares_auth.IssuerInfo: _NAMES,
    middlewares_auth.SubjectInfo: {**_NAMES, "organizationalUnit": Words("The organizational unit, OU.")},
    layer4.InFlightConn: {
        "amount": Words("Connections of one client address at one time.", keywords=AT_LEAST_ZERO)
    },
    layer4.TCPIPAllowList: {"sourceRange": Words("Addresses and networks that may connect.")},
}

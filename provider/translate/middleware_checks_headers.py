"""As `middleware_checks`: headers and compress, whose options are names and values of headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from config.header_text import is_field_name, is_field_value, one_line
from config.middlewares_responses import Compress, Headers
from provider.findings import Rejected
from provider.translate.refusals import expression, refusal

ENCODINGS: Final = ("gzip", "br", "zstd")
_NOT_IN_MEDIA_TYPES: Final = frozenset(' ,=:"()<>@[]?\\')
_VALUES: Final = (
    ("custom_frame_options_value", "customFrameOptionsValue"),
    ("custom_browser_xss_value", "customBrowserXSSValue"),
    ("content_security_policy", "contentSecurityPolicy"),
    ("content_security_policy_report_only", "contentSecurityPolicyReportOnly"),
    ("referrer_policy", "referrerPolicy"),
    ("permissions_policy", "permissionsPolicy"),
    ("public_key", "publicKey"),
)
_LISTS: Final = (
    ("access_control_allow_headers", "accessControlAllowHeaders"),
    ("access_control_allow_methods", "accessControlAllowMethods"),
    ("access_control_expose_headers", "accessControlExposeHeaders"),
)


def headers(options: Headers) -> Iterator[Rejected]:
    if options == Headers():
        yield refusal("NothingSet", "no header is named", advice="set one, such as customRequestHeaders")
    for name, value in options.custom_request_headers.items():
        if not is_field_name(name) or not is_field_value(value.encode()):
            yield _unsendable(f"{name}: {value}", f"customRequestHeaders.{name}")
    for attribute, field in _VALUES:
        is_sent = not (attribute == "public_key" and options.is_development)
        if is_sent and not is_field_value(one_line(getattr(options, attribute))):
            yield _unsendable(getattr(options, attribute), field)
    for attribute, field in _LISTS:
        joined = ",".join(getattr(options, attribute))
        if not is_field_value(one_line(joined)):
            yield _unsendable(joined, field)
    for index, pattern in enumerate(options.access_control_allow_origin_list_regex):
        yield from expression(pattern, f"accessControlAllowOriginListRegex[{index}]")


def _unsendable(text: str, field: str) -> Rejected:
    return refusal(
        "InvalidHeader", f"{text[:80]!r} cannot be sent in a header", field, "remove what is unprintable"
    )


def compress(options: Compress) -> Iterator[Rejected]:
    if options.excluded_content_types and options.included_content_types:
        yield refusal(
            "SeveralLists",
            "excludedContentTypes and includedContentTypes exclude each other",
            "excludedContentTypes",
            "keep one of them",
        )
    yield from _media_types(options.excluded_content_types, "excludedContentTypes")
    yield from _media_types(options.included_content_types, "includedContentTypes")
    if options.min_response_body_bytes < 0:
        yield refusal("InvalidSize", "a size is not negative", "minResponseBodyBytes", "write 0 for the default")
    if not options.encodings:
        yield refusal("EncodingMissing", "no encoding is listed", "encodings", f"list some of {_known()}")
    for index, name in enumerate(options.encodings):
        if name not in ENCODINGS:
            yield refusal("UnknownEncoding", f"{name!r} is not known", f"encodings[{index}]", f"use {_known()}")
    if options.default_encoding and options.default_encoding not in options.encodings:
        yield refusal(
            "UnknownEncoding",
            f"{options.default_encoding!r} is not in encodings",
            "defaultEncoding",
            "use one that encodings lists",
        )


def _known() -> str:
    return ", ".join(ENCODINGS)


def _media_types(values: Sequence[str], field: str) -> Iterator[Rejected]:
    for index, value in enumerate(values):
        name = value.partition(";")[0].strip().lower()
        kind, slash, subtype = name.partition("/")
        if not kind or (slash and not subtype) or not _NOT_IN_MEDIA_TYPES.isdisjoint(name):
            yield refusal(
                "InvalidMediaType", f"{value!r} is no media type", f"{field}[{index}]", "write text/html"
            )

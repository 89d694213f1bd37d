"""Options of the middlewares that change what goes back to the client."""

from __future__ import annotations

from typing import Final

import msgspec

from config.shape import Shape


class Compress(Shape, frozen=True, kw_only=True):
    """`encodings` in order of preference. `min_response_body_bytes` 0 means 1024."""

    excluded_content_types: list[str] = []
    included_content_types: list[str] = []
    min_response_body_bytes: int = 0
    encodings: list[str] = []
    default_encoding: str = ""


COMPRESS_DEFAULTS: Final = Compress(encodings=["gzip", "br", "zstd"])


class ContentType(Shape, frozen=True, kw_only=True):
    """`auto_detect` is deprecated; false turns the middleware off, None means true."""

    auto_detect: bool | None = None


class Errors(Shape, frozen=True, kw_only=True):
    """Error pages from another service.

    `error_request_headers`: None passes all headers on to that service, an empty list none. `status_rewrites`
    maps a code or a range to a code.
    """

    status: list[str] = []
    status_rewrites: dict[str, int] = {}
    service: str = ""
    query: str = ""
    error_request_headers: list[str] | None = None


class GrpcWeb(Shape, frozen=True, kw_only=True):
    allow_origins: list[str] = []


class Headers(Shape, frozen=True, kw_only=True):
    """Custom headers (an empty value removes), CORS, security. Those at the end are deprecated, without effect."""

    custom_request_headers: dict[str, str] = {}
    custom_response_headers: dict[str, str] = {}
    access_control_allow_credentials: bool = False
    access_control_allow_headers: list[str] = []
    access_control_allow_methods: list[str] = []
    access_control_allow_origin_list: list[str] = []
    access_control_allow_origin_list_regex: list[str] = []
    access_control_expose_headers: list[str] = []
    access_control_max_age: int | None = None
    add_vary_header: bool = False
    allowed_hosts: list[str] = []
    hosts_proxy_headers: list[str] = []
    ssl_proxy_headers: dict[str, str] = {}
    sts_seconds: int | None = None
    sts_include_subdomains: bool = False
    sts_preload: bool = False
    force_sts_header: bool = msgspec.field(default=False, name="forceSTSHeader")
    frame_deny: bool = False
    custom_frame_options_value: str = ""
    content_type_nosniff: bool = False
    browser_xss_filter: bool = False
    custom_browser_xss_value: str = msgspec.field(default="", name="customBrowserXSSValue")
    content_security_policy: str = ""
    content_security_policy_report_only: str = ""
    public_key: str = ""
    referrer_policy: str = ""
    permissions_policy: str = ""
    is_development: bool = False
    feature_policy: str | None = None
    ssl_redirect: bool | None = None
    ssl_temporary_redirect: bool | None = None
    ssl_host: str | None = None
    ssl_force_host: bool | None = None

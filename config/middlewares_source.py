"""Who sent the request: the ways to tell, and the middlewares that do nothing but ask it."""

from __future__ import annotations

import msgspec

from config.shape import Shape


class IPStrategy(Shape, frozen=True, kw_only=True):
    """How the client's address is found. All unset means: the peer of the connection.

    `depth` counts entries of X-Forwarded-For from the right; `excluded_ips` skips known proxies instead;
    `ipv6_subnet` is the prefix length that IPv6 addresses are cut to.
    """

    depth: int = 0
    excluded_ips: list[str] = msgspec.field(default_factory=list, name="excludedIPs")
    ipv6_subnet: int | None = None


class SourceCriterion(Shape, frozen=True, kw_only=True):
    """What makes two requests come from the same source. At most one member may be set, even if empty."""

    ip_strategy: IPStrategy | None = None
    request_header_name: str = ""
    request_host: bool = False


class IPAllowList(Shape, frozen=True, kw_only=True):
    """Addresses and networks that may pass. `reject_status_code` 0 means 403."""

    source_range: list[str] = []
    ip_strategy: IPStrategy | None = None
    reject_status_code: int = 0


class IPWhiteList(Shape, frozen=True, kw_only=True):
    """The deprecated name of IPAllowList."""

    source_range: list[str] = []
    ip_strategy: IPStrategy | None = None

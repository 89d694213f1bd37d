"""What Pointsman tells of the traffic: Prometheus metrics and the access log."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from config.static_shape import Duration, Options, says

DEFAULT_BUCKETS: Final = (0.1, 0.3, 1.2, 5.0)


class Prometheus(Options, frozen=True, kw_only=True):
    buckets: Annotated[list[float], says("Upper bounds of the duration histograms, in seconds.")] = msgspec.field(
        default_factory=lambda: list(DEFAULT_BUCKETS)
    )
    add_entry_points_labels: Annotated[bool, says("Count requests by entry point.")] = True
    add_routers_labels: Annotated[bool, says("Count requests by router.")] = False
    add_services_labels: Annotated[bool, says("Count requests by service.")] = True
    entry_point: Annotated[str, says("Entry point that answers /metrics.")] = "traefik"
    manual_routing: Annotated[bool, says("Make no router; an IngressRoute refers to prometheus@internal.")] = False
    header_labels: Annotated[
        dict[str, str], says("Label name to the request header that it shows, on the request counters.")
    ] = {}


class Metrics(Options, frozen=True, kw_only=True):
    add_internals: Annotated[bool, says("Count requests to internal services (ping, API, metrics) too.")] = False
    prometheus: Annotated[Prometheus | None, says("Serve metrics to Prometheus.")] = None


class AccessLogFilters(Options, frozen=True, kw_only=True):
    """A request that any of them picks is logged; without filters all are."""

    status_codes: Annotated[list[str], says("Statuses and ranges of them, such as 500-599.")] = []
    retry_attempts: Annotated[bool, says("Pick requests that were retried.")] = False
    min_duration_seconds: Annotated[Duration, says("Pick requests that took longer.")] = 0.0


class FieldHeaders(Options, frozen=True, kw_only=True):
    default_mode: Annotated[str, says("What happens to header fields.", "keep", "drop", "redact")] = "drop"
    names: Annotated[dict[str, str], says("Header name to keep, drop or redact.")] = {}


class QueryParameters(Options, frozen=True, kw_only=True):
    default_mode: Annotated[str, says("drop takes the query off RequestPath.", "keep", "drop")] = "keep"


class AccessLogFields(Options, frozen=True, kw_only=True):
    default_mode: Annotated[str, says("What happens to fields that are not named.", "keep", "drop")] = "keep"
    names: Annotated[dict[str, str], says("Field name to keep or drop.")] = {}
    headers: FieldHeaders = msgspec.field(default_factory=FieldHeaders)
    query_parameters: QueryParameters = msgspec.field(default_factory=QueryParameters)


class AccessLog(Options, frozen=True, kw_only=True):
    file_path: Annotated[str, says("File to write to instead of standard output; reopened on USR1.")] = ""
    format: Annotated[str, says("Form of a line.", "common", "json", "genericCLF")] = "common"
    buffering_size: Annotated[int, says("Lines that may wait, for 0.1 s at most; 0: 64 KiB of them.")] = 0
    add_internals: Annotated[bool, says("Log requests to internal services (ping, API, metrics) too.")] = False
    filters: AccessLogFilters = msgspec.field(default_factory=AccessLogFilters)
    fields: AccessLogFields = msgspec.field(default_factory=AccessLogFields)

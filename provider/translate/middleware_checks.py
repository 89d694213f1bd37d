"""What workers will refuse to build of a middleware, told where the object is translated.

The middleware is put out all the same, so that it shows up as disabled as in Traefik; the routers that need it are
disabled with it. Each check looks at the options as the workers get them; fields are relative to the type.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from config.conditions import ATTEMPT, BREAKER, ConditionError, Signature, check_condition
from config.header_text import is_field_name, is_field_value
from config.middlewares_auth import BasicAuth, DigestAuth, ForwardAuth
from config.middlewares_paths import AddPrefix, RedirectRegex, RedirectScheme, StripPrefix
from config.middlewares_responses import Errors
from config.middlewares_source import IPAllowList, IPStrategy, SourceCriterion
from config.middlewares_traffic import Buffering, CircuitBreaker, InFlightReq, RateLimit, Retry
from config.networks import NetworkError, parse_network
from config.statuses import StatusError, parse_range
from config.units import DurationError, parse_duration
from config.users import DEAREST_BCRYPT, bcrypt_cost
from provider.findings import Rejected
from provider.translate.middleware_checks_headers import compress, headers
from provider.translate.refusals import expression, refusal

Check = Callable[[Any], Iterator[Rejected]]

_IPV6_BITS: Final = 128
_STATUSES: Final = range(200, 1000)


def _add_prefix(options: AddPrefix) -> Iterator[Rejected]:
    if not options.prefix:
        yield refusal("PrefixMissing", "prefix cannot be empty", "prefix", "write a prefix such as /api")


def _strip_prefix(options: StripPrefix) -> Iterator[Rejected]:
    for index, prefix in enumerate(options.prefixes):
        if not is_field_value(prefix.strip().encode()):
            yield refusal(
                "InvalidPrefix",
                f"prefix {prefix!r} cannot be sent in X-Forwarded-Prefix",
                f"prefixes[{index}]",
                "remove what is unprintable",
            )


def _expressions(patterns: Sequence[str], field: str) -> Iterator[Rejected]:
    for index, pattern in enumerate(patterns):
        yield from expression(pattern.strip(), f"{field}[{index}]")


def _redirect_regex(options: RedirectRegex) -> Iterator[Rejected]:
    yield from expression(options.regex, "regex")


def _redirect_scheme(options: RedirectScheme) -> Iterator[Rejected]:
    if not options.scheme:
        yield refusal("SchemeMissing", "no target scheme is given", "scheme", "write https or http")


def networks(texts: Sequence[str], field: str) -> Iterator[Rejected]:
    """Entries of a list of addresses that are none."""
    for index, text in enumerate(texts):
        try:
            parse_network(text)
        except NetworkError as error:
            yield refusal("InvalidNetwork", str(error), f"{field}[{index}]", "write one such as 10.0.0.0/8")


def _allow_list(options: IPAllowList) -> Iterator[Rejected]:
    if not options.source_range:
        yield refusal("SourceRangeMissing", "sourceRange is empty", "sourceRange", "list who may pass")
    yield from networks(options.source_range, "sourceRange")
    status = getattr(options, "reject_status_code", 0)
    if status and status not in {one.value for one in HTTPStatus}:
        yield refusal("InvalidStatus", f"{status} is no registered status", "rejectStatusCode", "write one as 403")
    yield from _strategy(options.ip_strategy, "ipStrategy")


def _strategy(strategy: IPStrategy | None, field: str) -> Iterator[Rejected]:
    if strategy is None:
        return
    if strategy.excluded_ips and strategy.depth <= 0:
        yield from networks(strategy.excluded_ips, f"{field}.excludedIPs")
    elif strategy.ipv6_subnet is not None and not 0 < strategy.ipv6_subnet <= _IPV6_BITS:
        yield refusal(
            "InvalidSubnet",
            f"{strategy.ipv6_subnet} is not from 1 to 128",
            f"{field}.ipv6Subnet",
            "write one as 64",
        )


def _criterion(criterion: SourceCriterion | None) -> Iterator[Rejected]:
    if criterion is None:
        return
    given = {
        "ipStrategy": criterion.ip_strategy is not None,
        "requestHeaderName": bool(criterion.request_header_name),
        "requestHost": criterion.request_host,
    }
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        yield refusal(
            "SeveralCriteria", f"{' and '.join(names)} exclude each other", "sourceCriterion", "keep one of them"
        )
    elif criterion.ip_strategy is not None:
        yield from _strategy(criterion.ip_strategy, "sourceCriterion.ipStrategy")


def _in_flight_req(options: InFlightReq) -> Iterator[Rejected]:
    yield from _criterion(options.source_criterion)


def _rate_limit(options: RateLimit) -> Iterator[Rejected]:
    yield from _criterion(options.source_criterion)
    yield from _duration(options.period, "period", least=0.0)
    if options.redis is not None and importlib.util.find_spec("redis") is None:
        yield refusal(
            "RedisMissing", "the client library of Redis is not installed", "redis", "install pointsman[redis]"
        )


def _duration(text: str, field: str, least: float | None = None) -> Iterator[Rejected]:
    try:
        seconds = parse_duration(text) if text else 0.0
    except DurationError as error:
        yield refusal("InvalidDuration", str(error), field)
        return
    if least is not None and seconds < least:
        yield refusal("InvalidDuration", f"{text} is negative", field, "write a positive duration")


def _basic_auth(options: BasicAuth) -> Iterator[Rejected]:
    yield from _header_field(options.header_field)
    for number, user in enumerate(options.users, 1):
        cost = bcrypt_cost(user.partition(":")[2])
        if cost > DEAREST_BCRYPT:
            yield refusal(
                "ExpensiveHash",
                f"the bcrypt cost of user {number} is {cost}, a check would take longer than a request may",
                "secret",
                f"make the hash anew with a cost of {DEAREST_BCRYPT} or less",
            )


def _digest_auth(options: DigestAuth) -> Iterator[Rejected]:
    yield from _header_field(options.header_field)


def _header_field(name: str) -> Iterator[Rejected]:
    if name and not is_field_name(name):
        yield refusal(
            "InvalidHeader", f"{name!r} is no name of a header", "headerField", "write one such as X-WebAuth-User"
        )


def _forward_auth(options: ForwardAuth) -> Iterator[Rejected]:
    if options.auth_response_headers_regex:
        yield from expression(options.auth_response_headers_regex, "authResponseHeadersRegex")


def _buffering(options: Buffering) -> Iterator[Rejected]:
    for attribute, field in (
        ("max_request_body_bytes", "maxRequestBodyBytes"),
        ("mem_request_body_bytes", "memRequestBodyBytes"),
        ("max_response_body_bytes", "maxResponseBodyBytes"),
        ("mem_response_body_bytes", "memResponseBodyBytes"),
    ):
        if getattr(options, attribute) < 0:
            yield refusal(
                "InvalidSize", f"{getattr(options, attribute)} is negative", field, "write 0 for no limit"
            )
    if options.retry_expression:
        yield from _condition(options.retry_expression, ATTEMPT, "retryExpression")


def _circuit_breaker(options: CircuitBreaker) -> Iterator[Rejected]:
    yield from _condition(options.expression, BREAKER, "expression")
    if options.response_code not in _STATUSES:
        yield refusal(
            "InvalidStatus",
            f"{options.response_code} is no status of a final response",
            "responseCode",
            "write 503",
        )


def _condition(text: str, functions: Mapping[str, Signature], field: str) -> Iterator[Rejected]:
    try:
        check_condition(text, functions)
    except ConditionError as error:
        yield refusal("InvalidExpression", str(error), field, "see the documentation of the middleware")


def ranges(texts: Sequence[str], field: str) -> Iterator[Rejected]:
    """Status codes and ranges of them that are none."""
    for index, text in enumerate(texts):
        yield from _range(text, f"{field}[{index}]")


def _range(text: str, field: str) -> Iterator[Rejected]:
    try:
        parse_range(text)
    except StatusError:
        yield refusal(
            "InvalidStatus",
            f"{text} is neither a status code nor a range of them",
            field,
            "write a code such as 503, or a range such as 500-599",
        )


def _retry(options: Retry) -> Iterator[Rejected]:
    if options.attempts <= 0:
        yield refusal("InvalidAttempts", f"{options.attempts} attempts are none", "attempts", "write 2 or more")
    if options.disable_retry_on_network_error and not options.status:
        yield refusal(
            "NothingToRetry",
            "neither failures of the network nor any status are a reason to try again",
            "status",
            "list status codes, or remove disableRetryOnNetworkError",
        )
    yield from ranges(options.status, "status")


def _errors(options: Errors) -> Iterator[Rejected]:
    yield from ranges(options.status, "status")
    for text, code in options.status_rewrites.items():
        yield from _range(text, f"statusRewrites.{text}")
        if code not in _STATUSES:
            yield refusal("InvalidStatus", f"{code} is no final status", f"statusRewrites.{text}", "correct it")


def _plugin(options: dict[str, Any]) -> Iterator[Rejected]:
    if len(options) > 1:
        yield refusal(
            "SeveralTypes", f"{' and '.join(sorted(options))} in one object", advice="make a Middleware of each"
        )


CHECKS: Final[Mapping[str, Check]] = {
    "addPrefix": _add_prefix,
    "basicAuth": _basic_auth,
    "buffering": _buffering,
    "circuitBreaker": _circuit_breaker,
    "compress": compress,
    "digestAuth": _digest_auth,
    "errors": _errors,
    "forwardAuth": _forward_auth,
    "headers": headers,
    "inFlightReq": _in_flight_req,
    "ipAllowList": _allow_list,
    "ipWhiteList": _allow_list,
    "plugin": _plugin,
    "rateLimit": _rate_limit,
    "redirectRegex": _redirect_regex,
    "redirectScheme": _redirect_scheme,
    "replacePathRegex": lambda options: expression(options.regex.strip(), "regex"),
    "retry": _retry,
    "stripPrefix": _strip_prefix,
    "stripPrefixRegex": lambda options: _expressions(options.regex, "regex"),
}
"""By the type's name on the wire; types that can always be built have none."""

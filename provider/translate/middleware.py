"""Middleware -> one HTTP middleware, and the service of its error pages.

What one type needs beyond copying is in CONVERTERS. A type that cannot be converted takes the whole object, and
with it every router that uses it: no route is ever served without a middleware that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from config import middlewares
from config.middlewares import kinds_of
from config.plugins import GROUP, installed_plugins
from provider.findings import Rejected, Report
from provider.resources.kinds import ObjectKey
from provider.resources.traefik_middlewares import Middleware, MiddlewareSpec
from provider.translate.conversion import Conversion, Converter
from provider.translate.holder import Holder
from provider.translate.middleware_auth import basic_auth, digest_auth, forward_auth
from provider.translate.middleware_checks import CHECKS
from provider.translate.middleware_references import chain, errors, plugin
from provider.translate.middleware_traffic import circuit_breaker, compress, rate_limit, retry
from provider.translate.output import Output
from provider.translate.typed import typed
from provider.translate.view import View

CONVERTERS: Final[Mapping[str, Converter]] = {
    "basicAuth": basic_auth,
    "chain": chain,
    "circuitBreaker": circuit_breaker,
    "compress": compress,
    "digestAuth": digest_auth,
    "errors": errors,
    "forwardAuth": forward_auth,
    "plugin": plugin,
    "rateLimit": rate_limit,
    "retry": retry,
}
"""Types whose form in Kubernetes is not that of the configuration; all others are copied."""

DEPRECATED: Final[Mapping[str, str]] = {
    "contentType.autoDetect": "remove it; without the middleware no content type is guessed",
    "forwardAuth.tls.caOptional": "remove it; it has no effect",
    "headers.featurePolicy": "write permissionsPolicy; this field has no effect",
    "headers.sslForceHost": "use a redirectRegex middleware; this field has no effect",
    "headers.sslHost": "use a redirectRegex middleware; this field has no effect",
    "headers.sslRedirect": "use a redirectScheme middleware; this field has no effect",
    "headers.sslTemporaryRedirect": "use a redirectScheme middleware; this field has no effect",
    "ipWhiteList": "write ipAllowList",
    "stripPrefix.forceSlash": "remove it",
}
"""Paths below `spec` and what to do instead."""

_FIELDS: Final = {field.encode_name: field.name for field in msgspec.structs.fields(MiddlewareSpec)}


def translate(view: View, source: Middleware) -> Output:
    """Never raises Rejected: everything wrong ends in the output's findings."""
    metadata = source.metadata
    output = Output.of(ObjectKey("Middleware", metadata.namespace, metadata.name))
    name = view.naming.object(metadata.namespace, metadata.name)
    conversion = Conversion(Holder(view, metadata.namespace, output.report), name)
    made = _convert(conversion, source.spec)
    _note_deprecations(output.report, source.spec)
    if made is not None:
        _note_types(output.report, made)
        for service_name, service in conversion.services.items():
            output.put("http.services", service_name, service)
        output.put("http.middlewares", name, made)
    output.judge("http.middlewares", name)
    return output


def _convert(conversion: Conversion, plain: dict[str, Any]) -> middlewares.Middleware | None:
    """The middleware with all types that the object sets; None if one of them failed, which is reported."""
    report = conversion.holder.report
    try:
        spec = typed(report, plain, MiddlewareSpec, "spec")
    except Rejected as error:
        report.rejected(error)
        return None
    values: dict[str, Any] = {}
    failed = False
    for wire_name, name in _FIELDS.items():
        given = getattr(spec, name)
        if given is not None:
            try:
                values[name] = CONVERTERS.get(wire_name, _copied)(conversion, given, f"spec.{wire_name}")
            except Rejected as error:
                report.rejected(error)
                failed = True
    return None if failed else middlewares.Middleware(**values)


def _copied(conversion: Conversion, given: Any, field: str) -> Any:
    return given


def _note_types(report: Report, made: middlewares.Middleware) -> None:
    """Report what will keep the middleware from being built. It is put out all the same, as Traefik does."""
    types = kinds_of(made)
    if len(types) > 1:
        several = Rejected(
            "SeveralTypes",
            f"{', '.join(types[:-1])} and {types[-1]} in one object; the routers that use it will be disabled",
            field="spec",
            advice="make a Middleware of each and name them all in the route",
        )
        report.rejected(several)
    elif not types:
        none = Rejected(
            "NoType",
            "no type of middleware is set; the routers that use it will be disabled",
            field="spec",
            advice="set one, such as stripPrefix",
        )
        report.rejected(none)
    else:
        for name in made.plugin:
            if name not in installed_plugins():
                report.rejected(_unknown_plugin(name))
        _note_unbuildable(report, types[0], made)


def _note_unbuildable(report: Report, wire_name: str, made: middlewares.Middleware) -> None:
    check = CHECKS.get(wire_name)
    if check is not None:
        for error in check(getattr(made, _FIELDS[wire_name])):
            report.rejected(error.within(f"spec.{wire_name}"))


def _unknown_plugin(name: str) -> Rejected:
    return Rejected(
        "UnknownPlugin",
        f"no installed package provides the plugin {name}; the routers that use it will be disabled",
        field=f"spec.plugin.{name}",
        advice=f"install a Python package with an entry point {name} in the group {GROUP} "
        "(plugins for Traefik, in Go or WebAssembly, do not run here), or use a built-in middleware",
    )


def _note_deprecations(report: Report, plain: dict[str, Any]) -> None:
    for path, advice in DEPRECATED.items():
        if _at(plain, path) is not None:
            *_, last = path.split(".")
            report.warning("Deprecated", f"{last} is deprecated", field=f"spec.{path}", advice=advice)


def _at(plain: Any, path: str) -> Any:
    for name in path.split("."):
        plain = plain.get(name) if isinstance(plain, dict) else None
    return plain

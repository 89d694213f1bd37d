"""Middlewares that lead to other objects: chain to middlewares, errors to a service, plugin to Secrets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from config.middlewares import Chain
from config.middlewares_responses import Errors
from provider.findings import Rejected
from provider.resources import traefik_middlewares as written
from provider.translate.conversion import Conversion
from provider.translate.credentials import with_secrets
from provider.translate.cycles import Place, cycle_from
from provider.translate.holder import Holder
from provider.translate.references import middleware_references
from provider.translate.services import reference
from provider.translate.view import View

ERROR_PAGE_SUFFIX: Final = "-errorpage-service"


def chain(conversion: Conversion, given: written.Chain, field: str) -> Chain:
    names = middleware_references(conversion.holder, given.middlewares, f"{field}.middlewares")
    _note_cycle(conversion.holder, field)
    return Chain(middlewares=names)


def _note_cycle(holder: Holder, field: str) -> None:
    """Report a chain that leads back to itself. It is put out all the same, and the workers disable its users."""
    key = holder.referrer
    start = (key.namespace, key.name)
    cycle = cycle_from(holder.view, key.kind, start, lambda place: _members(holder.view, place))
    if cycle:
        error = Rejected(
            "MiddlewareCycle",
            f"routers that use the chain will be disabled, it leads into a cycle: {' -> '.join(cycle)}",
            field=field,
            advice="remove one of these references",
        )
        holder.report.rejected(error)


def _members(view: View, place: Place) -> Iterator[Place]:
    found: written.Middleware | None = view.get("Middleware", *place)
    given = found.spec.get("chain") if found is not None else None
    members = given.get("middlewares") if isinstance(given, dict) else None
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and isinstance(name := member.get("name"), str) and "@" not in name:
            namespace = member.get("namespace")
            yield namespace if isinstance(namespace, str) and namespace else place[0], name


def errors(conversion: Conversion, given: written.Errors, field: str) -> Errors:
    return Errors(
        status=given.status,
        status_rewrites=given.status_rewrites,
        service=_error_page_service(conversion, given, f"{field}.service"),
        query=given.query,
        error_request_headers=given.error_request_headers,
    )


def _error_page_service(conversion: Conversion, given: written.Errors, field: str) -> str:
    """Name of the service with the pages; for a Kubernetes Service a load balancer is brought along."""
    if given.service is None:
        raise Rejected(
            "ServiceMissing", "no service with the error pages is named", field=field, advice="name a service"
        )
    spec = given.service
    if spec.native_lb is None:
        # the provider's nativeLBByDefault is for services of routes
        spec = msgspec.structs.replace(spec, native_lb=False)
    name, service = reference(conversion.holder, spec, field, conversion.name + ERROR_PAGE_SUFFIX)
    if service is not None:
        conversion.services[name] = service
    return name


def plugin(conversion: Conversion, given: dict[str, Any], field: str) -> dict[str, Any]:
    """Options of plugins, by name. They are kept, Secrets filled in."""
    for name, options in given.items():
        if options is not None and not isinstance(options, dict):
            raise Rejected(
                "Malformed",
                "the options of a plugin are a mapping",
                field=f"{field}.{name}",
                advice="correct the field",
            )
    filled: dict[str, Any] = with_secrets(conversion.holder, given, field)
    return filled

"""What is said about a route that is translated all the same: deprecations, and what will disable its router.

A router that no worker can use is emitted nevertheless, so that it shows up as disabled where operators look.
"""

from __future__ import annotations

import functools
from typing import Final

from config.rule_matchers import HTTP, Table
from config.rules import RuleError, parse
from provider.findings import Rejected, Report
from provider.resources.traefik import IngressRouteSpec, Observability

LARGEST_PRIORITY: Final = (1 << 63) - 1 - 1000
"""Above this Traefik keeps priorities for its own routers and disables those of users."""


def note_class(report: Report, ingress_class_name: str | None, class_value: str) -> None:
    if ingress_class_name is None and class_value:
        report.warning(
            "Deprecated",
            "the annotation kubernetes.io/ingress.class is deprecated",
            field="metadata.annotations",
            advice=f"write spec.ingressClassName: {class_value}",
        )


def note_syntax(report: Report, syntax: str, field: str) -> None:
    if syntax:
        report.warning(
            "Deprecated",
            "the rule syntax option is deprecated",
            field=f"{field}.syntax",
            advice="write the rule in v3 syntax and remove the field",
        )


def check_match(rule: str, field: str, example: str) -> None:
    """Raise Rejected for an empty rule."""
    if not rule:
        raise Rejected(
            "EmptyMatch", "the rule is empty", field=f"{field}.match", advice=f"write a rule such as {example}"
        )


def note_duplicate(report: Report, field: str) -> None:
    report.warning(
        "DuplicateRule",
        "an earlier route of this object has the same match and is replaced by this one",
        field=f"{field}.match",
        advice="merge the two routes",
    )


def note_rule(report: Report, rule: str, syntax: str, field: str, matchers: Table = HTTP) -> bool:
    """Report a rule that cannot be used; whether it can."""
    wrong = what_is_wrong(rule, syntax, matchers)
    if wrong:
        invalid = Rejected("InvalidRule", f"the router will be disabled: {wrong}", field=f"{field}.match")
        report.rejected(invalid)
    return not wrong


@functools.lru_cache(maxsize=1 << 16)
def what_is_wrong(rule: str, syntax: str, matchers: Table = HTTP) -> str:
    """Why no worker can use the rule, empty if one can. Remembered: endpoints change, rules rarely do."""
    try:
        parse(rule, syntax, matchers)
    except RuleError as error:
        return str(error)
    return ""


def note_child(report: Report, spec: IngressRouteSpec) -> None:
    """What an IngressRoute with parents may not have, because the parents decide it."""
    own = {"entryPoints": bool(spec.entry_points), "tls": spec.tls is not None}
    fields = [f"spec.{name}" for name, given in own.items() if given]
    fields += [
        f"spec.routes[{index}].observability"
        for index, route in enumerate(spec.routes)
        if route.observability is not None and route.observability != Observability()
    ]
    for field in fields:
        _, _, name = field.rpartition(".")
        refused = Rejected(
            "ChildOverrides",
            f"the routers will be disabled: with parentRefs, {name} is the parents' to say",
            field=field,
            advice="remove it here and set it in the parent IngressRoute",
        )
        report.rejected(refused)


def note_parent_service(report: Report, parent: str, field: str) -> None:
    report.warning(
        "ParentHasService",
        f"a route of the parent IngressRoute {parent} has services of its own; they get no request",
        field=f"{field}.name",
        advice="remove the services from the parent's routes, or the parentRef",
    )


def note_priority(report: Report, priority: int, field: str) -> None:
    if priority > LARGEST_PRIORITY:
        too_large = Rejected(
            "PriorityTooLarge",
            f"priority {priority} is above {LARGEST_PRIORITY}, the router will be disabled",
            field=f"{field}.priority",
            advice="choose a smaller priority",
        )
        report.rejected(too_large)

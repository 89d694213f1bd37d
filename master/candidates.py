"""Every router and every dropped route, judged: what keeps it from answering one request.

Rules are asked with the worker's own predicates, in the order of the routing table. Routes that never became
routers are here too, with their findings, since they are what people look for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from config import rules
from config.findings import Finding
from config.http import Router
from config.names import PROVIDER_INTERNAL, provider_of
from config.rules import RuleError, Tree
from master.inspection import Inspection, Origin, object_of
from provider.resources.traefik import IngressRoute
from workers.exchange import Request
from workers.routers import RouterState
from workers.routing.implied import host_keys
from workers.routing.matchers import host_rest
from workers.routing.mismatch import Mismatch, mismatches

Verdict = Literal["wins", "outranked", "rule", "entryPoint", "tls", "disabled", "dropped"]


class Candidate(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """One router, or a route that never became one (`dropped`: `findings` say why; it has no priority).

    `verdict`: what keeps it from answering. `mismatches` is filled for `rule` only, `errors` for `disabled`.
    """

    verdict: Verdict
    router: str
    rule: str
    entry_points: list[str]
    tls: bool
    object: str = ""
    field: str = ""
    priority: int = 0
    mismatches: list[Mismatch] = []
    errors: list[str] = []
    findings: list[Finding] = []


class Judge:
    """One request that came in on `entry_point`, against one inspection."""

    def __init__(self, inspection: Inspection, request: Request, entry_point: str) -> None:
        self._inspection = inspection
        self._runtime = inspection.runtime
        self._request = request
        self._entry_point = entry_point
        self._origins = {name: origin for name, origin, _ in inspection.origins()}

    def candidates(self) -> Iterator[Candidate]:
        """All of them; the first that matches wins, as in the routing table."""
        is_decided = False
        for state in sorted(self._runtime.routers.values(), key=lambda state: (-state.priority, state.name)):
            verdict, failed = self._verdict(state)
            if verdict == "wins":
                verdict = "outranked" if is_decided else "wins"
                is_decided = True
            yield self._candidate(state, verdict, failed)
        yield from self._dropped()

    def concerns(self, candidate: Candidate) -> bool:
        """Whether somebody who asks about this request wants to hear of the candidate.

        It would match but for something else, or it is here and for this host.
        """
        if candidate.verdict != "rule":
            return True
        here = self._entry_point in candidate.entry_points and candidate.tls == self._request.is_tls
        tree = self.tree(candidate)
        return here and tree is not None and self._is_for_host(tree)

    def tree(self, candidate: Candidate) -> Tree | None:
        """The candidate's rule, None if it cannot be read."""
        state = self._runtime.routers.get(candidate.router)
        try:
            return rules.parse(candidate.rule, self._syntax(state.config) if state else "v3")
        except RuleError:
            return None

    def _verdict(self, state: RouterState) -> tuple[Verdict, list[Mismatch]]:
        """As if nobody had matched before."""
        failed, wrong = self._ask(state.config, is_internal=provider_of(state.name) == PROVIDER_INTERNAL)
        if failed:
            return "rule", failed
        if wrong or state.critical or state.route is None:
            return "disabled", failed
        if self._entry_point not in state.using:
            return "entryPoint", failed
        if (state.config.tls is not None) != self._request.is_tls:
            return "tls", failed
        return "wins", failed

    def _candidate(self, state: RouterState, verdict: Verdict, failed: list[Mismatch]) -> Candidate:
        origin = self._origins.get(state.source)
        return Candidate(
            verdict=verdict,
            router=state.name,
            rule=state.config.rule,
            entry_points=state.using or list(state.config.entry_points),
            tls=state.config.tls is not None,
            object=object_of(state, origin),
            field=origin.field if origin else "",
            priority=state.priority,
            mismatches=failed,
            errors=list(state.errors),
        )

    def _syntax(self, config: Router, *, is_internal: bool = False) -> str:
        return "v3" if is_internal else config.rule_syntax or self._runtime.environment.default_rule_syntax

    def _ask(self, config: Router, *, is_internal: bool = False) -> tuple[list[Mismatch], bool]:
        """Where the rule fails, and whether it cannot be read at all."""
        syntax = self._syntax(config, is_internal=is_internal)
        try:
            return mismatches(rules.parse(config.rule, syntax), syntax, self._request), False
        except RuleError:
            return [], True

    def _dropped(self) -> Iterator[Candidate]:
        """Routes of our objects without a router."""
        findings: dict[tuple[str, str, str], list[Finding]] = {}
        for finding in self._inspection.reading.findings:
            findings.setdefault((finding.kind, finding.namespace, finding.name), []).append(finding)
        for name, origin, found in self._inspection.origins():
            if name not in self._runtime.configured:
                about = [one for one in findings.get(origin.key, []) if _is_about(one, origin)]
                yield self._dropped_route(name, origin, found, about)

    def _dropped_route(self, name: str, origin: Origin, found: IngressRoute, about: list[Finding]) -> Candidate:
        route = found.spec.routes[origin.position]
        failed, _ = self._ask(Router(rule=route.match, rule_syntax=route.syntax))
        return Candidate(
            verdict="rule" if failed else "dropped",
            router=name,
            rule=route.match,
            entry_points=list(found.spec.entry_points) or list(self._runtime.environment.default_entry_points),
            tls=found.spec.tls is not None,
            object=str(origin.key),
            field=origin.field,
            mismatches=failed,
            findings=about,
        )

    def _is_for_host(self, tree: Tree) -> bool:
        keys = host_keys(tree, "v3")
        host = self._request.host.rstrip(b".")
        return keys is None or host in keys or b"*" + host_rest(host) in keys


def _is_about(finding: Finding, origin: Origin) -> bool:
    """Whether a finding of the object concerns this route: its own, or one of no route."""
    own = finding.field == origin.field or finding.field.startswith(f"{origin.field}.")
    return own or "routes[" not in finding.field

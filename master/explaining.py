"""Which router answers a request, and why the others do not; `explain_text.py` prints it.

Rules are asked with the worker's own predicates, routers and services are those of the inspection. Routes that
never became routers are listed with their findings, since they are what people look for.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Final, Literal, cast

import msgspec

from config import rules
from config.dynamic import objects_in
from config.findings import Finding
from config.http import Router
from config.names import PROVIDER_CRD, PROVIDER_INTERNAL, provider_of, resolve_reference
from config.rules import RuleError, Tree
from master.inspection import Inspection, Origin
from master.service_tree import Branch, service_tree
from workers import errors
from workers.errors import Failure
from workers.exchange import Exchange, Request
from workers.http1.codec import IncomingRequest
from workers.routing.implied import host_keys
from workers.routing.matchers import host_rest
from workers.routing.mismatch import Mismatch, mismatches
from workers.runtime import RouterState

Verdict = Literal["wins", "outranked", "rule", "entryPoint", "tls", "disabled", "dropped"]
_MATCHING: Final = frozenset(("wins", "outranked", "entryPoint", "tls", "disabled", "dropped"))


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


class Middleware(msgspec.Struct, rename="camel"):
    """`type`: the option that it sets, such as stripPrefix; empty if there is no such middleware."""

    name: str
    type: str = ""


class Explanation(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """`status` and `outcome`: what the client sees if every server is well. 0: what the server answers."""

    method: str
    host: str
    path: str
    entry_point: str
    tls: bool
    status: int
    outcome: str
    winner: Candidate | None = None
    middlewares: list[Middleware] = []
    service: Branch | None = None
    others: list[Candidate] = []
    hidden: int = 0
    """Candidates that are left out because they are for other hosts."""
    near_hosts: list[str] = []


class _Stub:
    """Enough of an exchange for checks that only refuse."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.failure: Failure | None = None

    def respond_error(self, failure: Failure) -> None:
        self.failure = failure


class Explainer:
    """One request against one inspection."""

    def __init__(self, inspection: Inspection, request: IncomingRequest, entry_point: str) -> None:
        self._inspection = inspection
        self._runtime = inspection.runtime
        self._request = request
        self._entry_point = entry_point
        self._origins = {name: origin for name, origin, _ in inspection.origins()}

    def explain(self, *, show_all: bool = False) -> Explanation:
        request = self._request
        candidates = [*map(self._judge_router, self._in_rank()), *self._dropped()]
        winner = next((one for one in candidates if one.verdict == "wins"), None)
        others = [one for one in candidates if one is not winner]
        shown = [one for one in others if show_all or self._matters(one)]
        result = Explanation(
            method=request.method.decode("latin-1"),
            host=request.host.decode("latin-1"),
            path=request.target.decode("utf-8", "backslashreplace"),
            entry_point=self._entry_point,
            tls=request.is_tls,
            status=0,
            outcome="",
            winner=winner,
            others=shown,
            hidden=len(others) - len(shown),
        )
        if winner is not None:
            state = self._runtime.routers[winner.router]
            result.middlewares = list(self._middlewares(state))
            result.service = service_tree(self._runtime, state.service)
        else:
            result.near_hosts = self._near_hosts(candidates)
        result.status, result.outcome = self._outcome(winner, result.service)
        return result

    def _in_rank(self) -> Iterator[RouterState]:
        """Routers as the table asks them; `_won` is set once one has answered."""
        self._won = False
        yield from sorted(self._runtime.routers.values(), key=lambda state: (-state.priority, state.name))

    def _judge_router(self, state: RouterState) -> Candidate:
        config = state.config
        failed, wrong = self._ask(config, is_internal=provider_of(state.name) == PROVIDER_INTERNAL)
        verdict: Verdict
        if failed:
            verdict = "rule"
        elif wrong or state.critical or state.route is None:
            verdict = "disabled"
        elif self._entry_point not in state.using:
            verdict = "entryPoint"
        elif (config.tls is not None) != self._request.is_tls:
            verdict = "tls"
        else:
            verdict = "outranked" if self._won else "wins"
            self._won = True
        origin = self._origins.get(state.source)
        return Candidate(
            verdict=verdict,
            router=state.name,
            rule=config.rule,
            entry_points=state.using or list(config.entry_points),
            tls=config.tls is not None,
            object=str(origin.key) if origin else "",
            field=origin.field if origin else "",
            priority=state.priority,
            mismatches=failed,
            errors=list(state.errors),
        )

    def _ask(self, config: Router, *, is_internal: bool = False) -> tuple[list[Mismatch], bool]:
        """Where the rule fails, and whether it cannot be read at all."""
        syntax = "v3" if is_internal else config.rule_syntax or self._runtime.environment.default_rule_syntax
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
            if name in self._runtime.configured:
                continue
            route = found.spec.routes[int(origin.field.partition("[")[2].rstrip("]"))]
            failed, _ = self._ask(Router(rule=route.match, rule_syntax=route.syntax))
            yield Candidate(
                verdict="rule" if failed else "dropped",
                router=name,
                rule=route.match,
                entry_points=list(found.spec.entry_points) or list(self._runtime.environment.default_entry_points),
                tls=found.spec.tls is not None,
                object=str(origin.key),
                field=origin.field,
                mismatches=failed,
                errors=["the route was dropped"],
                findings=[one for one in findings.get(origin.key, []) if _is_about(one, origin)],
            )

    def _matters(self, candidate: Candidate) -> bool:
        """Would match but for something else, or is for this host and here."""
        if candidate.verdict in _MATCHING:
            return True
        here = self._entry_point in candidate.entry_points and candidate.tls == self._request.is_tls
        tree = self._tree(candidate)
        return here and tree is not None and self._is_for_host(tree)

    def _tree(self, candidate: Candidate) -> Tree | None:
        state = self._runtime.routers.get(candidate.router)
        syntax = state.config.rule_syntax if state else ""
        try:
            return rules.parse(candidate.rule, syntax or self._runtime.environment.default_rule_syntax)
        except RuleError:
            return None

    def _is_for_host(self, tree: Tree) -> bool:
        keys = host_keys(tree, "v3")
        host = self._request.host.rstrip(b".")
        return keys is None or host in keys or b"*" + host_rest(host) in keys

    def _near_hosts(self, candidates: Iterable[Candidate]) -> list[str]:
        """Hosts of rules that the request's host may have been meant for, if no rule names that one."""
        trees = filter(None, map(self._tree, candidates))
        known = {host for tree in trees for host in rules.hosts_of(tree)}
        host = self._request.host.decode("latin-1")
        return [] if host in known else difflib.get_close_matches(host, known, n=3, cutoff=0.6)

    def _middlewares(self, state: RouterState) -> Iterator[Middleware]:
        known = objects_in(self._inspection.configuration, "http.middlewares")
        for reference in state.config.middlewares:
            name = resolve_reference(reference, state.name)
            found = known.get(name.removesuffix(f"@{PROVIDER_CRD}"))
            set_options = msgspec.to_builtins(found) if found is not None else {}
            yield Middleware(name, ", ".join(set_options))

    def _outcome(self, winner: Candidate | None, service: Branch | None) -> tuple[int, str]:
        request = self._request
        if request.target == b"*":
            return 200, "OPTIONS * is answered without a router"
        if winner is None or service is None:
            return 404, f"404 page not found: no router on entry point {self._entry_point} matches"
        refusal = self._refusal()
        if refusal is not None:
            return refusal.status, f"{refusal.status}: the entry point refuses an encoded character of the path"
        if service.type == "internal":
            return 0, f"Pointsman answers itself ({service.name})"
        if request.method == b"CONNECT":
            return errors.CONNECT_REFUSED.status, "501: CONNECT is not served"
        if not service.can_answer():
            return errors.NO_SERVER.status, "503 no available server: the service has no server that may be used"
        return 0, "a server of the service answers"

    def _refusal(self) -> Failure | None:
        """What the entry point's own check of the route says."""
        model = self._runtime.environment.models.get(self._entry_point)
        if model is None:
            return None
        stub = _Stub(self._request)
        model(lambda _: None)(cast(Exchange, stub))
        return stub.failure


def _is_about(finding: Finding, origin: Origin) -> bool:
    """Whether a finding of the object concerns this route: its own, or one of no route."""
    return finding.field.startswith((f"{origin.field}.", f"{origin.field}")) or "routes[" not in finding.field


def refused(failure: Failure, method: str, host: str, path: str, entry_point: str, *, tls: bool) -> Explanation:
    """The explanation of a request that no router is asked about."""
    return Explanation(
        method=method,
        host=host,
        path=path,
        entry_point=entry_point,
        tls=tls,
        status=failure.status,
        outcome=f"{failure.status}: refused before any router is asked ({failure.kind.replace('_', ' ')})",
    )

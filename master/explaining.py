"""Which router answers a request, and why the others do not; `explain_text.py` prints it.

Who matches is judged in `candidates.py`; here is what follows for the client: middlewares, service, status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import cast

import msgspec

from config import rules
from config.dynamic import objects_in
from config.findings import Finding
from config.names import PROVIDER_CRD, resolve_reference
from master.candidates import Candidate, Judge
from master.inspection import Inspection
from master.service_tree import Branch, service_tree
from workers import errors
from workers.errors import Failure
from workers.exchange import Exchange, Request
from workers.http1.codec import IncomingRequest
from workers.routers import RouterState


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
    findings: list[Finding] = []
    """Errors of objects whose rules cannot be seen, where nothing answers: one of them may have been meant."""


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
        self._judge = Judge(inspection, request, entry_point)

    def explain(self, *, show_all: bool = False) -> Explanation:
        request = self._request
        candidates = list(self._judge.candidates())
        winner = next((one for one in candidates if one.verdict == "wins"), None)
        others = [one for one in candidates if one is not winner]
        shown = [one for one in others if show_all or self._judge.concerns(one)]
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

    def _near_hosts(self, candidates: Iterable[Candidate]) -> list[str]:
        """Hosts of rules that the request's host may have been meant for, if no rule names that one."""
        trees = (self._judge.tree(one) for one in candidates)
        known = {host for tree in trees if tree is not None for host in rules.hosts_of(tree)}
        host = self._request.host.decode("latin-1")
        return [] if host in known else difflib.get_close_matches(host, known, n=3, cutoff=0.8)

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
        return _answer(service, request)

    def _refusal(self) -> Failure | None:
        """What the entry point's own check of the route says."""
        model = self._runtime.environment.models.get(self._entry_point)
        if model is None:
            return None
        stub = _Stub(self._request)
        model(lambda _: None)(cast(Exchange, stub))
        return stub.failure


def _answer(service: Branch, request: Request) -> tuple[int, str]:
    if service.type == "internal":
        return 0, f"Pointsman answers itself ({service.name})"
    if request.method == b"CONNECT":
        return errors.CONNECT_REFUSED.status, "501: CONNECT is not served"
    if not service.can_answer():
        return errors.NO_SERVER.status, "503 no available server: the service has no server that may be used"
    return 0, "a server of the service answers"


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

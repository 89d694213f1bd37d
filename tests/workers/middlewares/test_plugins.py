"""Plugins: found by their entry points, built in the router's chain, and harmless when they fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.playbook import Stage
from tests.workers.fakes import surroundings
from workers.errors import UNREACHABLE, ProxyError
from workers.exchange import Exchange, Handler
from workers.middlewares import plugins as module
from workers.middlewares.base import BuildError, Context
from workers.middlewares.plugins import plugin

_NOT_ONE = "plugin: invalid configuration: no configuration or too many plugin definition"
SAMPLE = Path(__file__).resolve().parents[3] / "etc" / "samples" / "plugin"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Plugins by name: what their entry points lead to."""
    found: dict[str, Any] = {}

    class Entry:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> Any:
            made = found[self.name]
            if isinstance(made, Exception):
                raise made
            return made

    monkeypatch.setattr(module, "installed_plugins", lambda: {name: Entry(name) for name in found})
    return found


def context() -> Context:
    def no_service(name: str) -> Handler:
        raise BuildError(name)

    return Context("m@p", "r@p", (0,), surroundings(), no_service)


def ok(exchange: Exchange) -> None:
    exchange.respond(200, (), b"ok")


def around(act: Callable[[Exchange], None]) -> Callable[[dict[str, Any], str], Callable[[Handler], Handler]]:
    """A plugin that does something before the next handler."""

    def build(options: dict[str, Any], name: str) -> Callable[[Handler], Handler]:
        def wrap(inner: Handler) -> Handler:
            def handle(exchange: Exchange) -> None:
                act(exchange)
                inner(exchange)

            return handle

        return wrap

    return build


def test_it_sees_its_options_and_every_request(installed: dict[str, Any]) -> None:
    seen: list[object] = []

    def build(options: dict[str, Any], name: str) -> Callable[[Handler], Handler]:
        seen.append((options, name))
        return around(lambda exchange: seen.append(exchange.request.target))({}, "")

    installed["demo"] = build
    handler = plugin({"demo": {"a": [1, 2.5]}}, context())(ok)
    with Stage(handler=handler) as stage:
        assert stage.client().get(b"/x").body == b"ok"
    assert seen == [({"a": [1, 2.5]}, "m@p"), b"/x"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"other": {}}, "plugin: unknown plugin type: other"),
        (
            {"demo": {}, "other": {}},
            "plugin: invalid configuration: no configuration or too many plugin definition",
        ),
        ({}, "plugin: invalid configuration: no configuration or too many plugin definition"),
        ({"broken": {}}, "plugin broken: ImportError: no such module"),
        ({"picky": {"a": 1}}, "plugin picky: ValueError: a must not be 1"),
        ({"nothing": None}, "plugin nothing: its builder returned NoneType, which wraps nothing"),
    ],
)
def test_what_cannot_be_built(installed: dict[str, Any], options: dict[str, Any], message: str) -> None:
    def picky(options: dict[str, Any], name: str) -> None:
        raise ValueError("a must not be 1")

    installed |= {
        "demo": around(lambda _: None),
        "broken": ImportError("no such module"),
        "picky": picky,
        "nothing": lambda options, name: None,
    }
    with pytest.raises(BuildError) as raised:
        plugin(options, context())
    assert str(raised.value) == message


def test_without_any_plugin_the_type_does_not_exist(installed: dict[str, Any]) -> None:
    with pytest.raises(BuildError, match=r'^invalid middleware "m@p" configuration: invalid middleware type'):
        plugin({"demo": {}}, context())


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), gevent.Timeout(1)])
def test_what_it_raises_is_one_requests_error(installed: dict[str, Any], error: BaseException) -> None:
    def fail(exchange: Exchange) -> None:
        if exchange.request.path == b"/fail":
            raise error

    installed["demo"] = around(fail)
    handler = plugin({"demo": {}}, context())(ok)
    with Stage(handler=handler) as stage:
        client = stage.client()
        failed = client.get(b"/fail")
        assert (failed.status, failed.body) == (500, b"Internal Server Error\n")
        assert client.get(b"/").body == b"ok"


def test_failures_of_the_servers_pass_through_it(installed: dict[str, Any]) -> None:
    def unreachable(exchange: Exchange) -> None:
        raise ProxyError(UNREACHABLE)

    installed["demo"] = around(lambda _: None)
    with Stage(handler=plugin({"demo": {}}, context())(unreachable)) as stage:
        assert stage.client().get().status == 502


def test_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SAMPLE))
    entry = EntryPoint("maintenance", "pointsman_maintenance:build", "pointsman.plugins")
    monkeypatch.setattr(module, "installed_plugins", lambda: {"maintenance": entry})
    monkeypatch.delitem(sys.modules, "pointsman_maintenance", raising=False)
    handler = plugin({"maintenance": {"retryAfterSeconds": 60.0, "word": "open"}}, context())(ok)
    with Stage(handler=handler) as stage:
        client = stage.client()
        closed = client.get()
        assert (closed.status, closed[b"retry-after"], closed.body) == (503, b"60", b"Under maintenance\n")
        passed = client.get(b"/", b"X-Maintenance-Word: open")
        assert (passed.status, passed[b"x-maintenance"]) == (200, b"bypassed")
        assert not stage.request.header_values(b"x-maintenance-word")
    with pytest.raises(BuildError, match="plugin maintenance: ValueError: unknown options: other"):
        plugin({"maintenance": {"other": 1}}, context())

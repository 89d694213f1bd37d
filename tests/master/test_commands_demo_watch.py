"""Lines for what changed between two looks at the API."""

from __future__ import annotations

from typing import Any

from master.commands.demo_watch import changes, snapshot

BEFORE: dict[str, Any] = {
    "routers": {
        "a@kubernetescrd": {"rule": "Host(`a`)", "service": "s", "status": "enabled"},
        "b@kubernetescrd": {"rule": "Host(`b`)", "service": "s"},
        "ping@internal": {"rule": "PathPrefix(`/ping`)", "service": "ping@internal"},
    },
    "services": {
        "s@kubernetescrd": {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:1"}]}},
        "w@kubernetescrd": {"weighted": {"services": [{"name": "s", "weight": 2}, {"name": "t"}]}},
    },
}
AFTER: dict[str, Any] = {
    "routers": {
        "b@kubernetescrd": {"rule": "Host(`c`)", "service": "s", "error": ["no such service"]},
        "c@kubernetescrd": {"rule": "Path(`/`)", "service": "s"},
    },
    "services": {
        "s@kubernetescrd": {"loadBalancer": {}, "usedBy": ["c@kubernetescrd"]},
        "w@kubernetescrd": BEFORE["services"]["w@kubernetescrd"],
    },
}


def test_one_line_for_each_thing() -> None:
    assert list(changes(snapshot(BEFORE), snapshot(AFTER))) == [
        "- router a@kubernetescrd",
        "~ router b@kubernetescrd  Host(`c`) -> s  ! no such service",
        "+ router c@kubernetescrd  Path(`/`) -> s",
        "~ service s@kubernetescrd  no servers",
    ]


def test_the_first_look_shows_everything_but_internals() -> None:
    assert list(changes({}, snapshot(BEFORE))) == [
        "+ router a@kubernetescrd  Host(`a`) -> s",
        "+ router b@kubernetescrd  Host(`b`) -> s",
        "+ service s@kubernetescrd  http://127.0.0.1:1",
        "+ service w@kubernetescrd  s x2, t x1",
    ]


def test_nothing_configured_is_nothing_to_tell() -> None:
    assert list(changes(snapshot({}), snapshot({}))) == []

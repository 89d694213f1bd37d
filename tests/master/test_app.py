"""Static configuration as gunicorn's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.static import EntryPoint, LifeCycle, StaticConfiguration, Transport
from config.static_load import LoadedStatic
from master import app
from master.app import CLEANUP_SECONDS, PointsmanApplication, drain_seconds, gunicorn_settings


def point(accept: float, grace: float) -> EntryPoint:
    cycle = LifeCycle(request_accept_grace_timeout_seconds=accept, grace_time_out_seconds=grace)
    return EntryPoint(address=":80", transport=Transport(life_cycle=cycle))


def test_draining_is_allowed_the_longest_of_both_steps() -> None:
    static = StaticConfiguration(entry_points={"a": point(5, 10), "b": point(0, 30.5)})
    assert drain_seconds(static) == 35.5
    assert gunicorn_settings(static)["graceful_timeout"] == 35 + CLEANUP_SECONDS
    assert drain_seconds(StaticConfiguration()) == 0


def test_workers_follow_the_machine_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "usable_cores", lambda: 6)
    assert gunicorn_settings(StaticConfiguration())["workers"] == 6
    assert gunicorn_settings(StaticConfiguration(workers=3))["workers"] == 3


def test_the_same_sources_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.yml"
    file.write_text("workers: 2\nentryPoints: {web: {address: ':8000'}}")
    application = PointsmanApplication(
        LoadedStatic(StaticConfiguration(workers=1), "test"), [f"--configFile={file}"], {}, str(tmp_path)
    )
    assert application.cfg.workers == 1
    loaded = application.read_again()
    assert application.cfg.workers == 1, "nothing changes by reading"
    application.take(loaded)
    assert application.cfg.workers == 2
    assert application.static.entry_points["web"].address == ":8000"

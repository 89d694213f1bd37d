"""What of gunicorn's talk reaches the log."""

from __future__ import annotations

import logging

import pytest

from master.logs import GunicornLogger


def test_gunicorn_is_a_library_until_it_warns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = GunicornLogger(None)
    log.setup(None)
    log.debug("settings %s", 1)
    log.info("Handling signal: %s", "term")
    log.warning("careful")
    log.critical("WORKER TIMEOUT (pid:%s)", 7)
    log.reopen_files()
    log.close_on_exec()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "Handling signal: term"),
        ("WARNING", "careful"),
        ("CRITICAL", "WORKER TIMEOUT (pid:7)"),
    ]

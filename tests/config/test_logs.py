"""The general log: form, levels, destination, reopening, and lines that nobody can forge."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.logs import (
    TRACE,
    LineFormatter,
    LineHandler,
    log_descriptor,
    name_process,
    reopen_logs,
    setup_logging,
)
from config.static import Log

# from Python 3.12 on a fork beside the threads of a test runner is warned about; our programs have none
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pointsman.log"


def written(path: Path, level: str = "INFO", form: str = "common", **fields: Any) -> str:
    """What one INFO line of ours becomes."""
    setup_logging(Log(level=level, format=form, file_path=str(path)), "worker 3")
    logging.getLogger("workers.stream").info("a message", extra=fields)
    return path.read_text()


def test_a_common_line_has_time_level_message_and_fields(path: Path) -> None:
    line = written(path, entryPointName="web", rule="Host(`a`) && x", count=3)
    time, rest = line.split(" ", 1)
    assert time[10] == "T"
    assert rest == 'INF a message entryPointName=web rule="Host(`a`) && x" count=3 process="worker 3"\n'


def test_a_json_line_is_one_object(path: Path) -> None:
    line = json.loads(written(path, form="json", entryPointName="web", count=3, odd=Path("x")))
    assert line.pop("time")
    assert line == {
        "level": "info",
        "message": "a message",
        "entryPointName": "web",
        "count": 3,
        "odd": "x",
        "process": "worker 3",
    }


@pytest.mark.parametrize("form", ["common", "json"])
def test_what_a_client_sends_cannot_forge_a_line_or_a_colour(path: Path, form: str) -> None:
    setup_logging(Log(level="INFO", format=form, file_path=str(path)), "master")
    log = logging.getLogger("workers.x")
    log.info("GET /\n2026 ERR forged\x1b[31m", extra={"value": 'a\nb"\x1b[0m', "line": "x=1\u2028y"})
    text = path.read_text()
    assert text.count("\n") == 1
    assert "\x1b" not in text


def test_an_exception_is_a_field_and_an_indented_trace(path: Path) -> None:
    setup_logging(Log(level="INFO", file_path=str(path)), "master")
    try:
        raise ValueError("broken\nvalue")
    except ValueError:
        logging.getLogger("master.x").exception("it failed")
    first, *trace = path.read_text().splitlines()
    assert 'error="ValueError: broken\\nvalue"' in first
    assert all(line.startswith("    ") for line in trace)
    assert trace[-1].strip() == "value"


def test_an_exception_in_json_is_one_line(path: Path) -> None:
    setup_logging(Log(level="INFO", format="json", file_path=str(path)), "master")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("master.x").exception("it failed")
    line = json.loads(path.read_text())
    assert line["error"] == "ValueError: broken"
    assert "Traceback" in line["stack"]


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("TRACE", ["TRC", "DBG", "INF", "WRN", "ERR", "FTL"]),
        ("debug", ["DBG", "INF", "WRN", "ERR", "FTL"]),
        ("Info", ["INF", "WRN", "ERR", "FTL"]),
        ("WARN", ["WRN", "ERR", "FTL"]),
        ("ERROR", ["ERR", "FTL"]),
        ("FATAL", ["FTL"]),
        ("PANIC", []),
    ],
)
def test_levels(path: Path, level: str, shown: list[str]) -> None:
    setup_logging(Log(level=level, file_path=str(path)), "master")
    log = logging.getLogger("provider.x")
    for number in (TRACE, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(number, "x")
    assert [line.split()[1] for line in path.read_text().splitlines()] == shown


def test_an_unknown_level_is_reported_and_error_used(path: Path) -> None:
    setup_logging(Log(level="loud", format="fancy", file_path=str(path)), "master")
    logging.getLogger("master.x").warning("not shown")
    lines = path.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["ERR", "ERR"]
    assert "level=loud" in lines[0]
    assert "format=fancy" in lines[1]


def test_libraries_are_heard_at_debug_only_and_then_as_debug(path: Path) -> None:
    setup_logging(Log(level="INFO", file_path=str(path)), "provider")
    logging.getLogger("urllib3.connection").error("library")
    assert path.read_text() == ""
    setup_logging(Log(level="DEBUG", file_path=str(path)), "provider")
    logging.getLogger("urllib3.connection").error("library")
    assert " DBG " in path.read_text()


def test_debug_shows_where_a_line_comes_from(path: Path) -> None:
    assert "config/test_logs.py:" in written(path, level="DEBUG")
    assert json.loads(written(path.with_name("other"), level="DEBUG", form="json"))["caller"]


def test_two_processes_append_to_one_file(path: Path) -> None:
    written(path)
    pid = os.fork()
    if pid == 0:
        name_process("child")
        logging.getLogger("workers.x").info("from the child")
        os._exit(0)
    os.waitpid(pid, 0)
    logging.getLogger("workers.x").info("from the parent")
    lines = path.read_text().splitlines()
    assert [line.rpartition("=")[2] for line in lines] == ['"worker 3"', "child", '"worker 3"']


def test_reopening_follows_the_path(path: Path) -> None:
    written(path)
    descriptor = log_descriptor()
    path.rename(path.with_suffix(".1"))
    reopen_logs()
    logging.getLogger("workers.x").info("new file")
    assert "new file" in path.read_text()
    assert log_descriptor() == descriptor
    assert "new file" not in path.with_suffix(".1").read_text()


def test_a_path_that_cannot_be_reopened_leaves_the_old_file(path: Path) -> None:
    folder = path.parent / "logs"
    folder.mkdir()
    written(folder / "log")
    folder.rename(path.parent / "moved")
    reopen_logs()
    assert "log file not reopened" in (path.parent / "moved" / "log").read_text()


def test_setting_up_again_closes_the_former_file(path: Path) -> None:
    written(path)
    written(path.with_name("second"))
    ours = [handler for handler in logging.getLogger().handlers if isinstance(handler, LineHandler)]
    assert [handler.path for handler in ours] == [str(path.with_name("second"))]
    assert len(path.read_text().splitlines()) == 1


def test_stdout_is_coloured_unless_told_otherwise(capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for settings in (Log(level="INFO"), Log(level="INFO", no_color=True)):
        setup_logging(settings, "master")
        logging.getLogger("master.x").info("hello", extra={"key": "value"})
    monkeypatch.setenv("NO_COLOR", "1")
    setup_logging(Log(level="INFO"), "master")
    logging.getLogger("master.x").info("hello")
    coloured, *plain = capfd.readouterr().out.splitlines()
    assert "\x1b[32mINF\x1b[0m" in coloured
    assert "\x1b[36mkey=\x1b[0mvalue" in coloured
    assert len(plain) == 2
    assert not any("\x1b" in line for line in plain)


def test_a_reader_that_has_gone_is_no_error() -> None:
    handler = LineHandler("")
    handler.setFormatter(LineFormatter("common", "master", color=False, show_caller=False))
    reading, writing = os.pipe()
    os.close(reading)
    handler.descriptor = writing
    handler.emit(logging.makeLogRecord({"msg": "x", "name": "master"}))
    os.close(writing)


def test_a_full_pipe_costs_the_line_not_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.logs._WRITE_WAIT_MS", 1)
    handler = LineHandler("")
    handler.setFormatter(LineFormatter("common", "master", color=False, show_caller=False))
    reading, writing = os.pipe2(os.O_NONBLOCK)
    handler.descriptor = writing
    for _ in range(50):
        handler.emit(logging.makeLogRecord({"msg": "x" * 4000, "name": "master"}))
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("flags", [0, os.O_NONBLOCK])
def test_nobody_waits_for_a_reader_that_does_not_read(flags: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the provider, and a worker with all its connections, would stand still with whoever reads the log."""
    monkeypatch.setattr("config.logs._WRITE_WAIT_MS", 100)
    handler = LineHandler("")
    handler.setFormatter(LineFormatter("common", "master", color=False, show_caller=False))
    reading, writing = os.pipe2(flags)
    handler.descriptor = writing

    def say(text: str) -> None:
        handler.handle(logging.makeLogRecord({"msg": text, "name": "master", "levelno": logging.INFO}))

    def flood() -> None:
        for number in range(2000):
            say(f"{number} {'x' * 5000 if number % 3 else 'short'}")

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    lost = handler.lost
    assert lost > 1000
    os.set_blocking(reading, False)
    with contextlib.suppress(BlockingIOError):
        while os.read(reading, 1 << 16):
            pass
    say("again")
    say("and again")
    *torn, told, again, and_again = os.read(reading, 1 << 16).decode().splitlines()
    assert not any(torn), "what was left of a line is ended first"
    assert f"log lines were lost: nobody took them lost={lost}" in told
    assert [" again " in again, "and again" in and_again, handler.lost] == [True, True, 0]
    os.close(reading)
    os.close(writing)

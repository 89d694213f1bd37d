"""The access log's file: which requests get a line, batches, reopening, and a sink that does not take any."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import gevent
import pytest

from config.static_observability import AccessLog as Options
from config.static_observability import AccessLogFilters
from tests.waiting import wait_until
from tests.workers.observed import Observed, noted
from workers import access_log
from workers.access_log import AccessLog
from workers.line_sink import Sink
from workers.shared import SharedState

LOG = logging.getLogger("workers.tests")


def opened(path: Path | str, **options: object) -> AccessLog:
    made = AccessLog.opened(Options(file_path=str(path), **options), SharedState.private(), LOG)  # type: ignore[arg-type]
    assert made is not None
    return made


def write(log: AccessLog, status: int = 200, seconds: float = 0.1, retries: int = 0) -> None:
    exchange = Observed()
    log.write("web", exchange, noted(exchange, status, retries=retries), seconds, status)


def numbers(path: Path) -> list[int]:
    """RequestCount of each line."""
    return [int(line.split('"-" "-" ')[1].split()[0]) for line in path.read_text().splitlines()]


def test_lines_wait_for_a_moment_and_go_out_together(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "access.log"
    log = opened(path)
    assert (path.parent.stat().st_mode & 0o777) == 0o755 & ~_umask()
    for _ in range(3):
        write(log)
    assert path.read_bytes() == b""
    wait_until(path.read_bytes, what="the lines", pause=gevent.sleep)
    assert numbers(path) == [1, 2, 3]
    write(log)
    log.close()
    assert numbers(path) == [1, 2, 3, 4]
    write(log)
    assert numbers(path) == [1, 2, 3, 4, 5], "after the end nothing waits"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_many_lines_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path / "log", buffering_size=2)
    write(log)
    assert not (tmp_path / "log").read_bytes()
    write(log)
    assert numbers(tmp_path / "log") == [1, 2]
    log.close()
    monkeypatch.setattr(access_log, "FLUSH_BYTES", 100)
    log = opened(tmp_path / "other")
    write(log)
    write(log)
    assert numbers(tmp_path / "other") == [1, 2]
    log.close()


def test_reopening_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = opened(path)
    write(log)
    path.rename(tmp_path / "old")
    log.reopen()
    write(log)
    log.flush()
    assert (numbers(tmp_path / "old"), numbers(path)) == ([1], [2])
    path.unlink()
    path.mkdir()
    log.reopen()
    write(log)
    log.close()
    assert numbers(tmp_path / "old") == [1], "the second file is gone, the first one is not touched"


@pytest.mark.behaviour("OP-51")
def test_filters_are_alternatives(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = opened(path, filters=AccessLogFilters(status_codes=["500-599", "404"], min_duration_seconds=1.0))
    for status, seconds in ((200, 0.1), (200, 1.5), (503, 0.1), (404, 0.0), (405, 1.0), (600, 0.1)):
        write(log, status, seconds)
    log.close()
    assert numbers(path) == [2, 3, 4], "all are counted, some are written"
    log = opened(tmp_path / "retried", filters=AccessLogFilters(retry_attempts=True))
    write(log)
    write(log, retries=1)
    log.close()
    assert numbers(tmp_path / "retried") == [2]


def test_a_malformed_range_makes_all_void(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = opened(tmp_path / "log", filters=AccessLogFilters(status_codes=["404", "5xx"]))
    write(log)
    log.close()
    assert numbers(tmp_path / "log") == [1]
    assert "5xx" in caplog.text


def test_unknown_format(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = opened(tmp_path / "log", format="fancy")
    write(log)
    log.close()
    assert numbers(tmp_path / "log") == [1]
    assert "fancy" in caplog.text


def test_numbers_count_the_requests_of_all_workers(tmp_path: Path) -> None:
    cells = SharedState.private()._cells
    cells.open_slot(1)
    options = Options(file_path=str(tmp_path / "log"))
    logs = [AccessLog(options, SharedState(cells, slot), LOG, Sink(options.file_path)) for slot in (0, 1)]
    for log in (*logs, logs[0]):
        write(log)
        log.flush()
    assert numbers(tmp_path / "log") == [1, 2, 3]
    for log in logs:
        log.close()


def test_a_place_that_cannot_be_had(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    options = Options(file_path=str(tmp_path / "file" / "log"))
    assert AccessLog.opened(options, SharedState.private(), LOG) is None
    assert "access log off" in caplog.text


def test_a_full_disk_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(access_log, "MOST_WAITING_BYTES", 300)
    log = opened("/dev/full", buffering_size=1)
    for _ in range(10):
        write(log)
    assert log._waiting_bytes <= 300
    assert len(log._lines) == 300 // len(log._lines[0])
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "access log not written: No space left on device"
    ]
    log.close()
    assert (log._lines, log._dropped) == ([], 10)


def test_standard_output_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        log = opened("")
        for _ in range(3000):
            write(log)
        log.flush()
        assert log._lines, "the pipe is full, and we are still here"
        received = b""
        while log._lines:
            received += os.read(reading, 1 << 20)
            log.flush()
        log.close()
        os.close(log._sink.descriptor)
    while piece := os.read(reading, 1 << 20):
        received += piece
    os.close(reading)
    lines = received.decode().splitlines()
    assert [int(line.split('"-" "-" ')[1].split()[0]) for line in lines] == list(range(1, 3001))

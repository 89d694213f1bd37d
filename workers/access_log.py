"""The access log: which requests get a line, and how lines reach the file without holding anybody up.

Lines of one worker wait together for at most FLUSH_SECONDS, or until they are FLUSH_BYTES, and go out in one
write to a file opened for appending: lines of several workers never mix. A graceful end writes everything; a
worker that is killed takes its last moment with it. What cannot be written (disk full, nobody reads our output)
waits within MOST_WAITING_BYTES and is then dropped, which the general log mentions; requests never wait.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import gevent
from gevent import get_hub

from config import static_observability as options
from workers.access_fields import json_formatter, wants_headers
from workers.access_line import line_formatter
from workers.exchange import Exchange, Note
from workers.line_sink import Sink
from workers.shared import SharedState

FLUSH_SECONDS: Final = 0.1
FLUSH_BYTES: Final = 64 * 1024
MOST_WAITING_BYTES: Final = 4 << 20
LAST_TRIES: Final = 5
_COMPLAINT_SECONDS: Final = 60.0
_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")

Formatter = Callable[[str, Exchange, Note, float, int, int], bytes]
"""Entry point, exchange, note, seconds, status and number of a request -> its line, with its end."""


class AccessLog:
    """One worker's. All methods from the hub or its greenlets; `write` does not switch."""

    def __init__(self, settings: options.AccessLog, shared: SharedState, log: logging.Logger, sink: Sink) -> None:
        self.wants_origin_headers = self.wants_sent_headers = False
        self._log = log
        self._sink = sink
        self._lines: list[bytes] = []
        self._waiting_bytes = 0
        self._most_lines = settings.buffering_size or sys.maxsize
        self._tally = shared.counters.tally()
        self._slot = shared.slot_index
        self._shared = shared
        self._others = 0
        self._filters = _Filters(settings.filters, log)
        self._timer: Any = get_hub().loop.timer(FLUSH_SECONDS)
        self._is_armed = self._is_closed = self._is_stuck = False
        self._complained = -_COMPLAINT_SECONDS
        self._dropped = 0
        self._format: Formatter
        if settings.format == "json":
            self.wants_origin_headers = self.wants_sent_headers = wants_headers(settings.fields.headers)
            self._format = json_formatter(settings.fields)
        else:
            if settings.format not in ("common", "genericCLF"):
                log.error("unsupported access log format %r, using common", settings.format)
            self._format = line_formatter(settings.fields, is_generic=settings.format == "genericCLF")

    @classmethod
    def opened(cls, settings: options.AccessLog, shared: SharedState, log: logging.Logger) -> AccessLog | None:
        """None, and a word in the general log, where the file cannot be had."""
        try:
            sink = Sink(settings.file_path)
        except OSError as error:
            log.warning("access log off: %s: %s", settings.file_path, error.strerror)
            return None
        return cls(settings, shared, log, sink)

    def write(self, entry_point: str, exchange: Exchange, note: Note, seconds: float, status: int) -> None:
        """The line of a request that is over, if it is one that the filters want."""
        self._tally[self._slot] += 1
        if self._filters.is_set and not self._filters.want(status, note.retries, seconds):
            return
        lines = self._lines
        if not lines:
            self._count_others()
        number = self._others + self._tally[self._slot]
        line = self._format(entry_point, exchange, note, seconds, status, number)
        lines.append(line)
        self._waiting_bytes += len(line)
        if self._is_stuck:
            self._make_room()
        elif self._waiting_bytes >= FLUSH_BYTES or len(lines) >= self._most_lines or self._is_closed:
            self.flush()
        elif not self._is_armed:
            self._is_armed = True
            self._timer.start(self._on_time)

    def _count_others(self) -> None:
        """Requests of the other workers so far: looked up for each batch, so lines of two workers may share a
        number."""
        self._others = sum(self._tally[: self._shared.used_slots]) - self._tally[self._slot]

    def _on_time(self) -> None:
        self._is_armed = False
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as that is possible at once."""
        lines, self._lines, self._waiting_bytes = self._lines, [], 0
        if not lines:
            return
        self._is_stuck = False
        try:
            left = self._sink.write(lines)
        except OSError as error:
            self._keep(lines, error.strerror or repr(error))
        else:
            if left:
                self._keep(left, "nobody reads it")

    def _keep(self, lines: list[bytes], reason: str) -> None:
        """Try again later."""
        self._is_stuck = not self._is_closed
        self._lines = lines
        self._waiting_bytes = sum(map(len, lines))
        self._make_room()
        now = time.monotonic()
        if now - self._complained >= _COMPLAINT_SECONDS:
            self._complained = now
            self._log.error("access log not written: %s; %d lines lost so far", reason, self._dropped)
        if self._lines and not self._is_armed:
            self._is_armed = True
            self._timer.start(self._on_time)

    def _make_room(self) -> None:
        """Lines that find no room are lost; the oldest ones stay."""
        lines = self._lines
        while lines and (self._waiting_bytes > MOST_WAITING_BYTES or self._is_closed):
            self._waiting_bytes -= len(lines.pop())
            self._dropped += 1

    def reopen(self) -> None:
        """Go on in a new file at the path; what waits is written to the old one. Where it cannot be had that
        one stays."""
        self.flush()
        try:
            self._sink.reopen()
        except OSError as error:
            self._log.error("access log not reopened: %s", error.strerror)

    def close(self) -> None:
        """Write everything; the lines of requests that are still to end are written at once.

        A sink that takes nothing is given LAST_TRIES, about half a second. Switches.
        """
        self.flush()
        for _ in range(LAST_TRIES):
            if not self._lines:
                break
            gevent.sleep(FLUSH_SECONDS)
            self.flush()
        self._is_closed = True
        self._make_room()
        self._timer.stop()


class _Filters:
    """Which requests are logged: those that any of them picks; all without filters."""

    def __init__(self, filters: options.AccessLogFilters, log: logging.Logger) -> None:
        self._ranges = _ranges(filters.status_codes, log)
        self._retries = filters.retry_attempts
        self._min_seconds = filters.min_duration_seconds
        self.is_set = bool(self._ranges) or self._retries or self._min_seconds > 0

    def want(self, status: int, retries: int, seconds: float) -> bool:
        if any(first <= status <= last for first, last in self._ranges):
            return True
        if self._retries and retries > 0:
            return True
        return 0 < self._min_seconds < seconds


def _ranges(texts: Sequence[str], log: logging.Logger) -> list[tuple[int, int]]:
    """A malformed one makes all of them void, as in the original."""
    found = []
    for text in texts:
        match = _RANGE.fullmatch(text.strip())
        if match is None:
            log.error("access log: %r is no status or range of them; no status is looked at", text)
            return []
        found.append((int(match[1]), int(match[2] or match[1])))
    return found

"""The general log: one line format and one destination for master, provider and workers.

`common` is `time LVL message key=value`, `json` one object a line; key and value come from the `extra` of a
logging call. Every process opens the file itself in append mode and writes each record with one `write`, so
lines of different processes never mix. Records of other people's libraries are shown at DEBUG only. Nothing
here knows about requests: the access log is the data plane's.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

TRACE: Final = 5
PANIC: Final = 60
LEVELS: Final = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "panic": PANIC,
}
OWN_ROOTS: Final = frozenset(("config", "tls", "provider", "workers", "master", "root", "__main__"))
"""First parts of the logger names that are ours; anything else is a library."""

_SHORT: Final = {"trace": "TRC", "debug": "DBG", "info": "INF", "warn": "WRN", "error": "ERR", "fatal": "FTL"}
_COLORS: Final = {"trace": "34", "info": "32", "warn": "33"}
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_WRITE_WAIT_MS: Final = 1000
_MOST_REFUSALS: Final = 3


class LogSettings(Protocol):
    """What setup_logging needs of the static configuration's `log` section. `file_path` "" means stdout."""

    @property
    def level(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def no_color(self) -> bool: ...
    @property
    def file_path(self) -> str: ...


def setup_logging(settings: LogSettings, process_name: str) -> None:
    """Send every logger of this process to the place and in the form that `settings` ask for.

    May be called again (reload, after a fork): the former destination is closed. Before other threads start.
    `process_name` ("master", "provider", "worker 3") is shown as the field `process`. An unknown level or
    format is reported on the log itself and the default used. Raises OSError if the file cannot be opened.
    """
    level = LEVELS.get(settings.level.lower())
    form = settings.format if settings.format in ("common", "json") else "common"
    color = not settings.file_path and not settings.no_color and not os.environ.get("NO_COLOR")
    handler = LineHandler(settings.file_path)
    handler.setFormatter(LineFormatter(form, process_name, color, show_caller=(level or 99) <= logging.DEBUG))
    root = logging.getLogger()
    for former in root.handlers[:]:
        if isinstance(former, LineHandler):
            root.removeHandler(former)
            former.close()
    root.addHandler(handler)
    root.setLevel(logging.ERROR if level is None else level)
    log = logging.getLogger(__name__)
    if level is None:
        log.error("unknown log level, using ERROR", extra={"level": settings.level})
    if form != settings.format:
        log.error("unknown log format, using common", extra={"format": settings.format})


def reopen_logs() -> None:
    """Open the log file at its path again, after it was renamed. Without a file nothing happens.

    Where the path cannot be opened the old file goes on being written, and says so. Any process, main thread.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            try:
                handler.reopen()
            except OSError as error:
                logging.getLogger(__name__).error("log file not reopened", extra={"error": error})


def name_process(process_name: str) -> None:
    """In a forked child: another value of the field `process`; the destination stays the inherited one."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler) and isinstance(handler.formatter, LineFormatter):
            handler.formatter.process_name = process_name


def log_descriptor() -> int | None:
    """The open log file of this process, None if it logs to stdout."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler) and handler.path:
            return handler.descriptor
    return None


class LineHandler(logging.Handler):
    """Writes one formatted record with one system call to stdout or to the end of a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        # made absolute: a process that changes its directory must find the same file when it reopens it
        self.path = os.path.abspath(path) if path else ""
        self.descriptor = _open_appending(self.path) if path else sys.stdout.fileno()
        self.lost = 0
        """Lines since the last one that was taken."""
        self._is_torn = False
        self.addFilter(_is_wanted)

    def emit(self, record: logging.LogRecord) -> None:
        """Traffic matters more than lines: those that nobody takes are lost, and only the first is waited for."""
        try:
            line = self.format(record).encode("utf-8", "replace") + b"\n"
            if self.lost:
                line = self._told_of_losses() + line
            left = _write_all(self.descriptor, line, 0 if self.lost else _WRITE_WAIT_MS)
            self.lost = self.lost + 1 if left else 0
            if left < len(line):
                self._is_torn = left > 0
        except OSError:
            return  # the reader of our stdout is gone or the disk is full
        except Exception:
            self.handleError(record)

    def _told_of_losses(self) -> bytes:
        told = {"name": __name__, "levelno": logging.WARNING, "msg": "log lines were lost: nobody took them"}
        record = logging.makeLogRecord({**told, "pathname": __file__, "lost": self.lost})
        start = b"\n" if self._is_torn else b""
        return start + self.format(record).encode("utf-8", "replace") + b"\n"

    def reopen(self) -> None:
        """Raises OSError, the old descriptor then stays."""
        if self.path:
            descriptor = _open_appending(self.path)
            os.dup2(descriptor, self.descriptor, inheritable=False)
            os.close(descriptor)

    def close(self) -> None:
        if self.path and self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        super().close()


class LineFormatter(logging.Formatter):
    """`form` is "common" or "json"; the result never holds a line break but for a traceback in `common`."""

    def __init__(self, form: str, process_name: str, color: bool, show_caller: bool) -> None:
        super().__init__()
        self._form = form
        self.process_name = process_name
        self._color = color
        self._show_caller = show_caller

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        fields["process"] = self.process_name
        stack = ""
        if record.exc_info and record.exc_info[1] is not None:
            fields.setdefault("error", "".join(traceback.format_exception_only(record.exc_info[1])).strip())
            stack = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return (
            self._as_json(record, fields, stack) if self._form == "json" else self._as_text(record, fields, stack)
        )

    def _as_json(self, record: logging.LogRecord, fields: dict[str, Any], stack: str) -> str:
        line: dict[str, Any] = {"level": _level_name(record)}
        line.update(fields)
        if stack:
            line["stack"] = stack
        if self._show_caller:
            line["caller"] = _caller(record)
        line["time"] = _timestamp(record.created)
        line["message"] = record.getMessage()
        return msgspec.json.encode(line, enc_hook=str).decode()

    def _as_text(self, record: logging.LogRecord, fields: dict[str, Any], stack: str) -> str:
        name = _level_name(record)
        parts = [
            self._paint(_timestamp(record.created), "90"),
            self._paint(_SHORT.get(name, "PNC"), _COLORS.get(name, "" if name == "debug" else "31")),
        ]
        if self._show_caller:
            parts.append(self._paint(_caller(record), "1") + self._paint(" >", "36"))
        parts.append(self._paint(_one_line(record.getMessage()), "" if name in ("debug", "trace") else "1"))
        parts.extend(self._paint(f"{key}=", "36") + _quoted(value) for key, value in fields.items())
        line = " ".join(parts)
        return line + "\n" + _indented(stack) if stack else line

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color and code else text


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in OWN_ROOTS or logging.getLogger().level <= logging.DEBUG


def _level_name(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] not in OWN_ROOTS:
        return "debug"
    name = "trace"
    for candidate, number in LEVELS.items():
        if record.levelno >= number:
            name = candidate
    return name


def _timestamp(seconds: float) -> str:
    """RFC 3339 in the local zone, whole seconds."""
    local = time.localtime(seconds)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", local)
    if not local.tm_gmtoff:
        return text + "Z"
    zone = time.strftime("%z", local)
    return f"{text}{zone[:3]}:{zone[3:]}"


def _caller(record: logging.LogRecord) -> str:
    return f"{Path(*Path(record.pathname).parts[-2:])}:{record.lineno}"


def _one_line(text: str) -> str:
    """Control characters are written as escapes: what a client sent must not forge a line or a colour."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def _quoted(value: Any) -> str:
    text = str(value)
    if text and text.isprintable() and not any(c in text for c in ' "\\='):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_one_line(escaped)}"'


def _indented(stack: str) -> str:
    return "\n".join("    " + _one_line(line) for line in stack.splitlines())


def _open_appending(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)


def _write_all(descriptor: int, data: bytes, wait_ms: int) -> int:
    """Bytes that are left: where a pipe, a terminal or a socket has no room for `wait_ms` they are given up."""
    view = memoryview(data)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        while view:
            view = view[os.write(descriptor, view) :]
        return 0
    refusals = 0
    while view:
        # asked first, since most are opened so that a write waits for room, for ever
        if not _writable(descriptor, wait_ms):
            return len(view)
        try:
            view = view[os.write(descriptor, view[: select.PIPE_BUF]) :]
        except BlockingIOError:  # another process was faster
            refusals += 1
            if refusals == _MOST_REFUSALS:
                return len(view)
    return 0


def _writable(descriptor: int, wait_ms: int) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    return bool(poller.poll(wait_ms))

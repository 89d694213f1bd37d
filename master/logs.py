"""gunicorn's logger, fed into the one general log (config.logs).

gunicorn talks of its own life at INFO; for our users it is a library, so that appears at DEBUG. What it warns
about (a worker that hangs or was killed) keeps its level.
"""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.glogging import Logger

from config.logs import reopen_logs


class GunicornLogger(Logger):
    """Takes the place of gunicorn's handlers and files; levels and form are config.logs' business."""

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log = logging.getLogger("master.gunicorn")
        self.access_log = self.error_log

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.error_log.debug(msg, *args, stacklevel=2, **kwargs)

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Dropped: a dump of a hundred settings that mean nothing here, and every death of a child."""

    def reopen_files(self) -> None:
        reopen_logs()

    def close_on_exec(self) -> None:
        """Descriptors of ours are never inherited by an exec unless somebody asks for it."""

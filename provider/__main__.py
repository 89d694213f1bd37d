"""`python -m provider`: started by the master with three inherited descriptors named in the environment.

POINTSMAN_CHANNEL_FD   seqpacket socket to the master
POINTSMAN_CONTROL_FD   the control page
POINTSMAN_STATIC_FD    the static configuration, encoded
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import socket
import sys
from typing import Final

from config.control_page import ControlPage
from config.logs import setup_logging
from config.static import decode_static
from provider.kube.errors import ConnectionSettings
from provider.kube.selectors import SelectorError
from provider.process import Provider

EXIT_SETTINGS: Final = 78
"""sysexits' EX_CONFIG: the settings cannot work; a restart helps only after something was changed."""

log = logging.getLogger("provider")


NICENESS: Final = 5
"""Where the processors do not suffice requests come first, and a third of a worker's share is enough for us."""


def main() -> int:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    channel = socket.socket(fileno=int(os.environ["POINTSMAN_CHANNEL_FD"]))
    page = ControlPage.attach(int(os.environ["POINTSMAN_CONTROL_FD"]))
    static_fd = int(os.environ["POINTSMAN_STATIC_FD"])
    static = decode_static(os.pread(static_fd, os.fstat(static_fd).st_size, 0))
    setup_logging(static.log, "provider")
    try:
        provider = Provider(static, channel, page, os.environ, _version())
    except (SelectorError, ConnectionSettings) as error:
        log.error("cannot start the provider: %s", error)
        return EXIT_SETTINGS
    return provider.run()


def _version() -> str:
    try:
        return importlib.metadata.version("pointsman")
    except importlib.metadata.PackageNotFoundError:
        return "0"  # a checkout that was never installed


if __name__ == "__main__":
    sys.exit(main())

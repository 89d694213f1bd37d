"""The HTTP/3 servers of one worker: made together, because they share keys, parsed certificates and the relay.

Importing this module loads aioquic: only where an entry point serves HTTP/3.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

from config.control_page import ControlPage
from config.http3_twins import is_twin, owner_of
from tls.parsed import ParsedPairs
from workers.entrypoint import EntryPointServer
from workers.http3.identifiers import Identifiers
from workers.http3.relay import Relay
from workers.http3.server import Http3Server


def http3_servers(
    sites: Mapping[str, EntryPointServer],
    sockets: Mapping[str, socket.socket],
    place: tuple[int, int, Mapping[int, tuple[socket.socket, socket.socket]]],
    secret: bytes,
    page: ControlPage,
    log: logging.Logger,
) -> dict[str, Http3Server]:
    """By entry point; `sockets` may hold others than twins. `place`: lane, slot, ways to other workers.

    `secret`: the same in all workers of a process tree.
    """
    lane, slot, ways = place
    identifiers, relay, pairs = Identifiers(lane, slot, secret), Relay(slot, ways, page), ParsedPairs()
    return {
        owner_of(name): Http3Server(name, sites[owner_of(name)], sock, identifiers, relay, pairs, log)
        for name, sock in sockets.items()
        if is_twin(name)
    }

"""The order of a start: sockets first, then root is given up, for good."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from config.http3_twins import with_twins
from config.logs import log_descriptor
from config.static import StaticConfiguration
from master import activation, privileges, upgrade
from master.sockets import Sockets

log = logging.getLogger(__name__)


def open_sockets(
    static: StaticConfiguration,
    lane_count: int,
    heritage: upgrade.Heritage,
    descriptors: list[tuple[str, int]],
) -> Sockets:
    """All entry points listening: inherited from a former master or from systemd, else bound; then drop root.

    Raises BindError and PrivilegesError.
    """
    identity = privileges.identity_of(static.user, static.group)
    sockets = Sockets(lane_count, None if identity is None else (identity.uid, identity.gid))
    points = with_twins(static.entry_points)
    upgrade.adopt_sockets(heritage, sockets, points)
    for binding in activation.bindings_of(descriptors, points):
        sockets.adopt(binding)
    sockets.update(static.entry_points)
    log_addresses(sockets, sockets.bindings)
    if identity is not None:
        _become(identity)
    privileges.forbid_new_privileges()
    return sockets


def _become(identity: privileges.Identity) -> None:
    descriptor = log_descriptor()
    if descriptor is not None:
        # or nobody could open it again at its path
        os.fchown(descriptor, identity.uid, identity.gid)
    privileges.become(identity)
    log.info("running as user %d, group %d", identity.uid, identity.gid)


def log_addresses(sockets: Sockets, names: Iterable[str]) -> None:
    """One line for each entry point: with port 0 this is where its port is found."""
    for name in names:
        log.info("entry point %s listens at %s", name, sockets.bindings[name].bound_address)

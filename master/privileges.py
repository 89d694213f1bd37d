"""Giving up root once the ports are bound, and what the master keeps of it.

The whole tree runs as the configured user. The master alone keeps CAP_NET_BIND_SERVICE, without which neither
a further worker nor a reload could bind port 80; workers drop it after the fork, and an exec (the provider)
loses it because it is neither inheritable nor ambient.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import struct
from typing import Final, NamedTuple

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_KEEPCAPS: Final = 8
_PR_SET_NAME: Final = 15
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_NET_BIND_SERVICE: Final = 10
_CAPABILITY_VERSION_3: Final = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class PrivilegesError(Exception):
    """User or group cannot be taken on; the message says which and why."""


class Identity(NamedTuple):
    """Numeric user and group, and the user's name for its supplementary groups ("" if it has no entry)."""

    uid: int
    gid: int
    user_name: str


def identity_of(user: str, group: str) -> Identity | None:
    """What `user` and `group` (names or numbers, "" for unset) mean for this process; None: stay as we are.

    Raises PrivilegesError for unknown names, and when only root could do it and we are not root.
    """
    if not user and not group:
        return None
    uid, gid, name = os.getuid(), os.getgid(), ""
    if user:
        uid, gid, name = _user(user)
    if group:
        gid = _group(group)
    if (uid, gid) == (os.getuid(), os.getgid()):
        return None
    if os.geteuid() != 0:
        raise PrivilegesError(f"only root can become user {user or uid!r}, group {group or gid!r}")
    return Identity(uid, gid, name)


def _user(text: str) -> tuple[int, int, str]:
    try:
        entry = pwd.getpwuid(int(text)) if text.isdigit() else pwd.getpwnam(text)
    except KeyError as error:
        if text.isdigit():
            return int(text), int(text), ""
        raise PrivilegesError(f"there is no user {text!r}") from error
    return entry.pw_uid, entry.pw_gid, entry.pw_name


def _group(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError as error:
        raise PrivilegesError(f"there is no group {text!r}") from error


def become(identity: Identity) -> None:
    """Take on the identity for good; keeps CAP_NET_BIND_SERVICE where we have it. Raises PrivilegesError."""
    try:
        if identity.user_name:
            os.initgroups(identity.user_name, identity.gid)
        else:
            os.setgroups([])
        os.setresgid(identity.gid, identity.gid, identity.gid)
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        raise PrivilegesError(f"cannot become user {identity.uid}: {error.strerror}") from error
    keep_bind_capability()


def keep_bind_capability() -> bool:
    """Reduce the capabilities of this process to CAP_NET_BIND_SERVICE; False if it does not have that."""
    return set_capabilities(1 << _CAP_NET_BIND_SERVICE) or not set_capabilities(0)


def set_capabilities(mask: int, inheritable: int = 0) -> bool:
    """Make `mask` the effective and permitted capabilities; False if the kernel refuses."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, inheritable & 0xFFFFFFFF, high, high, inheritable >> 32)
    return int(_libc.capset(header, data)) == 0


def pass_bind_capability_on() -> None:
    """Let the next exec of this process keep CAP_NET_BIND_SERVICE: the new master of a binary upgrade."""
    bit = 1 << _CAP_NET_BIND_SERVICE
    if os.geteuid() != 0 and set_capabilities(bit, inheritable=bit):
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_NET_BIND_SERVICE)


def forbid_new_privileges() -> bool:
    """From now on no exec of this process or its children can gain privileges. False if not possible."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(signal_number: int) -> None:
    """In a child: ask the kernel for this signal when the parent has died. Lost when the user id changes."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def name_process(name: str) -> None:
    """What `ps` and `top` show as the command; 15 bytes count."""
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def _prctl(option: int, argument: int, further: int = 0) -> bool:
    words = [ctypes.c_ulong(word) for word in (argument, further, 0, 0)]
    return int(_libc.prctl(option, *words)) == 0

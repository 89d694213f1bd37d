"""Who we become, and what is left of root. What changes the process happens in a child."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from master import privileges
from master.privileges import Identity, PrivilegesError, identity_of

# from Python 3.12 on a fork beside the threads of a test runner is warned about; our programs have none
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

NOBODY = 65532
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def in_a_child(work: Callable[[], object]) -> int:
    """Exit status of a child that does the work; 1 if it raises."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def status_field(name: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(name + ":"))


def test_nothing_asked_nothing_changes() -> None:
    assert identity_of("", "") is None
    assert identity_of(str(os.getuid()), str(os.getgid())) is None


@pytest.mark.parametrize(("user", "group"), [("no-such-user", ""), ("", "no-such-group")])
def test_unknown_names_are_refused(user: str, group: str) -> None:
    with pytest.raises(PrivilegesError, match="no-such"):
        identity_of(user, group)


@needs_root
def test_names_and_numbers() -> None:
    entry = pwd.getpwnam("nobody")
    assert identity_of("nobody", "") == Identity(entry.pw_uid, entry.pw_gid, "nobody")
    assert identity_of(str(entry.pw_uid), "0") == Identity(entry.pw_uid, 0, "nobody")
    assert identity_of(str(NOBODY), "") == Identity(NOBODY, NOBODY, "")
    group = grp.getgrgid(entry.pw_gid).gr_name
    assert identity_of("", group) == Identity(0, entry.pw_gid, "")


@needs_root
def test_others_cannot_become_anybody() -> None:
    def work() -> None:
        os.setuid(NOBODY)
        with pytest.raises(PrivilegesError, match="only root"):
            identity_of("0", "0")

    assert in_a_child(work) == 0


@needs_root
def test_only_the_right_to_bind_low_ports_is_kept() -> None:
    def work() -> None:
        privileges.become(Identity(NOBODY, NOBODY, ""))
        assert os.getresuid() == (NOBODY,) * 3
        assert os.getresgid() == (NOBODY,) * 3
        assert os.getgroups() == []
        assert int(status_field("CapEff"), 16) == 1 << 10
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.9", 81))
        privileges.set_capabilities(0)
        assert int(status_field("CapPrm"), 16) == 0
        with socket.socket() as sock, pytest.raises(PermissionError):
            sock.bind(("127.0.0.9", 81))

    assert in_a_child(work) == 0


@needs_root
def test_the_next_master_gets_the_right_and_other_programs_do_not() -> None:
    program = ["/bin/sh", "-c", "grep -q '^CapEff:.*0000000000000400$' /proc/self/status"]

    def exec_with(pass_on: bool) -> int:
        def work() -> None:
            privileges.become(Identity(NOBODY, NOBODY, ""))
            privileges.forbid_new_privileges()
            if pass_on:
                privileges.pass_bind_capability_on()
            os.execv(program[0], program)

        return in_a_child(work)

    assert exec_with(pass_on=True) == 0
    assert exec_with(pass_on=False) == 1


def test_no_new_privileges() -> None:
    def work() -> None:
        assert privileges.forbid_new_privileges()
        assert status_field("NoNewPrivs") == "1"

    assert in_a_child(work) == 0


def test_the_name_of_a_process() -> None:
    def work() -> None:
        privileges.name_process("pointsman:w255 and more")
        assert Path("/proc/self/comm").read_text() == "pointsman:w255 \n"

    assert in_a_child(work) == 0


def test_a_child_dies_with_its_parent() -> None:
    reading, writing = os.pipe()

    def parent() -> None:
        grandchild = os.fork()
        if grandchild == 0:
            privileges.die_with_parent(signal.SIGKILL)
            os.write(writing, b"x")
            signal.pause()
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)

    assert in_a_child(parent) == 0
    os.close(writing)
    # end-of-file comes when the grandchild, the last holder of the writing end, is dead
    assert os.read(reading, 1) == b""
    os.close(reading)

"""Children by fork and exec."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from master.spawn import describe_status, send_signal, spawn, wait_status
from tests.waiting import wait_until

# from Python 3.12 on a fork beside the threads of a test runner is warned about; our programs have none
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def run(program: str, *descriptors: int, **environ: str) -> int:
    pid = spawn((sys.executable, "-c", program), environ, descriptors)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_gets_the_named_descriptors_and_variables_only() -> None:
    reading, writing = os.pipe()
    other, _ = os.pipe()
    program = (
        "import os\n"
        f"os.write({writing}, os.environ['GIVEN'].encode())\n"
        "assert 'HOME' not in os.environ\n"
        f"try: os.fstat({other})\n"
        "except OSError: pass\n"
        "else: raise SystemExit(3)\n"
    )
    assert run(program, writing, GIVEN="value") == 0
    assert os.read(reading, 10) == b"value"
    for descriptor in (reading, writing, other, _):
        os.close(descriptor)


def test_signals_are_as_a_program_expects_them() -> None:
    program = (
        "import signal\n"
        "assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL\n"
    )
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        assert run(program) == 0
    finally:
        signal.signal(signal.SIGHUP, former)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_a_program_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    pid = spawn(("/no/such/program",), {}, ())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 127
    assert "cannot start /no/such/program" in capfd.readouterr().err


def test_waiting_and_signalling_by_pid() -> None:
    pid = spawn((sys.executable, "-c", "import signal; signal.pause()"), {}, ())
    assert wait_status(pid) is None
    send_signal(pid, signal.SIGKILL)
    status = wait_until(lambda: wait_status(pid))
    assert status is not None
    assert describe_status(status) == "was killed by SIGKILL"
    assert wait_status(pid) == 0, "one that is not ours counts as ended"
    send_signal(pid, signal.SIGKILL)


def test_exit_codes_in_words() -> None:
    assert describe_status(3 << 8) == "exited with code 3"
    assert describe_status(signal.SIGRTMIN + 1) == f"was killed by signal {signal.SIGRTMIN + 1}"

"""Sessions across forked workers, with real sockets and processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.process
def test_tickets_resume_across_forked_workers_and_never_across_options() -> None:
    """The third and later connections carry the newest ticket; the fourth brings one of another option."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.tls.forked_workers"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        [version, *row]
        for version in ("TLSv1_2", "TLSv1_3")
        for row in (
            ["a.test", 0, False, "default"],
            ["a.test", 1, True, "default"],
            ["a.test", 0, True, "default"],
            ["m.test", 1, False, "m"],
            ["m.test", 0, True, "m"],
        )
    ]

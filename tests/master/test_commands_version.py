"""`pointsman version`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from master.cli import cli


@pytest.mark.behaviour("OP-12")
def test_the_first_five_lines_answer_traefiks_and_all_are_aligned() -> None:
    result = CliRunner().invoke(cli, ["version"])
    lines = result.stdout.splitlines()
    labels = [line.partition(":")[0] for line in lines]
    assert result.exit_code == 0
    assert labels[:5] == ["Version", "Codename", "Python", "Built", "OS/Arch"]
    assert labels[5:] == ["HTTP parser", "gevent", "gunicorn"]
    assert all(line[13] == " " and line[14] != " " for line in lines)

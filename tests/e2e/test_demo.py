"""The demo as a newcomer meets it: real proxy, sample manifests, an edit, Ctrl-C."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from master.commands import samples
from tests.ports import PortReservation
from tests.waiting import wait_until

pytestmark = pytest.mark.process

SCRIPT = """
import functools, sys
from master.commands import demo
backends = [("127.0.0.1", int(sys.argv[1])), ("127.0.0.2", int(sys.argv[2]))]
demo.demo = functools.partial(demo.demo, backends=backends)
demo.command(sys.argv[3:])
"""


def ask(port: int, host: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def answers(port: int) -> set[str]:
    """Which backends answered in a handful of requests."""
    bodies = (ask(port, "whoami.localhost")[1] for _ in range(8))
    return set(re.findall(r"^Name: (\S+)$", "\n".join(bodies), re.MULTILINE))


def test_the_samples_are_served_an_edit_is_live_and_nothing_stays_behind(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    port, api_port, first = free_ports(3)
    text = samples.WHOAMI.replace("9101", str(first))
    with PortReservation("127.0.0.2") as second:
        sample = tmp_path / samples.FILE_NAME
        sample.write_text(text.replace("9102", str(second.port)))
        arguments = [str(first), str(second.port), "--directory", str(tmp_path)]
        arguments += ["--port", str(port), "--api-port", str(api_port)]
        output = (tmp_path / "output").open("w+")
        with (
            output,
            subprocess.Popen(
                [sys.executable, "-u", "-c", SCRIPT, *arguments], stdout=output, stderr=subprocess.STDOUT
            ) as child,
        ):
            try:
                shown = (tmp_path / "output").read_text
                wait_until(lambda: "+ service" in shown() or child.poll() is not None, 60, what="the first lines")
                assert f"curl -H 'Host: whoami.localhost' http://127.0.0.1:{port}/" in shown()
                assert answers(port) == {"whoami-1", "whoami-2"}
                sample.write_text(sample.read_text().replace("Host(`whoami.localhost`)", "Host(`new.localhost`)"))
                wait_until(lambda: "Host(`new.localhost`) -> " in shown(), what="the line of the change")
                wait_until(lambda: ask(port, "new.localhost")[0] == 200, what="the new route")
                assert ask(port, "whoami.localhost")[0] == 404
            finally:
                child.send_signal(signal.SIGINT)
                code = child.wait(30)
        assert code == 0

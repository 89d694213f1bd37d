"""The whoami backend: what it tells, and that connections stay usable after any request."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from master.cli import cli
from master.commands.whoami import WhoamiServer


@pytest.fixture
def server() -> Iterator[WhoamiServer]:
    server = WhoamiServer("127.0.0.1", 0, "one")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def connection(server: WhoamiServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()


def test_the_answer_shows_who_was_asked_what(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/a?b=c", headers={"X-Test": "yes"})
    assert connection.sock is not None
    host, port = connection.sock.getsockname()
    assert connection.getresponse().read().decode().splitlines() == [
        "Name: one",
        f"Hostname: {socket.gethostname()}",
        "IP: 127.0.0.1",
        f"RemoteAddr: {host}:{port}",
        "GET /a?b=c HTTP/1.1",
        f"Host: 127.0.0.1:{connection.port}",
        "Accept-Encoding: identity",
        "X-Test: yes",
    ]


def test_bodies_are_read_so_that_the_connection_lives_on(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/length", body=b"x" * 100_000)
    assert b"POST /length" in connection.getresponse().read()
    connection.request("PUT", "/chunks", body=iter([b"one", b"two"]), encode_chunked=True)
    assert b"PUT /chunks" in connection.getresponse().read()
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/last")
    assert b"GET /last" in connection.getresponse().read()


def test_a_malformed_body_is_refused(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/", body=b"x", headers={"Content-Length": "many"})
    assert connection.getresponse().status == 400


def test_a_taken_port_is_told(server: WhoamiServer) -> None:
    result = CliRunner().invoke(cli, ["whoami", "--port", str(server.server_port)])
    assert result.exit_code == 1
    assert "cannot listen on 127.0.0.1" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_cleanly(number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "master", "whoami", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b"whoami listens on http://127.0.0.1:")
        child.send_signal(number)
        assert child.wait(15) == 0
        assert child.stderr.read() == b""

"""`pointsman healthcheck` against a small server in place of a running Pointsman."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from master.cli import cli


class PingHandler(BaseHTTPRequestHandler):
    status = 200
    seen: list[str]

    def do_HEAD(self) -> None:
        self.seen.append(self.requestline)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def ping() -> Iterator[tuple[type[PingHandler], int]]:
    class Handler(PingHandler):
        seen: list[str] = []

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Handler, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


def healthcheck(*flags: str) -> Result:
    return CliRunner().invoke(cli, ["healthcheck", *flags])


@pytest.mark.behaviour("OP-13")
def test_a_living_process_is_well(ping: tuple[type[PingHandler], int]) -> None:
    handler, port = ping
    result = healthcheck("--ping", f"--entrypoints.traefik.address=127.0.0.1:{port}/tcp")
    assert (result.exit_code, result.stdout) == (0, f"OK: http://127.0.0.1:{port}/ping\n")
    assert handler.seen == ["HEAD /ping HTTP/1.1"]


def test_an_address_without_host_is_asked_on_this_machine(ping: tuple[type[PingHandler], int]) -> None:
    result = healthcheck("--ping.entrypoint=web", f"--entrypoints.web.address=:{ping[1]}")
    assert (result.exit_code, result.stdout) == (0, f"OK: http://:{ping[1]}/ping\n")


@pytest.mark.parametrize(
    ("status", "words"), [(503, "503 Service Unavailable"), (204, "204 No Content"), (599, "599")]
)
def test_another_status_is_bad(ping: tuple[type[PingHandler], int], status: int, words: str) -> None:
    handler, port = ping
    handler.status = status
    result = healthcheck("--ping", f"--entrypoints.traefik.address=127.0.0.1:{port}")
    assert (result.exit_code, result.stdout) == (1, f"Bad healthcheck status: {words}\n")


@pytest.mark.behaviour("OP-13")
def test_a_stopped_process_is_not_well(free_port: int) -> None:
    result = healthcheck("--ping", f"--entrypoints.traefik.address=127.0.0.1:{free_port}")
    assert result.exit_code == 1
    assert result.stdout == (
        f'Error calling healthcheck: Head "http://127.0.0.1:{free_port}/ping": Connection refused\n'
    )


@pytest.mark.behaviour("OP-13")
def test_without_ping_there_is_nothing_to_ask() -> None:
    result = healthcheck("--api")
    told = "Error calling healthcheck: please enable `ping` to use health check\n"
    assert (result.exit_code, result.stdout) == (1, told)


def test_a_missing_entry_point_is_named() -> None:
    result = healthcheck("--ping.entrypoint=gone")
    told = "Error calling healthcheck: ping: missing gone entry point\n"
    assert (result.exit_code, result.stdout) == (1, told)


def test_a_malformed_address_is_told() -> None:
    result = healthcheck("--ping", "--entrypoints.traefik.address=8080")
    assert result.exit_code == 1
    assert "missing port in address '8080'" in result.stdout

"""Static configuration read by the real Traefik and by us: the same sources must say the same.

`traefik healthcheck` reads its configuration, derives the ping entry point and tells the address it asks, so one
short run shows whether a source was accepted and what came of it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from config.static_errors import StaticError
from config.static_load import load

pytestmark = pytest.mark.differential

WEB: Final = "--entryPoints.web.address=127.0.0.1:1"
FLAGS: Final = [
    [],
    ["--ping", "--entrypoints.traefik.address=127.0.0.1:1"],
    ["-PING"],
    ["--ping=TRUE", "--api.insecure=F"],
    ["--ping=false", "--ping.entrypoint=web"],
    ["--ping", "--ping.entrypoint=web", WEB],
    ["--ping", "--ping.entrypoint", "web", WEB],
    ["--ping", "--ping.entrypoint=Web", "--entryPoints.Web.address=127.0.0.1:1", "--entrypoints.web.asdefault"],
    ["--ping", "--ping.entrypoint=web", "--entryPoints.Web.address=127.0.0.1:1"],
    ["--ping", "--ping.entrypoint=a", "--ping.entrypoint=web", WEB],
    ["--ping", "--entrypoints.web.transport"],
    ["--ping", "--entrypoints.web"],
    ["--ping", "--entrypoints=web"],
    ["--ping", "--log"],
    ["--ping", "--providers"],
    ["--ping", "--providers.kubernetescrd"],
    ["--ping", "--foo.bar=1"],
    ["--ping", "--ping.port=1"],
    ["--ping", "--api.insecure=yes"],
    ["--ping", "--api.insecure="],
    ["--ping", "--api.insecure=t"],
    ["--ping", "--serversTransport.maxIdleConnsPerHost", "-1"],
    ["--ping", "--serversTransport.maxIdleConnsPerHost=1_0"],
    ["--ping", "--serversTransport.maxIdleConnsPerHost=0x10"],
    ["--ping", "--ping.terminatingStatusCode=+205"],
    ["--ping", "--providers.providersThrottleDuration=5d"],
    ["--ping", "--providers.providersThrottleDuration=1.5"],
    ["--ping", "--providers.providersThrottleDuration=1m30s"],
    ["--ping", "--providers.providersThrottleDuration="],
    ["--ping", "--log.level="],
    ["--ping", "--log.level"],
    ["--ping", "---x"],
    ["--ping", "--=x"],
]
VARIABLES: Final = [
    {"TRAEFIK_PING": "true"},
    {"TRAEFIK_PING": ""},
    {"TRAEFIK_PING": "false"},
    {"traefik_ping": "true"},
    {"TRAEFIK_PING": "true", "TRAEFIK_SERVICE_HOST": "x", "TRAEFIK_USER": "x"},
    {"TRAEFIK_PING": "true", "TRAEFIK_API_SERVICE_HOST": "x"},
    {"TRAEFIK_PING_ENTRYPOINT": "web", "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS": "127.0.0.1:1"},
    {"TRAEFIK_PING_ENTRYPOINT": "WEB", "TRAEFIK_ENTRYPOINTS_WEB_ADDRESS": "127.0.0.1:1"},
]
FILES: Final = [
    ("c.yml", "ping: {}"),
    ("c.yml", "ping:\napi: {}"),
    ("c.yml", "ping: true"),
    ("c.yml", 'PING: "true"'),
    ("c.yml", "ping: {}\nlog: {levle: x}"),
    ("c.yml", "ping: {}\nping: {}"),
    ("c.yml", "ping: {entryPoint: web}\nentryPoints: {web: {address: '127.0.0.1:1'}}"),
    ("c.yml", "base: &b {address: '127.0.0.1:1'}\nping: {entryPoint: web}\nentryPoints: {web: {<<: *b}}"),
    ("c.yml", "ping: {}\nserversTransport: {insecureSkipVerify: yes}"),
    ("c.yml", "ping: {}\nserversTransport: {forwardingTimeouts: {dialTimeout: 1.5}}"),
    ("c.yml", "ping: {}\nproviders: {kubernetesCRD: {namespaces: [a, [b]]}}"),
    ("c.yml", "ping: {}\nproviders: {kubernetesCRD: {namespaces: 'a,b'}}"),
    ("c.yml", "ping: {}\nlog: {level: {a: b}}"),
    ("c.yml", ""),
    ("c.toml", "[ping]"),
    ("c.toml", "ping = true"),
    ("c.toml", "ping = "),
    ("c.json", '{"ping": {}}'),
    ("c.txt", "ping: {}"),
]
# Where ours is stricter on purpose, the original goes on; see docs/compatibility.md.
STRICTER: Final = {"base: &b"}


@pytest.fixture(scope="module")
def traefik() -> str:
    beside = shutil.which("traefik", path=str(Path(sys.executable).parent))
    program = beside or shutil.which("traefik")
    if program is None:
        pytest.skip("needs the real Traefik (extra: peers)")
    return program


def theirs(program: str, arguments: list[str], environ: dict[str, str], cwd: Path) -> str:
    """`refused`, `off`, `missing <entry point>` or the address that was asked."""
    done = subprocess.run(
        [program, "healthcheck", *arguments],
        env={**environ, "HOME": str(cwd)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if "Command error" in done.stdout + done.stderr:
        return "refused"
    if "please enable `ping`" in done.stdout:
        return "off"
    missing = re.search(r"ping: missing (\S*) entry point", done.stdout)
    asked = re.search(r'Head "http://(\S*)/ping"', done.stdout)
    assert missing or asked, done
    return f"missing {missing[1]}" if missing else asked[1] if asked else ""


def ours(arguments: list[str], environ: dict[str, str], cwd: Path) -> str:
    try:
        static = load(arguments, environ, cwd, system=cwd, validate=False).static
    except StaticError:
        return "refused"
    if static.ping is None:
        return "off"
    point = static.entry_points.get(static.ping.entry_point)
    return point.address if point else f"missing {static.ping.entry_point}"


@pytest.mark.parametrize("arguments", FLAGS, ids=" ".join)
def test_flags(traefik: str, tmp_path: Path, arguments: list[str]) -> None:
    assert ours(arguments, {}, tmp_path) == theirs(traefik, arguments, {}, tmp_path)


@pytest.mark.parametrize("environ", VARIABLES, ids=str)
def test_variables(traefik: str, tmp_path: Path, environ: dict[str, str]) -> None:
    assert ours([], environ, tmp_path) == theirs(traefik, [], environ, tmp_path)


@pytest.mark.parametrize(("name", "text"), FILES)
def test_files(traefik: str, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    arguments = [f"--configFile={tmp_path / name}"]
    expected = "refused" if any(mark in text for mark in STRICTER) else theirs(traefik, arguments, {}, tmp_path)
    assert ours(arguments, {}, tmp_path) == expected

"""Traefik's option tree as data: complete, and spelled as our structs spell it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from config.static_known import is_removed, walk
from config.static_schema import leaves, root

OURS = ("workers", "user", "group", "pidFile", "providers.manifests", "providers.manifests.directory")
OURS_BELOW = "providers.kubernetesCRD.report"


def test_our_options_are_traefiks_but_for_our_additions() -> None:
    for path, _ in ((path.replace("[n]", ".0"), leaf) for path, leaf in leaves(root())):
        spelled, _ = walk(path.split("."))
        assert path.startswith(OURS_BELOW) or path in OURS or ".".join(spelled) == path


def test_a_walk_ends_where_traefik_knows_no_more() -> None:
    assert walk(["METRICS", "prometheus", "nothing", "x"])[0] == ["metrics", "prometheus"]
    assert walk(["entrypoints", "Web", "HTTP", "tls", "domains", "0", "SANs"])[0] == [
        *("entryPoints", "Web", "http", "tls", "domains", "0", "sans")
    ]


def test_removed_options_cover_what_is_below_them() -> None:
    assert is_removed(["Pilot", "token"])
    assert is_removed(["providers", "docker", "swarmmode"])
    assert not is_removed(["providers", "docker"])


@pytest.mark.differential
def test_every_flag_that_traefik_lists_is_known() -> None:
    program = shutil.which("traefik", path=str(Path(sys.executable).parent)) or shutil.which("traefik")
    if program is None:
        pytest.skip("needs the real Traefik (extra: peers)")
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    flags = re.findall(r"^ {4}--(\S+)", text, re.MULTILINE)
    assert len(flags) > 500
    for flag in flags:
        path = flag.replace("[n]", ".0").split(".")
        assert flag == "configfile" or len(walk(path)[0]) == len(path), f"{flag} is not known"

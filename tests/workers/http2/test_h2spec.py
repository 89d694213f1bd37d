"""The conformance test of others: h2spec with every strict case, against an entry point with TLS and without.

Needs the program that `tests/h2spec/build.sh` builds (`make h2spec`); its path in POINTSMAN_H2SPEC.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gevent import subprocess

from tests.playbook import Stage
from tests.workers.secure import engine, table
from workers.exchange import Exchange

CASES = 146
NOT_OVER_PLAINTEXT = {"Sends invalid connection preface"}
"""There it is an HTTP/1 request line, and answered as such."""


def handler(exchange: Exchange) -> None:
    while exchange.read_body():
        pass
    exchange.respond(200, ((b"Content-Type", b"text/plain"),), b"hello")


@pytest.fixture
def program() -> str:
    path = os.environ.get("POINTSMAN_H2SPEC", "")
    if not path or not Path(path).is_file():
        pytest.skip("POINTSMAN_H2SPEC names no h2spec (make h2spec builds one)")
    return path


@pytest.mark.h2spec
@pytest.mark.parametrize("flags", [["-t", "-k"], []], ids=["tls", "plaintext"])
def test_every_case(program: str, flags: list[str], tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    with Stage(handler=handler, tls=engine(), tls_table=table()) as stage:
        command = [program, "-h", "127.0.0.1", "-p", str(stage.port), "--strict", "-o", "5", "-j", str(report)]
        subprocess.run([*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        assert not stage.log
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = {
        case.get("classname", "")
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(cases) == CASES
    assert failed <= (NOT_OVER_PLAINTEXT if not flags else set())

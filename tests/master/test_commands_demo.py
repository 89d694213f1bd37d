"""The demo around a scripted proxy: folders, ports, printed changes, endings."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from config.static_load import from_mapping
from master.commands import samples
from master.commands.demo import demo, prepare, settings
from master.commands.demo_proxy import ProxyEnded
from master.commands.whoami import WhoamiServer
from tests.master import scripted_proxy
from tests.ports import PortReservation

ROOT = Path(__file__).resolve().parents[2]
ONE = {"routers": {"a@kubernetescrd": {"rule": "Host(`a`)", "service": "s"}}}
TWO = {"routers": {"a@kubernetescrd": {"rule": "Host(`b`)", "service": "s"}}}


def program(*answers: object) -> list[str]:
    return [sys.executable, scripted_proxy.__file__, json.dumps(answers)]


def test_the_packaged_sample_is_the_one_in_the_source_tree() -> None:
    assert (ROOT / "etc" / "samples" / samples.FILE_NAME).read_text() == samples.WHOAMI


def objects(text: str) -> list[tuple[str, str]]:
    documents = [document for document in yaml.safe_load_all(text) if document]
    return [(document["kind"], document["metadata"]["name"]) for document in documents]


def test_the_sample_names_the_backends_that_the_demo_starts() -> None:
    slices = [one for one in yaml.safe_load_all(samples.WHOAMI) if one and one["kind"] == "EndpointSlice"]
    named = [(one["endpoints"][0]["addresses"][0], one["ports"][0]["port"]) for one in slices]
    assert tuple(named) == samples.BACKENDS


def test_the_commented_route_can_be_uncommented() -> None:
    before = objects(samples.WHOAMI)
    commented = samples.WHOAMI[samples.WHOAMI.index("#---") :].partition("\n\n")[0]
    opened = "\n".join(line[1:] for line in commented.splitlines())
    after = objects(samples.WHOAMI.replace(commented, opened))
    assert ("IngressRoute", "hello") not in before
    assert sorted([*before, ("IngressRoute", "hello")]) == sorted(after)


def test_samples_are_written_only_where_there_are_no_manifests(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    prepare(folder)
    sample = folder / samples.FILE_NAME
    assert sample.read_text() == samples.WHOAMI
    sample.write_text("# mine")
    prepare(folder)
    assert sample.read_text() == "# mine"
    sample.rename(folder / "other.yml")
    prepare(folder)
    assert not sample.exists()


def test_the_proxys_settings_are_a_valid_configuration(tmp_path: Path) -> None:
    static = from_mapping(settings(tmp_path, 8000, 8080, 2))
    assert static.entry_points["web"].address == "127.0.0.1:8000"
    assert static.providers.manifests is not None
    assert static.providers.manifests.directory == str(tmp_path)


def test_changes_are_printed_until_the_proxy_ends(
    tmp_path: Path, free_ports: Callable[[int], list[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    port, api_port, backend = free_ports(3)
    script = program(ONE, ONE, ONE, TWO, TWO, None)
    with pytest.raises(ProxyEnded, match="exit code 3"):
        demo(tmp_path, port, api_port, 2, [("127.0.0.1", backend)], script)
    greeting, _, lines = capsys.readouterr().out.partition("Ctrl-C ends the demo.\n")
    assert f"curl -H 'Host: whoami.localhost' http://127.0.0.1:{port}/" in greeting
    assert [line[9:] for line in lines.splitlines() if line] == [
        "+ router a@kubernetescrd  Host(`a`) -> s",
        "~ router a@kubernetescrd  Host(`b`) -> s",
    ]


def test_a_proxy_that_does_not_start_is_told(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> None:
    port, api_port, backend = free_ports(3)
    failing = [sys.executable, "-c", "raise SystemExit(1)"]
    with pytest.raises(ProxyEnded, match="exit code 1"):
        demo(tmp_path, port, api_port, 2, [("127.0.0.1", backend)], failing)


def test_a_taken_backend_port_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with WhoamiServer("127.0.0.1", 0) as taken, pytest.raises(SystemExit):
        demo(tmp_path, 1, 2, 2, [("127.0.0.1", taken.server_port)], program(ONE))
    assert f"the demo needs port {taken.server_port} of 127.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_demo_backends_and_proxy(tmp_path: Path, number: signal.Signals) -> None:
    with PortReservation() as port, PortReservation() as api:
        script = (
            "import functools, sys\n"
            "from master.commands import demo\n"
            "backends = [('127.0.0.1', 0), ('127.0.0.2', 0)]\n"
            f"demo.demo = functools.partial(demo.demo, backends=backends, program={program(ONE)!r})\n"
            "demo.command(sys.argv[1:])\n"
        )
        arguments = ["--directory", str(tmp_path), "--port", str(port.port), "--api-port", str(api.port)]
        with subprocess.Popen(
            [sys.executable, "-u", "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            while b"+ router" not in (line := child.stdout.readline()):
                assert line, child.stderr.read()
            child.send_signal(number)
            assert child.wait(30) == 0
            assert child.stderr.read() == b""

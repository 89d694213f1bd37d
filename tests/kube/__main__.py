"""`python -m tests.kube`: the server as a process of its own; its URL is the first line of output.

Ends on SIGTERM, SIGINT, or when `--until-stdin-closes` is given and its standard input ends, so that it
never outlives the benchmark that started it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from .server import KubeServer


def main() -> int:
    options = _parser().parse_args()
    server = KubeServer(
        host=options.host,
        port=options.port,
        token=options.token,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
    )
    for path in sorted(options.manifests.rglob("*.y*ml")) if options.manifests else ():
        server.apply(path.read_text(encoding="utf-8"))
    server.serve_control()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.until_stdin_closes:
        threading.Thread(target=_watch_stdin, args=(ended,), daemon=True).start()
    with server:
        print(server.url, flush=True)
        ended.wait()
    return 0


def _watch_stdin(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kube", description="An in-memory Kubernetes API server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--manifests", type=Path, help="folder of YAML files to start with")
    parser.add_argument("--token", help="bearer token to demand")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the standard input")
    return parser


if __name__ == "__main__":
    sys.exit(main())

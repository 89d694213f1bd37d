"""Stands in for the demo's proxy: takes its arguments, answers its API from a script, ends when told.

The script is JSON: for each look at /api/rawdata the answer, the last one repeated; `null` ends the process with
exit code 3. Before the first look, /ready is refused twice.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any


def main(script: str, command: str, flag: str) -> None:
    answers: list[Any] = json.loads(script)
    refusals = [503, 503]
    settings = json.loads(Path(flag.removeprefix("--configFile=")).read_text())
    host, _, port = settings["entryPoints"]["traefik"]["address"].rpartition(":")
    assert command == "run"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/ready":
                self.answer(refusals.pop() if refusals else 200, b"OK")
                return
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if answer is None:
                os._exit(3)
            self.answer(200, json.dumps(answer).encode())

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    HTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

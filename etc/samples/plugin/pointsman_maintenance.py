"""Maintenance mode: everybody is told to come back later, except who knows the word.

    apiVersion: traefik.io/v1alpha1
    kind: Middleware
    metadata: {name: closed, namespace: default}
    spec:
      plugin:
        maintenance:
          text: We are back at noon.
          retryAfterSeconds: 600
          word: "urn:k8s:secret:maintenance:word"

The word is sent in the header X-Maintenance-Word; without a word nobody passes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from workers.exchange import Exchange, Handler, ResponseHead

_HEADER = b"x-maintenance-word"


def build(options: dict[str, Any], name: str) -> Callable[[Handler], Handler]:
    """Called once for each router that uses the middleware. A ValueError disables that router and is shown."""
    unknown = options.keys() - {"text", "retryAfterSeconds", "word"}
    if unknown:
        raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
    body = str(options.get("text", "Under maintenance")).encode() + b"\n"
    headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
    if "retryAfterSeconds" in options:
        headers.append((b"Retry-After", b"%d" % int(options["retryAfterSeconds"])))
    word = str(options.get("word", "")).encode()

    def wrap(inner: Handler) -> Handler:
        def handle(exchange: Exchange) -> None:
            given = exchange.request.header_values(_HEADER)
            if not (word and given and hmac.compare_digest(given[0], word)):
                exchange.respond(503, headers, body)
                return
            exchange.request.headers = [one for one in exchange.request.headers if one[0].lower() != _HEADER]
            exchange.add_hook(_mark)
            inner(exchange)

        return handle

    return wrap


def _mark(exchange: Exchange, head: ResponseHead) -> None:
    """Runs when the answer's head is about to go out; it may change it."""
    head.headers.append((b"X-Maintenance", b"bypassed"))

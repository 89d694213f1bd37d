"""The standard gRPC health service (grpc.health.v1) without generated code."""

from __future__ import annotations

from concurrent import futures
from types import TracebackType
from typing import Any, Self

import grpc


class HealthService:
    """Answers Check with the status `answer` (1 is SERVING), or with an error where that is None.

    A context manager; `port` is where it listens, `asked` how often it was.
    """

    def __init__(self) -> None:
        self.answer: int | None = 1
        self.asked = 0
        self._server: Any = grpc.server(futures.ThreadPoolExecutor(4))
        handlers = {"Check": grpc.unary_unary_rpc_method_handler(self._check)}
        handler = grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)
        self._server.add_generic_rpc_handlers((handler,))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    def _check(self, message: bytes, context: Any) -> bytes:
        self.asked += 1
        if self.answer is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return b"\x08" + bytes([self.answer or 0])

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()

"""A gRPC server without generated code: bytes in, bytes out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from types import TracebackType
from typing import Any, Self

import grpc


class GrpcEcho:
    """`/test.Echo/Unary` answers with its message twice, `/test.Echo/Stream` with each as it comes,
    `/test.Echo/Fail` with the status FAILED_PRECONDITION, `/test.Echo/Hang` never. A context manager; `port` is
    where it listens, `given_up` is set when a client of `Hang` has gone."""

    def __init__(self) -> None:
        self.hangs, self.given_up = threading.Event(), threading.Event()
        self._server: Any = grpc.server(futures.ThreadPoolExecutor(4))
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(_unary),
            "Stream": grpc.stream_stream_rpc_method_handler(_stream),
            "Hang": grpc.unary_unary_rpc_method_handler(self._hang),
            "Fail": grpc.unary_unary_rpc_method_handler(_fail),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0).wait()

    def _hang(self, message: bytes, context: Any) -> bytes:
        if not context.add_callback(self.given_up.set):
            self.given_up.set()
        self.hangs.set()
        self.given_up.wait(30)
        return message


def _unary(message: bytes, context: Any) -> bytes:
    context.set_trailing_metadata((("x-seen", context.peer().split(":")[0]),))
    return message * 2


def _stream(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
    yield from messages


def _fail(message: bytes, context: Any) -> bytes:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")
    raise AssertionError

"""Steady load from keep-alive connections, each of which notices every answer that is not the expected one."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from types import TracebackType
from typing import Self


class Load:
    """`connections` threads that ask without pause for the length of the block.

    `answers` counts statuses; `failures` names everything else that happened to a request. A connection that the
    server closed between two requests (it announced so) is opened again, which is no failure.
    """

    def __init__(self, port: int, host: str, connections: int = 4, path: str = "/") -> None:
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.done = threading.Event()
        self._target = (port, host, path)
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        port, host, path = self._target
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while not self.done.is_set():
            try:
                connection.request("GET", path, headers={"Host": host})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.failures.append(repr(error))
            else:
                with self._lock:
                    self.answers[answer.status] += 1
        connection.close()

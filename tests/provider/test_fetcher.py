"""Objects whose content was dropped are read again one by one."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.static_providers import KubernetesCRD
from provider.kube.api import Api
from provider.kube.connection import configure
from provider.kube.fetcher import Fetched, Fetcher
from provider.resources.core import Secret, Unread
from provider.resources.kinds import ObjectKey
from tests.kube import KubeServer
from tests.provider.support import secret
from tests.waiting import wait_until

KEY = ObjectKey("Secret", "default", "s")
WAIT_SECONDS = 20


@contextmanager
def fetching(
    server: KubeServer, is_read: Callable[[ObjectKey], bool] = lambda key: True
) -> Iterator[tuple[Fetcher, queue.SimpleQueue[Fetched]]]:
    delivered: queue.SimpleQueue[Fetched] = queue.SimpleQueue()
    api = Api(configure(KubernetesCRD(endpoint=server.url), {}), "0")
    fetcher = Fetcher(api, delivered.put, is_read)
    fetcher.start()
    try:
        yield fetcher, delivered
    finally:
        assert fetcher.stop(WAIT_SECONDS)
        api.close()


def test_one_object_by_name() -> None:
    with KubeServer() as server, fetching(server) as (fetcher, delivered):
        server.apply(secret("s", a="b"))
        server.apply(secret("other", a="c"))
        fetcher.ask([KEY])
        fetched = delivered.get(timeout=WAIT_SECONDS)
        assert fetched.key == KEY
        assert isinstance(fetched.resource, Secret)
        assert fetched.resource.data == {"a": b"b"}


def test_what_is_not_there_or_not_for_us_is_none() -> None:
    helms = secret("s", a="b")
    helms["metadata"]["labels"] = {"owner": "helm"}
    with KubeServer() as server, fetching(server) as (fetcher, delivered):
        for prepare in (lambda: None, lambda: server.apply(helms), lambda: server.forbid("Secret")):
            prepare()
            fetcher.ask([KEY])
            assert delivered.get(timeout=WAIT_SECONDS) == Fetched(KEY, None)


def test_trouble_is_waited_out() -> None:
    with KubeServer() as server, fetching(server) as (fetcher, delivered):
        server.apply(secret("s", a="b"))
        with server.outage(503):
            fetcher.ask([KEY])
            fetcher.ask([KEY])
            wait_until(lambda: server.requests)
        assert isinstance(delivered.get(timeout=WAIT_SECONDS).resource, Secret)
        assert delivered.empty(), "asked for twice, fetched once"


def test_what_nobody_wants_any_more_is_given_up() -> None:
    with KubeServer() as server, fetching(server, lambda key: False) as (fetcher, delivered):
        fetcher.ask([KEY])
        assert isinstance(delivered.get(timeout=WAIT_SECONDS).resource, Unread)

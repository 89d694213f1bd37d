"""Lost datagrams are counted, and told without flooding the log."""

from __future__ import annotations

import logging

import pytest

from workers.udp.drops import REPORT_SECONDS, Drop, Drops


def test_the_log_hears_at_once_and_then_in_sums(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    drops = Drops("dns", logging.getLogger("udp"), lambda: now[0])
    drops.count(Drop.NO_ROUTER)
    for _ in range(100):
        drops.count(Drop.NO_ROUTER)
        drops.count(Drop.NO_SERVER, 2)
    assert len(caplog.records) == 1
    now[0] = REPORT_SECONDS
    drops.count(Drop.NO_SERVER)
    assert [record.getMessage() for record in caplog.records] == [
        "entry point dns: 1 datagrams dropped (1: no router for the entry point)",
        "entry point dns: 301 datagrams dropped "
        "(201: no server for the session, 100: no router for the entry point)",
    ]
    drops.report()
    assert len(caplog.records) == 2
    assert drops.counts[Drop.NO_ROUTER] == 101

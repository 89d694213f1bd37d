"""What the load generators' reports say."""

from __future__ import annotations

from benchmarks.http2 import parse_h2load
from benchmarks.load import Load, parse_wrk

WRK = """\
Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.10ms    1.20ms   9.00ms   90.00%
  Latency Distribution
     50%  750.00us
     75%    1.00ms
     90%    2.00ms
     99%    1.50s
  80000 requests in 2.00s, 10.00MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  40000.50
"""
H2LOAD = """\
finished in 2.00s, 30000.00 req/s, 2.00MB/s
requests: 60010 total, 60010 started, 60010 done, 60000 succeeded, 3 failed, 1 errored, 0 timeout
status codes: 60000 2xx, 1 3xx, 2 4xx, 4 5xx
                     min         max         mean         sd        +/- sd
time for request:      300us      5.00ms       900us       100us    90.00%
"""


def test_wrk() -> None:
    assert parse_wrk(WRK) == Load(80000, 40000.5, 0.75, 1500.0, 15)


def test_wrk_without_failures() -> None:
    lines = [line for line in WRK.splitlines() if "errors" not in line and "Non-2xx" not in line]
    assert parse_wrk("\n".join(lines)).failed == 0


def test_h2load() -> None:
    assert parse_h2load(H2LOAD) == Load(60000, 30000.0, 0.9, 5.0, 10)

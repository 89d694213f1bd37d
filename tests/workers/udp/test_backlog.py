"""What waits is bounded for a session and for all of them."""

from __future__ import annotations

from workers.udp.backlog import MOST_BYTES, MOST_DATAGRAMS, OVERHEAD_BYTES, Backlog, Budget


def test_in_and_out_in_order() -> None:
    budget = Budget()
    backlog = Backlog(budget)
    assert (backlog.keep(b"a"), backlog.keep(b"b")) == (0, 0)
    assert budget.used == 2 + 2 * OVERHEAD_BYTES
    assert (backlog.take(), backlog.take(), backlog.take()) == (b"a", b"b", None)
    assert budget.used == 0


def test_the_oldest_give_way() -> None:
    backlog = Backlog(Budget())
    assert sum(backlog.keep(b"%d" % number) for number in range(MOST_DATAGRAMS + 2)) == 2
    assert backlog.take() == b"2"
    large = Backlog(Budget())
    dropped = [large.keep(bytes(MOST_BYTES // 3)) for _ in range(3)]
    assert dropped == [0, 0, 1]


def test_the_budget_of_all_counts_too() -> None:
    budget = Budget(limit=2 * (100 + OVERHEAD_BYTES))
    one, two = Backlog(budget), Backlog(budget)
    assert [one.keep(bytes(100)), one.keep(bytes(100))] == [0, 0]
    assert two.keep(bytes(100)) == 1, "it does not take from others"
    assert len(two) == 0
    one.clear()
    assert budget.used == 0
    assert two.keep(bytes(100)) == 0

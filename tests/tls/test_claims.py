"""The book of claims: what changed is what would have come out of deciding anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tls.claims import Fall, OptionBook
from tls.selection import OptionClaim, assign_options

HOSTS = ("a.test", "A.test.", "b.test", "*.test", "*", "x.a.test")
ASKED = ("a.test", "b.test", "c.test", "x.a.test", "elsewhere", "")

claims = st.builds(
    lambda hosts, option: OptionClaim("", tuple(hosts), option),
    st.lists(st.sampled_from(HOSTS), max_size=3),
    st.sampled_from(("default", "strict", "mtls")),
)
changes = st.dictionaries(st.sampled_from("rstuv"), st.none() | claims, max_size=4)


@given(st.lists(changes, max_size=6))
def test_a_book_kept_up_to_date_is_one_made_anew(steps: list[dict[str, OptionClaim | None]]) -> None:
    book, present = OptionBook(), dict[str, OptionClaim]()
    for step in steps:
        before = book.fallen
        named = {router: claim and claim._replace(router=router) for router, claim in step.items()}
        book, turned = book.replaced(named)
        for router, claim in named.items():
            if claim is None:
                present.pop(router, None)
            else:
                present[router] = claim
        whole = assign_options(present.values())
        assert book.fallen.keys() == whole.fallen.keys()
        assert {name: book.hosts.find(name) for name in ASKED} == {n: whole.hosts.find(n) for n in ASKED}
        assert len(book.hosts) == len(whole.hosts)
        assert book.hostless == sum(not claim.hosts for claim in present.values())
        assert turned == {r for r in before.keys() | book.fallen.keys() if before.get(r) is not book.fallen.get(r)}


def test_the_reason_of_a_fall() -> None:
    book, turned = OptionBook().replaced(
        {
            "hostless": OptionClaim("hostless", (), "strict"),
            "hostless-default": OptionClaim("hostless-default", (), "default"),
            "one": OptionClaim("one", ("a",), "strict"),
            "two": OptionClaim("two", ("a",), "default"),
            "alone": OptionClaim("alone", ("b",), "strict"),
        }
    )
    assert book.fallen == {"hostless": Fall.NO_HOST, "one": Fall.CONFLICT, "two": Fall.CONFLICT}
    assert turned == book.fallen.keys()
    assert (book.hosts.find("a"), book.hosts.find("b")) == ("default", "strict")


def test_a_quarrel_that_ends_gives_the_option_back() -> None:
    book, _ = OptionBook().replaced(
        {"one": OptionClaim("one", ("a", "b"), "strict"), "two": OptionClaim("two", ("a",), "default")}
    )
    assert book.hosts.find("b") == "default"
    book, turned = book.replaced({"two": None})
    assert turned == {"one", "two"}
    assert (book.fallen, book.hosts.find("a"), book.hosts.find("b")) == ({}, "strict", "strict")


def test_an_old_book_stays_what_it_was() -> None:
    first, _ = OptionBook().replaced({"one": OptionClaim("one", ("a",), "strict")})
    first.replaced({"one": None, "two": OptionClaim("two", ("a",), "mtls")})
    assert (first.hosts.find("a"), len(first)) == ("strict", 1)

"""Verdicts on PEM texts: what they say, that they are remembered, that they keep no key."""

from __future__ import annotations

import calendar

import pytest

from provider.translate import pem
from provider.translate.pem import PairVerdict, Remembered, date_flaw, has_authority, judge_pair
from tests.tls.pki import DAY, Authority

ROOT = Authority()


def texts(*names: str) -> tuple[str, str]:
    pair = ROOT.issue(*names)
    return pair.chain.decode(), pair.key.decode()


def test_a_good_pair_has_no_flaw() -> None:
    verdict = judge_pair(*texts("a.example"))
    assert verdict.flaw == ""
    assert verdict.not_before < verdict.not_after
    assert date_flaw(verdict) == ""


@pytest.mark.parametrize("swap", ["nothing", "key of another", "no certificate", "no key"])
def test_flaws_are_named_and_keys_are_not_quoted(swap: str) -> None:
    chain, key = texts("a.example")
    other = texts("b.example")[1]
    chain = {"no certificate": "a"}.get(swap, chain)
    key = {"key of another": other, "no key": chain}.get(swap, key)
    flaw = judge_pair(chain, key).flaw
    assert bool(flaw) == (swap != "nothing")
    for line in (key + other).splitlines():
        assert line.startswith("-----") or line not in flaw


def test_dates_are_judged_at_the_time_of_asking() -> None:
    verdict = PairVerdict(
        not_before=calendar.timegm((2026, 1, 1, 0, 0, 0)), not_after=calendar.timegm((2026, 2, 1, 0, 0, 0))
    )
    assert date_flaw(verdict, verdict.not_after) == ""
    assert date_flaw(verdict, verdict.not_after + 1) == "expired on 2026-02-01"
    assert date_flaw(verdict, verdict.not_before - 1) == "is not valid before 2026-01-01"
    old = ROOT.issue("old.example", valid=-DAY)
    assert date_flaw(judge_pair(old.chain.decode(), old.key.decode())).startswith("expired on ")


def test_an_authority_is_any_readable_certificate() -> None:
    assert has_authority(ROOT.pem)
    assert has_authority("a remark\n" + ROOT.pem + "rest")
    assert not has_authority("")
    assert not has_authority("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def test_a_text_is_judged_once() -> None:
    asked = []

    def judge() -> bool:
        asked.append(1)
        return False

    verdicts = Remembered[bool]()
    assert verdicts.get(("a", "b"), judge) is verdicts.get(("a", "b"), judge) is False
    assert len(asked) == 1
    verdicts.get(("ab", ""), judge)
    assert len(asked) == 2


def test_what_was_asked_for_longest_ago_is_forgotten() -> None:
    verdicts = Remembered[str](limit=2)
    for text in ("a", "b", "a", "c"):
        verdicts.get((text,), lambda text=text: text)  # type: ignore[misc]
    assert len(verdicts) == 2
    assert verdicts.get(("a",), lambda: "again") == "a"
    assert verdicts.get(("b",), lambda: "again") == "again"


def test_only_digests_are_kept() -> None:
    chain, key = texts("secret.example")
    judge_pair(chain, key)
    kept = repr(pem._pairs._verdicts)
    assert not any(line in kept for line in (key + chain).splitlines())

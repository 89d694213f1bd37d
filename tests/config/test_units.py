"""Durations as Go writes and reads them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.units import DurationError, format_duration, parse_duration, parse_go_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (5, 5.0),
        ("5", 5.0),
        ("-5", -5.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("-1s", -1.0),
        ("0", 0.0),
        (".5s", 0.5),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("3ns", 3e-9),
    ],
)
def test_parse(value: int | str, seconds: float) -> None:
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5d", "10m5", "s", "1.5", "1 s", "--1s", "1e3s", "\uff19s", "99999999999h", "+"]
)
def test_bad_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DurationError, match="such as 10s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["1" * (1 << 20), "1" * (1 << 20) + "s", "1s" * (1 << 19)])
def test_endless_text_is_refused_in_a_short_message(text: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 300


def test_go_text_needs_a_unit() -> None:
    with pytest.raises(DurationError):
        parse_go_duration("5")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.1, "100ms"),
        (60, "1m0s"),
        (180, "3m0s"),
        (3600, "1h0m0s"),
        (90, "1m30s"),
        (1.5, "1.5s"),
        (1.5e-6, "1.5µs"),
        (3e-9, "3ns"),
        (-2, "-2s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_what_is_printed_reads_back(microseconds: int) -> None:
    seconds = microseconds / 1e6
    assert parse_go_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6)


@given(st.text(alphabet="0123456789.hmsnuµ+- ", max_size=12))
def test_any_text_is_a_duration_or_our_error(text: str) -> None:
    with contextlib.suppress(DurationError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 400, "1" * 5000, "-" + "9" * 30, "1" * 5000 + "s", "9" * 400 + "h"])
def test_numbers_of_any_length_are_refused_and_not_computed(text: str) -> None:
    with pytest.raises(DurationError) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 300

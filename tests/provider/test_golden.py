"""Every golden case: manifests in, configuration and findings out."""

from __future__ import annotations

import pytest

from tests.provider.golden import Case, cases


def parameters() -> list[object]:
    return [
        pytest.param(case, id=case.path.stem, marks=[pytest.mark.behaviour(one) for one in case.behaviours])
        for case in cases()
    ]


@pytest.mark.parametrize("case", parameters())
def test_golden(case: Case) -> None:
    result = case.build()
    assert result.configuration == case.configuration
    assert result.findings == case.findings


def test_no_case_is_left_out() -> None:
    assert len(cases()) >= 20
    assert all(case.content["about"] for case in cases())

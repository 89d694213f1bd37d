"""Words for unknown options: not built yet, removed, misspelled."""

from __future__ import annotations

import pytest

from config.static_errors import Problem, StaticError, unknown_option

MISSING = "is an option of Traefik that this version of Pointsman does not have yet"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "metrics.prometheus.entrypoint",
            f"metrics.prometheus.entryPoint {MISSING}",
        ),
        (
            "tcpServersTransport",
            f"tcpServersTransport {MISSING}",
        ),
        ("pilot.token", "pilot.token was removed from Traefik and means nothing to Pointsman"),
        ("configfile", "configFile can only be given as a flag"),
        ("foo.bar", "unknown option foo.bar"),
        ("logg.level", "unknown option logg.level; did you mean log.level?"),
        ("entrypoints.web.adress", "unknown option entryPoints.web.adress; did you mean entryPoints.web.address?"),
        (
            "entrypoints.web.htpp.sanitizepath",
            "unknown option entryPoints.web.htpp.sanitizepath; did you mean entryPoints.web.http.sanitizePath?",
        ),
        ("providers.manifests.folder", "unknown option providers.manifests.folder; valid here: directory"),
        ("hostResolve", "unknown option hostResolve; did you mean hostResolver?"),
    ],
)
def test_unknown_options(path: str, message: str) -> None:
    assert unknown_option(path.split("."), "--x").message == message


def test_an_error_shows_its_first_problems_and_counts_the_rest() -> None:
    problems = [Problem(f"p{number}", "f.yml:1", f"p{number} is wrong") for number in range(25)]
    error = StaticError(*problems)
    lines = str(error).splitlines()
    assert (error.path, error.message) == ("p0", "p0 is wrong")
    assert (len(lines), lines[0], lines[-1]) == (21, "f.yml:1: p0 is wrong", "and 5 more")

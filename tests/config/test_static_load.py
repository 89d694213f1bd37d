"""Exactly one source: a file, else flags, else the environment; losers are named."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.static_entrypoint import TLS, Domain
from config.static_errors import StaticError, UsageError
from config.static_load import LoadedStatic, from_mapping, load

NAMES = ["api", "API", "insecure", "ping", "entryPoints", "web", "address", "http", "tls", "domains", "[0]", "log"]
WORDS = st.one_of(
    st.text(max_size=6),
    st.builds(
        lambda dashes, path, value: f"{dashes}{'.'.join(path)}{value}",
        st.sampled_from(["-", "--", "---", ""]),
        st.lists(st.one_of(st.sampled_from(NAMES), st.text(max_size=3)), max_size=5),
        st.one_of(st.just(""), st.text(max_size=5).map("={}".format)),
    ),
)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
NOWHERE = Path("/nowhere")
NO_PROVIDER = "no provider is configured: every request will be answered 404"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def loaded(place: Path, *argv: str, environ: Mapping[str, str] | None = None) -> LoadedStatic:
    return load(argv, environ or {}, place, system=place / "etc")


def test_nothing_at_all_is_a_configuration(place: Path) -> None:
    result = loaded(place)
    assert (result.source, result.warnings) == ("built-in defaults", (NO_PROVIDER,))
    assert result.static.entry_points["http"].address == ":80"


@pytest.mark.parametrize("name", ["traefik.yml", "pointsman.yaml"])
@pytest.mark.behaviour("OP-2")
def test_a_file_in_a_default_place_silences_flags_and_says_so(place: Path, name: str) -> None:
    (place / name).write_text("entryPoints: {web: {address: ':8000'}}\n")
    result = loaded(place, "--entryPoints.x.address=:9", environ={"TRAEFIK_PING": "true"})
    assert list(result.static.entry_points) == ["web"]
    assert result.source == f"file {place / name}"
    assert result.warnings[:2] == (
        f"flags have no effect because {place / name} is read: --entryPoints.x.address",
        f"environment variables have no effect because {place / name} is read: TRAEFIK_PING",
    )


def test_flags_are_checked_even_if_a_file_wins(place: Path) -> None:
    (place / "traefik.yml").write_text("ping: {}\n")
    with pytest.raises(UsageError):
        loaded(place, "--=x")


@pytest.mark.behaviour("OP-3")
def test_variables_count_only_without_flags(place: Path) -> None:
    environ = {"TRAEFIK_LOG_LEVEL": "DEBUG"}
    assert loaded(place, environ=environ).static.log.level == "DEBUG"
    result = loaded(place, "--ping", environ=environ)
    assert result.static.log.level == "ERROR"
    assert result.warnings[0] == (
        "environment variables have no effect because flags are given: TRAEFIK_LOG_LEVEL"
    )


@pytest.mark.behaviour("OP-1")
@pytest.mark.parametrize(
    ("text", "path"), [("foo: {bar: 1}\n", "foo.bar"), ("log: {foo: 1}\n", "log.foo"), ("foo:\n", "foo")]
)
def test_an_unknown_key_anywhere_in_a_file_is_fatal(place: Path, text: str, path: str) -> None:
    (place / "c.yml").write_text(text)
    with pytest.raises(StaticError, match=f"c.yml:1: unknown option {path}"):
        loaded(place, "--configFile=c.yml")


def test_the_variable_for_the_file_is_named_as_useless(place: Path) -> None:
    result = loaded(place, environ={"TRAEFIK_CONFIGFILE": "/x.yml"})
    assert result.source == "built-in defaults"
    assert result.warnings[0] == "TRAEFIK_CONFIGFILE is set but only the --configFile flag is read"


def test_the_charts_default_line(place: Path) -> None:
    line = """
    --entryPoints.metrics.address=:9100/tcp --entryPoints.traefik.address=:8080/tcp
    --entryPoints.web.address=:8000/tcp --entryPoints.websecure.address=:8443/tcp --api.dashboard=true --ping=true
    --metrics.prometheus=true --metrics.prometheus.entrypoint=metrics --providers.kubernetescrd
    --providers.kubernetescrd.allowEmptyServices=true --providers.kubernetesingress
    --entryPoints.websecure.http.tls=true --log.level=INFO
    """
    static = loaded(place, *line.split()).static
    assert static.metrics is not None
    assert static.metrics.prometheus is not None
    assert static.metrics.prometheus.entry_point == "metrics"
    assert sorted(static.entry_points) == ["metrics", "traefik", "web", "websecure"]


def test_tls_of_an_entry_point(place: Path) -> None:
    bare = loaded(place, "--entryPoints.a.address=:1", "--entryPoints.a.http.tls", "--ping")
    assert bare.static.entry_points["a"].http.tls == TLS()
    flags = ("options=strict@kubernetescrd", "certResolver=le", "domains[0].main=a.b", "domains[0].sans=c.b,d.b")
    full = loaded(
        place, "--ping", "--entryPoints.a.address=:1", *(f"--entryPoints.a.http.tls.{flag}" for flag in flags)
    )
    assert full.static.entry_points["a"].http.tls == TLS(
        options="strict@kubernetescrd", cert_resolver="le", domains=[Domain(main="a.b", sans=["c.b", "d.b"])]
    )


def test_the_calls_home_are_accepted(place: Path) -> None:
    assert loaded(place, "--global.checkNewVersion", "--global.sendAnonymousUsage=true", "--ping")


def test_the_healthcheck_needs_no_validation(place: Path) -> None:
    flags = ["--ping", "--ping.entryPoint=gone"]
    with pytest.raises(StaticError):
        loaded(place, *flags)
    assert load(flags, {}, place, system=place, validate=False).static.ping is not None


@given(st.lists(WORDS, max_size=5))
def test_any_command_line_loads_or_fails_with_our_error(words: list[str]) -> None:
    with contextlib.suppress(StaticError):
        load(words, {}, NOWHERE, system=NOWHERE)


@given(st.dictionaries(st.sampled_from(NAMES), PLAIN, max_size=4))
def test_any_data_loads_or_fails_with_our_error(mapping: dict[str, object]) -> None:
    with contextlib.suppress(StaticError):
        from_mapping(mapping)


@given(st.dictionaries(st.text(alphabet="PINGLOEVAD_0", max_size=9).map("TRAEFIK_{}".format), st.text(max_size=4)))
def test_any_environment_loads_or_fails_with_our_error(environ: dict[str, str]) -> None:
    with contextlib.suppress(StaticError):
        load([], environ, NOWHERE, system=NOWHERE)

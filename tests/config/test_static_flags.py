"""Flags in Traefik's manner: syntax, case, values, repetition."""

from __future__ import annotations

import pytest

from config.static import API, StaticConfiguration
from config.static_errors import UsageError
from config.static_flags import read_flags, split_path, wants_help
from config.static_schema import root
from config.static_tree import build


def options_of(*arguments: str) -> StaticConfiguration:
    built = build(root(), read_flags(arguments).tree)
    assert not built.problems
    assert isinstance(built.options, StaticConfiguration)
    return built.options


@pytest.mark.parametrize(
    "flag", ["--api.insecure", "-api.insecure", "--API.Insecure=TRUE", "--api.insecure=1", "--api.insecure=t"]
)
@pytest.mark.behaviour("OP-5")
def test_case_dashes_and_spellings_of_true_do_not_matter(flag: str) -> None:
    assert options_of(flag).api == API(insecure=True)


def test_a_section_is_switched_on_and_off() -> None:
    assert options_of("--ping").ping is not None
    assert options_of("--ping=true").ping is not None
    assert options_of("--ping=").ping is not None
    assert options_of("--ping=false").ping is None
    assert options_of("--ping=false", "--ping.entryPoint=web").ping is None


def test_a_value_may_follow_after_a_blank() -> None:
    assert options_of("--log.level", "debug", "--ping").log.level == "DEBUG"
    assert (
        options_of("--serversTransport.maxIdleConnsPerHost", "-1").servers_transport.max_idle_conns_per_host == -1
    )


def test_lists_are_split_and_grow_while_scalars_are_replaced() -> None:
    static = options_of(
        "--entrypoints.web.forwardedheaders.trustedips=10.0.0.1, 10.0.0.2",
        "--entryPoints.web.forwardedHeaders.trustedIPs=10.0.0.3",
        "--log.level=INFO",
        "--LOG.level=WARN",
    )
    assert static.entry_points["web"].forwarded_headers.trusted_ips == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert static.log.level == "WARN"


def test_an_empty_list_is_not_an_absent_one() -> None:
    crd = options_of("--providers.kubernetescrd.crossProviderNamespaces=").providers.kubernetes_crd
    assert crd is not None
    assert crd.cross_provider_namespaces == []


def test_map_keys_that_differ_in_case_are_one_key_spelled_as_the_first_in_order() -> None:
    points = options_of("--entrypoints.web.asdefault", "--entryPoints.Web.address=:80").entry_points
    assert list(points) == ["Web"]
    assert (points["Web"].address, points["Web"].as_default) == (":80", True)


def test_two_dashes_end_the_flags() -> None:
    assert options_of("--ping", "--").ping is not None


def test_the_file_and_the_names_are_told_apart() -> None:
    flags = read_flags(["--configfile", "x.yml", "--Ping"])
    assert (flags.config_file, flags.names) == ("x.yml", ["--configfile", "--Ping"])
    assert list(flags.tree.children) == ["ping"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["---x"], "bad flag syntax: ---x"),
        (["-=x"], "bad flag syntax: -=x"),
        (["--=x"], "bad flag syntax: --=x"),
        (["-"], "unexpected argument '-'"),
        (["--log.level"], "flag needs an argument: --log.level"),
        (["--log.level", "--ping"], "flag needs an argument: --log.level"),
        (["--configFile"], "flag needs an argument: --configFile"),
        (["--api.insecure", "false", "--ping"], "unexpected argument 'false'; write --api.insecure=false"),
        (["serve"], "unexpected argument 'serve'"),
        (["--ping", "--", "rest"], "unexpected argument 'rest'"),
    ],
)
def test_malformed_command_lines(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_flags(arguments)
    assert str(raised.value).startswith(message)


def test_indexes_are_names_of_their_own() -> None:
    assert split_path("a.domains[0].sans") == ("a", "domains", "[0]", "sans")
    assert split_path("a[1][2]") == ("a", "[1]", "[2]")


def test_help_is_wanted_anywhere_before_the_end_of_flags() -> None:
    assert wants_help(["--ping", "-h"])
    assert wants_help(["-help"])
    assert not wants_help(["--ping", "--", "--help"])

"""Environment variables: prefix and alias, names that are not ours, mistakes."""

from __future__ import annotations

import pytest

from config.static import StaticConfiguration
from config.static_env import ours, read_environment, variable
from config.static_errors import StaticError
from config.static_load import load
from config.static_schema import root
from config.static_tree import build


def options_of(**environ: str) -> StaticConfiguration:
    built = build(root(), read_environment(environ))
    assert not built.problems
    assert isinstance(built.options, StaticConfiguration)
    return built.options


def test_paths_become_upper_case_variables() -> None:
    assert variable("entryPoints.<name>.http.maxHeaderBytes") == "POINTSMAN_ENTRYPOINTS_<NAME>_HTTP_MAXHEADERBYTES"
    assert variable("tls.domains[0].main") == "POINTSMAN_TLS_DOMAINS_0_MAIN"


def test_the_alias_works_and_our_own_name_wins() -> None:
    static = options_of(TRAEFIK_LOG_LEVEL="info", POINTSMAN_LOG_LEVEL="warn", TRAEFIK_PING="true")
    assert static.log.level == "WARN"
    assert static.ping is not None


def test_names_of_entry_points_arrive_in_lower_case() -> None:
    points = options_of(
        POINTSMAN_ENTRYPOINTS_WEB_ADDRESS=":80", TRAEFIK_ENTRYPOINTS_WEB_ASDEFAULT="true"
    ).entry_points
    assert list(points) == ["web"]
    assert points["web"].as_default


def test_names_with_another_first_word_are_not_ours() -> None:
    strangers = {
        "TRAEFIK_SERVICE_HOST": "10.0.0.1",
        "TRAEFIK_PORT_80_TCP": "tcp://10.0.0.1:80",
        "TRAEFIK_USER": "somebody",
        "POINTSMAN_CHANNEL_FD": "3",
        "LOG_LEVEL": "DEBUG",
        "traefik_log_level": "DEBUG",
    }
    assert ours(strangers) == []
    assert options_of(POINTSMAN_USER="proxy", **strangers).user == "proxy"


def test_a_service_link_on_one_of_our_roots_is_fatal_and_explained(tmp_path: object) -> None:
    with pytest.raises(StaticError) as raised:
        load([], {"TRAEFIK_API_SERVICE_HOST": "10.0.0.1"}, str(tmp_path))
    assert raised.value.path == "api.service.host"
    assert "TRAEFIK_API_SERVICE_HOST (a Kubernetes service link?" in str(raised.value)

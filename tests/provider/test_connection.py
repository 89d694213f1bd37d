"""Which API server is chosen, with whose credentials, and what start fails on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from config.static_providers import KubernetesCRD
from provider.kube.connection import TOKEN_LIFE_SECONDS, configure
from provider.kube.errors import ConnectionSettings

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "ca.crt").write_text("pem")
    return tmp_path


def bearer(configuration: object) -> str:
    return str(configuration.get_api_key_with_prefix("BearerToken"))  # type: ignore[attr-defined]


def test_in_cluster_takes_the_service_account(account: Path) -> None:
    configuration = configure(KubernetesCRD(token="ignored"), IN_CLUSTER, account)
    assert configuration.host == "https://10.96.0.1:443"
    assert bearer(configuration) == "Bearer secret"
    assert configuration.ssl_ca_cert == str(account / "ca.crt")


def test_in_cluster_brackets_ipv6_and_obeys_the_endpoint(account: Path) -> None:
    environ = IN_CLUSTER | {"KUBERNETES_SERVICE_HOST": "fd00::1"}
    assert configure(KubernetesCRD(), environ, account).host == "https://[fd00::1]:443"
    assert configure(KubernetesCRD(endpoint="https://api:6443/"), environ, account).host == "https://api:6443"


def test_in_cluster_without_token_cannot_start_without_ca_it_can(tmp_path: Path) -> None:
    with pytest.raises(ConnectionSettings, match="token"):
        configure(KubernetesCRD(), IN_CLUSTER, tmp_path)
    (tmp_path / "token").write_text("t")
    assert configure(KubernetesCRD(), IN_CLUSTER, tmp_path).ssl_ca_cert is None


def test_a_projected_token_is_read_again_about_once_a_minute(account: Path) -> None:
    now = [0.0]
    configuration = configure(KubernetesCRD(), IN_CLUSTER, account, clock=lambda: now[0])
    (account / "token").write_text("renewed")
    now[0] += TOKEN_LIFE_SECONDS - 1
    assert bearer(configuration) == "Bearer secret"
    now[0] += 2
    assert bearer(configuration) == "Bearer renewed"
    (account / "token").unlink()
    now[0] += 1000
    assert bearer(configuration) == "Bearer renewed"


def test_kubeconfig_wins_over_the_options(tmp_path: Path) -> None:
    path = tmp_path / "config"
    content = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://from-file:6443"}}],
        "users": [{"name": "u", "user": {"token": "of-user"}}],
    }
    path.write_text(json.dumps(content))
    configuration = configure(KubernetesCRD(endpoint="http://ignored"), {"KUBECONFIG": str(path)})
    assert configuration.host == "https://from-file:6443"
    assert bearer(configuration) == "Bearer of-user"


@pytest.mark.parametrize("content", ["", "[]", "{: broken", "{}", '{"current-context": "absent", "contexts": []}'])
def test_a_broken_kubeconfig_fails_with_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(ConnectionSettings, match=str(path)):
        configure(KubernetesCRD(), {"KUBECONFIG": str(path)})


def test_outside_the_options_decide(tmp_path: Path) -> None:
    with pytest.raises(ConnectionSettings, match="endpoint missing"):
        configure(KubernetesCRD(), {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": ""})
    configuration = configure(KubernetesCRD(endpoint="http://127.0.0.1:8001"), {})
    assert configuration.host == "http://127.0.0.1:8001"
    assert bearer(configuration) == "None"
    assert bearer(configure(KubernetesCRD(endpoint="https://a", token="text"), {})) == "Bearer text"
    token = tmp_path / "token"
    token.write_text("in file")
    assert bearer(configure(KubernetesCRD(endpoint="https://a", token=str(token)), {})) == "Bearer in file"


def test_the_ca_file_is_read_at_start(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    with pytest.raises(ConnectionSettings, match="certAuthFilePath"):
        configure(KubernetesCRD(endpoint="https://a", cert_auth_file_path=str(authority)), {})
    authority.write_text("pem")
    configured = configure(KubernetesCRD(endpoint="https://a", cert_auth_file_path=str(authority)), {})
    assert configured.ca_cert_data == "pem"

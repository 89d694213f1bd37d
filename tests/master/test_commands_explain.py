"""`pointsman explain`: who answers, why the others do not, and what the client sees."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from config.static_load import from_mapping
from master.explaining import Explainer
from master.inspection import Inspection
from master.probe import request_of, target_of
from tests.kube import KubeServer
from tests.master.inspecting import OBJECTS, A, nowhere, pointsman, write
from tests.provider.support import endpoints, route, rule, service
from workers.http1.codec import IncomingRequest

__all__ = ["nowhere"]


def explained(*words: str) -> dict[str, Any]:
    result = pointsman("explain", "--output=json", *words)
    assert result.exit_code in (0, 1), result.output
    explanation: dict[str, Any] = json.loads(result.stdout)
    return explanation


def verdicts(explanation: dict[str, Any]) -> dict[str, str]:
    """Field of the route (with its object's name) -> what keeps it from answering."""
    candidates = [*explanation.get("others", []), *filter(None, [explanation.get("winner")])]
    return {f"{one['object'].rpartition('/')[2]} {one['field'][12:-1]}": one["verdict"] for one in candidates}


def test_the_winner_and_why_not_the_others(tmp_path: Path) -> None:
    path = write(tmp_path, *OBJECTS)
    explanation = explained("http://shop.example/api/cart", path)
    assert verdicts(explanation) == {
        "shop 0": "wins",
        "shop 1": "rule",
        "shop 2": "dropped",
        "shop 3": "disabled",
        "shop 4": "disabled",
        "secure 0": "entryPoint",
    }
    assert explanation["status"] == 0
    assert explanation["service"]["servers"] == ["http://10.0.0.1:8080", "http://10.0.0.2:8080"]
    assert explanation["hidden"] == 1, "plain.example"
    (failed,) = [one for one in explanation["others"] if one["verdict"] == "rule"]
    assert failed["mismatches"] == [
        {"matcher": "Method(`POST`)", "found": "the method is GET"},
        {"matcher": "Header(`X-A`, `b`)", "found": "there is no header X-A"},
    ]
    (dropped,) = [one for one in explanation["others"] if one["verdict"] == "dropped"]
    assert [one["reason"] for one in dropped["findings"]] == ["ServiceNotFound"]


def test_the_higher_priority_wins(tmp_path: Path) -> None:
    path = write(tmp_path, *OBJECTS)
    explanation = explained("http://shop.example/api", path, "--header", "X-A: b")
    assert verdicts(explanation)["shop 1"] == "wins"
    assert verdicts(explanation)["shop 0"] == "outranked"
    assert verdicts(explained("http://shop.example/api", path, "--method=POST"))["shop 1"] == "wins"
    text = pointsman("explain", "http://shop.example/api", path, "--method=POST").stdout
    assert "it matches, but its priority 42 is below 62" in text


def test_text_for_people(tmp_path: Path) -> None:
    path = write(tmp_path, *OBJECTS)
    result = pointsman("explain", "https://shop.example/x", path)
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "GET https://shop.example/x on entry point websecure\n"
        "=> a server of the service answers\n"
        "\n"
        "default-secure-3a23f5db8f3d4937586d@kubernetescrd  IngressRoute default/secure spec.routes[0]\n"
        "  rule         Host(`shop.example`)\n"
        "  priority     20\n"
        "  middlewares  none\n"
    )
    nothing = pointsman("explain", "http://shop.example/x", path)
    assert nothing.exit_code == 1
    assert "=> 404 page not found: no router on entry point web matches" in nothing.stdout
    assert "- PathPrefix(`/api`) fails: the path is /x" in nothing.stdout
    assert "there is no Service default/gone -> create the Service or correct the name" in nothing.stdout
    assert "it would match, but it is on websecure only" in nothing.stdout
    assert "1 more are for other hosts or entry points (--all lists them)." in nothing.stdout
    assert "plain.example" in pointsman("explain", "http://shop.example/x", path, "--all").stdout


def test_tls_and_plain_are_different_worlds(tmp_path: Path) -> None:
    path = write(tmp_path, *OBJECTS)
    assert verdicts(explained("https://plain.example/", path))["plain 0"] == "tls"
    assert (
        "answers http (it has no tls section) only" in pointsman("explain", "https://plain.example/", path).stdout
    )


def test_a_host_that_was_misspelt(tmp_path: Path) -> None:
    explanation = explained("http://shpo.example/", write(tmp_path, *OBJECTS))
    assert explanation["nearHosts"] == ["shop.example"]


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("http://shop.example/x/..//api%2Fq", "/api%2Fq"),
        ("http://SHOP.example/%61pi?q=1#f", "/api?q=1"),
        ("shop.example:80/api a", "/api%20a"),
        ("http://user@shop.example/api", "/api"),
    ],
)
def test_the_request_is_read_as_in_production(tmp_path: Path, url: str, seen: str) -> None:
    explanation = explained(url, write(tmp_path, *OBJECTS))
    assert (explanation["host"], explanation["path"]) == ("shop.example", seen)
    assert verdicts(explanation)["shop 0"] == "wins"


def test_a_refused_request_never_gets_to_a_router(tmp_path: Path) -> None:
    explanation = explained("http://shop.example/%zz", write(tmp_path, *OBJECTS))
    assert explanation["status"] == 400
    assert explanation["outcome"].startswith("400: refused before any router is asked")


def test_a_service_without_servers_is_503(tmp_path: Path) -> None:
    path = write(tmp_path, route("r", rule("Host(`a`)", A)), service("a"))
    flags = ["--entrypoints.web.address=:80", "--providers.kubernetescrd.allowemptyservices"]
    result = pointsman("explain", "http://a/", path, *flags)
    assert (result.exit_code, "=> 503 no available server" in result.stdout) == (1, True)


def test_weighted_services_are_a_tree(tmp_path: Path) -> None:
    two = [{**A, "weight": 3}, {"name": "b", "port": 80, "weight": 1}]
    path = write(tmp_path, route("r", rule("Host(`a`)", *two)), service("a"), endpoints("a", "10.0.0.1"),
                 service("b"), endpoints("b", "10.0.0.9"))  # fmt: skip
    tree = explained("http://a/", path)["service"]
    assert [(one["weight"], one["servers"]) for one in tree["branches"]] == [
        (3, ["http://10.0.0.1:8080"]),
        (1, ["http://10.0.0.9:8080"]),
    ]
    assert "weight 3" in pointsman("explain", "http://a/", path).stdout


def test_routers_of_our_own_are_explained_too(tmp_path: Path) -> None:
    flags = ["--entrypoints.web.address=:80", "--ping.entrypoint=web"]
    explanation = explained("http://anything/ping", write(tmp_path), *flags)
    assert explanation["winner"]["router"] == "ping@internal"
    assert explanation["outcome"] == "Pointsman answers itself (ping@internal)"


def test_encoded_characters_that_the_entry_point_refuses(tmp_path: Path) -> None:
    path = write(tmp_path, route("r", rule("Host(`a`)", A)), service("a"), endpoints("a", "10.0.0.1"))
    flags = ["--entrypoints.web.address=:80", "--entrypoints.web.http.encodedcharacters.allowencodedslash=false"]
    assert explained("http://a/x%2Fy", path, *flags)["status"] == 400
    assert explained("http://a/x", path, *flags)["status"] == 0


def test_the_entry_point_is_that_of_the_port(tmp_path: Path) -> None:
    path = write(tmp_path, *OBJECTS)
    flags = ["--entrypoints.web.address=:8000", "--entrypoints.other.address=:8001"]
    assert explained("http://a:8001/", path, *flags)["entryPoint"] == "other"
    assert explained("http://a/", path, *flags)["entryPoint"] == "web"
    assert explained("http://a/", path, *flags, "--entrypoint=other")["entryPoint"] == "other"
    result = pointsman("explain", "https://a/", path, *flags)
    assert result.exit_code == 2
    assert "name one with --entrypoint: other, web" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ftp://a/"], "no URL of a web site"),
        (["http://a:99999/"], "no URL"),
        (["http://a/", "--header=oops"], "no header"),
        (["http://a/", "--entrypoint=gone"], "known are traefik, web, websecure"),
        ([], "Missing argument 'URL"),
        (["--entrypoints.web.address=:80"], "which URL?"),
    ],
)
def test_usage_errors_exit_2(tmp_path: Path, words: list[str], told: str) -> None:
    path = write(tmp_path, *OBJECTS)
    result = pointsman("explain", *words, *([path] if words and not words[0].startswith("--") else []))
    assert result.exit_code == 2, result.output
    assert told in result.stderr


def test_a_cluster() -> None:
    with KubeServer() as server:
        server.apply(OBJECTS)
        explanation = explained("http://plain.example/", "--endpoint", server.url)
    assert explanation["winner"]["object"] == "IngressRoute default/plain"


HOSTS = ("a.example", "b.example", "x.b.example")
RULES = (
    "Host(`a.example`)",
    "Host(`a.example`) && PathPrefix(`/x`)",
    "Host(`*.b.example`)",
    "HostRegexp(`^.*b.*$`)",
    "PathPrefix(`/x`)",
    "!Path(`/x`) || Host(`b.example`)",
)


def test_the_winner_is_the_one_that_the_routing_table_finds(tmp_path: Path) -> None:
    """Every request on every subset that leaves one rule out: explanation and table agree."""
    static = from_mapping({"entryPoints": {"web": {"address": ":80"}}})
    for left_out in RULES:
        objects = [route(f"r{number}", rule(text, A)) for number, text in enumerate(RULES) if text != left_out]
        inspection = Inspection(static, "mapping", False)
        path = write(tmp_path, *objects, service("a"), endpoints("a", "10.0.0.1"))
        inspection.read([Path(path)], None, {}, assume_endpoints=False)
        with inspection:
            for host, target in itertools.product(HOSTS, ("/", "/x", "/x/y")):
                request = request_of(
                    target_of(f"http://{host}{target}"), "GET", (), "127.0.0.1", "web", static.entry_points["web"]
                )
                assert isinstance(request, IncomingRequest)
                winner = Explainer(inspection, request, "web").explain().winner
                found = inspection.runtime.tables["web"].find(request)
                assert (winner and winner.router) == (found and found.name), (left_out, host, target)

"""`pointsman explain --api`: a running instance is asked, and everything that is no answer is said plainly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.master.inspecting import nowhere, pointsman

__all__ = ["nowhere"]

ANSWERS: dict[str, Any] = {
    "/api/entrypoints": [
        {"name": "web", "address": ":80"},
        {"name": "websecure", "address": ":443"},
        {"name": "dns", "address": ":53/udp"},
    ],
    "/api/findings": [
        {
            "kind": "IngressRoute",
            "namespace": "default",
            "name": "dropped",
            "severity": "error",
            "reason": "ServiceNotFound",
            "message": "there is no Service default/gone",
        }
    ],
    "/api/rawdata": {
        "routers": {
            "default-shop-1@kubernetescrd": {
                "entryPoints": ["web"],
                "middlewares": ["default-strip@kubernetescrd"],
                "service": "default-shop-1",
                "rule": "Host(`shop.example`)",
                "priority": 20,
                "observability": {
                    "metadata": {"ingress": {"namespace": "default", "name": "shop", "kind": "IngressRoute"}}
                },
                "status": "enabled",
                "using": ["web"],
            },
            "default-broken-1@kubernetescrd": {
                "entryPoints": ["web"],
                "service": "default-broken-1",
                "rule": "Host(`shop.example`) && PathPrefix(`/api`)",
                "priority": 42,
                "error": ["no such middleware"],
                "status": "disabled",
                "using": ["web"],
            },
        },
        "middlewares": {
            "default-strip@kubernetescrd": {
                "stripPrefix": {"prefixes": ["/a"]},
                "status": "enabled",
                "usedBy": ["default-shop-1@kubernetescrd"],
            }
        },
        "services": {
            "default-shop-1@kubernetescrd": {
                "loadBalancer": {
                    "passHostHeader": True,
                    "servers": [{"url": "http://10.0.0.1:80"}, {"url": "http://10.0.0.2:80"}],
                },
                "status": "enabled",
                "serverStatus": {"http://10.0.0.1:80": "UP", "http://10.0.0.2:80": "DOWN"},
            },
            "api@internal": {"status": "enabled"},
        },
    },
}


@pytest.fixture
def api() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(ANSWERS[self.path]).encode() if self.path in ANSWERS else b"not found"
            self.send_response(200 if self.path in ANSWERS else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def explained(api: str, url: str, *words: str, code: int = 0) -> Any:
    result = pointsman("explain", url, f"--api={api}", "--output=json", *words)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_the_router_that_answers_with_what_hangs_on_it(api: str) -> None:
    told = explained(f"{api}/", "http://shop.example/x")
    assert told["winner"]["router"] == "default-shop-1@kubernetescrd"
    assert told["winner"]["object"] == "IngressRoute default/shop"
    assert told["middlewares"] == [{"name": "default-strip@kubernetescrd", "type": "stripPrefix"}]
    assert told["service"]["servers"] == ["http://10.0.0.1:80"], "what is down answers nobody"
    assert told["entryPoint"] == "web"


def test_what_the_instance_has_disabled_stays_disabled(api: str) -> None:
    told = explained(api, "http://shop.example/api")
    assert told["winner"]["router"] == "default-shop-1@kubernetescrd"
    (other,) = told["others"]
    assert (other["verdict"], other["errors"]) == ("disabled", ["no such middleware"])


def test_where_nothing_answers_the_errors_of_objects_are_shown(api: str) -> None:
    told = explained(api, "http://shop.exampel/", code=1)
    assert told["status"] == 404
    assert told["nearHosts"] == ["shop.example"]
    assert [one["name"] for one in told["findings"]] == ["dropped"]
    text = pointsman("explain", "http://other.example/", f"--api={api}").stdout
    assert "IngressRoute default/dropped: there is no Service default/gone" in text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:1", "is no URL"),
        ("http://127.0.0.1:1", "does not answer"),
        ("{api}/elsewhere", "answers 404; is this the API of a Pointsman?"),
    ],
)
def test_what_is_no_api_is_said(api: str, url: str, message: str) -> None:
    result = pointsman("explain", "http://a/", f"--api={url.format(api=api)}")
    assert result.exit_code == 1
    assert message in result.output


@pytest.mark.parametrize("answer", [{"routers": {"x@y": {"rule": 1, "priority": []}}}, [], {"services": {"x": 1}}])
def test_an_answer_of_something_else_is_refused(api: str, answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, "/api/rawdata", answer)
    result = pointsman("explain", "http://a/", f"--api={api}")
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_it_is_one_or_the_other(api: str) -> None:
    assert pointsman("explain", "http://a/", "folder", f"--api={api}").exit_code == 2
    assert pointsman("explain", "http://a/", f"--api={api}", "--endpoint=http://b").exit_code == 2

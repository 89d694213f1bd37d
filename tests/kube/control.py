"""The server driven from outside: `/_control/` paths of the stand-alone process, for benchmarks.

    POST /_control/load           create or replace all objects in the body (YAML or JSON)
    POST /_control/delete         delete all objects in the body
    POST /_control/endpoints?namespace=&service=&addresses=a,b&port=    set the EndpointSlice of a service
    POST /_control/compact, /_control/drop-watches, /_control/bookmarks
    GET  /_control/counters       versions, requests, objects and open watches by kind

These paths ask for no token and work during an outage of the API.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import documents, errors
from .errors import ApiError, Json, PageNotFound
from .messages import Request, Response, error_response, json_response

if TYPE_CHECKING:
    from .server import KubeServer


class Control:
    """Answers control requests for one server."""

    def __init__(self, server: KubeServer) -> None:
        self._server = server
        self._actions: dict[tuple[str, str], Callable[[Request], Json]] = {
            ("POST", "load"): self._load,
            ("POST", "delete"): self._delete,
            ("POST", "endpoints"): self._endpoints,
            ("POST", "compact"): lambda _: {"version": server.compact()},
            ("POST", "drop-watches"): lambda _: {"watches": server.drop_watches()},
            ("POST", "bookmarks"): lambda _: {"watches": server.send_bookmarks()},
            ("GET", "counters"): lambda _: server.counters(),
        }

    def handle(self, request: Request) -> Response:
        action = self._actions.get((request.method, request.path.removeprefix("/_control/")))
        try:
            if action is None:
                return error_response(errors.method_not_allowed())
            return json_response(action(request))
        except ApiError as error:
            return error_response(error)
        except (KeyError, ValueError, PageNotFound) as error:
            return error_response(errors.bad_request(str(error)))

    def _load(self, request: Request) -> Json:
        return {"objects": len(self._server.apply(request.body)), "version": self._server.version}

    def _delete(self, request: Request) -> Json:
        named = [(one["kind"], one["metadata"]) for one in documents.objects(request.body)]
        for kind, metadata in named:
            self._server.delete(kind, metadata.get("namespace", ""), metadata["name"])
        return {"objects": len(named), "version": self._server.version}

    def _endpoints(self, request: Request) -> Json:
        query = request.query
        addresses = [address for address in query.get("addresses", "").split(",") if address]
        return self._server.set_endpoints(
            query.get("namespace", "default"),
            query["service"],
            addresses,
            port=int(query.get("port", "80")),
            port_name=query.get("port_name", ""),
        )

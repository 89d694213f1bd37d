"""An in-memory Kubernetes API server for tests and benchmarks.

It keeps to what clients can observe of a real one: versions and conflicts, paged lists, watches with
bookmarks and 410, streaming lists, status subresources, discovery, `Status` errors. The same tests run against
both (`cluster.py`). It runs no controllers and no admission, merges server-side apply without owners of fields,
prints no tables, and lets namespaces come into being with their first object.

    messages, errors    requests, responses and failures as values
    kinds, defaults     the resource table; what is filled in on writing
    store, watch        objects and the change log; a client's position in it
    objects, patches    the write verbs; patch formats
    reads, selectors    list and watch; which objects they are about
    api, discovery      paths and verbs; what the server says about itself
    documents, protobuf, endpoints    bodies -> objects
    connection, listener, wake        sockets and threads
    server, outages     the Python interface; failures on demand
    control, __main__   the same over HTTP for the stand-alone process
    cluster             one way to test this server and a real one
"""

from .errors import ApiError
from .kinds import Kind
from .messages import LoggedRequest
from .server import KubeServer

__all__ = ["ApiError", "Kind", "KubeServer", "LoggedRequest"]

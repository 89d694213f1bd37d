"""An in-memory Kubernetes API server for tests and benchmarks.

It keeps to what clients can observe of a real one: versions and conflicts, paged lists, watches with
bookmarks and 410, streaming lists, status subresources, discovery, `Status` errors. It runs no controllers.

    messages, errors   requests, responses and failures as values
    kinds, defaults    the resource table; what is filled in on writing
    store, watch       objects, the change log, a client's position in it
    objects, reads     the write verbs; list and watch
    api, discovery     paths and verbs; what the server says about itself
    connection, listener, wake    sockets and threads
    server, control    the Python interface; the same over HTTP for the stand-alone process
"""

from .errors import ApiError
from .kinds import Kind
from .messages import LoggedRequest
from .server import KubeServer

__all__ = ["ApiError", "Kind", "KubeServer", "LoggedRequest"]

"""Certificates as values; knows nothing of Kubernetes.

A connection's way through this room: `hello.py` reads its first bytes, `selection.py` chooses option and
certificate (`options.py`, `store.py`), `server.py` makes the connection from them. `client.py` is the same
towards servers.
"""

"""The data plane: accept, route, proxy."""

"""TCP routers: which connection goes where, and the bytes both ways."""

"""Processes only: bind, fork, supervise, signal."""

"""Tests of certificates as values and of TLS itself, with Python's own ssl module as the client."""

"""Kubernetes objects as typed structs, holding only the fields that are read."""

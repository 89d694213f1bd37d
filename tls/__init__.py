"""Certificates as values; knows nothing of Kubernetes."""

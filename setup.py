"""The one part that a compiler makes faster; everything else is in pyproject.toml.

Where it cannot be built the Python twin does the same work, and `pointsman version` says so.
"""

from setuptools import Extension, setup

setup(ext_modules=[Extension("workers.http1._heads", ["workers/http1/_heads.c"], optional=True)])

"""Packaging of mmfer; metadata is in pyproject.toml."""
from setuptools import setup

setup()

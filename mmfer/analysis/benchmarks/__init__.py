"""Computations of the tools in ``tools/benchmarks/``."""

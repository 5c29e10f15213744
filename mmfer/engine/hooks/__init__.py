"""Hooks of a run, one per file; :mod:`mmfer.engine` exports them."""

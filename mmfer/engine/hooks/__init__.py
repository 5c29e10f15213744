"""Hooks of a training, one per file; :mod:`mmfer.engine` exports them."""

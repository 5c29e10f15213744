"""Helpers that know nothing of data sets, models and runners."""

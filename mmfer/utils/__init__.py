"""Helpers that do not depend on data sets, models or runners."""

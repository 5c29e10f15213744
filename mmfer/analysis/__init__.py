"""Figures, tables, pages and files that show the results of runs."""

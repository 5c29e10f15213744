"""Figures, tables, pages and files that show what trainings have found."""

"""The colours of all figures and pages.

The palette of Okabe and Ito: its colours can be told apart by colour-blind
readers.
"""

BLUE = '#0072B2'
VERMILION = '#D55E00'
GREEN = '#009E73'
PURPLE = '#CC79A7'
ORANGE = '#E69F00'
SKY_BLUE = '#56B4E9'
BLACK = '#000000'
GREY = '#999999'
DARK_GREY = '#888888'
LIGHT_GREY = '#BBBBBB'
YELLOW = '#F0E442'

SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK, GREY)
"""Colours of the series in a figure, in this order."""

RIGHT, WRONG = GREEN, VERMILION
"""Right and wrong predictions."""

CLEAN, NOISY = BLUE, VERMILION
"""Samples that seem to have a right or a wrong label."""

DECISIONS = dict(keep=GREEN, relabel=BLUE, drop=VERMILION)
"""Decisions on samples."""

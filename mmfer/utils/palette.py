"""Colours of all figures and web pages.

The colours are those of Okabe and Ito, which colour-blind readers can tell
apart. Text on web pages has darker or lighter tones of them.
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

SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK, GREY)
"""Colours of the first, second, ... series in a figure."""

RIGHT, WRONG = GREEN, VERMILION
"""Colours of right and of wrong predictions."""

CLEAN, NOISY = BLUE, VERMILION
"""Colours of samples that a method finds clean, and of those that it finds noisy."""

DECISIONS_ON_LIGHT = dict(keep='#007355', relabel='#0062A3', drop='#A84300')
"""Darker colours of the decisions, for text: contrast of at least 4.5 on light grey."""

DECISIONS_ON_DARK = dict(keep='#35C99A', relabel='#6CB6F5', drop='#FF9D63')
"""Lighter colours of the decisions, for text on a dark background."""

"""Presets of GAAVE's options."""

from typing import Any, Dict

# The paper fits base models "as closely as possible", goes on training them while
# it attacks, sums over all steps of the attack (Eq. 3), and attacks and divides all
# samples of both refactored subsets (Algorithm 1). It gives no thresholds, no number
# of epochs T' and no rate for the updates.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(fit='peak', updates=0, recross=False, divide='native'),
    paper=dict(fit='full', updates=5, recross=True, divide='all'),
)

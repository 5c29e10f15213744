"""Presets of GAAVE's options."""

from typing import Any, Dict

# The default has one subset, because a split hurts where most labels of rare classes
# are wrong. It finds candidates by the probability of a wrong label. The paper fits
# base models "as closely as possible", goes on training them while it attacks, sums
# over all steps of the attack (Eq. 3), and attacks and divides all samples of both
# refactored subsets (Algorithm 1). It gives no thresholds, no number of epochs T' and
# no rate for the updates.
PRESETS: Dict[str, Dict[str, Any]] = dict(
    default=dict(
        split=False,
        criterion='posterior',
        evidence=dict(type='ScanEvidence'),
        fit='peak',
        updates=0,
        recross=False,
        divide='native',
    ),
    paper=dict(
        split=True,
        criterion='steps',
        evidence=None,
        fit='full',
        updates=5,
        recross=True,
        divide='all',
    ),
)

"""Scan: which labels are probably wrong, from one pass of a frozen encoder.

No network is trained. The parts:

| module | contents |
|---|---|
| `encoders` | from images to features |
| `features` | one pass over the images, kept in the cache |
| `ridge` | predictions that leave a sample's group out |
| `decisions` | which labels to flag |
| `scoring` | all of it: :func:`score_labels` |
"""

from mmfer.evaluation import Strength

from .encoders import find_encoder
from .features import Extracted, Extractor, extract
from .scoring import LabelScores, ScoreOptions, score_labels

__all__ = [
    'Extracted',
    'Extractor',
    'LabelScores',
    'ScoreOptions',
    'Strength',
    'extract',
    'find_encoder',
    'score_labels',
]

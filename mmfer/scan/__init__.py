"""Scan: which labels are probably wrong, from one pass of a frozen encoder.

No network is trained, unless the small head is wanted. The parts:

| module | contents |
|---|---|
| `encoders` | from images to features |
| `features`, `feature_files`, `image_sources` | one pass over the images, cached |
| `ridge` | predictions that leave a sample's group out |
| `nystroem` | kernel features, for one more ridge |
| `head` | small network on the features |
| `scoring` | all of it, with a stack and its flags: :func:`score_labels` |
| `frozen_pass` | features and duplicates of a data set, ready to be scored |
| `evidence` | class probabilities for other methods: :class:`ScanEvidence` |

Memory and time for N images, D features and chunks of c = 2,048: a ridge takes
:math:`O(D^2 + c D + N C)` numbers and :math:`O(N D^2)` operations. With 280,000 images
and `lite0` this is below 1 GB beside the interpreter, about 10 minutes of one core for
the scores, and 2.6 GB of features on disk. Nothing has N x N numbers. The head keeps
3 KB per image in memory.
"""

from mmfer.evaluation import Strength

from .encoders import find_encoder
from .evidence import ScanEvidence
from .features import Extracted, Extractor, extract
from .scoring import LabelScores, ScoreOptions, score_labels

__all__ = [
    'Extracted',
    'Extractor',
    'LabelScores',
    'ScanEvidence',
    'ScoreOptions',
    'Strength',
    'extract',
    'find_encoder',
    'score_labels',
]

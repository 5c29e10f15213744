"""Classes of models and data sets are matched by name."""

import numpy as np
import pytest

from mmfer.analysis.machine_labels import match_classes, translate
from mmfer.datasets.affectnet import EMOTIONS as AFFECTNET
from mmfer.datasets.rafdb import EMOTIONS as RAFDB


def test_classes_are_matched_by_name():
    shared = match_classes(AFFECTNET, RAFDB)
    assert {AFFECTNET[i]: RAFDB[k] for i, k in shared.items()} == dict(
        neutral='neutral',
        happy='happiness',
        sad='sadness',
        surprise='surprise',
        fear='fear',
        disgust='disgust',
        anger='anger',
    )
    # Contempt is the likeliest, but RAF-DB has none.
    scores = np.full((1, 8), 0.05)
    scores[0, AFFECTNET.index('contempt')] = 0.5
    scores[0, AFFECTNET.index('sad')] = 0.2
    assert translate(scores, shared) == [RAFDB.index('sadness')]
    with pytest.raises(ValueError, match='share fewer than two classes'):
        match_classes(AFFECTNET, ['cat', 'dog'])

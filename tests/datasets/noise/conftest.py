import numpy as np
import pytest

NUM_CLASSES = 7

# Unequal class sizes, so that a share per class differs from an overall share.
COUNTS = (1290, 281, 717, 4772, 1982, 705, 2524)


@pytest.fixture
def labels():
    labels = np.repeat(np.arange(NUM_CLASSES), COUNTS)
    return np.random.default_rng(0).permutation(labels)

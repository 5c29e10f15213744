import pytest

from mmfer.datasets.synthetic_faces import sample_faces


@pytest.fixture(scope='module')
def drawn():
    return sample_faces(2100, seed=3)

"""Small training and its inferencer, for all tests of this folder."""

import pytest
from helpers import tiny_config, train

from mmfer import FERInferencer
from mmfer.registry import DATASETS


@pytest.fixture(scope='session')
def work_dir(tmp_path_factory):
    """Work dir of a training."""
    folder = tmp_path_factory.mktemp('work_dir')
    train(tiny_config(folder))
    return folder


@pytest.fixture(scope='session')
def fer(work_dir):
    return FERInferencer(str(work_dir), device='cpu')


@pytest.fixture(scope='session')
def faces(fer):
    dataset = DATASETS.build(fer.config.test_dataloader.dataset)
    dataset.full_init()
    return [dataset.get_data_info(i)['img'] for i in range(10)]

import os

import pytest

# Tensors are small here, and threads wait for one another; two processes are
# faster than two threads. Before torch is imported; programs that tests start
# have it, too.
os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(autouse=True)
def default_scope():
    """Names resolve as in a config with ``default_scope='mmfer'``."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmfer'):
        yield

import gc
import os

import pytest

# Tensors are small here, and threads wait for one another; two processes are
# faster than two threads. Before torch is imported; programs that tests start
# have it, too.
os.environ.setdefault('OMP_NUM_THREADS', '1')


@pytest.fixture(scope='session', autouse=True)
def cheap_runners():
    """Halve the time of tiny trainings, which mmengine spends beside them.

    - It formats the config with yapf seven times per training. Without the
      formatting the text is as valid, only less readable.
    - It collects garbage for each data set. Objects of imported packages are
      exempt from that here.
    """
    import mmfer.engine  # noqa: F401
    from mmfer import compat

    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compat.FORMATTER, lambda text, **kwargs: (text, True))
        yield
    gc.unfreeze()


@pytest.fixture(scope='session', autouse=True)
def cache_folder(tmp_path_factory):
    """Keep stored images in a temporary folder, also those of started programs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMFER_CACHE_DIR', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(autouse=True)
def default_scope():
    """Names resolve as in a config with ``default_scope='mmfer'``."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmfer'):
        yield


@pytest.fixture(autouse=True)
def no_step():
    """A training that a test stops within a step leaves its draws to no other test."""
    yield
    from mmfer.utils.random import clear_step

    clear_step()

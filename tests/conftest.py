import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def default_scope():
    """Names resolve as in a config with ``default_scope='mmfer'``."""
    with DefaultScope.overwrite_default_scope('mmfer'):
        yield

import gc
import sys

import cv2
import numpy as np
import pytest


@pytest.fixture(scope='session', autouse=True)
def small_heap():
    """Hide what is imported from the garbage collector.

    mmengine collects garbage once for each data set that is made, which
    takes longer than the tests themselves.
    """
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def said(monkeypatch):
    """Return the list of texts that the data sets log."""
    texts = []
    for name, module in list(sys.modules.items()):
        if name.startswith('mmfer.datasets.') and hasattr(module, 'print_log'):
            monkeypatch.setattr(
                module, 'print_log', lambda text, *_, **__: texts.append(text)
            )
    return texts


@pytest.fixture
def write_image():
    """Return a function that writes a different image for every seed."""

    def write_image(path, seed=0, size=16):
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), image)
        return path

    return write_image


@pytest.fixture
def image_list(tmp_path, write_image):
    """Return a function that makes N images of 3 classes for ImageList."""

    def image_list(count=12, extension='png'):
        rows = []
        for i in range(count):
            name = f'images/{i:03d}.{extension}'
            write_image(tmp_path / name, seed=i)
            rows.append(f'{name},{i % 3}')
        (tmp_path / 'list.csv').write_text('\n'.join(rows) + '\n')
        return dict(
            ann_file='list.csv',
            data_root=str(tmp_path),
            classes=['calm', 'glad', 'sad'],
        )

    return image_list

"""Threads prepare the same batches as the main thread, and none is left behind."""

import gc
import io
import threading
import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmfer import FERInferencer
from mmfer.apis.reading import AHEAD, Reader


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Folder of 41 images of different sizes; three of the files are broken."""
    folder = tmp_path_factory.mktemp('folder')
    rng = np.random.default_rng(0)
    for i in range(41):
        image = rng.integers(0, 256, (30 + i, 50 - i // 2, 3), np.uint8)
        ending = ('png', 'jpg', 'bmp')[i % 3]
        cv2.imwrite(str(folder / f'{i:02d}.{ending}'), image)
    for i, content in ((0, b''), (17, b'no image'), (40, None)):
        (path,) = folder.glob(f'{i:02d}.*')
        path.write_bytes(path.read_bytes()[:200] if content is None else content)
    return folder


@pytest.fixture
def readers():
    """Return the threads that read images now."""

    def alive():
        return [t for t in threading.enumerate() if t.name.startswith('mmfer-read')]

    assert not alive()
    yield alive
    assert not alive()


@pytest.fixture(scope='module')
def both(work_dir):
    """Inferencer that uses three threads, and one that uses none."""
    return [FERInferencer(work_dir, device='cpu', workers=number) for number in (3, 0)]


def equal(one, other):
    """Assert that results are the same, bit by bit."""
    assert len(one) == len(other)
    for a, b in zip(one, other):
        assert list(a) == list(b)
        for key, value in a.items():
            assert np.array_equal(value, b[key]), key


@pytest.mark.usefixtures('readers')
@pytest.mark.parametrize('batch_size', [1, 5, 16, 41, 200])
def test_results_are_those_of_the_main_thread(both, folder, batch_size):
    threads, alone = both
    found, expected = (
        fer(folder, batch_size=batch_size, on_error='report') for fer in both
    )
    equal(found, expected)
    assert [i for i, r in enumerate(found) if 'error' in r] == [0, 17, 40]
    assert '17.bmp' in found[17]['error']
    equal(
        list(threads.stream(folder, batch_size=batch_size, on_error='report')), expected
    )


@pytest.mark.usefixtures('readers')
@pytest.mark.parametrize('window', [True, False])
def test_any_pipeline(work_dir, folder, window, monkeypatch):
    """Pipelines that must run for each image run in threads, too."""
    results = []
    for workers in (3, 0):
        fer = FERInferencer(work_dir, device='cpu', workers=workers)
        if not window:
            fer.preparation.window = None
        results.append(fer(folder, batch_size=7, on_error='report'))
    equal(*results)


def test_whole_batch_of_errors(both, readers, tmp_path):
    for i in range(9):
        (tmp_path / f'{i}.png').write_bytes(b'' if i < 6 else b'no image')
    found = [fer(tmp_path, batch_size=4, on_error='report') for fer in both]
    equal(*found)
    assert all('error' in result for result in found[0])


def test_errors_end_the_call(both, folder, readers):
    """The first broken image in the order of the files is the one reported."""
    paths = sorted(folder.iterdir())[1:]
    for fer in both:
        stream = fer.stream(paths, batch_size=4, on_error='raise')
        results = []
        with pytest.raises(OSError, match='17.bmp'):
            # extend would add nothing if an error came.
            deque(map(results.append, stream), maxlen=0)
        # The results of earlier batches came out.
        assert len(results) == 16
    assert not readers()


def test_a_gpu_is_one_batch_ahead(both, folder, readers, monkeypatch):
    """It computes the next batch while the results of the last one become dicts."""
    threads, alone = both
    paths = sorted(folder.iterdir())[1:]
    events = []
    predict = threads.predictor.predict

    def noting(batch):
        events.append('launch')
        return predict(batch)

    monkeypatch.setattr(threads.predictor, 'predict', noting)
    # The model stays on the CPU.
    monkeypatch.setattr(threads.predictor, 'device', torch.device('mps'))
    found = []
    with pytest.raises(OSError, match='17.bmp'):
        for result in threads.stream(paths, batch_size=4, on_error='raise'):
            found.append(result)
            events.append('result')
    assert events[:7] == ['launch', 'launch', *4 * ['result'], 'launch']
    equal(found, alone(paths[:16], batch_size=4))
    # Frames of a camera do not wait for the next one.
    events.clear()
    frame = cv2.imread(str(paths[0]))
    stream = threads.stream(frame for _ in range(9))
    next(stream)
    assert events == ['launch']


class Interrupt:
    """Model that is interrupted at its second batch, as by Ctrl-C."""

    def __init__(self, predict):
        self.predict, self.calls = predict, 0

    def __call__(self, batch):
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return self.predict(batch)


def test_interrupt_leaves_no_thread(both, folder, readers, monkeypatch):
    threads, _ = both
    monkeypatch.setattr(
        threads.predictor, 'predict', Interrupt(threads.predictor.predict)
    )
    with pytest.raises(KeyboardInterrupt):
        threads(folder, batch_size=4, on_error='report')
    assert not readers()


def test_abandoned_stream_leaves_no_thread(both, folder, readers):
    threads, _ = both
    stream = threads.stream(folder, batch_size=4, on_error='report')
    next(stream)
    assert readers()
    stream.close()
    assert not readers()
    stream = threads.stream(folder, batch_size=4, on_error='report')
    next(stream)
    del stream
    gc.collect()
    assert not readers()


def test_few_batches_are_prepared_in_advance(fer, readers):
    """A folder of any size takes the memory of a few batches."""
    begun = []
    face = fer.preparation.fit(fer.preparation.blank())

    def prepare(source):
        begun.append(source)
        return [face], [{}]

    sources = [str(i) for i in range(100_000)]
    reader = Reader(prepare, fer.preparation, 10, 2)
    batches = reader.batches(sources)
    for number in range(1, 6):
        prepared = next(batches)
        assert prepared.data[0]['inputs'].shape[0] == 10
        time.sleep(0.05)
        assert number * 10 <= len(begun) <= (number + AHEAD) * 10
    batches.close()
    assert len(begun) < 100


def test_a_stop_waits_for_one_image_only(fer, readers):
    """Photos of many pixels take long, and a task has several of them."""
    release, begun = threading.Event(), []
    face = fer.preparation.fit(fer.preparation.blank())

    def prepare(source):
        begun.append(source)
        if len(begun) > 32:
            release.wait(10)
        return [face], [{}]

    batches = Reader(prepare, fer.preparation, 32, 1).batches(['a'] * 1000)
    next(batches)
    while len(begun) <= 32:
        time.sleep(0.01)
    closing = threading.Thread(target=batches.close)
    closing.start()
    time.sleep(0.1)
    release.set()
    closing.join(10)
    assert not closing.is_alive() and len(begun) == 33


def test_threads_prepare_while_the_model_computes(fer, readers):
    begun = threading.Event()
    face = fer.preparation.fit(fer.preparation.blank())

    def prepare(source):
        if source == '10':
            begun.set()
        return [face], [{}]

    batches = Reader(prepare, fer.preparation, 5, 2).batches(
        [str(i) for i in range(50)]
    )
    next(batches)
    # The main thread does nothing, as if it waited for the model.
    assert begun.wait(10)
    batches.close()


def test_threads_read_files_only(both, folder, readers):
    """An open file may be given twice, or be used by another thread."""
    names = []
    threads, alone = both
    (path,) = folder.glob('05.*')
    opened = io.BytesIO(path.read_bytes())
    sources = [opened, Image.open(path), cv2.imread(str(path)), opened] * 2

    class Noting(FERInferencer):
        def prepare(self, *args, **kwargs):
            names.append(threading.current_thread().name)
            return super().prepare(*args, **kwargs)

    fer = Noting(threads.model, False, workers=3)
    equal(fer(sources), alone(sources))
    assert set(names) == {threading.main_thread().name}
    fer([path.read_bytes(), str(path), Path(path)] * 2)
    assert any(name.startswith('mmfer-read') for name in names)


def test_frames_of_a_batch_may_share_memory(fer):
    """Each frame is prepared before the next one is taken."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 36, 36), np.uint8)
    frame = np.empty_like(images[0])

    def camera():
        for image in images:
            frame[:] = image
            yield frame

    equal(list(fer.stream(camera(), batch_size=3)), fer(list(images), batch_size=3))


def test_random_steps_run_in_order(work_dir, folder, readers, monkeypatch):
    """Draws of several threads would depend on which comes first."""
    fer = FERInferencer(work_dir, device='cpu', workers=3)
    assert fer.preparation.thread_safe
    config = fer.config
    config.test_dataloader.dataset.pipeline.insert(
        -1, dict(type='RandomFlip', prob=0.5, direction='horizontal')
    )
    fer = FERInferencer(config, fer_checkpoint(work_dir), device='cpu', workers=3)
    assert not fer.preparation.thread_safe
    monkeypatch.setattr('mmfer.apis.reading.ThreadPoolExecutor', None)
    assert len(fer(folder, on_error='report')) == 41


def fer_checkpoint(work_dir):
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    return str(checkpoint)


@pytest.mark.parametrize('workers', [-1, 2.5, True, '2'])
def test_number_of_threads(work_dir, workers):
    with pytest.raises(ValueError, match='workers must be a whole number of at least'):
        FERInferencer(work_dir, workers=workers)


def test_batches_of_colour(tmp_path):
    """Without a crop, faces are copied into the batch as the pipeline packs them."""
    fer = FERInferencer('ce_r18_rafdb', False, 'cpu', workers=2)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (s, s + 3, 3), np.uint8) for s in (100, 224, 300)]
    assert fer.preparation.window == (slice(0, 224), slice(0, 224))
    found = fer.preparation.collate([fer.preparation.fit(image) for image in images])
    for image, inputs in zip(images, found['inputs'], strict=True):
        expected = fer.preparation.pipeline(
            dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
        )
        assert torch.equal(inputs, expected['inputs'])

"""Stages are found again by their settings."""

import json
import threading

import numpy as np
import pytest

from mmfer.engine.stages import (
    DamagedResultError,
    Stages,
    fingerprint,
    load_result,
    save_result,
)


def test_fingerprint_tells_values_apart():
    values = [
        1,
        1.0,
        '1',
        None,
        [1],
        [1, 2],
        [2, 1],
        dict(a=1),
        dict(a=1, b=2),
        np.arange(3),
        np.arange(3.0),
        np.arange(4)[:, None],
        np.arange(4).reshape(2, 2),
        [np.arange(3)],
    ]
    prints = [fingerprint(value) for value in values]
    assert len(set(prints)) == len(prints)
    assert fingerprint(dict(a=1, b=2)) == fingerprint(dict(b=2, a=1))
    twisted = np.asfortranarray(np.arange(6).reshape(2, 3))
    assert fingerprint(twisted) == fingerprint(np.arange(6).reshape(2, 3))
    swapped = np.arange(3, dtype='>i8')
    assert fingerprint(swapped) == fingerprint(np.arange(3, dtype='<i8'))
    assert fingerprint(np.int64(3)) == fingerprint(3)


def test_done_once(tmp_path):
    calls = []

    def compute(folder):
        calls.append(folder)
        return dict(a=np.arange(3), b=np.array(['x', 'yy']))

    stages = Stages(str(tmp_path))
    settings = dict(rate=0.5, labels=np.arange(9))
    results = [
        stages.run('one', settings, compute),
        Stages(str(tmp_path)).run('one', settings, compute),
    ]
    assert len(calls) == 1
    for result in results:
        assert result['a'].tolist() == [0, 1, 2]
        assert result['b'].tolist() == ['x', 'yy']
    stages.run('one', dict(settings, rate=0.6), compute)
    stages.run('one', dict(settings, labels=np.arange(9)[::-1]), compute)
    stages.run('two', settings, compute)
    assert len(set(calls)) == 4
    text = json.loads((tmp_path / calls[0] / 'settings.json').read_text())
    assert text['rate'] == 0.5 and text['labels'].startswith('int64 (9,)')


def test_failed_stage_is_done_again(tmp_path):
    stages = Stages(str(tmp_path))

    def fail(folder):
        open(f'{folder}/half', 'w').close()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.run('one', {}, fail)
    # It runs in the same folder, where it finds the file.
    found = stages.run(
        'one',
        {},
        lambda folder: dict(seen=np.array(open(f'{folder}/half').read() == '')),
    )
    assert found['seen']


def test_two_runs_at_one_stage(tmp_path):
    """One computes, the other waits for it and reads the result."""
    calls, begun, go = [], threading.Event(), threading.Event()

    def compute(folder):
        calls.append(folder)
        begun.set()
        assert go.wait(20)
        return dict(a=np.arange(3))

    def run(found):
        found.append(Stages(str(tmp_path)).run('x', dict(b=1), compute))

    first, second = [], []
    threads = [threading.Thread(target=run, args=(found,)) for found in (first, second)]
    threads[0].start()
    assert begun.wait(20)
    threads[1].start()
    threads[1].join(0.3)
    assert threads[1].is_alive() and len(calls) == 1
    go.set()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1
    assert first[0]['a'].tolist() == second[0]['a'].tolist() == [0, 1, 2]


def test_archive_that_hides_its_entries(tmp_path):
    """A damaged end of the archive once gave a result without arrays."""
    path = tmp_path / 'result.npz'
    save_result(str(path), dict(a=np.arange(3), b=np.arange(4)), 'key')
    data = path.read_bytes()
    end = data.rindex(b'PK\5\6')
    size = int.from_bytes(data[end + 12 : end + 16], 'little')
    for change in (0, size // 2, size - 60):
        path.write_bytes(
            data[: end + 12] + change.to_bytes(4, 'little') + data[end + 16 :]
        )
        with pytest.raises(DamagedResultError, match='result.npz'):
            load_result(str(path), 'key')
    path.write_bytes(data)
    assert sorted(load_result(str(path), 'key')) == ['a', 'b']

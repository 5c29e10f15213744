"""A resumed run takes the latest whole checkpoint of its own work dir."""

import json
import os
import shutil

import pytest
import torch
from helpers import assert_same_state, results, tiny_config, train
from mmengine.runner import Runner

from mmfer.cli import checkpoint_loading
from mmfer.engine.checkpoint_files import choose_checkpoint
from mmfer.utils.checkpoint_content import DamagedCheckpointError
from mmfer.utils.checkpoint_names import note_last, read_last


def save(folder, name, epoch, iteration):
    content = dict(
        meta=dict(epoch=epoch, iter=iteration), state_dict=dict(w=torch.zeros(4000))
    )
    torch.save(content, folder / name)
    return str(folder / name)


def truncate(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def empty(path):
    path.write_bytes(b'')


def flip(path):
    """Change one bit of a tensor, which torch does not notice."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


# -- names ---------------------------------------------------------------------
def test_names_are_relative(tmp_path):
    note_last(str(tmp_path), str(tmp_path / 'epoch_1.pth'))
    assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_1.pth'
    note_last(str(tmp_path), str(tmp_path / 'sub/epoch_1.pth'))
    assert (tmp_path / 'last_checkpoint').read_text() == 'sub/epoch_1.pth'
    note_last(str(tmp_path / 'run'), str(tmp_path / 'elsewhere/epoch_1.pth'))
    named = (tmp_path / 'run/last_checkpoint').read_text()
    assert named == str(tmp_path / 'elsewhere/epoch_1.pth')


@pytest.mark.parametrize(
    'text',
    [
        'epoch_2.pth',
        '/somewhere/else/epoch_2.pth\n',
        'work_dirs/old/epoch_2.pth',
        'C:\\runs\\old\\epoch_2.pth',
    ],
)
def test_any_path_names_the_file_of_this_work_dir(tmp_path, text):
    (tmp_path / 'last_checkpoint').write_text(text)
    expected = save(tmp_path, 'epoch_2.pth', 2, 6)
    assert read_last(str(tmp_path)) == expected


def test_the_original_of_a_copy_is_not_taken(tmp_path):
    original, copy = tmp_path / 'original', tmp_path / 'copy'
    original.mkdir()
    path = save(original, 'epoch_2.pth', 2, 6)
    (original / 'last_checkpoint').write_text(path)
    shutil.copytree(original, copy)
    assert choose_checkpoint(str(copy)).path == str(copy / 'epoch_2.pth')
    # Not even if the copy has no such file.
    os.remove(copy / 'epoch_2.pth')
    with pytest.raises(DamagedCheckpointError, match='copy/epoch_2.pth does not exist'):
        choose_checkpoint(str(copy))


def test_folders_of_checkpoints(tmp_path):
    run, out = tmp_path / 'run', tmp_path / 'out/run'
    run.mkdir()
    out.mkdir(parents=True)
    path = save(out, 'epoch_2.pth', 2, 6)
    note_last(str(run), path)
    assert read_last(str(run), str(out)) == path
    assert choose_checkpoint(str(run), str(out)).path == path


def test_files_that_name_nothing(tmp_path):
    assert read_last(str(tmp_path)) is None
    for content in (b'', b'\n', b'\xff\xfe', b'a\0b'):
        (tmp_path / 'last_checkpoint').write_bytes(content)
        assert read_last(str(tmp_path)) is None
    assert choose_checkpoint(str(tmp_path)) == (None, [])
    path = save(tmp_path, 'epoch_1.pth', 1, 3)
    assert choose_checkpoint(str(tmp_path)).path == path


# -- choice --------------------------------------------------------------------
def test_order_is_that_of_the_progress(tmp_path):
    """Neither names nor times tell which file is the latest."""
    files = [
        save(tmp_path, 'epoch_2.pth', 2, 200),
        save(tmp_path, 'iter_250.pth', 2, 250),
        save(tmp_path, 'iter_199.pth', 1, 199),
        save(tmp_path, 'epoch_10.pth', 10, 1000),
    ]
    save(tmp_path, 'best_accuracy_epoch_99.pth', 99, 9900)
    found = []
    for _ in files:
        path = choose_checkpoint(str(tmp_path)).path
        found.append(files.index(path))
        os.remove(path)
    assert found == [3, 1, 0, 2]


def test_the_named_file_is_first(tmp_path):
    """Newer ones may be of an earlier run in the folder."""
    save(tmp_path, 'epoch_9.pth', 9, 90)
    path = save(tmp_path, 'epoch_1.pth', 1, 10)
    note_last(str(tmp_path), path)
    assert choose_checkpoint(str(tmp_path)) == (path, [])


@pytest.mark.parametrize(
    'damage, word',
    [
        (truncate, 'is truncated'),
        (empty, 'is empty'),
        (flip, 'is damaged'),
        (os.remove, 'does not exist'),
    ],
)
def test_the_one_before_is_taken(tmp_path, damage, word):
    first = save(tmp_path, 'epoch_1.pth', 1, 3)
    last = save(tmp_path, 'epoch_2.pth', 2, 6)
    note_last(str(tmp_path), last)
    damage(tmp_path / 'epoch_2.pth')
    path, (warning,) = choose_checkpoint(str(tmp_path))
    assert path == first
    assert f'{last} {word}' in warning
    assert f'goes on from {first}: 1 epochs and 3 iterations' in warning


def test_nothing_can_be_used(tmp_path):
    last = save(tmp_path, 'epoch_2.pth', 2, 6)
    save(tmp_path, 'epoch_1.pth', 1, 3)
    torch.save(dict(state_dict={}), tmp_path / 'iter_4.pth')
    note_last(str(tmp_path), last)
    truncate(tmp_path / 'epoch_1.pth')
    empty(tmp_path / 'epoch_2.pth')
    with pytest.raises(DamagedCheckpointError) as error:
        choose_checkpoint(str(tmp_path))
    lines = str(error.value).splitlines()
    assert lines[0].endswith('no checkpoint can be resumed from:')
    assert [line.split()[0].rsplit('/')[-1] for line in lines[1:4]] == [
        'epoch_2.pth',
        'iter_4.pth',
        'epoch_1.pth',
    ]


# -- runs ----------------------------------------------------------------------
@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run') / 'a'
    return train(tiny_config(folder, 'ce/ce_r18_synthfaces')), folder


@pytest.mark.parametrize('damage', [truncate, flip])
def test_a_run_goes_on_from_the_checkpoint_before(finished, tmp_path, damage):
    """The result is that of the run without the damage."""
    runner, folder = finished
    copy = tmp_path / 'b'
    shutil.copytree(folder, copy)
    damage(copy / 'epoch_3.pth')
    cfg = tiny_config(copy, 'ce/ce_r18_synthfaces', resume=True)
    other = Runner.from_cfg(cfg)
    texts = []
    other.logger.warning = lambda text, *_: texts.append(str(text))
    other.train()
    assert any('goes on from' in text and 'epoch_2.pth' in text for text in texts)
    assert_same_state(runner.model.state_dict(), other.model.state_dict())
    assert results(folder) == results(copy)
    # The damaged file was written again.
    assert choose_checkpoint(str(copy)).path == str(copy / 'epoch_3.pth')


def test_a_copied_work_dir_uses_its_own_files(finished, tmp_path):
    """mmengine would remove the best checkpoint of the original."""
    folder = tmp_path / 'original'
    options = dict(
        default_hooks__checkpoint__save_best='accuracy/top1',
        default_hooks__checkpoint__rule='less',
        train_cfg__max_epochs=1,
    )
    train(tiny_config(folder, 'ce/ce_r18_synthfaces', **options))
    best = sorted(path.name for path in folder.glob('best*'))
    assert len(best) == 1
    before = {path.name: path.read_bytes() for path in folder.glob('*.pth')}
    # As mmengine and mmfer 0.1 write it.
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy)
    options.update(
        train_cfg__max_epochs=2, resume=True, optim_wrapper__optimizer__lr=0.0
    )
    runner = train(tiny_config(copy, 'ce/ce_r18_synthfaces', **options))
    assert runner.epoch == 2 and (copy / 'epoch_2.pth').exists()
    assert before == {path.name: path.read_bytes() for path in folder.glob('*.pth')}


def test_tools_call_a_damaged_file_damaged(tmp_path, finished):
    """They do not say that --trust-checkpoint would help."""
    path = tmp_path / 'epoch_3.pth'
    shutil.copy(finished[1] / 'epoch_3.pth', path)
    with checkpoint_loading(str(path), False):
        torch.load(path, weights_only=True)
    with pytest.raises(ZeroDivisionError), checkpoint_loading(str(path), False):
        torch.zeros(1 // 0)
    truncate(path)
    with pytest.raises(SystemExit, match='epoch_3.pth is truncated.*Copy it again'):
        with checkpoint_loading(str(path), False):
            torch.load(path, weights_only=True)
    path.write_bytes(b'\x80\x02}q\x00.')
    with pytest.raises(SystemExit, match='is not a checkpoint but another pickle'):
        with checkpoint_loading(str(path), False):
            torch.load(path, weights_only=True)


def test_a_damaged_history(finished, tmp_path):
    """The run goes on, and keeps the file."""
    copy = tmp_path / 'b'
    shutil.copytree(finished[1], copy)
    (copy / 'history.json').write_text('[{"epoch": 1')
    train(
        tiny_config(copy, 'ce/ce_r18_synthfaces', resume=True, train_cfg__max_epochs=4)
    )
    assert (copy / 'history.json.damaged').read_text() == '[{"epoch": 1'
    history = json.loads((copy / 'history.json').read_text())
    assert [entry['epoch'] for entry in history] == [3, 4]


@pytest.mark.parametrize('resume', [True, False])
def test_a_damaged_file_that_was_named(finished, tmp_path, resume):
    _, folder = finished
    path = tmp_path / 'epoch_3.pth'
    shutil.copy(folder / 'epoch_3.pth', path)
    truncate(path)
    cfg = tiny_config(
        tmp_path, 'ce/ce_r18_synthfaces', resume=resume, load_from=str(path)
    )
    with pytest.raises(DamagedCheckpointError, match='epoch_3.pth is truncated'):
        Runner.from_cfg(cfg).train()
    if not resume:
        cfg.experiment_name = 'another'
        with pytest.raises(DamagedCheckpointError, match='epoch_3.pth is truncated'):
            Runner.from_cfg(cfg).test()

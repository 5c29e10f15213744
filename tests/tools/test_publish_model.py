"""What is given away is weights, a record and a card, and thresholds that hold."""

import errno
import hashlib
import json
import shutil
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from helpers import load_tool, tiny_config, train
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfer import FERInferencer
from mmfer.apis import publishing
from mmfer.apis.model_record import missing_items
from mmfer.registry import DATASETS

HELD_OUT = 40
LAW = 'Regulation (EU) 2024/1689, Article 5(1)(f).'


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('work_dir')
    cfg = tiny_config(
        folder,
        train_dataloader__dataset__indices=160,
        train_dataloader__dataset__num_samples=200,
        image_size=(36, 36),
    )
    train(cfg)
    return folder


def publish(work_dir, out, *options):
    (config,) = work_dir.glob('*.py')
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    tool = load_tool('model_converters/publish_model.py')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['x', *map(str, [config, checkpoint, out, *options])])
        tool.main()
    return config


@pytest.fixture(scope='module')
def card(work_dir, tmp_path_factory):
    """A card: the draft, completed by a person."""
    path = tmp_path_factory.mktemp('card') / 'card.md'
    options = ('--half', '--held-out', HELD_OUT)
    publish(work_dir, path.parent / 'made.pth', *options, '--draft-card', path)
    assert [p.name for p in path.parent.iterdir()] == ['card.md']
    text = path.read_text()
    assert text.count('TODO') == 4
    text = text.replace('TODO: age, skin, sex', 'Unknown: age, skin, sex')
    path.write_text(text.replace('TODO: where', f'{LAW} Where').replace('TODO', 'Done'))
    return path


@pytest.fixture(scope='module')
def published(work_dir, card):
    out = card.parent / 'new/made.pth'
    config = publish(
        work_dir, out, '--half', '--held-out', HELD_OUT, '--model-card', card
    )
    (weights,) = out.parent.glob('*.pth')
    return config, weights


def test_three_files(work_dir, published, card):
    config, weights = published
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    # The name is that of OpenMMLab, which checks it after a download.
    assert weights.name == f'made-{sha256[:8]}.pth'
    assert {p.suffix for p in weights.parent.iterdir()} == {'.pth', '.json', '.md'}
    assert weights.with_suffix('.md').read_text() == card.read_text()
    record = json.loads(weights.with_suffix('.json').read_text())
    assert missing_items(record) == []
    summary = json.loads((work_dir / 'summary.json').read_text())
    for key in ('config_sha256', 'labels_sha256', 'seed', 'epochs', 'versions'):
        assert record[key] == summary[key]
    # The config in the work dir is that of the run.
    assert record['published_config_sha256'] == record['config_sha256']
    assert record['method'] == 'alum' and record['file']['sha256'] == sha256
    assert record['file']['precision'] == 'float16'
    assert record['label_noise'] == json.loads(
        (work_dir / 'label_noise.json').read_text()
    )
    assert record['data']['training_images'] == 160
    assert record['input']['shape'] == [1, 32, 32]
    for name, values in record['metrics'].items():
        assert values['last'] == summary['metrics'][name]['last']
        assert 'best' not in values
    for path in weights.parent.iterdir():
        # Where it was trained is nobody's business.
        assert str(work_dir.parent).encode() not in path.read_bytes(), path


def test_evaluation_is_that_of_the_stored_weights(published):
    config, weights = published
    found = json.loads(weights.with_suffix('.json').read_text())['evaluation']
    fer = FERInferencer(str(config), str(weights), device='cpu')
    init_default_scope('mmfer')
    dataset = DATASETS.build(Config.fromfile(str(config)).test_dataloader.dataset)
    dataset.full_init()
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    results = fer([info['img'] for info in infos])
    right = sum(r['pred_label'] == i['gt_label'] for r, i in zip(results, infos))
    assert found['images'] == len(dataset)
    # Half precision may turn a prediction between two equal classes.
    assert abs(found['correct'] - right) <= 1


def test_weights_alone(work_dir, published):
    config, out = published
    content = torch.load(out, weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    *_, checkpoint = sorted(work_dir.glob('*.pth'))
    before = torch.load(checkpoint, weights_only=True)['state_dict']
    after = content['state_dict']
    assert set(after) == set(before)
    for name, value in after.items():
        if before[name].is_floating_point():
            assert value.dtype == torch.float16
            torch.testing.assert_close(
                value.float(), before[name], rtol=1e-3, atol=1e-6
            )
        else:
            assert torch.equal(value, before[name])
    assert len(content['meta']['dataset_meta']['classes']) == 7


def test_predictions_stay(work_dir, published):
    config, out = published
    faces = list(np.random.default_rng(0).integers(0, 256, (20, 36, 36), np.uint8))
    before = FERInferencer(str(work_dir), device='cpu')(faces)
    after = FERInferencer(str(config), str(out), device='cpu')(faces)
    for one, other in zip(before, after):
        assert one['pred_scores'] == pytest.approx(other['pred_scores'], abs=5e-3)
        assert (
            one['pred_class'] == other['pred_class']
            or np.diff(sorted(one['pred_scores'].values())[-2:]) < 0.01
        )


def test_thresholds_hold_on_held_out_images(published):
    """Those left by a threshold are wrong no more often than promised."""
    config, out = published
    fer = FERInferencer(str(config), str(out), device='cpu')
    cfg = Config.fromfile(str(config))
    init_default_scope('mmfer')
    settings = dict(cfg.train_dataloader.dataset, indices=None)
    dataset = DATASETS.build(settings)
    dataset.full_init()
    infos = [dataset.get_data_info(i) for i in range(200 - HELD_OUT, 200)]
    found = fer([info['img'] for info in infos])
    wrong = np.array(
        [r['pred_label'] != info['gt_label'] for r, info in zip(found, infos)]
    )
    uncertainty = np.array([r['uncertainty'] for r in found])
    # So few images fit no temperature, and all of them are counted.
    assert fer.model.calibration['temperature'] == 1
    table = fer.model.rejection
    assert table['images'] == HELD_OUT
    assert table['error'] == pytest.approx(wrong.mean())
    held = 0
    for target, threshold, kept in table['thresholds']:
        left = uncertainty <= threshold + 1e-7
        assert kept == pytest.approx(left.mean())
        if kept:
            assert wrong[left].mean() <= target + 1e-9
            assert fer.rejection_threshold(target, None) >= threshold
            held += 1
    if held:
        lowest = min(t for t, _, kept in table['thresholds'] if kept)
        with pytest.raises(ValueError, match='the lowest error rate was'):
            fer.rejection_threshold(lowest / 2, None)
    else:
        with pytest.raises(ValueError, match='keeps any image'):
            fer.rejection_threshold(0.01, None)
    with pytest.raises(ValueError, match='from 40 held-out images.*would'):
        fer.rejection_threshold(0.01)


def test_a_known_table(fer_with_table):
    """The most that a target allows, not the nearest."""
    fer = fer_with_table
    assert fer.rejection_threshold(0.05, None) == 0.2
    assert fer.rejection_threshold(0.07, None) == 0.2
    assert fer.rejection_threshold(0.1, None) == 0.5
    assert fer.rejection_threshold(0.9, None) == 0.5
    with pytest.raises(ValueError, match='error rate was 5.0%'):
        fer.rejection_threshold(0.01, None)
    assert fer.rejection_threshold(0.35) == 0.5
    with pytest.raises(ValueError, match='the lowest that can be promised is'):
        fer.rejection_threshold(0.1)
    for confidence in (0, 1, '95', True):
        with pytest.raises(ValueError, match='confidence must be a probability'):
            fer.rejection_threshold(0.3, confidence)


@pytest.fixture
def fer_with_table(work_dir):
    fer = FERInferencer(str(work_dir), device='cpu')
    fer.model.rejection = dict(
        images=100,
        error=0.2,
        thresholds=[[0.01, float('-inf'), 0.0], [0.05, 0.2, 0.4], [0.1, 0.5, 0.7]],
    )
    return fer


def test_images_of_the_training_are_refused(work_dir, tmp_path):
    with pytest.raises(ValueError, match='only the last 40 of 200'):
        publish(work_dir, tmp_path / 'x.pth', '--held-out', 41)
    with pytest.raises(ValueError, match='only the last 0 of 200'):
        publish(
            work_dir,
            tmp_path / 'x.pth',
            '--held-out',
            1,
            '--cfg-options',
            'train_dataloader.dataset.indices=None',
        )
    assert not list(tmp_path.iterdir())


def copy_of(work_dir, tmp_path):
    return Path(shutil.copytree(work_dir, tmp_path / 'run'))


def test_incomplete_records_are_refused(work_dir, card, tmp_path):
    """All that is missing is listed with its source, and nothing is written."""
    run, out = copy_of(work_dir, tmp_path), tmp_path / 'out/x.pth'
    with pytest.raises(ValueError, match='model_card.*It comes from --model-card'):
        publish(run, out)
    (run / 'label_noise.json').unlink()
    (run / 'summary.json').unlink()
    with pytest.raises(ValueError) as error:
        publish(run, out)
    for line in (
        'seed (seed of the run): is missing. It comes from summary.json of the run, '
        'beside CHECKPOINT or behind --summary.',
        'label_noise (manifest of the planted noise): is missing.',
        'model_card',
        'labels_sha256',
        'epochs',
        'No file was written.',
    ):
        assert line in str(error.value), line
    assert not out.parent.exists()
    (run / 'summary.json').write_text('{"seed": ')
    with pytest.raises(ValueError, match='summary.json is damaged'):
        publish(run, out)
    (run / 'summary.json').write_text('[1]')
    with pytest.raises(ValueError, match='no JSON object'):
        publish(run, out)


def test_other_labels_than_those_of_the_run_are_refused(work_dir, tmp_path):
    with pytest.raises(ValueError, match='this is another data set, another noise'):
        publish(
            work_dir,
            tmp_path / 'x.pth',
            '--cfg-options',
            'train_dataloader.dataset.label_noise.seed=7',
        )
    assert not list(tmp_path.iterdir())


def test_another_part_of_the_images_is_refused(work_dir, tmp_path):
    """The labels of the full list are the same, but the counts would be false."""
    option = ('--cfg-options', 'train_dataloader.dataset.indices=150')
    with pytest.raises(ValueError, match='the 150 training images of .* are not those'):
        publish(work_dir, tmp_path / 'x.pth', *option)
    assert not list(tmp_path.iterdir())


def test_a_card_of_another_model_is_refused(work_dir, card, tmp_path):
    """The card has the thresholds of the half-precision weights, and one lie."""
    lie = tmp_path / 'card.md'
    line = next(x for x in card.read_text().splitlines() if x.startswith('| accuracy'))
    lie.write_text(card.read_text().replace(line, '| accuracy | 99.99 |'))
    options = ('--half', '--held-out', HELD_OUT, '--model-card', lie)
    with pytest.raises(ValueError, match='"Accuracy" has no row'):
        publish(work_dir, tmp_path / 'out/made.pth', *options)
    assert not (tmp_path / 'out').exists()


def test_another_config_needs_a_reason(work_dir, tmp_path):
    option = ('--cfg-options', 'optim_wrapper.optimizer.lr=0.5')
    card = tmp_path / 'card.md'
    publish(work_dir, tmp_path / 'x.pth', '--draft-card', card, *option)
    with pytest.raises(ValueError, match='config_note'):
        publish(work_dir, tmp_path / 'x.pth', '--model-card', card, *option)
    facts = tmp_path / 'facts.json'
    facts.write_text('{"config_note": "The learning rate is of no use any more."}')
    with pytest.raises(ValueError, match='is not written yet') as error:
        publish(
            work_dir,
            tmp_path / 'x.pth',
            *('--model-card', card, '--facts', facts),
            *option,
        )
    assert 'config_note (' not in str(error.value)


@pytest.mark.parametrize(
    'text, word',
    [
        ('[]', 'must be an object'),
        ('{', 'is no JSON file'),
        ('{"colour": "red"}', "'colour' is no fact"),
        ('{"date": 3}', "'date' is no fact, or no text"),
    ],
)
def test_faults_of_facts(work_dir, tmp_path, text, word):
    facts = tmp_path / 'facts.json'
    facts.write_text(text)
    with pytest.raises(ValueError, match=word):
        publish(work_dir, tmp_path / 'x.pth', '--facts', facts)


def test_record_only_keeps_the_weights(work_dir, published, card, tmp_path):
    config, weights = published
    copied = Path(shutil.copy(weights, tmp_path))
    tool = load_tool('model_converters/publish_model.py')
    options = ['--record-only', '--summary', work_dir / 'summary.json']
    renamed = tmp_path / 'card.md'
    renamed.write_text(card.read_text().replace('made', copied.stem))
    line = ['x', config, copied, *options, '--model-card', renamed]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', list(map(str, line)))
        tool.main()
    assert copied.read_bytes() == weights.read_bytes()
    before, after = (
        json.loads(path.with_suffix('.json').read_text()) for path in (weights, copied)
    )
    assert before['evaluation'] == after['evaluation']
    assert before['file'] == after['file']


def test_all_files_or_none(tmp_path, monkeypatch):
    """The second of three files does not fit on the disk."""
    paths = [str(tmp_path / name) for name in 'abc']
    real = publishing.write_atomic

    def full(path, data):
        if path == paths[1]:
            raise OSError(errno.ENOSPC, 'No space left on device')
        real(path, data)

    monkeypatch.setattr(publishing, 'write_atomic', full)
    with pytest.raises(OSError, match='No space'):
        publishing.write_all(dict.fromkeys(paths, b'new'))
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    (tmp_path / 'c').write_bytes(b'old')
    with pytest.raises(FileExistsError, match='Nothing was written'):
        publishing.write_all(dict.fromkeys(paths, b'new'))
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b'old']
    publishing.write_all(dict.fromkeys(paths, b'old'))
    publishing.write_all(dict.fromkeys(paths, b'new'), replace=True)
    assert {p.read_bytes() for p in tmp_path.iterdir()} == {b'new'}


def test_a_checkpoint_that_is_not_safe_is_refused():
    with pytest.raises(ValueError, match='weights_only=True'):
        publishing.serialized(dict(classes=[PurePosixPath('fear')]), {})


def test_without_thresholds(work_dir):
    fer = FERInferencer(str(work_dir), device='cpu')
    with pytest.raises(ValueError, match='publish_model.py'):
        fer.rejection_threshold(0.1)

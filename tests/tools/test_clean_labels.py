"""The cleaning tool: what it writes trains, and what it keeps it keeps."""

import csv
import json
import shutil
import sys

import pytest
from helpers import STEPS, Stop, load_tool, patch_training, tiny_config, train

from mmfer.analysis.cleaning import claim_folder
from mmfer.engine.preflight import PreflightError

tool = load_tool('clean_labels.py')
HOOK = dict(STEPS, type='GAAVEHook', tau=2, attack=dict(epsilon=0.05), head=[2, 4, 6])


def run(monkeypatch, tmp_path, *options, hook=True):
    """Call the tool on a tiny config."""
    cfg = tiny_config(
        None,
        'ce/ce_r18_synthfaces_noise30',
        train_cfg__max_epochs=2,
        train_dataloader__batch_size=8,
        optim_wrapper__optimizer__lr=5e-3,
    )
    cfg.pop('work_dir')
    if hook:
        cfg.custom_hooks = [HOOK]
    path = tmp_path / 'tiny.py'
    cfg.dump(path)
    monkeypatch.setattr(
        sys,
        'argv',
        ['clean_labels.py', str(path), '--out', str(tmp_path / 'out'), *options],
    )
    tool.main()
    return cfg


def read_table(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def cleaned(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tool')
    with pytest.MonkeyPatch.context() as patch:
        cfg = run(patch, folder)
    return folder, cfg


@pytest.mark.parametrize('text', ['', '[]', '{}', '{"decided_by": 1', '[' * 100_000])
def test_settings_that_are_damaged(tmp_path, text):
    (tmp_path / 'run.json').write_text(text)
    with pytest.raises(PreflightError, match='run.json is not as .*another --out'):
        claim_folder(str(tmp_path), dict(decided_by='a', config='b'))


def test_what_it_writes(cleaned):
    folder, _ = cleaned
    out = folder / 'out'
    rows = read_table(out / 'sample_scores.csv')
    assert len(rows) == 96 and list(rows[0])[-3:] == [
        'clean_label',
        'given_class',
        'suggested_class',
    ]
    # Drawn faces have no files that a list could name.
    assert not list(out.glob('cleaned_list*'))
    text = (out / 'report.txt').read_text()
    # Models this small do not know these images, which the report says first.
    assert text.startswith('WARNING: The base model of the head-set does not know')
    assert '\nGAAVE: of 96 labels' in text and 'surprise: ' in text
    picture = (out / 'attack_steps.png').read_bytes()
    assert picture[:4] == b'\x89PNG'
    settings = json.loads((out / 'run.json').read_text())
    assert settings['config'] == 'tiny' and settings['options']['tau'] == 2
    assert 'torch' in settings['versions']
    assert settings['list_settings'] is None
    record = json.loads((out / 'record.json').read_text())
    assert [s['tau'] for s in record['subsets']] == [2, 2]


def test_training_on_its_decisions_is_that_of_the_hook(cleaned, tmp_path):
    folder, _ = cleaned
    table = folder / 'out/sample_scores.csv'
    decisions = {row['decision'] for row in read_table(table)}
    assert {'keep', 'relabel'} <= decisions
    options = dict(
        train_cfg__max_epochs=2,
        train_dataloader__batch_size=8,
        optim_wrapper__optimizer__lr=5e-3,
    )
    with_table = tiny_config(
        tmp_path / 'a',
        'ce/ce_r18_synthfaces_noise30',
        **options,
        train_dataloader__dataset__decisions=str(table),
    )
    with_hook = tiny_config(tmp_path / 'b', 'ce/ce_r18_synthfaces_noise30', **options)
    with_hook.custom_hooks = [HOOK]
    models = [train(cfg).model.state_dict() for cfg in (with_table, with_hook)]
    for name, value in models[0].items():
        assert (value == models[1][name]).all(), name


def test_started_again(cleaned, monkeypatch, tmp_path):
    """Nothing is done twice; without the hook's options it is another run."""
    folder, _ = cleaned
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / 'out/sample_scores.csv').read_bytes()
    (tmp_path / 'out/sample_scores.csv').unlink()

    def refuse(*args, **kwargs):
        raise Stop

    patch_training(monkeypatch, refuse)
    run(monkeypatch, tmp_path)
    assert (tmp_path / 'out/sample_scores.csv').read_bytes() == before
    with pytest.raises(PreflightError, match='tiny with other settings'):
        run(monkeypatch, tmp_path, hook=False)
    with pytest.raises(PreflightError, match='choose another --out'):
        run(
            monkeypatch,
            tmp_path,
            '--cfg-options',
            'train_dataloader.dataset.label_noise.seed=1',
        )


def test_folder_of_something_else(monkeypatch, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/thesis.tex').write_text('mine')
    with pytest.raises(PreflightError, match='not empty'):
        run(monkeypatch, tmp_path)
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['thesis.tex']

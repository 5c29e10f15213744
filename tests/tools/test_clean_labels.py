"""The cleaning tool: what it writes trains, and what it keeps it keeps."""
import csv
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import mmcv
import numpy as np
import pytest
from helpers import ROOT, Stop, tiny_config, train
from made_data import make_rafdb

from mmfer.datasets import RAFDB, ImageList
from mmfer.datasets.lists import read_label_list
from mmfer.methods.gaave import Judgement
from mmfer.methods.gaave import gaave as module

TOOL = Path(ROOT) / 'tools/clean_labels.py'
spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def run(monkeypatch, tmp_path, *options, hook=True):
    """Call the tool on a tiny config."""
    cfg = tiny_config(
        None, 'ce/ce_r18_synthfaces_noise30', train_dataloader__batch_size=8,
        optim_wrapper__optimizer__lr=5e-3)
    cfg.pop('work_dir')
    if hook:
        cfg.custom_hooks = [
            dict(type='GAAVEHook', tau=2, attack=dict(epsilon=.05),
                 head=[2, 4, 6])
        ]
    path = tmp_path / 'tiny.py'
    cfg.dump(path)
    monkeypatch.setattr(sys, 'argv', [
        'clean_labels.py', str(path), '--out', str(tmp_path / 'out'), *options
    ])
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


def test_what_it_writes(cleaned):
    folder, _ = cleaned
    out = folder / 'out'
    rows = read_table(out / 'sample_scores.csv')
    assert len(rows) == 96 and list(rows[0])[-1] == 'clean_label'
    left = [row for row in rows if row['decision'] != 'drop']
    found = read_label_list(out / 'cleaned_list.txt', 7, label_base=0,
                            by_path=True)
    assert list(found.paths) == [row['image'] for row in left]
    assert found.labels.tolist() == [
        int(row['suggested_label']) for row in left
    ]
    text = (out / 'report.txt').read_text()
    assert text.startswith('GAAVE: of 96 labels') and 'surprise: ' in text
    picture = (out / 'attack_steps.png').read_bytes()
    assert picture[:4] == b'\x89PNG'
    settings = json.loads((out / 'run.json').read_text())
    assert settings['config'] == 'tiny' and settings['options']['tau'] == 2
    assert 'torch' in settings['versions']


def test_training_on_its_decisions_is_that_of_the_hook(cleaned, tmp_path):
    folder, _ = cleaned
    table = folder / 'out/sample_scores.csv'
    options = dict(train_dataloader__batch_size=8,
                   optim_wrapper__optimizer__lr=5e-3)
    with_table = tiny_config(
        tmp_path / 'a', 'ce/ce_r18_synthfaces_noise30', **options,
        train_dataloader__dataset__decisions=str(table))
    with_hook = tiny_config(
        tmp_path / 'b', 'ce/ce_r18_synthfaces_noise30', **options)
    with_hook.custom_hooks = [
        dict(type='GAAVEHook', tau=2, attack=dict(epsilon=.05),
             head=[2, 4, 6])
    ]
    models = [train(cfg).model.state_dict()
              for cfg in (with_table, with_hook)]
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

    monkeypatch.setattr(module, 'train_classifier', refuse)
    run(monkeypatch, tmp_path)
    assert (tmp_path / 'out/sample_scores.csv').read_bytes() == before
    with pytest.raises(SystemExit, match='tiny with other settings'):
        run(monkeypatch, tmp_path, hook=False)
    with pytest.raises(SystemExit, match='choose another --out'):
        run(monkeypatch, tmp_path, '--cfg-options',
            'train_dataloader.dataset.label_noise.seed=1')


def test_folder_of_something_else(monkeypatch, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/thesis.tex').write_text('mine')
    with pytest.raises(SystemExit, match='not empty'):
        run(monkeypatch, tmp_path)
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['thesis.tex']


def made_judgement(labels, decision, suggested):
    ids = np.arange(len(labels))
    zeros = np.zeros(len(labels), dtype=np.int64)
    return Judgement(ids, labels, zeros, zeros, decision != 'keep', suggested,
                     decision, zeros / 9)


def test_list_of_rafdb_trains(tmp_path):
    """By ImageList, and the table by RAFDB itself."""
    root = make_rafdb(tmp_path / 'rafdb')
    dataset = RAFDB(str(root))
    labels = dataset.get_gt_labels()
    decision = np.array(['keep'] * 14).astype('<U7')
    decision[3], decision[5] = 'relabel', 'drop'
    suggested = labels.copy()
    suggested[3], suggested[5] = 6, -1
    tool.write_results(
        str(tmp_path), made_judgement(labels, decision, suggested), {},
        dataset)
    listed = ImageList(
        ann_file=str(tmp_path / 'cleaned_list.txt'), data_root=str(root),
        classes=RAFDB.METAINFO['classes'], label_base=0,
        pipeline=[dict(type='LoadFERImage')])
    again = RAFDB(str(root), decisions=str(tmp_path / 'sample_scores.csv'))
    for cleaned in (listed, again):
        assert cleaned.get_gt_labels().tolist() == np.delete(suggested,
                                                             5).tolist()
    for i in range(13):
        paths = [d.get_data_info(i)['img_path'] for d in (listed, again)]
        assert Path(paths[0]).samefile(paths[1])
    assert listed[0]['img'].shape[2] == 3


def test_list_of_image_list_trains(tmp_path):
    for name in 'abcd':
        mmcv.imwrite(np.zeros((8, 8, 3), np.uint8),
                     str(tmp_path / f'set/{name}.png'))
    (tmp_path / 'set/list.txt').write_text(
        'a.png 0\nb.png 1\nc.png 2\nd.png 0\n')
    options = dict(data_root=str(tmp_path / 'set'), num_classes=3,
                   label_base=0, pipeline=[])
    dataset = ImageList(ann_file='list.txt', **options)
    decision = np.array(['keep', 'relabel', 'drop', 'keep'])
    suggested = np.array([0, 2, -1, 0])
    tool.write_results(
        str(tmp_path), made_judgement(dataset.get_gt_labels(), decision,
                                      suggested), {}, dataset)
    again = ImageList(ann_file=str(tmp_path / 'cleaned_list.txt'), **options)
    assert [Path(again.get_data_info(i)['img_path']).name
            for i in range(3)] == ['a.png', 'b.png', 'd.png']
    assert again.get_gt_labels().tolist() == [0, 2, 0]

"""Labels of a model, from its checkpoint to a training on them."""

import numpy as np
import pytest
import torch
from helpers import CONFIGS, call_tool
from made_data import make_affectnet, make_rafdb
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmfer.analysis.machine_labels import common_name
from mmfer.datasets.affectnet import EMOTIONS as AFFECTNET
from mmfer.datasets.rafdb import EMOTIONS as RAFDB
from mmfer.registry import DATASETS, MODELS

TOOL = 'machine_labels.py'


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """A multi-task model for AffectNet images, as it came into being."""
    folder = tmp_path_factory.mktemp('model')
    make_affectnet(folder / 'affectnet')
    cfg = Config.fromfile(f'{CONFIGS}/ce/ce_vgg16_affectnetbase.py')
    cfg.model.backbone.base_channels = 4
    cfg.model.head.hidden_dim = 16
    cfg.train_dataloader.dataset.data_root = str(folder / 'affectnet')
    cfg.val_dataloader.dataset.data_root = str(folder / 'affectnet')
    cfg.val_dataloader.num_workers = 0
    cfg.test_dataloader = cfg.val_dataloader
    cfg.dump(folder / 'model.py')
    init_default_scope('mmfer')
    torch.manual_seed(0)
    network = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    torch.save(
        dict(
            state_dict=network.state_dict(),
            meta=dict(dataset_meta=dict(classes=AFFECTNET[:7])),
        ),
        folder / 'model.pth',
    )
    return folder, cfg, network.eval()


def test_raf_base(model, tmp_path):
    folder, cfg, network = model
    root = make_rafdb(tmp_path / 'raf')
    data_config = f'{CONFIGS}/ce/ce_vgg16_rafbase.py'
    said = call_tool(
        TOOL,
        folder / 'model.py',
        folder / 'model.pth',
        data_config,
        '--out',
        tmp_path / 'lists',
        '--data-options',
        f'train_dataloader.dataset.data_root={root}',
    )
    assert '14 images' in said
    settings = Config.fromfile(data_config).train_dataloader.dataset
    dataset = DATASETS.build(
        dict(
            settings,
            data_root=str(root),
            pipeline=[],
            noisy_list=str(tmp_path / 'lists/labels.txt'),
            label_base=1,
            partial_list=True,
            va_list=str(tmp_path / 'lists/va.txt'),
        )
    )
    # The same by hand.
    images = DATASETS.build(
        dict(
            type='RAFDB',
            data_root=str(root),
            pipeline=cfg.val_dataloader.dataset.pipeline,
        )
    )
    inputs = torch.stack([images[i]['inputs'] for i in range(14)])
    with torch.no_grad():
        logits, va = network(inputs.float() / 127.5 - 1).labels
    for i in range(14):
        name = AFFECTNET[logits[i].argmax()]
        info = dataset.get_data_info(i)
        assert common_name(name) == RAFDB[info['gt_label']]
        assert np.allclose(info['gt_va'], va[i].clamp(-1, 1), atol=1e-5)
    assert (dataset.clean_labels == np.arange(14) % 7).all()
    assert 'not empty' in call_tool(
        TOOL,
        folder / 'model.py',
        folder / 'model.pth',
        data_config,
        '--out',
        tmp_path / 'lists',
        '--data-options',
        f'train_dataloader.dataset.data_root={root}',
        code=1,
    )


def test_affectnet_base(model, tmp_path):
    """Predicted classes, valence and arousal of the release."""
    folder, cfg, _ = model
    root = folder / 'affectnet'
    data_config = f'{CONFIGS}/ce/ce_vgg16_affectnetbase.py'
    call_tool(
        TOOL,
        folder / 'model.py',
        folder / 'model.pth',
        data_config,
        '--out',
        tmp_path / 'lists',
        '--data-options',
        f'train_dataloader.dataset.data_root={root}',
    )
    settings = dict(type='AffectNet', data_root=str(root), num_classes=7)
    own = DATASETS.build(settings)
    relabelled = DATASETS.build(
        dict(settings, table=str(tmp_path / 'lists/labels.csv'))
    )
    assert len(own) == len(relabelled)
    assert (own.get_gt_labels() != relabelled.get_gt_labels()).any()
    for i in range(len(own)):
        pair = [d.get_data_info(i) for d in (own, relabelled)]
        assert pair[0]['img_path'] == pair[1]['img_path']
        assert np.array_equal(pair[0]['gt_va'], pair[1]['gt_va'])


def test_no_checkpoint(model, tmp_path):
    folder, _, _ = model
    assert 'checkpoint does not exist' in call_tool(
        TOOL,
        folder / 'model.py',
        tmp_path / 'none.pth',
        f'{CONFIGS}/ce/ce_vgg16_rafbase.py',
        '--out',
        tmp_path,
        code=1,
    )

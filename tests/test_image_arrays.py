"""Train, test and predict with data sets whose images are arrays: MNIST, FER2013."""

import csv
import json

import numpy as np
import pytest
import torch
from helpers import CONFIGS, call_tool
from made_data import fer2013_images, make_fer2013, make_mnist, mnist_arrays
from mmpretrain import get_model
from PIL import Image
from torchvision.transforms import TenCrop

from mmfer.utils.safe_pickle import read_arrays
from mmfer_command.main import main

# Number of training images, first one in a score table, number of test images.
MADE = dict(
    mnist=(make_mnist, 30, 'train_00000', 20),
    fer2013=(make_fer2013, 21, 'fer0000000.png', 14),
)


def small(root, *more):
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    return [
        '--cfg-options',
        *(f'{loader}.dataset.data_root={root}' for loader in loaders),
        'model.backbone.stem_channels=4',
        'model.backbone.base_channels=4',
        'default_hooks.image_store.on_device=False',
        *more,
    ]


@pytest.fixture(scope='module', params=MADE)
def trained(request, tmp_path_factory):
    """Name of the data, its root, and the work dir of a short run with relabelling."""
    folder = tmp_path_factory.mktemp(request.param)
    root = MADE[request.param][0](folder / 'data')
    config = folder / f'rul_r18_{request.param}.py'
    config.write_text(
        f"_base_ = '{CONFIGS}/rul/{config.name}'\n"
        "custom_hooks = [dict(type='RelabelHook', start_epoch=1, fraction=1.0, "
        'threshold=-1e-9)]\n'
    )
    call_tool(
        'train.py',
        config,
        '--noise',
        'symmetric:0.2',
        '--work-dir',
        folder / 'run',
        *small(root, 'train_cfg.max_epochs=2', 'train_dataloader.batch_size=8'),
    )
    return request.param, root, folder / 'run'


def test_what_a_run_leaves(trained):
    name, _, run = trained
    _, count, first, _ = MADE[name]
    with open(run / 'sample_scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count and rows[0]['image'] == first
    wrong = sum(row['given_label'] != row['clean_label'] for row in rows)
    assert wrong == round(0.2 * count)
    history = json.loads((run / 'history.json').read_text())
    figures = history[1]['figures']
    moved = sum(row['used_label'] != row['given_label'] for row in rows)
    assert figures['labels_changed'] == figures['relabelled'] == moved > 0
    # The last incomplete batch counts.
    assert history[0]['images'] == count


def test_test_and_figures(trained, tmp_path):
    name, root, run = trained
    config = f'{CONFIGS}/rul/rul_r18_{name}.py'
    out = run / 'predictions.npz'
    call_tool('test.py', config, run / 'epoch_2.pth', '--out', out, *small(root))
    predictions = read_arrays(str(out))
    assert len(predictions['pred_score']) == MADE[name][3]
    assert np.isfinite(predictions['uncertainty']).all()
    figure = tmp_path / 'images.png'
    call_tool('analysis_tools/uncertain_images.py', run, '--count', 4, '--out', figure)
    assert figure.stat().st_size > 1000


def test_predict_a_file(trained, tmp_path, capsys):
    """A test image, saved as a file, is predicted as by the model itself."""
    name, _, run = trained
    pixels = fer2013_images(49)[36] if name == 'fer2013' else mnist_arrays(20, 1)[0][1]
    path = tmp_path / 'a.png'
    Image.fromarray(pixels).save(path)
    lines = tmp_path / 'found.jsonl'
    with pytest.raises(SystemExit) as error:
        main(
            ['predict', str(path), '--model', str(run), '--device', 'cpu']
            + ['--json', str(lines)]
        )
    assert not error.value.code, capsys.readouterr().err
    (found,) = map(json.loads, lines.read_text().splitlines())
    model = loaded(run)
    crop = pixels[2:46, 2:46] if name == 'fer2013' else pixels
    image = torch.from_numpy(crop.copy())[None, None]
    with torch.no_grad():
        (sample,) = model.test_step(dict(inputs=image))
    scores = sample.pred_score.numpy()
    assert np.allclose(list(found['pred_scores'].values()), scores, atol=1e-4)
    assert found['uncertainty'] == pytest.approx(sample.uncertainty.item(), rel=1e-4)


def loaded(run):
    (config,) = run.glob('*.py')
    return get_model(str(config), pretrained=str(run / 'epoch_2.pth')).eval()


@pytest.mark.parametrize('trained', ['fer2013'], indirect=True)
def test_ten_crops_average_logits(trained, tmp_path):
    """``--tta`` gives the softmax of the mean logits of torchvision's ten crops."""
    _, root, run = trained
    out = tmp_path / 'ten.npz'
    call_tool(
        'test.py',
        f'{CONFIGS}/rul/rul_r18_fer2013.py',
        run / 'epoch_2.pth',
        '--tta',
        '--out',
        out,
        *small(root),
    )
    found = read_arrays(str(out))
    model = loaded(run)
    images = fer2013_images(49)[35:]
    assert len(found['pred_score']) == 14
    for i in (0, 13):
        crops = torch.stack(TenCrop(44)(torch.from_numpy(images[i].copy())[None]))
        with torch.no_grad():
            data = model.data_preprocessor(dict(inputs=crops))
            logits = model(data['inputs'], mode='tensor')
            uncertainty = model.predict_batch(data['inputs'])['uncertainty']
        wanted = logits.double().mean(dim=0).softmax(dim=0)
        assert np.allclose(found['pred_score'][i], wanted, atol=1e-5)
        assert found['uncertainty'][i] == pytest.approx(uncertainty.mean().item())

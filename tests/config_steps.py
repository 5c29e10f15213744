"""Steps of configs on made data."""

import json
import math
import re
from pathlib import Path

import torch
from helpers import LATE, begin_training
from made_data import (
    make_affectnet,
    make_cifar10,
    make_cifar100,
    make_expw,
    make_fer2013,
    make_ferplus,
    make_mnist,
    make_office_home,
    make_pacs,
    make_rafdb,
)
from mmengine.runner import Runner

from mmfer.datasets.domains import OFFICE_HOME_CLASSES
from mmfer.models.utils import predicts_classes

NAME = re.compile(
    r'(?P<method>[a-z]+)_((?P<host>(?<=gaave_)[a-z]+)_)?'
    r'(?P<backbone>[a-z0-9]+)_'
    r'(?P<dataset>[a-z0-9]+)'
    r'(_(?P<noise>(noise|asym|pair|uniform)\d+|multinoise))?'
    r'(_(?P<more>[a-z0-9]+))*'
)


def make_roots(root):
    """Made data, by the name that configs have for it."""
    rafdb, affectnet = (make_rafdb(root / 'raf'), make_affectnet(root / 'affectnet'))
    return dict(
        affectnet7=affectnet,
        affectnetbase=affectnet,
        rafbase=rafdb,
        affectnet8=make_affectnet(root / 'affectnet8', release='npy'),
        cifar10=make_cifar10(root / 'cifar10'),
        cifar10lt50=root / 'cifar10',
        cifar10n=root / 'cifar10',
        cifar100n=root / 'cifar100',
        officehome=make_office_home(root / 'officehome', OFFICE_HOME_CLASSES),
        pacs=make_pacs(root / 'pacs'),
        cifar100=make_cifar100(root / 'cifar100'),
        fer2013=make_fer2013(root / 'fer2013'),
        mnist=make_mnist(root / 'mnist'),
        expw=make_expw(root / 'expw'),
        ferplus=make_ferplus(root / 'ferplus'),
        ferplus224=root / 'ferplus',
        rafdb=rafdb,
    )


def use_made_lists(dataset, folder):
    """What a model or people said of the made images, instead of the lists named."""
    if 'va_list' in dataset:
        rows = [(f'train_{i + 1:05d}.jpg', i % 7 + 1) for i in range(14)]
        dataset.noisy_list = str(folder / 'labels.txt')
        dataset.va_list = str(folder / 'va.txt')
        (folder / 'labels.txt').write_text(
            ''.join(f'{name} {label}\n' for name, label in rows)
        )
        (folder / 'va.txt').write_text(
            ''.join(f'{name} {label / 10} {label / 6 - 1}\n' for name, label in rows)
        )
    elif dataset.get('noisy_list'):
        # CIFAR-N: a label of every image, in the order of the batches.
        count = dict(NoisyCIFAR10=50, NoisyCIFAR100=200)[dataset.type]
        dataset.noisy_list = str(folder / 'labels.txt')
        (folder / 'labels.txt').write_text(
            ''.join(f'{i} {i // 5 % 10}\n' for i in range(count))
        )
    if 'table' in dataset:
        dataset.table = str(
            Path(dataset.data_root) / 'Manually_Annotated_file_lists/training.csv'
        )


def use_made_data(cfg, folder, root):
    """Let a config read made data, two images at a time.

    Args:
        cfg (Config): The config.
        folder (Path): Folder for made lists, and the work dir.
        root (Path, optional): Made data; None for data sets that draw their images.
    """
    cfg.work_dir = str(folder)
    cfg.experiment_name = f'{Path(cfg.filename).stem}_{id(folder)}'
    for key in ('train_dataloader', 'val_dataloader'):
        loader = cfg[key]
        # The fewest that have batch statistics.
        loader.batch_size = 2
        loader.num_workers = 0
        loader.persistent_workers = False
        loader.collate_fn = dict(type='default_collate')
        if root is not None:
            loader.dataset.data_root = str(root)
        else:
            loader.dataset.num_samples = 14
    use_made_lists(cfg.train_dataloader.dataset, folder)
    cfg.test_dataloader = cfg.val_dataloader


def networks_of(model):
    """Settings of the classifiers in a model."""
    pair = [model[k] for k in ('network1', 'network2') if k in model]
    return pair or [model.get('encoder', model)]


def kinds(cfg):
    """What a model shows when it is trained: its backbones, and all the rest."""
    model = cfg.model.to_dict()
    # Numbers that change no network and no order of steps.
    for name in ('noise_rate', 'adversarial_weight'):
        model.pop(name, None)
    backbones = {network.pop('backbone')['type'] for network in networks_of(model)}
    return {json.dumps(model, sort_keys=True, default=str), *backbones}


def smaller(settings):
    """Settings of a pipeline for images of 64 instead of 224 px."""
    if isinstance(settings, dict):
        return {key: smaller(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return type(settings)(smaller(value) for value in settings)
    return 64 if settings == 224 else settings


def shrink(cfg):
    """Make images and networks small, and start from random weights."""
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.pipeline = smaller(loader.dataset.pipeline)
    cfg.data_preprocessor.input_shape = smaller(cfg.data_preprocessor.input_shape)
    game = cfg.model.get('encoder')
    for network in networks_of(cfg.model):
        if 'init_cfg' in network.backbone:
            network.backbone.init_cfg = None
        if network.backbone.type == 'PlainVGG16':
            # Narrow ones train a step in a tenth of the time.
            network.backbone.base_channels = 8
    if game is not None:
        for player in ('decoder', 'discriminator'):
            cfg.merge_from_dict({f'model.{player}.base_channels': 8})


def take_step(cfg):
    """Train a step and validate a batch; all parts of the model must learn."""
    pair = 'network1' in cfg.model
    game = cfg.model.get('encoder')
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(cfg.train_cfg)
    wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    runner.optim_wrapper = wrapper
    if cfg.param_scheduler:
        runner.build_param_scheduler(cfg.param_scheduler)
    model = runner.model
    model.init_weights()
    begin_training(model, LATE, len(runner.train_dataloader.dataset))
    before = {k: v.clone() for k, v in model.named_parameters()}
    model.train()
    log = model.train_step(next(iter(runner.train_dataloader)), wrapper)
    assert math.isfinite(log['loss'].item())
    moved = {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    # From end to end; zero-initialised residual branches start a step later.
    networks = ('network1.', 'network2.') if pair else ('encoder.',) if game else ('',)
    head = networks_of(cfg.model)[0].head.type
    last = 'labels' if head in ('MultiTaskHead', 'SingleTaskHead') else 'fc'
    for network in networks:
        first = next(k for k in before if k.startswith(f'{network}backbone'))
        assert {first, f'{network}head.{last}.weight'} <= moved
    if game is not None:
        players = {name.split('.')[0] for name in moved}
        assert players == {'encoder', 'discriminator'} | (
            {'decoder'} if model.decoder is not None else set()
        )

    model.eval()
    evaluator = runner.build_evaluator(cfg.val_evaluator)
    batch = next(iter(runner.val_dataloader))
    with torch.no_grad():
        predictions = model.val_step(batch)
    classes = predicts_classes(model)
    assert not classes or all(p.uncertainty >= 0 for p in predictions)
    evaluator.process(predictions, batch)
    metrics = evaluator.evaluate(len(predictions))
    expected = {'accuracy/top1', 'accuracy/mean_class'} if classes else {'va/ccc'}
    assert expected <= set(metrics)

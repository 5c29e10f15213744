"""Tiny runs on drawn faces, which take a few seconds."""

import os.path as osp
from typing import Any, Dict, List, NamedTuple

from mmengine.config import Config

# Configs by method, without ending and below ``configs/``.
CONFIGS = {
    name: f'{name}/{name}_r18_synthfaces_noise30'
    for name in ('ce', 'rul', 'alum', 'resup', 'coteaching', 'jocor')
}
CONFIGS['jointgan'] = 'jointgan/jointgan_vgg16_synthfaces_noise30'
CONFIGS['gaave'] = CONFIGS['ce']

METHODS = tuple(CONFIGS)
"""Names of the methods whose runs can be killed."""


class Variant(NamedTuple):
    """Settings in which a run differs from the plain one of its method.

    Attributes:
        settings (dict): Settings of the config; None removes one.
        flags (list[str]): Further arguments of ``tools/train.py``.
        processes (int): Number of processes.
        same_bits (bool): Whether results are those of the plain run.
    """

    settings: Dict[str, Any] = {}
    flags: List[str] = []
    processes: int = 1
    same_bits: bool = False


PLAIN = Variant()
WORKERS = Variant({'train_dataloader.num_workers': 2}, same_bits=True)

VARIANTS = {
    name: dict(plain=PLAIN, workers=WORKERS) for name in METHODS if name != 'gaave'
}
"""Variants of each method, by name. Runs take turns, from the first one on."""
VARIANTS['ce'] = dict(
    iterations=Variant(
        {
            'train_cfg': dict(by_epoch=False, max_iters=20, val_interval=7),
            'param_scheduler': [],
            'default_hooks.summary': None,
            'default_hooks.checkpoint.by_epoch': False,
            'default_hooks.checkpoint.interval': 5,
            'log_processor': dict(by_epoch=False),
        }
    ),
    processes=Variant(processes=2),
    ema=Variant({'custom_hooks': [dict(type='EMAHook', momentum=0.3)]}),
    # An epoch of six batches ends between two steps of the optimizer.
    accumulate=Variant({'optim_wrapper.accumulative_counts': 4}),
    workers=WORKERS,
    plain=PLAIN,
)
VARIANTS['alum']['processes'] = Variant(processes=2)
VARIANTS['gaave'] = dict(
    plain=Variant(
        {
            'custom_hooks': [
                dict(
                    type='GAAVEHook',
                    split=True,
                    tau=4,
                    head=[2, 4, 6],
                    attack=dict(epsilon=4 / 255),
                    base=dict(train_cfg=dict(max_epochs=3)),
                )
            ]
        }
    )
)


def tiny_config(configs: str, method: str, variant: Variant) -> Config:
    """Return a config of three epochs of six batches.

    Args:
        configs (str): Folder of the configs.
        method (str): One of :data:`METHODS`.
        variant (Variant): Settings in which the run differs.
    """
    cfg = Config.fromfile(osp.join(configs, f'{CONFIGS[method]}.py'))
    cfg.merge_from_dict(
        {
            'train_dataloader.dataset.num_samples': 96,
            'train_dataloader.batch_size': 16,
            'val_dataloader.dataset.num_samples': 50,
            'val_dataloader.batch_size': 16,
            'train_cfg.max_epochs': 3,
            'optim_wrapper.dtype': 'float32',
            'default_hooks.checkpoint.save_iters': 4,
        }
    )
    if method == 'jointgan':
        _shrink_gan(cfg)
    else:
        _shrink_classifier(cfg)
    for key, value in variant.settings.items():
        *parents, name = key.split('.')
        entry = cfg
        for parent in parents:
            entry = entry[parent]
        if value is None:
            entry.pop(name)
        else:
            entry[name] = value
    if variant.processes > 1:
        # The same samples in a step as with one process.
        cfg.train_dataloader.batch_size //= variant.processes
    cfg.test_dataloader = cfg.val_dataloader
    return cfg


def _shrink_classifier(cfg: Config) -> None:
    """Give a classifier narrow layers and small images."""
    network = 'model.network1' if 'network1' in cfg.model else 'model'
    cfg.merge_from_dict(
        {
            f'{network}.backbone.stem_channels': 8,
            f'{network}.backbone.base_channels': 8,
            'data_preprocessor.input_shape': (1, 32, 32),
            'image_size': (36, 36),
            'train_dataloader.dataset.size': 36,
            'val_dataloader.dataset.size': 36,
            'param_scheduler.milestones': [2],
        }
    )
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        for step in loader.dataset.pipeline:
            if step.type == 'Resize':
                step.scale = (36, 36)
            if step.type == 'CenterCrop':
                step.crop_size = 32


def _shrink_gan(cfg: Config) -> None:
    """Give a joint GAN narrow layers; its game begins in the second epoch."""
    cfg.merge_from_dict(
        {
            'model.encoder.backbone.base_channels': 4,
            'model.encoder.head.hidden_dim': 16,
            'model.decoder.base_channels': 4,
            'model.discriminator.base_channels': 4,
            'model.latent_dim': 5,
            'train_cfg.warmup_epochs': 1,
        }
    )

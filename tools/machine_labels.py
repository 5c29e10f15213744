"""Label a training set by a model: RAF-base, AffectNet-base and their like.

    python tools/machine_labels.py CONFIG CHECKPOINT DATA_CONFIG --out DIR

CONFIG and CHECKPOINT are the model, trained on another data set. The training
images of DATA_CONFIG go through the test pipeline of CONFIG, and DIR gets

- ``labels.txt`` or ``.csv``: the predicted classes in the data set's own
  format (``noisy_list`` of RAF-DB and CIFAR, ``table`` of AffectNet and
  FERPlus)
- ``va.txt``: valence and arousal, if the model predicts them, for ``va_list``
  of RAF-DB; clipped to [-1, 1]

Classes are matched by their names; those that the data set lacks are never
predicted. Nothing of the data set is changed.
"""

import argparse
import os
import os.path as osp
import sys
from typing import Dict, List, Sequence

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from mmfer.cli import checkpoint_loading, finish_config, load_config
from mmfer.datasets import FERDataset, unaugmented
from mmfer.engine.scoring import batches_in_order
from mmfer.registry import DATASETS, MODELS
from mmfer.utils.files import write_atomic

# What the data sets call the same expression.
SYNONYMS = dict(
    happy='happiness',
    sad='sadness',
    angry='anger',
    surprised='surprise',
    disgusted='disgust',
    fearful='fear',
    calm='neutral',
)


# -- pure computation ---------------------------------------------------------
def common_name(name: str) -> str:
    """One name for each expression."""
    name = name.strip().lower()
    return SYNONYMS.get(name, name)


def match_classes(source: Sequence[str], target: Sequence[str]) -> Dict[int, int]:
    """Classes of a model by those of a data set.

    Args:
        source (Sequence[str]): Names of the model's classes.
        target (Sequence[str]): Names of the data set's classes.

    Returns:
        dict[int, int]: From the model's to the data set's, of shared ones.

    Raises:
        ValueError: Fewer than two are shared.
    """
    position = {common_name(name): i for i, name in enumerate(target)}
    shared = {
        i: position[common_name(name)]
        for i, name in enumerate(source)
        if common_name(name) in position
    }
    if len(shared) < 2:
        raise ValueError(
            f'the model knows {", ".join(source)}, the data set has '
            f'{", ".join(target)}: these are not the same kind of classes.'
        )
    return shared


def translate(scores: np.ndarray, shared: Dict[int, int]) -> np.ndarray:
    """The likeliest shared class, as the data set counts, int64 (N, ).

    Args:
        scores (np.ndarray): Of the model's classes, (N, C).
        shared (dict[int, int]): See :func:`match_classes`.
    """
    source = np.array(sorted(shared))
    target = np.array([shared[i] for i in source.tolist()])
    return target[scores[:, source].argmax(axis=1)]


# -- files and models ---------------------------------------------------------
def write_va_list(path: str, names: List[str], va: np.ndarray) -> None:
    """Rows ``train_00001.jpg -0.341 -0.129``, clipped to [-1, 1]."""
    rows = [
        f'{name} {valence:.6f} {arousal:.6f}\n'
        for name, (valence, arousal) in zip(names, va.clip(-1, 1), strict=True)
    ]
    write_atomic(path, ''.join(rows).encode())


def predict(cfg: Config, checkpoint: str, dataset: FERDataset):
    """Sample ids (N, ), scores (N, C) and, or None, values (N, 2)."""
    model = MODELS.build(dict(cfg.model, data_preprocessor=cfg.data_preprocessor))
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    model.to(get_device()).eval()
    pipeline = DATASETS.build(
        dict(cfg.test_dataloader.dataset, lazy_init=True)
    ).pipeline
    loader = cfg.test_dataloader
    ids, scores, va = [], [], []
    with torch.inference_mode():
        for batch in batches_in_order(
            unaugmented(dataset, pipeline),
            loader.batch_size,
            loader.num_workers,
            loader.collate_fn,
        ):
            for sample in model.test_step(batch):
                ids.append(int(sample.sample_id))
                scores.append(sample.pred_score.cpu().numpy())
                if 'pred_va' in sample:
                    va.append(sample.pred_va.cpu().numpy())
    return np.array(ids), np.stack(scores), np.stack(va) if va else None


def class_names(checkpoint: str, cfg: Config) -> Sequence[str]:
    """Names of a model's classes, which its checkpoint has."""
    meta = torch.load(checkpoint, map_location='cpu', weights_only=True).get('meta', {})
    names = (meta.get('dataset_meta') or {}).get('classes')
    if names is None:
        names = DATASETS.build(
            dict(cfg.test_dataloader.dataset, lazy_init=True)
        ).CLASSES
    return names


def label(args: argparse.Namespace) -> None:
    """The whole tool."""
    cfg = finish_config(load_config(args.config, args), args)
    data_cfg = Config.fromfile(args.data_config)
    if args.data_options:
        data_cfg.merge_from_dict(args.data_options)
    init_default_scope('mmfer')
    settings = data_cfg.train_dataloader.dataset
    for name in (
        'noisy_list',
        'va_list',
        'table',
        'label_noise',
        'va_noise',
        'decisions',
    ):
        # What another model or a generator said of these images.
        settings.pop(name, None)
    dataset = DATASETS.build(settings)
    if dataset.list_suffix is None:
        raise ValueError(
            f'{type(dataset).__name__} has no list of images '
            'that labels could be written in.'
        )
    os.makedirs(args.out, exist_ok=True)
    if os.listdir(args.out):
        raise ValueError(f'{args.out} is not empty; choose another --out.')
    shared = match_classes(class_names(args.checkpoint, cfg), dataset.CLASSES)
    missing = set(range(dataset.num_classes)) - set(shared.values())
    if missing:
        names = ', '.join(dataset.CLASSES[i] for i in sorted(missing))
        print(f'The model does not know {names}: no image gets that label.')
    ids, scores, va = predict(cfg, args.checkpoint, dataset)
    order = ids.argsort()
    ids, labels = ids[order], translate(scores, shared)[order]
    path = osp.join(args.out, f'labels{dataset.list_suffix}')
    changes = dataset.write_list(path, ids, labels)
    own = dataset.given_labels[ids]
    print(
        f'{path}: {len(ids)} images, {(labels != own).mean():.1%} with '
        'another label than their own. Data set settings: '
        + ', '.join(f'{k}={v!r}' for k, v in changes.items() if v is not None)
    )
    if va is not None:
        names = [osp.basename(info['img_path']) for info in dataset.infos_of(ids)]
        path = osp.join(args.out, 'va.txt')
        write_va_list(path, names, va[order])
        outside = (np.abs(va) > 1).any(axis=1).mean()
        print(f'{path}: valence and arousal, {outside:.1%} clipped')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='of the model')
    parser.add_argument('checkpoint', help='of the model')
    parser.add_argument('data_config', help='its training images are labelled')
    parser.add_argument('--out', required=True, help='folder for the lists')
    parser.add_argument(
        '--data-options',
        nargs='+',
        action=DictAction,
        help='settings that override DATA_CONFIG, as key=value',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings that override CONFIG, as key=value',
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='load a checkpoint that torch refuses to load safely',
    )
    # What the reading of configs expects.
    parser.set_defaults(
        launcher='none', local_rank=0, work_dir=None, no_pin_memory=False
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not osp.isfile(args.checkpoint):
        sys.exit(f'{args.checkpoint}: there is no such checkpoint.')
    with checkpoint_loading(args.checkpoint, args.trust_checkpoint):
        try:
            label(args)
        except ValueError as error:
            sys.exit(str(error))


if __name__ == '__main__':
    main()

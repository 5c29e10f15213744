"""Pipelines and small functions that tests of several modules share."""

import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

NOISE = dict(type='SymmetricNoise', rate=0.5, seed=0)
PIPELINE = [dict(type='LoadFERImage'), dict(type='PackFERInputs')]
AUGMENT = [
    dict(type='LoadFERImage'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='GaussianNoise', variance=30),
    dict(
        type='RandomApply',
        prob=0.5,
        transforms=[dict(type='ColorJitter', brightness=0.5)],
    ),
    dict(type='PackFERInputs'),
]
# This transform writes into the image that it is given.
ERASE = [
    dict(type='LoadFERImage'),
    dict(type='RandomErasing', erase_prob=1.0, mode='const'),
    dict(type='PackFERInputs'),
]


def ids_of(dataset):
    return [dataset.get_data_info(i)['sample_id'] for i in range(len(dataset))]


def labels_of(dataset):
    return [dataset.get_data_info(i)['gt_label'] for i in range(len(dataset))]


def same_sample(first, second):
    a, b = first['data_samples'], second['data_samples']
    return (
        torch.equal(first['inputs'], second['inputs'])
        and torch.equal(a.gt_label, b.gt_label)
        and a.metainfo == b.metainfo
    )


def loader(dataset, workers):
    return DataLoader(
        dataset,
        batch_size=4,
        num_workers=workers,
        collate_fn=pseudo_collate,
        persistent_workers=workers > 0,
    )


def samples_of(dataset, workers):
    """Return the samples of one epoch from a loader."""
    found = []
    for batch in loader(dataset, workers):
        found += [
            dict(inputs=x, data_samples=y)
            for x, y in zip(batch['inputs'], batch['data_samples'], strict=True)
        ]
    return found


def truncate(path, drop=40):
    path.write_bytes(path.read_bytes()[:-drop])

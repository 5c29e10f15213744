"""Test which parts of a tuple the discriminator of a joint GAN compares."""

from typing import Dict, List, NamedTuple, Tuple

import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from torch import Tensor

from mmfer.methods.jointgan import JointGAN
from mmfer.methods.jointgan.latent import sample_latent
from mmfer.registry import DATASETS


class TupleScores(NamedTuple):
    """Joint scores of one kind of tuple.

    Attributes:
        source (str): Network that made the tuples, ``encoder`` or ``decoder``.
        change (str): Part that was exchanged; empty for unchanged tuples.
        scores (Tensor): Joint scores (B,).
    """

    source: str
    change: str
    scores: Tensor


@torch.no_grad()
def exchanged_scores(
    model: JointGAN, images: Tensor, labels: Tuple[Tensor, ...], seed: int = 0
) -> List[TupleScores]:
    """Score tuples, unchanged and with one part exchanged.

    Args:
        model (JointGAN): Model in eval mode, with a decoder.
        images (Tensor): Prepared images, (B, C, H, W).
        labels (tuple[Tensor]): See :meth:`LabelSets.read`.
        seed (int): Seed of latent vectors and exchanges. Defaults to 0.

    Returns:
        list[TupleScores]: For both networks, unchanged tuples first.
    """
    decoder = model.decoder
    assert decoder is not None, 'without a decoder there are no joint scores'
    generator = torch.Generator().manual_seed(seed)
    count = len(images)
    # Images are shifted by at least one, so that none keeps its own part.
    other = (
        torch.arange(count) + int(torch.randint(1, count, (), generator=generator))
    ) % count
    given = model.label_sets.vectors(labels)
    # Draw on the CPU, so that every device gets the same numbers.
    latent = torch.randn(count, model.latent_dim, generator=generator).to(images.device)
    encoding = model.encoder(images)
    inferred = sample_latent(encoding.mean, encoding.log_variance)
    predicted = model.label_sets.predicted(encoding.labels, model.label_form)
    generated = decoder(torch.cat([latent, *given], dim=1))

    def joint(image: Tensor, y0: Tensor, sets: List[Tensor]) -> Tensor:
        return model.discriminator(image, [y0, *sets])[:, -1]

    def exchanged(sets: List[Tensor]) -> List[Tensor]:
        return [x[other] for x in sets]

    labels_of, latent_of = (
        'all labels of another image',
        'latent vector of another image',
    )
    rows = [
        ('encoder', '', (images, inferred, predicted)),
        ('encoder', labels_of, (images, inferred, exchanged(predicted))),
        ('encoder', latent_of, (images, inferred[other], predicted)),
        ('encoder', 'labels as given, not as predicted', (images, inferred, given)),
        ('decoder', '', (generated, latent, given)),
        ('decoder', labels_of, (generated, latent, exchanged(given))),
        ('decoder', latent_of, (generated, latent[other], given)),
    ]
    return [
        TupleScores(source, change, joint(*parts)) for source, change, parts in rows
    ]


def read_batch(
    cfg: Config, model: JointGAN, count: int
) -> Tuple[Tensor, Tuple[Tensor, ...]]:
    """Read training images with complete labels, and their labels.

    Args:
        cfg (Config): Training config.
        model (JointGAN): Model that prepares the images.
        count (int): Largest number of images.

    Returns:
        tuple: Prepared images (B, C, H, W), and labels, see
        :meth:`LabelSets.read`.
    """
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = default_collate([dataset[i] for i in range(min(count, len(dataset)))])
    data = model.data_preprocessor(data)
    labels = model.label_sets.read(data['data_samples'], data['inputs'].device)
    complete = model.label_sets.complete(data['data_samples'])
    if complete is None:
        return data['inputs'], labels
    known = torch.from_numpy(complete)
    return data['inputs'][known], tuple(x[known] for x in labels)


def format_scores(rows: List[TupleScores]) -> str:
    """Format joint scores as a table of text.

    Args:
        rows (list[TupleScores]): See :func:`exchanged_scores`.
    """
    lines = [f'{"joint score":<40}{"mean":>8}{"std":>8}{"change":>8}']
    unchanged: Dict[str, float] = {}
    for row in rows:
        mean, deviation = float(row.scores.mean()), float(row.scores.std())
        if row.change:
            name, change = f'  {row.change}', f'{mean - unchanged[row.source]:+8.3f}'
        else:
            name, change = f"{row.source}'s tuples", ''
            unchanged[row.source] = mean
        lines.append(f'{name:<40}{mean:8.3f}{deviation:8.3f}{change}')
    return '\n'.join(lines)

"""What the discriminator of a joint-distribution GAN looks at.

    python tools/analysis_tools/joint_scores.py CONFIG CHECKPOINT

prints the joint score of the tuples that the game is about, encoder's and
decoder's, and of such tuples in which one part is exchanged for that of
another image. Where the score does not change, the discriminator does not look
at whether that part belongs to the others, and nobody learns it from the game.
"""

import argparse
from typing import Dict, List, Tuple

import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import default_collate
from torch import Tensor

from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool
from mmfer.methods.jointgan import JointGAN
from mmfer.methods.jointgan.latent import sample_latent
from mmfer.registry import DATASETS


@torch.no_grad()
def exchanged_scores(
    model: JointGAN, images: Tensor, labels: Tuple[Tensor, ...], seed: int = 0
) -> Dict[str, Tensor]:
    """Joint scores of tuples, whole ones and with one part exchanged.

    Args:
        model (JointGAN): In eval mode, with a decoder.
        images (Tensor): Prepared, (B, C, H, W).
        labels (tuple[Tensor]): See :meth:`LabelSets.read`.
        seed (int): Of latent vectors and exchanges. Defaults to 0.

    Returns:
        dict[str, Tensor]: Scores (B, ) by what the tuple is.
    """
    generator = torch.Generator().manual_seed(seed)
    count = len(images)
    # Nobody keeps its own.
    other = (
        torch.arange(count) + int(torch.randint(1, count, (), generator=generator))
    ) % count
    given = model.label_sets.vectors(labels)
    # Drawn on the host, so that each device has the same.
    latent = torch.randn(count, model.latent_dim, generator=generator).to(images.device)
    encoding = model.encoder(images)
    inferred = sample_latent(encoding.mean, encoding.log_variance)
    predicted = list(encoding.labels)
    generated = model.decoder(torch.cat([latent, *given], dim=1))

    def joint(image: Tensor, y0: Tensor, sets: List[Tensor]) -> Tensor:
        return model.discriminator(image, [y0, *sets])[:, -1]

    rows = {
        "encoder's tuples": joint(images, inferred, predicted),
        '  all labels of another image': joint(
            images, inferred, [x[other] for x in predicted]
        ),
        '  latent vector of another image': joint(images, inferred[other], predicted),
        '  labels as given, not as predicted': joint(images, inferred, given),
        "decoder's tuples": joint(generated, latent, given),
        '  all labels of another image ': joint(
            generated, latent, [x[other] for x in given]
        ),
        '  latent vector of another image ': joint(generated, latent[other], given),
    }
    return rows


def read_batch(
    cfg: Config, model: JointGAN, count: int
) -> Tuple[Tensor, Tuple[Tensor, ...]]:
    """Prepared training images whose labels are complete, and these."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = default_collate([dataset[i] for i in range(min(count, len(dataset)))])
    data = model.data_preprocessor(data)
    labels = model.label_sets.read(data['data_samples'], data['inputs'].device)
    complete = model.label_sets.complete(data['data_samples'])
    if complete is None:
        return data['inputs'], labels
    known = torch.from_numpy(complete)
    return data['inputs'][known], tuple(x[known] for x in labels)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--images', type=int, default=512)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    if not isinstance(model, JointGAN) or model.decoder is None:
        raise ValueError(
            f'{args.config}: is no joint-distribution GAN with a '
            'decoder, so there is no joint score to look at.'
        )
    torch.manual_seed(args.seed)
    model.eval()
    rows = exchanged_scores(model, *read_batch(cfg, model, args.images), args.seed)
    print(f'{"joint score":<40}{"mean":>8}{"std":>8}{"change":>8}')
    whole = None
    for name, scores in rows.items():
        mean = float(scores.mean())
        part = name.startswith(' ')
        if not part:
            whole = mean
        change = f'{mean - whole:+8.3f}' if part else ''
        print(f'{name.rstrip():<40}{mean:8.3f}{float(scores.std()):8.3f}{change}')


if __name__ == '__main__':
    run_tool(main)

"""Histogram of how well predictions agree with labels, and the mixture in it.

    python tools/analysis_tools/noise_mixture.py CONFIG CHECKPOINT

Of ReSup, Co-teaching and JoCoR, it shows each network's scores with the
mixture that the checkpoint weighs by; of other models, one that is fitted to
their scores here. Where clean labels are known, samples with wrong ones are
set apart. Scores are of unaugmented training images.
"""

import argparse
from typing import Optional, Tuple

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.model import BaseModel

from mmfer.analysis.figures import mixture_figure
from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool, save_figure
from mmfer.datasets import unaugmented
from mmfer.engine.scoring import predict_samples
from mmfer.models import LabelNoiseModel
from mmfer.models.dual_network import DualNetwork
from mmfer.registry import DATASETS

LABELS = dict(
    similarity='cosine of prediction and label',
    loss='1 - loss, scaled by its 5 % and 95 % quantiles',
)


def agreements(
    cfg: Config, model: BaseModel, agreement: Optional[str] = None
) -> Tuple[dict, Optional[np.ndarray], str]:
    """Scores and mixtures of each network.

    Args:
        cfg (Config): Of the training.
        model (BaseModel): With weights.
        agreement (str, optional): See :class:`LabelNoiseModel`; None for
            that of the model.

    Returns:
        tuple: Panels and ``wrong`` of :func:`mixture_figure`, and what the
        scores are.
    """
    dataset = unaugmented(
        DATASETS.build(cfg.train_dataloader.dataset),
        DATASETS.build(cfg.val_dataloader.dataset).pipeline,
    )
    result = predict_samples(model, dataset, cfg.val_dataloader)
    ids = result['sample_id']
    given = dataset.given_labels[ids]
    wrong = None if dataset.clean_labels is None else given != dataset.clean_labels[ids]
    if wrong is not None and not wrong.any():
        wrong = None
    networks = (
        {f'network {k + 1}': result['network_scores'][:, k] for k in range(2)}
        if 'network_scores' in result
        else {'': result['pred_score']}
    )
    panels, kind = {}, agreement or 'similarity'
    for k, (title, scores) in enumerate(networks.items()):
        noise_model = LabelNoiseModel(agreement=kind, min_separation=None)
        if (
            isinstance(model, DualNetwork)
            and agreement is None
            and model.noise_models[k].fitted
        ):
            noise_model = model.noise_models[k].cpu()
            kind = noise_model.agreement
        scores = torch.from_numpy(scores)
        log_prob = scores.clamp_min(torch.finfo(scores.dtype).tiny).log()
        values = noise_model.measure(log_prob, torch.from_numpy(given))
        if not noise_model.fitted:
            noise_model.fit(values)
        panels[title] = (noise_model.scale(values).numpy(), noise_model.mixture)
    return panels, wrong, LABELS[kind]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument(
        '--agreement',
        choices=list(LABELS),
        help='fit to these scores, also where the model has a mixture',
    )
    parser.add_argument('--bins', type=int, default=50)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    parser.add_argument('--out', default='noise_mixture.png')
    args = parser.parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    panels, wrong, label = agreements(cfg, model, args.agreement)
    figure = mixture_figure(panels, wrong, label, args.bins)
    save_figure(figure, args.out)


if __name__ == '__main__':
    run_tool(main)

"""Make a checkpoint of a training one to be given away.

    python tools/model_converters/publish_model.py CONFIG CHECKPOINT OUT \\
        --half --held-out 2815

OUT holds the weights and the names of the classes, no optimizer, no config and
no path, and loads with torch's safe loader. ``--half`` stores them in half
precision. ``--held-out N`` looks for thresholds of the uncertainty on the last
N training images, which the config must leave out of the training
(``train_dataloader.dataset.indices``): they are what
``FERInferencer.rejection_threshold`` returns.
"""

import argparse
import io
import os
import os.path as osp

import numpy as np
import torch
from mmengine.config import Config, DictAction

from mmfer.analysis.runs import open_model
from mmfer.cli import run_tool
from mmfer.datasets import FERDataset, unaugmented
from mmfer.engine.scoring import predict_samples
from mmfer.evaluation.functional import rejection_threshold
from mmfer.registry import DATASETS
from mmfer.utils.files import write_atomic
from mmfer.version import __version__

# Shares of errors for which thresholds are found.
TARGETS = [n / 200 for n in range(1, 81)]


def held_out_part(cfg: Config, number: int) -> FERDataset:
    """The last training images, through the test pipeline.

    Args:
        cfg (Config): Of the training.
        number (int): Of images.

    Raises:
        ValueError: They are trained on.
    """
    settings = dict(cfg.train_dataloader.dataset)
    used = settings.pop('indices', None)
    whole = DATASETS.build(settings)
    whole.full_init()
    left_out = len(whole) - used if isinstance(used, int) and used > 0 else 0
    if not 0 < number <= left_out:
        raise ValueError(
            f'--held-out {number}: the config leaves out {left_out} of '
            f'{len(whole)} training images, the last ones, and thresholds '
            'found on images of the training would promise too much. Set '
            f'train_dataloader.dataset.indices={len(whole) - number} and '
            'train anew.'
        )
    settings['indices'] = -number
    return unaugmented(
        DATASETS.build(settings), DATASETS.build(cfg.val_dataloader.dataset).pipeline
    )


def threshold_table(correct: np.ndarray, uncertainty: np.ndarray) -> dict:
    """What is stored of thresholds.

    Args:
        correct (np.ndarray): bool (N, ).
        uncertainty (np.ndarray): (N, ).

    Returns:
        dict: ``images``, N; ``error``, the share of wrong ones; and
        ``thresholds``, rows of a share of errors, the threshold that keeps
        as many images as possible at that share, and the share kept.
    """
    return dict(
        images=len(correct),
        error=float(1 - correct.mean()),
        thresholds=[
            [t, *rejection_threshold(correct, uncertainty, t)] for t in TARGETS
        ],
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('out')
    parser.add_argument(
        '--half', action='store_true', help='store weights in half precision'
    )
    parser.add_argument(
        '--held-out',
        type=int,
        metavar='N',
        help='find thresholds on the last N training images',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    state = {
        name: (value.half() if args.half and value.is_floating_point() else value).cpu()
        for name, value in model.state_dict().items()
    }
    # Thresholds are those of the weights as they are given away.
    model.load_state_dict(state)
    meta = dict(
        config=osp.splitext(osp.basename(args.config))[0],
        mmfer_version=__version__,
        dataset_meta=dict(classes=list(model._dataset_meta['classes'])),
    )
    if args.held_out is not None:
        part = held_out_part(cfg, args.held_out)
        result = predict_samples(model, part, cfg.val_dataloader)
        correct = (
            result['pred_score'].argmax(axis=1)
            == part.given_labels[result['sample_id']]
        )
        meta['rejection'] = threshold_table(correct, result['uncertainty'])
        print(
            f'{100 * correct.mean():.2f} % of {len(correct)} held-out '
            'images are predicted as labelled.'
        )
        for target, threshold, kept in meta['rejection']['thresholds']:
            if kept and round(target * 200) % 10 == 0:
                print(
                    f'    {target:.0%} errors: reject above '
                    f'{threshold:.4g}, {kept:.0%} are kept'
                )
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), buffer)
    os.makedirs(osp.dirname(osp.abspath(args.out)), exist_ok=True)
    write_atomic(args.out, buffer.getvalue())
    print(f'{args.out}: {len(state)} tensors, {osp.getsize(args.out) / 1e6:.2f} MB')


if __name__ == '__main__':
    run_tool(main)

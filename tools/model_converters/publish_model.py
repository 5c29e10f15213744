"""Turn a checkpoint of a run into one that can be published.

    python tools/model_converters/publish_model.py CONFIG CHECKPOINT OUT \\
        --half --held-out 2815

OUT has the weights and the names of the classes, but no optimizer, no config and no
path. torch can load it safely (``weights_only=True``). ``--half`` stores half
precision. ``--held-out N`` finds thresholds of the uncertainty on the last N training
images, which the config must hold out (``train_dataloader.dataset.indices``).
``FERInferencer.rejection_threshold`` returns these thresholds.
"""

import argparse
import io
import os
import os.path as osp

import torch
from mmengine.config import DictAction

from mmfer.analysis.runs import open_model
from mmfer.apis.publishing import held_out_part, threshold_table
from mmfer.cli import run_tool
from mmfer.engine.scoring import predict_samples
from mmfer.utils.files import write_atomic
from mmfer.version import __version__


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
    # The thresholds belong to the weights in the precision that is stored.
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

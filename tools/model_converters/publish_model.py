"""Publish the weights of a run, with a complete record and a model card.

    python tools/model_converters/publish_model.py CONFIG CHECKPOINT OUT.pth \\
        --half --held-out 2815 --model-card CARD.md

It writes three files, or none: ``OUT-<hash>.pth`` with the weights, ``OUT-<hash>.json``
with the record, and ``OUT-<hash>.md``, the card. ``<hash>`` is the beginning of the
SHA-256 of the weights, as in OpenMMLab. The weights have the names of the classes, but
no optimizer, no config and no path. torch can load them safely (``weights_only=True``).

The run's ``summary.json`` and ``label_noise.json`` lie beside CHECKPOINT. The training
set and the test set of CONFIG must be at hand: the weights are evaluated as they are
stored. An incomplete record is refused, with a list of what is missing and where it
comes from. ``--draft-card`` writes a model card to complete.

``--half`` stores half precision. ``--held-out N`` calibrates the model on the last N
training images, which the config must hold out (``train_dataloader.dataset.indices``):
it fits a temperature to a quarter of them, and counts errors on the others.
``FERInferencer`` applies the temperature, ``rejection_threshold`` finds thresholds in
the counts, and ``coverage=`` makes prediction sets. ``--record-only`` keeps a file that
is published already, and writes its record again.
"""

import argparse

from mmengine.config import DictAction

from mmfer.analysis.runs import open_model
from mmfer.apis.calibrated import describe_calibration
from mmfer.apis.publication import Publication, read_facts, read_run
from mmfer.apis.publishing import calibrate, write_all
from mmfer.cli import run_tool
from mmfer.utils.files import write_atomic


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('out', nargs='?', help='path of the weights, without the hash')
    parser.add_argument(
        '--half', action='store_true', help='store weights in half precision'
    )
    parser.add_argument(
        '--held-out',
        type=int,
        metavar='N',
        help='calibrate on the last N training images',
    )
    parser.add_argument('--model-card', metavar='FILE', help='card of the model')
    parser.add_argument('--draft-card', metavar='FILE', help='write a card, no weights')
    parser.add_argument(
        '--csv', metavar='PREFIX', help='write the tables of the card to CSV files, too'
    )
    parser.add_argument('--facts', metavar='FILE', help='JSON file of further facts')
    parser.add_argument(
        '--summary', metavar='FILE', help='summary of the run, if it lies elsewhere'
    )
    parser.add_argument(
        '--record-only',
        action='store_true',
        help='CHECKPOINT is published already; write its record beside it',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()
    if (args.out is None) != args.record_only:
        parser.error('give OUT, or --record-only without OUT')
    if args.record_only and (args.half or args.held_out):
        parser.error('--record-only keeps the file: --half and --held-out change it')
    return args


def main() -> None:
    args = parse_args()
    facts, run = read_facts(args.facts), read_run(args.checkpoint, args.summary)
    cfg, model = open_model(args.config, args.checkpoint, args.cfg_options)
    if args.record_only:
        publication = Publication(cfg, model, args.checkpoint, kept=args.checkpoint)
    else:
        publication = Publication(cfg, model, args.out, half=args.half)
    if args.held_out is not None:
        found = calibrate(cfg, model, args.held_out)
        model.rejection, model.calibration = found['rejection'], found['calibration']
        print(describe_calibration(**found))
    publication.collect(run, facts)
    if args.csv is not None:
        write_all(publication.tables(args.csv), replace=True)
    if args.draft_card is not None:
        write_atomic(args.draft_card, publication.draft().encode())
        print(f'{args.draft_card}: complete what is marked TODO.')
        return
    files = publication.files(args.model_card)
    write_all(files, replace=args.record_only)
    for path, data in files.items():
        print(f'{path}: {len(data) / 1e6:.2f} MB')


if __name__ == '__main__':
    run_tool(main)

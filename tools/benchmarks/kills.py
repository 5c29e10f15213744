"""Kill training runs at drawn moments, and compare the resumed runs bit for bit.

    OMP_NUM_THREADS=1 python tools/benchmarks/kills.py --work-dir work_dirs/kills

For each method, the tool trains tiny runs of a few seconds on drawn faces. One run
of each variant (workers, EMA, accumulation, two processes, counted in iterations)
is not killed. The others are killed once or several times with SIGKILL, or with SIGTERM
or SIGINT, and started again with ``--resume auto`` until they finish. Then weights, the
state of optimizers, ``history.json`` and ``summary.json`` without times, tables, and
decisions must be the same bits.

Kinds of kills, of which at least half are ``write``, ``iteration`` and ``inner``:

- ``time``: at a random time
- ``write``: inside the write of a checkpoint, table or any other result
- ``iteration``: inside an epoch; ``inner``: inside an epoch of GAAVE's own models
- ``validation``, ``scores``: inside a validation, or a pass over the training set
- ``attack``, ``splitting``: inside GAAVE's attack, before its other steps
- ``signal``: SIGTERM or SIGINT at one of these events

Each kill is a row of ``kills.csv`` in the work dir. ``--resume`` goes on with this
table, also after the tool itself was killed. The exit code is 1 if a run differs; its
work dir is kept then. Linux only.
"""

import argparse
import csv
import os.path as osp
import sys
from pathlib import Path

# Runs are forks of this process, so that only it must import mmfer.
import mmfer.cli  # noqa: F401
import mmfer.methods  # noqa: F401
from mmfer.analysis.benchmarks.kills import METHODS, Campaign, summarize
from mmfer.cli import run_tool

ROOT = Path(__file__).parents[2]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills-per-method', type=int, default=13)
    parser.add_argument(
        '--methods', nargs='+', choices=METHODS, default=list(METHODS), metavar='METHOD'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', default='work_dirs/kills')
    parser.add_argument(
        '--resume', action='store_true', help='go on with the kills.csv of the work dir'
    )
    parser.add_argument(
        '--fresh',
        action='store_true',
        help='also compare each run that is not killed with one in a new interpreter',
    )
    args = parser.parse_args()
    if args.kills_per_method < 1:
        parser.error('--kills-per-method must be at least 1')
    table = osp.join(args.work_dir, 'kills.csv')
    if osp.isfile(table) and not args.resume:
        parser.error(
            f'{table} exists already. Pass --resume to go on with it, or choose '
            'another --work-dir.'
        )
    return args


def main() -> None:
    args = parse_args()
    campaign = Campaign(
        str(ROOT / 'tools/train.py'),
        str(ROOT / 'configs'),
        args.work_dir,
        args.methods,
        args.kills_per_method,
        args.seed,
        args.fresh,
    )
    campaign.run()
    table = summarize(campaign.rows)
    writer = csv.DictWriter(sys.stdout, list(table[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(table)
    if campaign.failures:
        raise SystemExit(
            '\n'.join([f'{len(campaign.failures)} differences:', *campaign.failures])
        )
    print(f'{len(campaign.rows)} kills, no difference. {campaign.path} has each.')


if __name__ == '__main__':
    run_tool(main)

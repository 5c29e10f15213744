"""Measure how well the scan finds planted wrong labels of FERPlus.

    python tools/benchmarks/scan.py --data-root data/ferplus --out docs/results/scan.csv

For each noise and seed, some labels become wrong, and the scan scores all of them. It
never sees a clean label. Rows of an earlier call are kept and replaced one by one.
"""

import argparse
import time

from mmfer.analysis.benchmarks import scan_figures as figures
from mmfer.cli import run_tool
from mmfer.scan import ScoreOptions, extract, find_encoder, score_labels


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data-root', default='data/ferplus')
    parser.add_argument('--encoder', help='lite0, hog, a model, ...; default: the best')
    parser.add_argument(
        '--noise', nargs='+', default=['symmetric', 'vote'], choices=figures.NOISES
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[1, 2, 3])
    parser.add_argument(
        '--sizes', nargs='*', type=int, default=[], help='images; default: all'
    )
    parser.add_argument('--head', action='store_true', help='train the small head, too')
    parser.add_argument('--cleanlab', action='store_true', help='beside each scan')
    parser.add_argument('--keep-share', nargs='+', type=float, default=[0.0, 0.05, 0.1])
    parser.add_argument('--out', help='CSV file; default: only print')
    return parser.parse_args()


def main() -> None:
    """Run the command line."""
    args = parse_args()
    encoder = find_encoder(args.encoder)
    method = f'scan, {encoder.name}' + ', head' * args.head
    options = ScoreOptions(head=args.head, keep_share=0.0)
    for noise in args.noise:
        for seed in args.seeds:
            dataset = figures.noisy_ferplus(args.data_root, noise, seed)
            start = time.process_time()
            found = extract(dataset, [encoder], name='FERPlus')
            if not found.cached:
                seconds = (time.process_time() - start) / len(dataset) * 1000
                print(f'{seconds:.2f} ms of CPU per image for features', flush=True)
            features = {name: found.arrays[name] for name in encoder.outputs}
            for size in args.sizes or [None]:
                valid = figures.draw_images(len(dataset), size, seed) & found.valid
                start = time.process_time()
                scores = score_labels(
                    features,
                    dataset._labels.given,
                    len(dataset.CLASSES),
                    valid=valid,
                    options=options,
                )
                seconds = time.process_time() - start
                count = int(valid.sum())
                row = dict(table='size' if size else 'main', noise=noise, seed=seed)
                row.update(images=count, passes=count)
                rows = []
                for share in args.keep_share:
                    name = method + f', keep_share={share}' * (share > 0)
                    found_row = figures.scan_row(dataset, scores, valid, share)
                    row_of = dict(row, method=name, score_seconds=seconds)
                    rows.append(dict(row_of, **found_row))
                if args.cleanlab:
                    name = f'cleanlab on the probabilities of: {method}'
                    issues = figures.cleanlab_row(dataset, scores, valid)
                    rows.append(dict(row, method=name, **issues))
                print(*rows, sep='\n', flush=True)
                if args.out:
                    old = figures.read_rows(args.out)
                    figures.write_rows(args.out, figures.merge_rows(old, rows))


if __name__ == '__main__':
    run_tool(main)

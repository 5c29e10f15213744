"""Run mmfer with several versions of Python, torch and OpenMMLab.

    python tests/version_matrix/run.py
    python tests/version_matrix/run.py onedl-torchnewest-py3.11 --suite

makes one environment at a time, runs a few minutes of checks in it, removes it, and
writes ``docs/results/versions.csv``. ``--work-dir`` keeps logs and finished cells.
After a kill, ``--resume`` continues with the cells that are not finished. With
``--suite``, the whole default suite of tests runs as well. ``--environment`` uses an
environment that exists, for one cell.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

from cells import CELLS, ROOT, Cell, NotRun, make_environment
from smoke import TESTS, Smoke, run_pytest

TABLE = ROOT / 'docs/results/versions.csv'
PACKAGES = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmpretrain', 'mmcv')
COUNTS = ('passed', 'failed', 'skipped')
COLUMNS = [
    *('cell', 'origin', 'python', *PACKAGES),
    *('smoke_passed', 'smoke_failed', 'smoke_seconds'),
    *(f'tests_{name}' for name in COUNTS),
    *(f'suite_{name}' for name in COUNTS),
    *('suite_minutes', 'commit', 'note'),
]
SUITE_LIMIT = 3 * 3600
MAX_NOTES = 10


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [cell.name for cell in CELLS]
    parser.add_argument(
        'cells', nargs='*', metavar='CELL', help=f'default: all of {", ".join(names)}'
    )
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs/version_matrix'
    )
    parser.add_argument(
        '--resume', action='store_true', help='skip cells that are finished'
    )
    parser.add_argument(
        '--suite', action='store_true', help='run all default tests as well'
    )
    parser.add_argument(
        '--limit', type=float, default=600, help='seconds for a step (default: 600)'
    )
    parser.add_argument(
        '--keep', action='store_true', help='do not remove the environments'
    )
    parser.add_argument(
        '--environment', type=Path, help='use this environment, for one cell'
    )
    args = parser.parse_args()
    unknown = sorted(set(args.cells) - set(names))
    if unknown:
        parser.error(f'no cell {", ".join(unknown)}; there are {", ".join(names)}')
    if args.environment and len(args.cells) != 1:
        parser.error('--environment needs one CELL, the one that is installed there')
    return args


def write_json(path: Path, content: Dict[str, Any]) -> None:
    """Write a file completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.tmp')
    temporary.write_text(json.dumps(content, indent=1), encoding='utf-8')
    os.replace(temporary, path)


def current_commit() -> str:
    """Return the commit that is checked out; empty if this is no git checkout."""
    command = ['git', 'rev-parse', '--short', 'HEAD']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def read_result(folder: Path) -> Dict[str, Any]:
    """Return what is recorded of a cell; an empty dict if there is nothing."""
    path = folder / 'result.json'
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}


def is_finished(result: Dict[str, Any], suite: bool) -> bool:
    """Return whether ``--resume`` skips a cell."""
    return 'tests' in result and ('suite' in result or not suite)


def check(cell: Cell, python: str, folder: Path, args: argparse.Namespace) -> None:
    """Run the checks of one cell, and record each part as soon as it is finished.

    Args:
        cell (Cell): The cell.
        python (str): Interpreter of its environment.
        folder (Path): Folder for its logs and results.
        args (argparse.Namespace): The command line.
    """
    path = folder / 'result.json'
    result = read_result(folder)
    # A smoke that is there is kept, if only the suite was asked for after it.
    if 'smoke' not in result or not args.resume:
        smoke = Smoke(python, cell.origin, folder, args.limit)
        smoke.run()
        result = dict(
            versions=smoke.versions, smoke=smoke.steps, commit=current_commit()
        )
        write_json(path, result)
    if not result['versions']:
        return
    if 'tests' not in result:
        result['tests'] = run_pytest(python, folder, 'tests', TESTS, args.limit)
        write_json(path, result)
        print(f'   tests: {result["tests"]}', flush=True)
    if args.suite and 'suite' not in result:
        result['suite'] = run_pytest(python, folder, 'suite', (), SUITE_LIMIT)
        write_json(path, result)
        print(f'   suite: {result["suite"]}', flush=True)


def run_cell(cell: Cell, args: argparse.Namespace) -> None:
    """Make the environment of a cell, check it, and remove it.

    Args:
        cell (Cell): The cell.
        args (argparse.Namespace): The command line.
    """
    folder = args.work_dir / cell.name
    if args.resume and is_finished(read_result(folder), args.suite):
        print(f'== {cell.name}: finished before', flush=True)
        return
    print(f'== {cell.name}', flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not args.resume:
        (folder / 'result.json').unlink(missing_ok=True)
    environment = args.environment or args.work_dir / 'environments' / cell.name
    try:
        if args.environment:
            python = str(environment.resolve() / 'bin/python')
        else:
            python = make_environment(cell, environment, folder / 'install.log')
        check(cell, python, folder, args)
    except NotRun as error:
        write_json(folder / 'result.json', dict(reason=str(error)))
        print(f'   not run: {error}', flush=True)
    finally:
        if not args.environment and not args.keep:
            shutil.rmtree(environment, ignore_errors=True)


def table_row(cell: Cell, result: Dict[str, Any]) -> Dict[str, Any]:
    """Return the row of a cell, with the reason if it was not run.

    Args:
        cell (Cell): The cell.
        result (dict): What :func:`read_result` returns.
    """
    versions = result.get('versions') or {}
    row = dict(cell=cell.name, origin=cell.origin)
    row['python'] = versions.get('python', cell.python)
    row.update({name: versions.get(name, '') for name in PACKAGES})
    row['commit'] = result.get('commit', '')
    row['torch'] = versions.get('torch', cell.torch)
    notes = []
    if 'smoke' in result:
        steps = result['smoke']
        failed = [step for step in steps if not step['passed']]
        row['smoke_passed'] = len(steps) - len(failed)
        row['smoke_failed'] = len(failed)
        row['smoke_seconds'] = round(sum(step['seconds'] for step in steps))
        notes += [f'{step["name"]}: {step["note"]}' for step in failed]
    else:
        notes.append(f'not run: {result.get("reason", "no run was asked for")}')
    for name in ('tests', 'suite'):
        if name in result:
            row.update({f'{name}_{key}': result[name][key] for key in COUNTS})
    if 'tests' in result:
        row['smoke_seconds'] += round(result['tests']['seconds'])
    if 'suite' in result:
        row['suite_minutes'] = round(result['suite']['seconds'] / 60)
    failures = [
        failure
        for name in ('tests', 'suite')
        for failure in result.get(name, {}).get('failures', [])
    ]
    notes += [f'failed: {name}' for name in dict.fromkeys(failures)]
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES:] = [f'and {len(notes) - MAX_NOTES} more']
    # A bar would end the cell of a Markdown table.
    return dict(row, note='; '.join(notes).replace('|', '/'))


def write_table(work_dir: Path) -> None:
    """Write the table of all cells, also of those that were not run.

    Args:
        work_dir (Path): Folder with the results of the cells.
    """
    rows: List[Dict[str, Any]] = [
        table_row(cell, read_result(work_dir / cell.name)) for cell in CELLS
    ]
    temporary = TABLE.with_suffix('.tmp')
    with open(temporary, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, COLUMNS, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, TABLE)


def main() -> None:
    """Run the chosen cells one after the other."""
    args = parse_args()
    args.work_dir = args.work_dir.resolve()
    for cell in CELLS:
        if not args.cells or cell.name in args.cells:
            run_cell(cell, args)
            write_table(args.work_dir)
    subprocess.run([sys.executable, 'tools/docs/render_tables.py'], cwd=ROOT)


if __name__ == '__main__':
    main()

"""Write ``configs/<method>/metafile.yml`` of all methods.

The facts come from the configs and from ``configs/<method>/results.yml``, the numbers
from ``docs/results/*.csv``. With ``--check``, nothing is changed: it fails if a
metafile is not up to date, or if the checker of ``modelindex`` finds a fault.
"""

import argparse
import sys

from metafiles import ROOT, metafile
from modelindex.load_model_index import load

from mmfer.version import __version__


def faults() -> list:
    """Return the faults that the checker of modelindex finds, one line each."""
    index = load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    return index.check(silent=True)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--check', action='store_true', help='change nothing, fail if a file is old'
    )
    args = parser.parse_args()
    old = []
    for source in sorted(ROOT.glob('configs/*/results.yml')):
        path = source.with_name('metafile.yml')
        text = metafile(source.parent.name, __version__)
        if not path.is_file() or path.read_text(encoding='utf-8') != text:
            old.append(str(path.relative_to(ROOT)))
            if not args.check:
                path.write_text(text, encoding='utf-8')
    if old and args.check:
        sys.exit(
            f'not up to date: {", ".join(old)}. Run python '
            'tools/docs/write_metafiles.py and commit the files.'
        )
    found = faults()
    if found:
        sys.exit('modelindex finds faults:\n' + '\n'.join(found))
    print(f'{len(old)} metafiles changed')


if __name__ == '__main__':
    main()

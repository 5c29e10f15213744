"""What a release states about itself: version, citation, licences."""

from pathlib import Path

import yaml
from helpers import ROOT

import mmfer
from mmfer.engine.provenance import package_versions


def read(name):
    return (Path(ROOT) / name).read_text(encoding='utf-8')


def test_one_version():
    citation = yaml.safe_load(read('CITATION.cff'))
    assert citation['version'] == mmfer.__version__
    assert package_versions()['mmfer'] == mmfer.__version__
    for path in Path(ROOT).glob('configs/*/metafile.yml'):
        (collection,) = yaml.safe_load(path.read_text())['Collections']
        assert collection['Code']['Version'] == f'v{mmfer.__version__}'


def test_citation_has_what_the_schema_requires():
    """The whole file was checked by ``cffconvert --validate``."""
    citation = yaml.safe_load(read('CITATION.cff'))
    assert citation['cff-version'] == '1.2.0'
    assert citation['type'] in ('software', 'dataset')
    for key in ('message', 'title'):
        assert isinstance(citation[key], str) and citation[key]
    for author in citation['authors']:
        assert author.get('name') or author.get('family-names')
    known = {'cff-version', 'message', 'title', 'type', 'authors', 'version'}
    known |= {'license', 'keywords', 'date-released', 'abstract', 'url'}
    assert set(citation) <= known


def test_notice_names_each_file_of_weights():
    notice = read('NOTICE')
    for path in (Path(ROOT) / 'mmfer/weights').glob('*.pth'):
        assert f'mmfer/weights/{path.name}' in notice
    for page in ('docs/model_card.md', 'docs/licences.md'):
        assert page in notice and (Path(ROOT) / page).is_file()


def test_no_image_of_a_data_set_is_in_the_repository():
    for pattern in ('*.pth', '*.pt', '*.jpg', '*.jpeg'):
        found = [
            path
            for folder in ('mmfer', 'docs', 'configs')
            for path in (Path(ROOT) / folder).rglob(pattern)
            if path.parent.name != 'weights'
        ]
        assert not found

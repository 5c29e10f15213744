"""Images in folders, and the one list of endings."""

from made_images import KINDS
from PIL import Image

from mmfer.datasets import ImageFolders
from mmfer.datasets.images import IMAGE_EXTENSIONS, find_images
from mmfer.datasets.images.formats import PILLOW_FORMATS


def test_there_is_one_list_of_endings():
    """Every ending belongs to a format that the decoder may open."""
    assert ImageFolders.__init__.__defaults__[-1] is IMAGE_EXTENSIONS
    Image.init()
    known = Image.registered_extensions()
    aliases = {'.pjpeg': 'JPEG', '.pjp': 'JPEG', '.mpo': 'JPEG'}
    for ending in IMAGE_EXTENSIONS:
        if ending != '.avif' or ending in known:
            assert aliases.get(ending, known.get(ending)) in PILLOW_FORMATS, ending
    for kind in KINDS.values():
        assert kind.ending.lower() in IMAGE_EXTENSIONS


def test_images_of_a_folder_and_what_is_left_out(tmp_path):
    names = [
        'b.GIF',
        'a.jfif',
        'c/d.avif',
        'c/notes.txt',
        'e.heic',
        'Thumbs.db',
        'c/desktop.ini',
        '.DS_Store',
        '._a.jfif',
        '__MACOSX/a.png',
        '.git/x.png',
        'noending',
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    found, others = find_images(str(tmp_path))
    assert found == [str(tmp_path / name) for name in ('a.jfif', 'b.GIF', 'c/d.avif')]
    assert others == [
        str(tmp_path / name) for name in ('c/notes.txt', 'e.heic', 'noending')
    ]

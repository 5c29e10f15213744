"""Decoder that turns image files and arrays into pixels for the pipelines.

All parts of mmfer read images here: training, testing, scoring, inference, the
review page and the browsing tools. A file therefore has the same pixels
everywhere:

- files are turned upright by their EXIF orientation;
- transparent images are composited onto white;
- of 16 bits, the upper 8 are kept; floats in [0, 1] are multiplied by 255;
- only the first picture of an animation or of a file with several pages is
  read;
- damaged files are refused.

As in mmpretrain, OpenCV decodes JPEG files, PNG files without transparency, and
plain BMP, PPM and TIFF files. Pillow decodes all other files. If Pillow does not
know a file, OpenCV tries it.

| module | contents |
|---|---|
| `decoder` | from any source to pixels |
| `formats` | endings, first bytes and last bytes of the formats |
| `files` | reading files, finding images in folders |
| `headers` | sizes of images without decoding them |
| `limits` | the error for unreadable images, and the largest sizes |
| `pixels` | from arrays and PIL images to uint8 pixels |
| `state` | whether files are still the same |
| `jpeg_structure`, `jpeg_damage` | finding damage inside JPEG files |
"""

from .decoder import check_image_file, decode_image, read_image
from .files import (
    describe_ignored,
    find_images,
    is_file_object,
    looks_complete,
    read_file,
)
from .formats import IMAGE_EXTENSIONS
from .headers import upright_size
from .limits import MAX_PIXELS, UnreadableImageError
from .pixels import is_pil_image, refuse_channels_first
from .sizes import have_equal_sizes
from .state import hash_array, hash_files
from .store import ImageStore, open_store

__all__ = [
    'ImageStore',
    'hash_array',
    'hash_files',
    'have_equal_sizes',
    'open_store',
    'IMAGE_EXTENSIONS',
    'MAX_PIXELS',
    'UnreadableImageError',
    'check_image_file',
    'decode_image',
    'describe_ignored',
    'find_images',
    'is_file_object',
    'is_pil_image',
    'looks_complete',
    'read_file',
    'read_image',
    'refuse_channels_first',
    'upright_size',
]

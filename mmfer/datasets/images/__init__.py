"""The one decoder: image files and arrays as the pixels that pipelines take.

Training, testing, scoring, inference, the review page and the browsing tools
read their images here, so that a file has the same pixels everywhere:

- files are turned upright by their EXIF orientation;
- transparent images are composited onto white;
- 16 bits become 8 by their upper byte, floats in [0, 1] are multiplied by 255;
- the first picture is read from animations and files with several pages;
- damaged files are refused.

OpenCV decodes JPEG files and PNG files without transparency, as mmpretrain
does; Pillow decodes the others. If one of them cannot read a file, the other
one tries.

| module | contents |
|---|---|
| `decoder` | from any source to pixels |
| `formats` | endings and first bytes of the formats |
| `files` | reading files, finding images in folders |
| `limits` | the error for unreadable images, largest sizes |
| `pixels` | arrays and images of PIL as uint8 pixels |
| `jpeg_structure`, `jpeg_damage` | finding damage inside JPEG files |
"""

from .decoder import check_image_file, decode_image, read_image
from .files import (
    describe_left_out,
    find_images,
    is_file_object,
    looks_complete,
    read_file,
)
from .formats import IMAGE_EXTENSIONS
from .limits import UnreadableImageError
from .pixels import is_pil_image, refuse_channels_first

__all__ = [
    'IMAGE_EXTENSIONS',
    'UnreadableImageError',
    'check_image_file',
    'decode_image',
    'describe_left_out',
    'find_images',
    'is_file_object',
    'is_pil_image',
    'looks_complete',
    'read_file',
    'read_image',
    'refuse_channels_first',
]

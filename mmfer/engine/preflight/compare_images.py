"""Compare sizes and shapes of images.

Each check returns a message, or None if nothing is wrong. Each gets some images
of a data set after its pipeline.
"""

from typing import Optional, Sequence, Tuple

from .pipeline_probe import PreparedImage

# A crop that leaves less than this share of an image's area is probably a
# mistake.
MIN_VISIBLE = 0.5


def check_crops(
    where: str, images: Sequence[PreparedImage], scale: Optional[Tuple[int, int]] = None
) -> Optional[str]:
    """Check that no crop before a resize leaves less than half of an image.

    Args:
        where (str): Name of the data set.
        images (Sequence[PreparedImage]): Sample of its images.
        scale (tuple[int, int], optional): Height and width to resize to, for
            the message.
    """
    cropped = [i for i in images if i.visible_before_resize < MIN_VISIBLE]
    if not cropped:
        return None
    worst = min(cropped, key=lambda i: i.visible_before_resize)
    wanted = f'({scale[1]}, {scale[0]})' if scale else '(width, height)'
    return (
        f'{where}: the pipeline crops {len(cropped)} of the {len(images)} '
        'images that were checked to less than half of their area '
        'without resizing them first. For example, '
        f'{worst.visible_before_resize:.0%} is left of '
        f'{worst.name} ({in_pixels(worst.size)} pixels). Put '
        f"dict(type='Resize', scale={wanted}, interpolation='area') before "
        'the crop in all pipelines. If the crop is intended, for example '
        'around a face, set default_hooks.preflight.strict=False.'
    )


def check_narrow_views(where: str, images: Sequence[PreparedImage]) -> Optional[str]:
    """Check that the model sees at least half of each resized image (a warning)."""
    narrow = [
        i
        for i in images
        if i.visible < MIN_VISIBLE and i.visible_before_resize >= MIN_VISIBLE
    ]
    if not narrow:
        return None
    worst = min(narrow, key=lambda i: i.visible)
    return (
        f'{where}: the pipeline leaves less than half of the area of '
        f'{len(narrow)} of the {len(images)} images that were checked, for '
        f'example {worst.visible:.0%} of {worst.name} '
        f'({in_pixels(worst.size)} pixels). If faces are cut off, resize '
        'with keep_ratio=False or crop the files around the faces.'
    )


def check_shapes(
    where: str, images: Sequence[PreparedImage], input_shape: Optional[Sequence[int]]
) -> Optional[str]:
    """Compare the shape of prepared images with the model's input shape.

    Args:
        where (str): Name of the data set.
        images (Sequence[PreparedImage]): Sample of its images.
        input_shape (Sequence[int], optional): Input shape (C, H, W) of the
            model. None if it is not stated; then the images need only have
            the same shape.
    """
    shapes = [(i, i.shape) for i in images if i.shape is not None]
    if not shapes:
        return None
    if input_shape is None:
        first, shape = shapes[0]
        others = [(i, s) for i, s in shapes if s != shape]
        if not others:
            return None
        return (
            f'{where}: the pipeline makes images of different sizes, '
            f'{in_pixels(shape[1:])} pixels of {first.name} and '
            f'{in_pixels(others[0][1][1:])} of {others[0][0].name}, which '
            'cannot be put in one batch. Add '
            "dict(type='Resize', scale=(width, height)) to the pipeline."
        )
    input_shape = tuple(input_shape)
    wrong = [(i, s) for i, s in shapes if s != input_shape]
    if not wrong:
        return None
    advice = 'Resize or crop in all pipelines, or change data_preprocessor.input_shape.'
    if all(s[1:] == input_shape[1:] for _, s in wrong):
        advice = (
            "Set color_type='color' or 'grayscale' of LoadFERImage in "
            'all pipelines, or change data_preprocessor.input_shape.'
        )
    image, shape = wrong[0]
    return (
        f'{where}: the pipeline turns {image.name} '
        f'({in_pixels(image.size)} pixels) into an image of {shape} '
        '(channels, height, width), but data_preprocessor.input_shape is '
        f'{input_shape}. This concerns {len(wrong)} of the {len(shapes)} '
        f'images that were checked. {advice}'
    )


def check_image_size(
    where: str, images: Sequence[PreparedImage], image_size: Sequence[int]
) -> Optional[str]:
    """Compare the size of images that no step resizes with ``image_size``.

    FERInferencer resizes faces to that size, so it would see other pixels
    than training and test do. This is a warning.

    Args:
        where (str): Name of the data set; its pipeline has no step that
            resizes.
        images (Sequence[PreparedImage]): Sample of its images.
        image_size (Sequence[int]): Height and width.
    """
    wrong = [i for i in images if tuple(i.size) != tuple(image_size)]
    if not wrong:
        return None
    return (
        f'{where}: {len(wrong)} of the {len(images)} images that were checked '
        f'do not have image_size {in_pixels(image_size)}, for example '
        f'{wrong[0].name} with {in_pixels(wrong[0].size)} pixels. No '
        'step of the pipeline resizes them. FERInferencer does resize them, so '
        "it will see other pixels than in training. Put dict(type='Resize', "
        f'scale=({image_size[1]}, {image_size[0]}), '
        "interpolation='area') after the loading step in all pipelines."
    )


def in_pixels(size: Sequence[int]) -> str:
    """Format height and width for a message."""
    return ' x '.join(str(length) for length in size)

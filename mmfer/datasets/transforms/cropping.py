"""Cropping of an image to the face in it."""

from mmcv.transforms import BaseTransform

from mmfer.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CropFace(BaseTransform):
    """Crop a photo to the box of a face, ``face_box``.

    Parts of the box outside of the photo are cut off. An image without a box
    stays whole. So a model that was trained on faces in photos also takes
    images that show just one face.

    Raises:
        ValueError: The box has no pixel of the photo.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``img`` by the face, and set ``img_shape``."""
        if 'face_box' not in results:
            return results
        image = results['img']
        left, top, right, bottom = (max(int(x), 0) for x in results['face_box'])
        face = image[top:bottom, left:right]
        if not face.size:
            height, width = image.shape[:2]
            raise ValueError(
                f'{results.get("img_path", "the image")}: the face box '
                f'{tuple(results["face_box"])} (left, top, right, bottom) has no '
                f'pixel of this image of {width} x {height} px. Correct or remove '
                'its row in the list.'
            )
        results['img'] = face
        results['img_shape'] = face.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'

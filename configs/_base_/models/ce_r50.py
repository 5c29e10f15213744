_base_ = './ce_r18.py'
# VGGFace2's published ResNet-50 has the stride in the first 1x1 convolution of a
# block. This is style='caffe'. The other style would load the same weights, but it
# would compute another function.
model = dict(
    backbone=dict(
        depth=50,
        style='caffe',
        init_cfg=dict(checkpoint='checkpoints/vggface2_r50.pth'),
    )
)

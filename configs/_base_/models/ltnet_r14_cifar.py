_base_ = './ce_r18_cifar.py'
# Three stages of two blocks, 16, 32 and 64 channels: ResNet-14. It is the nearest to the
# ResNet-20 of the paper, which has three blocks in each stage.
model = dict(
    backbone=dict(
        base_channels=16,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    ),
    head=dict(_delete_=True, type='LTNetHead', annotators=3),
)

_base_ = './ce_r18_cifar.py'
# ResNet-14: three stages of two blocks, with 16, 32 and 64 channels. The network of the
# paper, ResNet-20, has three blocks in each stage.
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

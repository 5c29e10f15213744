_base_ = './rul_r18.py'
model = dict(
    backbone=dict(
        depth=50, init_cfg=dict(checkpoint='checkpoints/vggface2_r50.pth')))

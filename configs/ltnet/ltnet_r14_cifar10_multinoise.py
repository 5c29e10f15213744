# Second stage of LTNet's recipe for CIFAR-10. Start it from the last checkpoint of
# ltnet_r14_cifar10_multinoise_first, by load_from; README.md has the commands.
_base_ = './ltnet_r14_cifar10_multinoise_first.py'
model = dict(head=dict(warmup=0))

# Second stage of LTNet's recipe for CIFAR-10. It goes on from the last checkpoint of
# ltnet_r14_cifar10_multinoise_first, which train.py finds there.
_base_ = './ltnet_r14_cifar10_multinoise_first.py'
model = dict(head=dict(warmup=0))

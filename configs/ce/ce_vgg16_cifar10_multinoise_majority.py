# Table 1 of the joint-distribution GAN: the same encoder on the majority labels.
_base_ = './ce_vgg16_cifar10_multinoise.py'
model = dict(head=dict(label_sets=[10]))
train_dataloader = dict(dataset=dict(label_noise=dict(majority=True)))

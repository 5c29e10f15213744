_base_ = './rafdb.py'
# EAC's code: batches of 32. The model makes both views, with noise and erasing, so the
# pipeline has no random step.
train_dataloader = dict(batch_size=32, dataset=dict(pipeline={{_base_.test_pipeline}}))

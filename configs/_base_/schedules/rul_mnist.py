_base_ = './rafdb.py'
# RUL's supplement, Sec. B, states the number of epochs only. The rest is the schedule
# of RUL's code.
train_cfg = dict(max_epochs=35)

_base_ = './jocor_r18_ferplus_noise30.py'
# The noise rate is not known, but estimated from the beta mixtures.
model = dict(noise_rate=None)

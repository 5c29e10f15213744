_base_ = './jocor_r18_ferplus_noise30.py'
# The model is not told the noise rate: the beta mixtures estimate it.
model = dict(noise_rate=None)

_base_ = './ce_r18.py'
# ARM takes the place of the pooling. Base models of GAAVE have the plain ResNet-18.
model = dict(neck=dict(_delete_=True, type='AmendRepresentation'))

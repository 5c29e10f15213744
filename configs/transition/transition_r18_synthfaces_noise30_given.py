_base_ = './transition_r18_synthfaces_noise30.py'
# The head is told the true matrix of the planted noise.
model = dict(
    head=dict(
        matrix=[
            [0.7 if given == true else 0.3 / 6 for given in range(7)]
            for true in range(7)
        ]
    )
)

_base_ = './transition_r18_ferplus_noise30.py'
# The head is told the true matrix of the planted noise.
model = dict(
    head=dict(
        matrix=[
            [0.7 if given == true else 0.3 / 7 for given in range(8)]
            for true in range(8)
        ]
    )
)

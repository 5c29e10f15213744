_base_ = './alum_r18_rafdb.py'
# "From easy to hard", as the text of Sec. 3.3 asks: the share p of mined partners grows
# over the epochs. The paper's own figures have a constant p.
custom_hooks = [
    dict(type='LinearRampHook', attribute='head.mine_ratio', end=0.2, epochs=60)
]

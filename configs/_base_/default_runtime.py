default_scope = 'mmfer'

default_hooks = dict(
    runtime_info=dict(type='DeferredInfoHook'),
    preflight=dict(type='PreflightHook'),
    work_dir=dict(type='WorkDirHook'),
    provenance=dict(type='ProvenanceHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SafeCheckpointHook', interval=1, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    sync_buffers=dict(type='SyncBuffersHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    reproducibility=dict(type='ReproducibilityHook'),
    stop_on_nan=dict(type='StopOnNaNHook'),
    image_store=dict(type='ImageStoreHook'),
    sample_state=dict(type='SampleStateHook'),
    sample_scores=dict(type='SampleScoresHook'),
    predictions=dict(type='PredictionsHook'),
    summary=dict(type='SummaryHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='LazyVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)

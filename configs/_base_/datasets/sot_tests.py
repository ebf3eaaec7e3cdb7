"""Test data of trackers: LaSOT, or another of ``sot_tests``. Validation data: GOT-10k."""

sot_tests = dict(
    lasot=dict(type='mmlite.LaSOTDataset', data_root='data/LaSOT/', split='test'),
    lasot_ext=dict(type='mmlite.LaSOTExtDataset', data_root='data/LaSOT_extension/'),
    got10k=dict(type='mmlite.GOT10kDataset', data_root='data/GOT-10k/', split='test'),
    trackingnet=dict(type='mmlite.TrackingNetDataset', data_root='data/TrackingNet/', split='test'),
    otb100=dict(type='mmlite.OTB100Dataset', data_root='data/OTB100/'),
    uav123=dict(type='mmlite.UAV123Dataset', data_root='data/UAV123/'),
    nfs=dict(type='mmlite.NFSDataset', data_root='data/NFS/'),
    tc128=dict(type='mmlite.TC128Dataset', data_root='data/TC128/'),
    tnl2k=dict(type='mmlite.TNL2KDataset', data_root='data/TNL2K/'),
    vot=dict(type='mmlite.VOTDataset', data_root='data/VOT2019/'),
)
# frames are read by the loop, in threads
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=sot_tests['lasot'],
)
test_evaluator = dict(type='mmlite.SOTMetric')
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmlite.GOT10kDataset', data_root='data/GOT-10k/', split='val'),
)
val_evaluator = dict(type='mmlite.SOTMetric')

"""One patient's loop: frames in, masks or cards out."""

from digitalmask.pipeline.assembly import isolated, make_drawer, make_follower, make_masker
from digitalmask.pipeline.drawer import Drawer
from digitalmask.pipeline.follower import Follower
from digitalmask.pipeline.live import LivePipeline, PipelineStatus
from digitalmask.pipeline.masker import Masker
from digitalmask.pipeline.stages import FrameMasker, Provider, Sighting, Tracking

__all__ = [
    "Drawer",
    "Follower",
    "FrameMasker",
    "LivePipeline",
    "Masker",
    "PipelineStatus",
    "Provider",
    "Sighting",
    "Tracking",
    "isolated",
    "make_drawer",
    "make_follower",
    "make_masker",
]

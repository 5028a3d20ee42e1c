"""One patient's loop: frames in, masks or cards out."""

from digitalmask.pipeline.assembly import make_masker
from digitalmask.pipeline.live import LivePipeline, PipelineStatus
from digitalmask.pipeline.masker import Masker
from digitalmask.pipeline.masker_process import isolated
from digitalmask.pipeline.stages import FrameMasker, Tracking

__all__ = [
    "FrameMasker",
    "LivePipeline",
    "Masker",
    "PipelineStatus",
    "Tracking",
    "isolated",
    "make_masker",
]

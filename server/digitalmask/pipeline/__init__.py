"""One patient's loop: frames in, masks or cards out."""

from digitalmask.pipeline.assembly import make_masker
from digitalmask.pipeline.live import LivePipeline, PipelineStatus
from digitalmask.pipeline.masker import Masker, Tracking

__all__ = ["LivePipeline", "Masker", "PipelineStatus", "Tracking", "make_masker"]

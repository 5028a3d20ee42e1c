"""Puts the real stages together."""

from collections.abc import Callable

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.pipeline.masker import Masker
from digitalmask.rendering import MaskRenderer
from digitalmask.tracking import FaceTracker, load_networks


def make_masker(provider: str = "auto") -> Callable[[], Masker]:
    """Load what is shared (networks, head) now; the result makes a masker in its own thread.

    Errors: those of `load_networks` and `load_head`.
    """
    networks = load_networks(provider)
    head = load_head()

    def make() -> Masker:
        return Masker(
            FaceTracker(networks),
            MaskEstimator(head),
            lambda: MaskRenderer(head),
            networks.provider,
        )

    return make

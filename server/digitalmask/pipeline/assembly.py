"""Puts the real stages together."""

from collections.abc import Callable

from digitalmask.anatomy import MaskEstimator
from digitalmask.assets.head import load_head
from digitalmask.pipeline.drawer import Drawer
from digitalmask.pipeline.follower import Follower
from digitalmask.pipeline.masker import Masker
from digitalmask.pipeline.masker_process import MaskerProcess
from digitalmask.pipeline.stages import FrameMasker
from digitalmask.rendering import Complexion, Inset, MaskRenderer
from digitalmask.tracking import FaceTracker, load_networks


def make_follower(provider: str = "auto") -> Callable[[], Follower]:
    """Load what is shared (networks, head) now; the result makes a follower in its own thread.

    Errors: those of `load_networks` and `load_head`.
    """
    networks = load_networks(provider)
    head = load_head()
    return lambda: Follower(FaceTracker(networks), MaskEstimator(head), networks.provider)


def make_drawer(
    inset: str = Inset.NONE, skin: str = "light", eyes: str = "neutral"
) -> Callable[[], Drawer]:
    """Load the head now; the result makes a drawer in its own thread.

    inset: a value of `Inset`, what the picture shows beside the mask. skin, eyes: the mask's
    colours, of those in `Complexion`. Errors: as `load_head`.
    """
    head = load_head()
    complexion = Complexion(skin, eyes)
    return lambda: Drawer(lambda: MaskRenderer(head, Inset(inset), complexion=complexion))


def make_masker(
    provider: str = "auto", inset: str = Inset.NONE, skin: str = "light", eyes: str = "neutral"
) -> Callable[[], Masker]:
    """Both together, in one process."""
    follower, drawer = make_follower(provider), make_drawer(inset, skin, eyes)
    return lambda: Masker(follower(), drawer())


def isolated(
    provider: str = "auto", inset: str = Inset.NONE, skin: str = "light", eyes: str = "neutral"
) -> Callable[[], FrameMasker]:
    """Makes maskers each of whose halves has a process of its own, where the system can."""
    if not MaskerProcess.possible():
        return make_masker(provider, inset, skin, eyes)
    drawer = (_name(make_drawer), inset, skin, eyes)
    return lambda: MaskerProcess((_name(make_follower), provider), drawer)


def _name(maker: Callable[..., object]) -> str:
    return f"{maker.__module__}:{maker.__qualname__}"

"""What WHIP and WHEP ask of an offer, and what a trickled fragment says (RFC 9725, RFC 8840)."""

from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

from digitalmask.errors import SignallingError

_MOST_CANDIDATES = 64  # of one fragment


@dataclass(frozen=True, slots=True)
class IceFragment:
    """An `application/trickle-ice-sdpfrag`. ended: whether no more candidates will come."""

    ufrag: str
    candidates: tuple[RTCIceCandidate, ...]
    ended: bool


def check_offer(text: str, publishes: bool) -> str:
    """Read an offer to send (WHIP) or to receive (WHEP); returns its ICE user name fragment.

    Errors: SignallingError 400 where it cannot be read, 406 (WHEP, where 406 would be an offer in
    return: 422) where it has what is not supported, 422 where its direction is the wrong one.
    """
    try:
        sections = SessionDescription.parse(text).media
    except Exception as error:  # aiortc raises whatever its parser stumbles on
        raise SignallingError(400, "the SDP offer cannot be read") from error
    if not sections:
        raise SignallingError(400, "the offer has neither audio nor video")
    kinds = [section.kind for section in sections]
    if not {"audio", "video"}.issuperset(kinds) or len(set(kinds)) < len(kinds):
        raise SignallingError(
            not_acceptable(publishes), "one audio and one video track are taken, and no data"
        )
    wanted = "sendonly" if publishes else "recvonly"
    if any(section.direction not in (wanted, "sendrecv") for section in sections):
        raise SignallingError(422, f"the offer must be {wanted}")
    ice, dtls = sections[0].ice, sections[0].dtls
    if ice is None or not ice.usernameFragment or dtls is None or not dtls.fingerprints:
        raise SignallingError(400, "the offer lacks what ICE and DTLS need")
    return str(ice.usernameFragment)


def not_acceptable(publishes: bool) -> int:
    """The status for an offer of what is not supported (draft-ietf-wish-whep: 406 is an offer)."""
    return 406 if publishes else 422


def read_fragment(text: str) -> IceFragment:
    """Read a trickled fragment; what cannot be used of its candidates is left out.

    Errors: SignallingError 400 where it is none.
    """
    ufrag, mid, ended = "", "", False
    candidates: list[RTCIceCandidate] = []
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name == "a=ice-ufrag":
            ufrag = value
        elif name == "a=mid":
            mid = value
        elif name == "a=end-of-candidates":
            ended = True
        elif name == "a=candidate":
            try:
                candidate = candidate_from_sdp(value)
            except (AssertionError, ValueError) as error:
                raise SignallingError(400, "a candidate cannot be read") from error
            candidate.sdpMid = mid
            candidates.append(candidate)
        elif line.strip() and line[1:2] != "=":
            raise SignallingError(400, "the fragment is no SDP")
    if not ufrag:
        raise SignallingError(400, "the fragment has no ICE user name fragment")
    if len(candidates) > _MOST_CANDIDATES:
        raise SignallingError(400, f"more than {_MOST_CANDIDATES} candidates at once")
    return IceFragment(ufrag, tuple(candidates), ended)

"""DTLS with peers whose certificate is an RSA one: GStreamer, and FFmpeg or others by choice.

aiortc offers the ciphers of ECDSA certificates alone; a peer that is the DTLS server and has an RSA
certificate finds none among them.
"""

import inspect
from typing import Any

from aiortc.rtcdtlstransport import RTCCertificate
from OpenSSL import SSL

# aiortc's own, of which RFC 8827, 6.5 demands the first; then the same with RSA certificates. Each
# has forward secrecy.
_CIPHERS = ":".join(
    f"ECDHE-{kind}-{cipher}"
    for kind in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
)


def accept_rsa_certificates() -> None:
    """Widen the ciphers of all later sessions of this process.

    Errors: RuntimeError where this aiortc sets up DTLS elsewhere.
    """
    own: Any = getattr(RTCCertificate, "_create_ssl_context", None)
    if own is None or list(inspect.signature(own).parameters) != ["self", "srtp_profiles"]:
        raise RuntimeError("this aiortc sets up DTLS elsewhere: 1.16 is expected")

    def with_rsa(self: RTCCertificate, srtp_profiles: Any) -> SSL.Context:
        context: SSL.Context = own(self, srtp_profiles)
        context.set_cipher_list(_CIPHERS.encode())
        return context

    if own.__name__ != with_rsa.__name__:
        RTCCertificate._create_ssl_context = with_rsa  # type: ignore[method-assign]

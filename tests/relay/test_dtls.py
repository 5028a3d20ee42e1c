"""Peers with RSA certificates find a cipher; an aiortc that sets DTLS up elsewhere is refused."""

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from OpenSSL import SSL

from digitalmask.relay.dtls import accept_rsa_certificates


def test_ciphers_of_both_kinds_of_certificate_are_offered_all_with_forward_secrecy() -> None:
    accept_rsa_certificates()
    accept_rsa_certificates()
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    ciphers = SSL.Connection(context).get_cipher_list()
    offered = [each for each in ciphers if not each.startswith("TLS_")]
    assert {each.rpartition("-AES128-GCM")[0] for each in offered} >= {"ECDHE-ECDSA", "ECDHE-RSA"}
    assert all(each.startswith("ECDHE-") for each in offered)


@pytest.mark.parametrize("there", [None, lambda _self: None])
def test_an_aiortc_that_sets_dtls_up_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, there: object
) -> None:
    monkeypatch.setattr(RTCCertificate, "_create_ssl_context", there)
    with pytest.raises(RuntimeError, match="sets up DTLS elsewhere"):
        accept_rsa_certificates()

"""FFmpeg's WHIP muxer sends into a room, with an ECDSA certificate and with an RSA one."""

import asyncio
import datetime
import sys
from pathlib import Path

import av
import pytest
from av import VideoFrame
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from digitalmask.relay.invitations import Role
from tests.peers.support import PEERS, keep
from tests.relay.support import GREEN, colour_of, running_relay, track_of

SECONDS = 4.0


def write_certificate(folder: Path, kind: str) -> tuple[Path, Path]:
    """A certificate and its key. By itself, FFmpeg with GnuTLS makes one of a curve (P-224) that
    OpenSSL 4 does not know."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        rsa.generate_private_key(65537, 2048)
        if kind == "RSA"
        else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whip")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.skipif("whip" not in av.formats_available, reason="this FFmpeg has no WHIP muxer")
@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
async def test_ffmpeg_sends_into_a_room_and_the_mask_comes_out(tmp_path: Path, kind: str) -> None:
    certificate, key = write_certificate(tmp_path, kind)
    async with (
        running_relay(tmp_path) as relay,
        relay.viewer(relay.token(Role.DOCTOR)) as doctor,
    ):
        ffmpeg = await asyncio.create_subprocess_exec(
            sys.executable, str(PEERS / "ffmpeg_whip.py"), f"{relay.url}/whip/{relay.room}",
            relay.token(Role.PATIENT), str(certificate), str(key), str(SECONDS),
        )  # fmt: skip
        track = await track_of(doctor, "video")
        assert await colour_of(track, GREEN)
        frame = await track.recv()
        assert isinstance(frame, VideoFrame)
        assert (frame.width, frame.height) == (320, 240)
        keep(f"ffmpeg-{kind.lower()}", frame.to_ndarray(format="rgb24"))
        assert await asyncio.wait_for(ffmpeg.wait(), 10) == 0  # it ended its session by DELETE

/**
 * Put into a page before its own scripts, by the benchmark alone: notes when frames are captured
 * and shown, and leaves the page's calls as they are but for the camera's size and the codec.
 */
({ width, height, mimeType }) => {
  const probe = { captured: [], shown: [], codecs: () => codecs() };
  window.probe = probe;
  const utc = (ms) => performance.timeOrigin + ms;
  const connections = [];

  const Own = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Own {
    constructor(...given) {
      super(...given);
      connections.push(this);
    }

    addTransceiver(what, how) {
      const made = super.addTransceiver(what, how);
      if (mimeType && made.receiver.track.kind === "video") {
        const { codecs } = RTCRtpReceiver.getCapabilities("video");
        made.setCodecPreferences(codecs.filter((codec) => codec.mimeType.toLowerCase() === mimeType));
      }
      return made;
    }
  };

  async function codecs() {
    const found = new Set();
    for (const connection of connections) {
      for (const { type, mimeType } of (await connection.getStats()).values()) {
        if (type === "codec" && mimeType.startsWith("video/")) found.add(mimeType.toLowerCase());
      }
    }
    return [...found];
  }

  // A camera: shown to nobody, so that its frames are told of and not drawn.
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async ({ video, audio }) => {
    const media = await open({ video: { ...video, width: { exact: width }, height: { exact: height } }, audio });
    const unseen = document.createElement("video");
    unseen.muted = true;
    unseen.srcObject = new MediaStream(media.getVideoTracks());
    void unseen.play();
    const next = (_now, { captureTime }) => {
      probe.captured.push(utc(captureTime));
      unseen.requestVideoFrameCallback(next);
    };
    unseen.requestVideoFrameCallback(next);
    return media;
  };

  // The mask: each frame's number is read off its picture when that has gone to the screen.
  const CELLS = 40, CELL_PX = 8;
  const pen = new OffscreenCanvas(CELLS * CELL_PX, 1).getContext("2d", { willReadFrequently: true });
  function read(video) {
    pen.drawImage(video, 0, CELL_PX, CELLS * CELL_PX, 1, 0, 0, CELLS * CELL_PX, 1);
    const { data } = pen.getImageData(0, 0, CELLS * CELL_PX, 1);
    const bytes = [0, 0, 0, 0, 0];
    for (let cell = 0; cell < CELLS; cell += 1) {
      const light = data[4 * (CELL_PX * cell + CELL_PX / 2) + 1] > 127;
      bytes[cell >> 3] = 2 * bytes[cell >> 3] + (light ? 1 : 0);
    }
    const [a, b, c, d, check] = bytes;
    return ((a + b + c + d & 0xff) ^ 0xa5) === check ? ((a * 256 + b) * 256 + c) * 256 + d : null;
  }
  addEventListener("DOMContentLoaded", () => {
    const mask = document.getElementById("mask");
    if (!mask) return;
    const next = (_now, { receiveTime, presentationTime, expectedDisplayTime }) => {
      probe.shown.push([read(mask), utc(receiveTime), utc(presentationTime), utc(expectedDisplayTime)]);
      mask.requestVideoFrameCallback(next);
    };
    mask.requestVideoFrameCallback(next);
  });
}

/** WHIP (sending) and WHEP (receiving): one POST of an offer, one DELETE to end. */

import { serverRefusal, Refusal } from "./messages.js";

const GATHERING_LIMIT_MS = 2000;
const REQUEST_LIMIT_MS = 15000;

/** One session with the server. */
export class Session {
  /**
   * @param {RTCPeerConnection} connection
   * @param {string} address of the session, for DELETE
   * @param {string} token
   */
  constructor(connection, address, token) {
    this.connection = connection;
    this.address = address;
    this.token = token;
  }

  /** Resolves when the connection is lost. */
  lost() {
    return new Promise((resolve) => {
      const look = () => {
        if (["failed", "closed", "disconnected"].includes(this.connection.connectionState)) resolve(undefined);
      };
      this.connection.addEventListener("connectionstatechange", look);
      look();
    });
  }

  /** Ends the session, also while the page is being closed. */
  end() {
    this.connection.close();
    void fetch(this.address, {
      method: "DELETE", keepalive: true, headers: { Authorization: `Bearer ${this.token}` },
    }).catch(() => undefined);
  }
}

/**
 * Sends a camera and a voice.
 * @param {string} url
 * @param {string} token
 * @param {MediaStream} media
 */
export async function publish(url, token, media) {
  const connection = new RTCPeerConnection({ iceServers: await iceServers() });
  for (const track of media.getTracks()) {
    const { sender } = connection.addTransceiver(track, { direction: "sendonly", streams: [media] });
    if (track.kind === "video") {
      track.contentHint = "motion";
      const parameters = sender.getParameters();
      parameters.degradationPreference = "maintain-framerate";
      await sender.setParameters(parameters).catch(() => undefined);
    }
  }
  return connect(connection, url, token);
}

/**
 * Receives a stream; `onMedia` gets it as soon as its first track is there.
 * @param {string} url
 * @param {string} token
 * @param {(media: MediaStream) => void} onMedia
 */
export async function view(url, token, onMedia) {
  const connection = new RTCPeerConnection({ iceServers: await iceServers() });
  const media = new MediaStream();
  connection.addEventListener("track", ({ track, receiver }) => {
    // No buffer beyond what the network needs: an examination is a conversation.
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    media.addTrack(track);
    onMedia(media);
  });
  connection.addTransceiver("video", { direction: "recvonly" });
  connection.addTransceiver("audio", { direction: "recvonly" });
  return connect(connection, url, token);
}

async function iceServers() {
  try {
    const reply = await fetch("/ice");
    return reply.ok ? (await reply.json()).iceServers : [];
  } catch {
    return [];
  }
}

/**
 * @param {RTCPeerConnection} connection
 * @param {string} url
 * @param {string} token
 */
async function connect(connection, url, token) {
  try {
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    let reply;
    try {
      reply = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
        body: connection.localDescription?.sdp ?? "",
        signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
      });
    } catch {
      throw new Refusal("The server cannot be reached. Trying again.", false);
    }
    const body = await reply.text();
    if (reply.status !== 201) throw serverRefusal(reply.status, body);
    await connection.setRemoteDescription({ type: "answer", sdp: body });
    const address = new URL(reply.headers.get("Location") ?? "", reply.url).href;
    return new Session(connection, address, token);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** @param {RTCPeerConnection} connection */
function gathered(connection) {
  return new Promise((resolve) => {
    const look = () => {
      if (connection.iceGatheringState === "complete") resolve(undefined);
    };
    connection.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, GATHERING_LIMIT_MS);
    look();
  });
}

/** WHIP (sending) and WHEP (receiving): one POST of an offer, one DELETE to end. */

import { serverRefusal, Refusal } from "./messages.js";
import { address } from "./relay.js";

const GATHERING_LIMIT_MS = 2000;
const REQUEST_LIMIT_MS = 15000;
/** From the answer to the first connection; TURN over TCP takes about 2 s. */
const CONNECTING_LIMIT_MS = 12000;
/** A connection that is "disconnected" often comes back by itself within this time. */
const GRACE_MS = 4000;
/** A stream that brings nothing for so long has ended: the relay sends cards all the time. */
const SILENCE_LIMIT_MS = 8000;
const SILENCE_LOOK_MS = 2000;

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

  /** Resolves when the connection is closed, or lost for longer than networks usually take. */
  lost() {
    return new Promise((resolve) => {
      let timer = 0;
      const look = () => {
        clearTimeout(timer);
        const state = this.connection.connectionState;
        if (state === "failed" || state === "closed") resolve(undefined);
        if (state === "disconnected") timer = setTimeout(resolve, GRACE_MS);
      };
      this.connection.addEventListener("connectionstatechange", look);
      look();
    });
  }

  /** Resolves when nothing comes any more over a receiving connection, though it stands. */
  silent() {
    return new Promise((resolve) => {
      if (this.connection.getTransceivers().every(({ direction }) => direction === "sendonly")) return;
      let heard = -1;
      let since = performance.now();
      const timer = setInterval(async () => {
        if (this.connection.connectionState === "closed") {
          clearInterval(timer);
          return;
        }
        let bytes = 0;
        for (const report of (await this.connection.getStats()).values()) {
          if (report.type === "inbound-rtp") bytes += report.bytesReceived ?? 0;
        }
        const now = performance.now();
        if (bytes !== heard) since = now;
        heard = bytes;
        if (now - since > SILENCE_LIMIT_MS) {
          clearInterval(timer);
          resolve(undefined);
        }
      }, SILENCE_LOOK_MS);
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
 * Sends a camera and a voice; resolves once it is connected, throws a Refusal.
 * @param {string} url
 * @param {string} token
 * @param {MediaStream} media
 * @param {number} maxBitrate of the video, bit/s
 */
export async function publish(url, token, media, maxBitrate) {
  const connection = new RTCPeerConnection({ iceServers: await iceServers(token) });
  for (const track of media.getTracks()) {
    // Movement is what is examined: rather a softer picture than a halting one.
    if (track.kind === "video") track.contentHint = "motion";
    connection.addTransceiver(track, {
      direction: "sendonly", streams: [media],
      sendEncodings: track.kind === "video" ? [{ maxBitrate }] : [{}],
    });
  }
  return connect(connection, url, token);
}

/**
 * Receives a stream; resolves once it is connected, throws a Refusal. `onMedia` gets the stream
 * at each of its tracks.
 * @param {string} url
 * @param {string} token
 * @param {(media: MediaStream) => void} onMedia
 */
export async function view(url, token, onMedia) {
  const connection = new RTCPeerConnection({ iceServers: await iceServers(token) });
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

/** @param {string} token */
async function iceServers(token) {
  try {
    const reply = await fetch(address("/ice"), { headers: { Authorization: `Bearer ${token}` } });
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
  /** @type {Session | undefined} */
  let session;
  try {
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    let reply;
    let body;
    try {
      reply = await fetch(url, {
        method: "POST",
        headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` },
        body: connection.localDescription?.sdp ?? "",
        signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
      });
      body = await reply.text();
    } catch {
      throw new Refusal("The server cannot be reached. Trying again.", false);
    }
    if (reply.status !== 201) throw serverRefusal(reply.status, body);
    const place = new URL(reply.headers.get("Location") ?? "", reply.url).href;
    session = new Session(connection, place, token);
    await connection.setRemoteDescription({ type: "answer", sdp: body });
    await connected(connection);
    return session;
  } catch (error) {
    if (session) session.end();
    else connection.close();
    throw error;
  }
}

/** @param {RTCPeerConnection} connection */
function connected(connection) {
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new Refusal(
      "Picture and sound do not get through. Another network may help. Trying again.", false));
    const look = () => {
      if (connection.connectionState === "connected") resolve(undefined);
      if (connection.connectionState === "failed") refuse();
    };
    connection.addEventListener("connectionstatechange", look);
    setTimeout(refuse, CONNECTING_LIMIT_MS);
    look();
  });
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

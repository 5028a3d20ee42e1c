import { Refusal, serverRefusal } from "./messages.js";
import { address } from "./relay.js";

/** The relay speaks at least every 2 s; after three such silences the connection is lost. */
const SILENCE_LIMIT_MS = 6000;
const WAIT_MS = 1000;

/**
 * @typedef {{patient: {present: boolean, tracking: string, fps: number,
 *   stage_ms: Record<string, number>, received: number, shown: number, replaced: number, reduced: number},
 *   streams: {id: string, name: string}[], provider: string,
 *   recording: {possible: boolean, state: "off" | "asked" | "running", seconds: number,
 *     finishing: boolean, trouble: string}}} RoomState
 */

/**
 * Follows a room's state until `signal` aborts; reconnects by itself. Not by EventSource, which
 * cannot send the invitation in a header, and an address is no place for a secret.
 * @param {string} room
 * @param {string} token
 * @param {(state: RoomState) => void} onState
 * @param {(refusal: Refusal) => void} onTrouble told why nothing comes; nothing more will where
 *   the refusal is final
 * @param {AbortSignal} signal
 */
export async function followRoom(room, token, onState, onTrouble, signal) {
  while (!signal.aborted) {
    try {
      await followOnce(address(`/rooms/${encodeURIComponent(room)}/events`), token, onState, signal);
    } catch (error) {
      if (signal.aborted) return;
      const refusal = error instanceof Refusal
        ? error : new Refusal("The server cannot be reached. Trying again.", false);
      onTrouble(refusal);
      if (refusal.final) return;
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

/**
 * @param {string} url
 * @param {string} token
 * @param {(state: RoomState) => void} onState
 * @param {AbortSignal} signal
 */
async function followOnce(url, token, onState, signal) {
  const stopper = new AbortController();
  const stop = () => stopper.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENCE_LIMIT_MS);
  try {
    const reply = await fetch(url, {
      headers: { Authorization: `Bearer ${token}` }, cache: "no-store", signal: stopper.signal,
    });
    if (!reply.ok || !reply.body) throw serverRefusal(reply.status, await reply.text());
    await readEvents(reply.body, (state) => {
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE_LIMIT_MS);
      onState(state);
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stop();
  }
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @param {(state: RoomState) => void} onState
 */
async function readEvents(body, onState) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) onState(JSON.parse(data.slice(6)));
    }
  }
}

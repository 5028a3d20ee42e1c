/**
 * @typedef {{patient: {present: boolean, tracking: string, fps: number},
 *   streams: {id: string, name: string}[], provider: string}} RoomState
 */

/**
 * Follows a room's state until `signal` aborts; reconnects by itself.
 * @param {string} room
 * @param {string} token
 * @param {(state: RoomState) => void} onState
 * @param {AbortSignal} signal
 */
export async function followRoom(room, token, onState, signal) {
  while (!signal.aborted) {
    try {
      const reply = await fetch(`/rooms/${encodeURIComponent(room)}/events`, {
        headers: { Authorization: `Bearer ${token}` }, signal,
      });
      if (reply.ok && reply.body) await readEvents(reply.body, onState);
    } catch {
      // The server has gone for a moment; the calls of the page say so.
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
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

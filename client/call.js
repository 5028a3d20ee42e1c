/** One person's sessions with the relay, kept alive, and the other people who are seen. */

import { followRoom } from "./events.js";
import { Refusal } from "./messages.js";
import { address } from "./relay.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/** One person's call: several sessions that are kept alive until the person leaves. */
export class Call {
  /**
   * @param {import("./invitation.js").Invitation} invitation
   * @param {(text: string) => void} onTrouble told of a lost connection, and "" when it is back
   * @param {(refusal: Refusal) => void} onEnd told when the call cannot go on
   */
  constructor(invitation, onTrouble, onEnd) {
    this.invitation = invitation;
    this.onTrouble = onTrouble;
    this.onEnd = onEnd;
    this.stopper = new AbortController();
    /** @type {Map<string, import("./whip.js").Session>} */
    this.sessions = new Map();
    /** @type {Map<string, string>} what is wrong with which session */
    this.troubles = new Map();
  }

  /** @param {(state: import("./events.js").RoomState) => void} onState */
  follow(onState) {
    const { room, token } = this.invitation;
    void followRoom(room, token, (state) => {
      this.tell("events", "");
      onState(state);
    }, (refusal) => {
      if (refusal.final) this.refuse(refusal);
      else this.tell("events", refusal.message);
    }, this.stopper.signal);
  }

  /**
   * Opens a session and opens it anew whenever it is lost, until `signal` or the call ends.
   * @param {string} name
   * @param {() => Promise<import("./whip.js").Session>} open
   * @param {AbortSignal} [signal]
   */
  async keep(name, open, signal = this.stopper.signal) {
    signal.addEventListener("abort", () => {
      if (signal === this.stopper.signal) return;
      this.sessions.get(name)?.end();
      this.sessions.delete(name);
      this.tell(name, "");
    });
    let wait = FIRST_WAIT_MS;
    while (!signal.aborted && !this.stopper.signal.aborted) {
      try {
        const session = await open();
        if (signal.aborted || this.stopper.signal.aborted) {
          session.end();
          return;
        }
        this.sessions.set(name, session);
        this.tell(name, "");
        wait = FIRST_WAIT_MS;
        await Promise.race([
          session.lost(), session.silent(), aborted(signal), aborted(this.stopper.signal),
        ]);
        if (this.sessions.get(name) === session) {
          this.sessions.delete(name);
          session.end();
        }
        if (signal.aborted || this.stopper.signal.aborted) return;
        this.tell(name, "The connection was lost. Connecting again …");
      } catch (error) {
        if (error instanceof Refusal && error.final) {
          this.refuse(error);
          return;
        }
        if (signal.aborted || this.stopper.signal.aborted) return;
        // What is no Refusal is a fault of the browser's, worded for programmers.
        this.tell(name, error instanceof Refusal ? error.message : "Connecting again …");
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(2 * wait, LONGEST_WAIT_MS);
    }
  }

  /**
   * @param {string} name of the session
   * @param {string} trouble "" where it is over
   */
  tell(name, trouble) {
    if (trouble) this.troubles.set(name, trouble);
    else this.troubles.delete(name);
    this.onTrouble([...this.troubles.values()][0] ?? "");
  }

  /** @param {Refusal} refusal after which there is no call any more */
  refuse(refusal) {
    if (this.stopper.signal.aborted) return;
    this.end();
    this.onEnd(refusal);
  }

  /** Leaves. */
  end() {
    this.stopper.abort();
    for (const session of this.sessions.values()) session.end();
    this.sessions.clear();
  }
}

/**
 * Shows other people's streams in a list, and takes them away when they leave.
 * @param {Call} call
 * @param {HTMLElement} list
 * @param {(url: string, token: string, onMedia: (media: MediaStream) => void) => Promise<import("./whip.js").Session>} view
 * @param {(video: HTMLVideoElement, media: MediaStream) => void} play
 */
export function people(call, list, view, play) {
  /** @type {Map<string, {figure: HTMLElement, stopper: AbortController}>} */
  const shown = new Map();
  call.stopper.signal.addEventListener("abort", () => {
    for (const { figure } of shown.values()) figure.remove();
  });
  return (/** @type {{id: string, name: string}[]} */ streams) => {
    for (const [id, { figure, stopper }] of shown) {
      if (!streams.some((stream) => stream.id === id)) {
        stopper.abort();
        shown.delete(id);
        figure.remove();
      }
    }
    for (const { id, name } of streams) {
      if (shown.has(id)) continue;
      const stopper = new AbortController();
      const figure = document.createElement("figure");
      shown.set(id, { figure, stopper });
      const video = document.createElement("video");
      video.autoplay = true;
      video.playsInline = true;
      const caption = document.createElement("figcaption");
      caption.textContent = name;
      figure.append(video, caption);
      list.append(figure);
      const { room, token } = call.invitation;
      const url = address(`/whep/${encodeURIComponent(room)}/${encodeURIComponent(id)}`);
      void call.keep(id, () => view(url, token, (media) => play(video, media)), stopper.signal);
    }
  };
}

/** @param {AbortSignal} signal */
function aborted(signal) {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

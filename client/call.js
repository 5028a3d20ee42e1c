/** What the patient's and the doctor's page share: entering, keeping the connection, leaving. */

import { followRoom } from "./events.js";
import { Refusal } from "./messages.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/**
 * An element of the page that must be there.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page lacks #${id}`);
  return found;
}

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
 * Gives what plays streams with sound; where the browser forbids that, without, and shows a button
 * that turns the sound on.
 * @param {HTMLButtonElement} sound
 */
export function player(sound) {
  /** @type {Set<HTMLVideoElement>} */
  const silenced = new Set();
  sound.addEventListener("click", () => {
    for (const video of silenced) video.muted = false;
    silenced.clear();
    sound.hidden = true;
  });
  return (/** @type {HTMLVideoElement} */ video, /** @type {MediaStream} */ media) => {
    // Called for each track; setting the same stream again would break off the playing.
    if (video.srcObject === media) return;
    video.srcObject = media;
    video.play().catch((error) => {
      // An AbortError is a newer stream in this one's place.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      video.muted = true;
      silenced.add(video);
      sound.hidden = false;
      void video.play().catch(() => undefined);
    });
  };
}

/**
 * Shows other people's streams in a list, and takes them away when they leave.
 * @param {Call} call
 * @param {HTMLElement} list
 * @param {(url: string, token: string, onMedia: (media: MediaStream) => void) => Promise<import("./whip.js").Session>} view
 * @param {(video: HTMLVideoElement, media: MediaStream) => void} play
 */
export function people(call, list, view, play) {
  /** @type {Map<string, AbortController>} */
  const shown = new Map();
  return (/** @type {{id: string, name: string}[]} */ streams) => {
    for (const [id, stopper] of shown) {
      if (!streams.some((stream) => stream.id === id)) {
        stopper.abort();
        shown.delete(id);
        document.getElementById(`figure-${id}`)?.remove();
      }
    }
    for (const { id, name } of streams) {
      if (shown.has(id)) continue;
      const stopper = new AbortController();
      shown.set(id, stopper);
      const figure = document.createElement("figure");
      figure.id = `figure-${id}`;
      const video = document.createElement("video");
      video.autoplay = true;
      video.playsInline = true;
      const caption = document.createElement("figcaption");
      caption.textContent = name;
      figure.append(video, caption);
      list.append(figure);
      const { room, token } = call.invitation;
      const url = `/whep/${encodeURIComponent(room)}/${encodeURIComponent(id)}`;
      void call.keep(id, () => view(url, token, (media) => play(video, media)), stopper.signal);
    }
  };
}

/**
 * Lets a button pause one of the person's own tracks.
 * @param {HTMLButtonElement} button
 * @param {MediaStreamTrack[]} tracks
 * @param {[string, string]} captions while sending, while paused
 */
export function pauseButton(button, tracks, captions) {
  const show = (/** @type {boolean} */ paused) => {
    for (const track of tracks) track.enabled = !paused;
    button.classList.toggle("paused", paused);
    button.textContent = captions[paused ? 1 : 0];
  };
  button.hidden = tracks.length === 0;
  // In the place of an earlier call's.
  button.onclick = () => show(!button.classList.contains("paused"));
  show(false);
}

/** What the patient's tracking state means, in words for the patient and for the doctor. */
export const TRACKING = {
  patient: {
    following: "Your face is being followed", waiting: "Waiting for your camera",
    lost: "Please move into view", fault: "The mask is paused for a moment",
  },
  doctor: {
    following: "The mask follows the patient", waiting: "Waiting for the patient",
    lost: "The patient is out of view", fault: "The mask is paused for a moment",
  },
};

/** @param {AbortSignal} signal */
function aborted(signal) {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

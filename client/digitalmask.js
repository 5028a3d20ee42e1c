/**
 * Puts a consultation into any page; the pages beside this module use it too.
 *
 *   import { joinAsPatient } from "https://relay.example/static/digitalmask.js";
 *   const consultation = await joinAsPatient(video, invitation, { people });
 *   consultation.on("state", ({ patient }) => …);
 *   consultation.leave();
 *
 * A page of another site works where the relay was started with `--allow-origin` for it. An
 * invitation is a link that was sent, or the token behind its #.
 */

import { Call, people } from "./call.js";
import { openDevices } from "./devices.js";
import { readInvitation } from "./invitation.js";
import { surroundings } from "./messages.js";
import * as recording from "./recording.js";
import { address } from "./relay.js";
import { readTerms } from "./terms.js";
import { publish, view } from "./whip.js";

export { Refusal } from "./messages.js";

/**
 * people: gets a <figure> with a <video> for each other person who is seen. camera, microphone:
 * the `deviceId` of what is used; the browser's choice without.
 * @typedef {{people?: HTMLElement, camera?: string, microphone?: string}} Options
 */
/**
 * state: what goes on in the room, at each change and at least every 2 s. trouble: a lost
 * connection, in a sentence for the person, "" when it is back. silenced: the browser plays without
 * sound until `unmute` is called from a click. end: the call cannot go on, and why.
 * @typedef {{state: import("./events.js").RoomState, trouble: string, silenced: undefined,
 *   end: import("./messages.js").Refusal}} Events
 */

// What the mask is read from.
const PATIENT_CAMERA = { width: 640, height: 480, frameRate: 30 };
const PATIENT_BIT_S = 2_500_000;
// The patient sees the doctor small, beside their own mask; the patient's browser is to do as
// little as can be.
const DOCTOR_CAMERA = { width: 480, height: 360, frameRate: 20 };
const DOCTOR_BIT_S = 600_000;

/** One person's place in a consultation; `joinAsPatient` and the others give it. */
export class Consultation {
  /** @type {{[Name in keyof Events]: ((detail: Events[Name]) => void)[]}} */
  #listeners = { state: [], trouble: [], silenced: [], end: [] };
  /** @type {Set<HTMLVideoElement>} */
  #silenced = new Set();
  #leave = () => this.leave();
  #invitation;
  #call;

  /**
   * @param {import("./invitation.js").Invitation} invitation
   * @param {MediaStream | null} media what this person sends
   * @param {number} maxBitrate of it
   * @param {HTMLVideoElement} video
   * @param {Options} options
   */
  constructor(invitation, media, maxBitrate, video, options) {
    /** The person's own camera and microphone; null for an observer. */
    this.media = media;
    this.#invitation = invitation;
    const call = this.#call = new Call(invitation, (text) => this.#tell("trouble", text), (refusal) => {
      this.leave();
      this.#tell("end", refusal);
    });
    window.addEventListener("pagehide", this.#leave);
    const { token } = invitation;
    const room = encodeURIComponent(invitation.room);
    if (media) void call.keep("own", () => publish(address(`/whip/${room}`), token, media, maxBitrate));
    video.autoplay = true;
    video.playsInline = true;
    void call.keep("mask", () => view(
      address(`/whep/${room}/patient`), token, (stream) => this.#play(video, stream)));
    const show = options.people
      && people(call, options.people, view, (each, stream) => this.#play(each, stream));
    call.follow((state) => {
      show?.(state.streams.filter(({ id }) => id !== "patient"));
      this.#tell("state", state);
    });
  }

  /**
   * Calls `listener` at each event of this name.
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(detail: Events[Name]) => void} listener
   */
  on(name, listener) {
    this.#listeners[name].push(listener);
  }

  /** Ends the call and lets camera and microphone go. */
  leave() {
    window.removeEventListener("pagehide", this.#leave);
    this.#call.end();
    for (const track of this.media?.getTracks() ?? []) track.stop();
  }

  /** Turns the sound on, after "silenced"; to be called from a click. */
  unmute() {
    for (const video of this.#silenced) video.muted = false;
    this.#silenced.clear();
  }

  /** A doctor asks the patient to agree to a recording; throws a Refusal. */
  askToRecord() {
    return recording.ask(this.#invitation);
  }

  /** The patient agrees, and the recording begins; throws a Refusal. */
  agreeToRecord() {
    return recording.agree(this.#invitation);
  }

  /** A doctor or the patient ends the recording, or the question for it; throws a Refusal. */
  stopRecording() {
    return recording.stop(this.#invitation);
  }

  /** The room's finished recordings, for doctors; throws a Refusal. */
  recordings() {
    return recording.list(this.#invitation);
  }

  /** One of them, an MP4, for doctors; throws a Refusal. @param {string} id */
  fetchRecording(id) {
    return recording.fetchRecording(this.#invitation, id);
  }

  /**
   * Plays a stream with sound; where the browser forbids that, without, and says so.
   * @param {HTMLVideoElement} video
   * @param {MediaStream} stream
   */
  #play(video, stream) {
    // Called for each track; setting the same stream again would break off the playing.
    if (video.srcObject === stream) return;
    video.srcObject = stream;
    video.play().catch((error) => {
      // An AbortError is a newer stream in this one's place.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
      video.muted = true;
      this.#silenced.add(video);
      this.#tell("silenced", undefined);
      void video.play().catch(() => undefined);
    });
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} detail
   */
  #tell(name, detail) {
    for (const listener of this.#listeners[name]) listener(detail);
  }
}

/**
 * Joins as the patient: `video` shows the mask, as the doctor sees it. Throws a Refusal whose
 * message is for the person.
 * @param {HTMLVideoElement} video
 * @param {string} invitation
 * @param {Options} [options]
 */
export async function joinAsPatient(video, invitation, options = {}) {
  const read = admitted(invitation, "patient");
  const { voice } = await readTerms();
  const media = await openDevices(options, PATIENT_CAMERA, voice !== "off");
  video.muted = true;
  return new Consultation(read, media, PATIENT_BIT_S, video, options);
}

/**
 * Joins as a doctor: `video` shows the mask, never mirrored, with the patient's voice. Throws a
 * Refusal whose message is for the person.
 * @param {HTMLVideoElement} video
 * @param {string} invitation
 * @param {Options} [options]
 */
export async function joinAsDoctor(video, invitation, options = {}) {
  const read = admitted(invitation, "doctor");
  const media = await openDevices(options, DOCTOR_CAMERA);
  return new Consultation(read, media, DOCTOR_BIT_S, video, options);
}

/**
 * Joins as an observer, who sends nothing; else as `joinAsDoctor`.
 * @param {HTMLVideoElement} video
 * @param {string} invitation
 * @param {Options} [options]
 */
export async function joinAsObserver(video, invitation, options = {}) {
  return new Consultation(admitted(invitation, "observer"), null, 0, video, options);
}

/**
 * The invitation, where this browser can take part; throws a Refusal.
 * @param {string} invitation
 * @param {import("./invitation.js").Role} role
 */
function admitted(invitation, role) {
  const lacking = surroundings();
  if (lacking) throw lacking;
  return readInvitation(invitation, role);
}

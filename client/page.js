/** What the patient's and the doctor's page share: how a consultation looks on them. */

import { Refusal } from "./messages.js";

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

/**
 * Says in the entrance why there is no consultation.
 * @param {unknown} error
 */
export function refuse(error) {
  element("message", HTMLElement).textContent = error instanceof Refusal
    ? error.message : "Something went wrong. Please load the page again.";
  if (!(error instanceof Refusal)) console.error(error);
  element("status", HTMLElement).textContent = "";
  element("recording", HTMLElement).hidden = true;
  element("entrance", HTMLElement).hidden = false;
  element("consultation", HTMLElement).hidden = true;
  element("join", HTMLButtonElement).disabled = false;
}

/**
 * Shows a consultation that has begun, and its status in words.
 * @param {import("./digitalmask.js").Consultation} consultation
 * @param {(state: import("./events.js").RoomState) => string} words
 */
export function present(consultation, words) {
  const status = element("status", HTMLElement);
  const sound = element("sound", HTMLButtonElement);
  let trouble = "";
  element("entrance", HTMLElement).hidden = true;
  element("consultation", HTMLElement).hidden = false;
  status.textContent = "Connecting …";
  consultation.on("trouble", (text) => {
    trouble = text;
    if (text) status.textContent = text;
  });
  consultation.on("state", (state) => {
    status.textContent = trouble || words(state);
    const { state: stage, seconds } = state.recording;
    const mark = element("recording", HTMLElement);
    mark.hidden = stage !== "running";
    mark.textContent = `Recording ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  });
  consultation.on("end", refuse);
  consultation.on("silenced", () => { sound.hidden = false; });
  sound.addEventListener("click", () => {
    consultation.unmute();
    sound.hidden = true;
  });
  element("leave", HTMLButtonElement).addEventListener("click", () => {
    consultation.leave();
    location.reload();
  });
}

/**
 * Does what a button asks for, and says in the page where that fails.
 * @param {() => Promise<void>} act
 */
export async function attempt(act) {
  const notice = element("notice", HTMLElement);
  notice.textContent = "";
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    notice.textContent = error.message;
  }
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

/** What a patient agrees to, so far as it is a setting of this server. */

import { Refusal } from "./messages.js";
import { address } from "./relay.js";

/** @typedef {"pass" | "mask" | "off"} Voice */

/** What the doctor hears, in words for the patient. */
export const VOICE = {
  pass: "your voice as it is: who knows it may recognise you by it",
  mask: "your voice changed, so that it is harder to recognise; what you say stays what you say",
  off: "nothing: your microphone stays off, and you hear the doctor",
};

/** The same in words for the doctor, who must not take the mask's voice for a sign. */
export const HEARD = {
  pass: "The patient's mask, and the voice as it is",
  mask: "The patient's mask. The voice is changed too: its sound is not the patient's",
  off: "The patient's mask. The patient's voice is not sent",
};

/**
 * Throws a Refusal where the server does not say: nobody agrees to what is not known.
 * @returns {Promise<{voice: Voice}>}
 */
export async function readTerms() {
  let terms;
  try {
    terms = await (await fetch(address("/terms"))).json();
  } catch {
    throw new Refusal("The server cannot be reached. Please load the page again.", true);
  }
  if (!(terms?.voice in VOICE)) throw new Refusal("The server cannot be used at the moment. Please load the page again.", true);
  return terms;
}

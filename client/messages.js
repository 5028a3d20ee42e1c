/** What people are told when something cannot be done: one kind, clear sentence each. */

/** A refusal that is to be shown to the person as it is. */
export class Refusal extends Error {
  /**
   * @param {string} message
   * @param {boolean} final whether trying again is of no use
   */
  constructor(message, final) {
    super(message);
    this.final = final;
  }
}

/**
 * The sentence for an answer of the server.
 * @param {number} status
 * @param {string} reason the server's own line
 */
export function serverRefusal(status, reason) {
  if (status === 401 && reason.includes("expired")) {
    return new Refusal("This link has expired. Please ask the clinic for a new one.", true);
  }
  if (status === 401 || status === 403) {
    return new Refusal("This link is not valid. Please open the whole link that you were sent.", true);
  }
  if (status === 404 && reason.includes("no stream")) {
    return new Refusal("This participant has left.", false);
  }
  if (status === 404) {
    return new Refusal("This consultation does not exist any more. Please ask the clinic for a new link.", true);
  }
  if (status === 409 && reason.includes("patient")) {
    return new Refusal("A patient is in this consultation already.", true);
  }
  if (status === 400 || status === 413 || status === 415) {
    return new Refusal("The server does not understand this browser. Please use a current Firefox, Chrome, Edge or Safari.", true);
  }
  if (status === 409) return new Refusal("This consultation is full.", true);
  return new Refusal("The server cannot be used at the moment. Trying again.", false);
}

/**
 * The sentence for a camera or microphone that cannot be had.
 * @param {unknown} error
 */
export function deviceRefusal(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return new Refusal("Please allow the camera and the microphone in your browser, then press the button again.", true);
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") {
    return new Refusal("No camera or microphone was found. Please connect one, then press the button again.", true);
  }
  if (name === "NotReadableError" || name === "AbortError") {
    return new Refusal("The camera is in use by another program. Please close that program, then press the button again.", true);
  }
  return new Refusal("The camera cannot be used.", true);
}

/** What this browser or address lacks, or null. */
export function surroundings() {
  if (!window.isSecureContext) {
    return new Refusal("This page needs a secure address: please open the link that begins with https.", true);
  }
  if (!("RTCPeerConnection" in window) || !navigator.mediaDevices) {
    return new Refusal("This browser cannot make video calls. Please use a current Firefox, Chrome, Edge or Safari.", true);
  }
  return null;
}

/** What a person may ask about recordings of the room; the relay checks who may. */

import { Refusal, serverRefusal } from "./messages.js";
import { address } from "./relay.js";

/** @typedef {{id: string, bytes: number, ended_at: string}} KeptRecording */

/**
 * One request about the room's recordings; throws a Refusal.
 * @param {import("./invitation.js").Invitation} invitation
 * @param {"GET" | "POST" | "PUT" | "DELETE"} method
 * @param {string} what behind the room's address
 */
async function request({ room, token }, method, what) {
  let reply;
  try {
    reply = await fetch(address(`/rooms/${encodeURIComponent(room)}/${what}`), {
      method, cache: "no-store", headers: { Authorization: `Bearer ${token}` },
    });
  } catch {
    throw new Refusal("The server cannot be reached.", false);
  }
  if (reply.ok) return reply;
  const text = await reply.text();
  if (reply.status !== 409 && reply.status !== 507) throw serverRefusal(reply.status, text);
  throw new Refusal(`No recording: ${reason(text)}.`, false);
}

/** @param {string} text of a refused request */
function reason(text) {
  try {
    return String(JSON.parse(text).error);
  } catch {
    return "the server refused";
  }
}

/** A doctor asks the patient. @param {import("./invitation.js").Invitation} invitation */
export async function ask(invitation) {
  await request(invitation, "POST", "recording");
}

/** The patient agrees. @param {import("./invitation.js").Invitation} invitation */
export async function agree(invitation) {
  await request(invitation, "PUT", "recording/consent");
}

/** Ends it, or says no to it. @param {import("./invitation.js").Invitation} invitation */
export async function stop(invitation) {
  await request(invitation, "DELETE", "recording");
}

/**
 * The finished recordings, for doctors.
 * @param {import("./invitation.js").Invitation} invitation
 * @returns {Promise<KeptRecording[]>}
 */
export async function list(invitation) {
  return (await (await request(invitation, "GET", "recordings")).json()).recordings;
}

/**
 * One of them, an MP4, for doctors.
 * @param {import("./invitation.js").Invitation} invitation
 * @param {string} id
 */
export async function fetchRecording(invitation, id) {
  return (await request(invitation, "GET", `recordings/${id}`)).blob();
}

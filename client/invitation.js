import { Refusal } from "./messages.js";

/**
 * @typedef {{token: string, room: string, role: "patient" | "doctor" | "observer", name: string}} Invitation
 */

/**
 * The invitation in this page's address. It stands behind the #, which browsers send to nobody.
 * @returns {Invitation}
 */
export function readInvitation() {
  const token = location.hash.slice(1);
  const wrong = new Refusal("This link is not valid. Please open the whole link that you were sent.", true);
  const payload = token.split(".")[1];
  if (!payload) throw wrong;
  try {
    const text = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const { room, role, name } = JSON.parse(text);
    return { token, room: String(room), role, name: String(name ?? "") };
  } catch {
    throw wrong;
  }
}

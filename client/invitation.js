import { Refusal, serverRefusal } from "./messages.js";

/** @typedef {"patient" | "doctor" | "observer"} Role */
/**
 * `id` tells this person from others.
 * @typedef {{token: string, id: string, room: string, role: Role, name: string}} Invitation
 */

/**
 * The invitation in a link, where it stands behind the #, which browsers send to nobody; or in the
 * token alone. The server checks the signature; here it is only read, so that a wrong or old link
 * is told before the camera is asked for. Throws a Refusal.
 * @param {string} link
 * @param {Role} page whose page this is
 * @returns {Invitation}
 */
export function readInvitation(link, page) {
  const token = link.slice(link.indexOf("#") + 1);
  if (!token) {
    throw new Refusal("To take part you need a personal link. Please open the one that you were sent.", true);
  }
  const wrong = new Refusal("This link is not valid. Please open the whole link that you were sent.", true);
  const payload = token.split(".")[1];
  if (!payload) throw wrong;
  let claims;
  try {
    const bytes = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))));
  } catch {
    throw wrong;
  }
  const { room, role, jti, exp, name } = claims ?? {};
  if (typeof room !== "string" || typeof jti !== "string" || typeof exp !== "number") throw wrong;
  if (role !== page) {
    throw new Refusal("This link is for another participant. Please open it exactly as you were sent it.", true);
  }
  if (exp * 1000 < Date.now()) throw serverRefusal(401, "expired");
  return { token, id: jti, room, role: page, name: typeof name === "string" ? name : "" };
}

/** The invitation: a signed token after the `#` of the link, which browsers send to nobody. */

import { Refusal } from './messages.js';

/** @typedef {'patient' | 'doctor' | 'observer'} Role */
/**
 * @typedef {object} Invitation
 * @property {string} token what the server checks
 * @property {string} id tells this person from others
 * @property {string} room
 * @property {Role} role
 * @property {string} name '' where none was given
 */

/**
 * Read the invitation in this page's address. The server checks the signature; here it is only
 * read, so that a wrong or old link is told before the camera is asked for.
 * @param {Role[]} roles those that this page is for
 * @param {string} fragment the address from its `#` on
 * @returns {Invitation}
 * @throws {Refusal} no-link, wrong-link, other-role, expired
 */
export function readInvitation(roles, fragment = location.hash) {
  const token = fragment.replace(/^#/, '');
  if (!token) throw new Refusal('no-link');
  const payload = readPayload(token);
  const { room, role, jti, exp, name } = payload;
  if (typeof room !== 'string' || typeof jti !== 'string' || typeof exp !== 'number') {
    throw new Refusal('wrong-link');
  }
  const known = roles.find((each) => each === role);
  if (!known) throw new Refusal('other-role');
  if (exp * 1000 < Date.now()) throw new Refusal('expired');
  return { token, id: jti, room, role: known, name: typeof name === 'string' ? name : '' };
}

/**
 * The claims of a JSON Web Token (RFC 7519), unchecked.
 * @param {string} token
 * @returns {Record<string, unknown>}
 */
function readPayload(token) {
  const middle = token.split('.')[1] ?? '';
  try {
    const bytes = Uint8Array.from(
      atob(middle.replaceAll('-', '+').replaceAll('_', '/')),
      (character) => character.charCodeAt(0),
    );
    const payload = JSON.parse(new TextDecoder().decode(bytes));
    if (payload !== null && typeof payload === 'object') return payload;
  } catch {
    // Told below, as every link that is no invitation.
  }
  throw new Refusal('wrong-link');
}

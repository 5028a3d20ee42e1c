/** What people are told when something is refused: one sentence each, with what to do. */

const SENTENCES = {
  'no-https':
    'This page needs a secure connection: please open the link with https:// at its beginning.',
  'unsupported':
    'This browser cannot make video calls: please open the link in a current Chrome, Edge, Firefox or Safari.',
  'no-link':
    'To take part you need a personal link: please open the one that you were sent.',
  'wrong-link':
    'This link does not lead to a consultation: please check that you have copied all of it, or ask for a new one.',
  'other-role':
    'This link is for another kind of participant: please open it exactly as you were sent it.',
  'expired': 'This link has expired: please ask for a new one.',
  'room-full': 'This consultation is full: please ask somebody to leave, then join again.',
  'patient-there':
    'A patient has joined this consultation already: please ask for a link of your own.',
  'elsewhere':
    'You have joined from another window: go on there, or press join to come back to this one.',
  'no-camera': 'No camera was found: please connect one, then join again.',
  'no-microphone': 'No microphone was found: please connect one, then join again.',
  'no-permission':
    'The browser may not use your camera or microphone: please allow both beside the address, then join again.',
  'in-use':
    'Your camera or microphone is busy: please close other programs that use it, then join again.',
  'device-lost':
    'Your camera or microphone has stopped: please check that it is connected, then leave and join again.',
  'unreachable':
    'The server cannot be reached: please check your internet connection; this page goes on trying.',
  'blocked':
    'Picture and sound do not get through this network: please try another one, such as a mobile connection; this page goes on trying.',
  'gone': 'This participant has left.',
  'unknown': 'Something went wrong: please load this page again.',
};

/** @typedef {keyof typeof SENTENCES} Reason */

/** @type {ReadonlySet<Reason>} What trying again by itself may cure. */
const PASSING = new Set(/** @type {Reason[]} */ (['unreachable', 'blocked', 'gone']));

/** Something the page or the server does not do, with the reason for it. */
export class Refusal extends Error {
  /** @param {Reason} reason */
  constructor(reason) {
    super(SENTENCES[reason]);
    this.name = 'Refusal';
    this.reason = reason;
  }

  /** Whether trying again by itself may help. */
  get passing() {
    return PASSING.has(this.reason);
  }
}

/**
 * The refusal that an error of any kind means.
 * @param {unknown} error
 * @returns {Refusal}
 */
export function asRefusal(error) {
  return error instanceof Refusal ? error : new Refusal('unknown');
}

/**
 * The refusal in an answer of the server.
 * @param {Response} response whose `ok` is false
 * @returns {Promise<Refusal>}
 */
export async function refusalOf(response) {
  const text = await response.text().catch(() => '');
  switch (response.status) {
    case 400:
    case 413:
    case 415:
      return new Refusal('unsupported');
    case 401:
      return new Refusal(text.includes('expired') ? 'expired' : 'wrong-link');
    case 403:
      return new Refusal(text.includes('another room') ? 'wrong-link' : 'other-role');
    case 404:
      return new Refusal(text.includes('no stream') ? 'gone' : 'wrong-link');
    case 409:
      return new Refusal(text.includes('full') ? 'room-full' : 'patient-there');
    default:
      return new Refusal('unreachable');
  }
}

/**
 * Ask the server; a Refusal where it cannot be reached or says no.
 * @param {string} url
 * @param {RequestInit} request
 * @returns {Promise<Response>}
 */
export async function ask(url, request) {
  let response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new Refusal('unreachable');
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

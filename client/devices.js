import { deviceRefusal } from "./messages.js";

/**
 * Fills the two lists with what is connected; names are known once permission was given.
 * @param {HTMLSelectElement} cameras
 * @param {HTMLSelectElement} microphones
 */
export async function listDevices(cameras, microphones) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  fill(cameras, devices.filter(({ kind }) => kind === "videoinput"), "The browser's choice of camera");
  fill(microphones, devices.filter(({ kind }) => kind === "audioinput"), "The browser's choice of microphone");
}

/**
 * Opens the chosen camera and microphone; throws a Refusal.
 * @param {HTMLSelectElement} cameras
 * @param {HTMLSelectElement} microphones
 * @param {{width: number, height: number, frameRate: number}} wanted
 */
export async function openDevices(cameras, microphones, { width, height, frameRate }) {
  const chosen = (/** @type {string} */ id) => (id ? { deviceId: { exact: id } } : {});
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: frameRate, max: frameRate }, ...chosen(cameras.value) },
      audio: { echoCancellation: true, noiseSuppression: true, ...chosen(microphones.value) },
    });
  } catch (error) {
    throw deviceRefusal(error);
  }
}

/**
 * @param {HTMLSelectElement} list
 * @param {MediaDeviceInfo[]} devices
 * @param {string} first
 */
function fill(list, devices, first) {
  const before = list.value;
  list.replaceChildren(new Option(first, ""));
  for (const { deviceId, label } of devices) {
    if (deviceId && label) list.add(new Option(label, deviceId));
  }
  if ([...list.options].some(({ value }) => value === before)) list.value = before;
}

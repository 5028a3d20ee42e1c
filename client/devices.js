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
 * Opens the chosen camera and microphone, or the browser's choice; throws a Refusal.
 * @param {{camera?: string, microphone?: string}} choice `deviceId`s
 * @param {{width: number, height: number, frameRate: number}} wanted
 * @param {boolean} [sound] whether to open a microphone
 */
export async function openDevices({ camera, microphone }, { width, height, frameRate }, sound = true) {
  const chosen = (/** @type {string | undefined} */ id) => (id ? { deviceId: { exact: id } } : {});
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: frameRate, max: frameRate }, ...chosen(camera) },
      audio: sound && { echoCancellation: true, noiseSuppression: true, ...chosen(microphone) },
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

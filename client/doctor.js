import { Call, element, pauseButton, people, player, TRACKING } from "./call.js";
import { listDevices, openDevices } from "./devices.js";
import { readInvitation } from "./invitation.js";
import { Refusal, surroundings } from "./messages.js";
import { publish, view } from "./whip.js";

const cameras = element("camera-choice", HTMLSelectElement);
const microphones = element("microphone-choice", HTMLSelectElement);
const join = element("join", HTMLButtonElement);
const status = element("status", HTMLElement);
const message = element("message", HTMLElement);
const mask = element("mask", HTMLVideoElement);
const play = player(element("sound", HTMLButtonElement));
// The patient sees the doctor small, beside their own mask; the patient's browser is to do as
// little as can be.
const OWN_CAMERA = { width: 480, height: 360, frameRate: 20 };
const OWN_BIT_S = 600_000;
const observing = location.pathname === "/observer";

/** @param {unknown} error */
function refuse(error) {
  message.textContent = error instanceof Refusal ? error.message : "Something went wrong. Please load the page again.";
  if (!(error instanceof Refusal)) console.error(error);
  status.textContent = "";
  element("entrance", HTMLElement).hidden = false;
  element("consultation", HTMLElement).hidden = true;
  join.disabled = false;
}

// Where a mask's eyes stand: what its picture's height shows, or in portrait its width, and the
// region about them, in millimetres, as the mask's renderer has them.
const FRAME_MM = { height: 202, width: 184, eyesAboveMiddle: 22 };
const EYES_MM = { width: 124, height: 56 };

/**
 * Shows the eyes of the mask twice as large as in the video, as they are: left stays left.
 * @param {HTMLVideoElement} video @param {HTMLCanvasElement} canvas @param {HTMLButtonElement} button
 */
function eyePanel(video, canvas, button) {
  const draw = () => {
    if (canvas.hidden) return;
    const { videoWidth: width, videoHeight: height } = video;
    const pen = canvas.getContext("2d");
    if (width && height && pen) {
      const perMm = height / Math.max(FRAME_MM.height, FRAME_MM.width * height / width);
      const across = EYES_MM.width * perMm, down = EYES_MM.height * perMm;
      const left = (width - across) / 2;
      const top = height / 2 - FRAME_MM.eyesAboveMiddle * perMm - down / 2;
      if (canvas.width !== Math.round(2 * across)) {
        canvas.width = Math.round(2 * across);
        canvas.height = Math.round(2 * down);
      }
      pen.imageSmoothingQuality = "high";
      pen.drawImage(video, left, top, across, down, 0, 0, canvas.width, canvas.height);
    }
    video.requestVideoFrameCallback(draw);
  };
  button.addEventListener("click", () => {
    canvas.hidden = !canvas.hidden;
    button.setAttribute("aria-pressed", String(!canvas.hidden));
    draw();
  });
}

async function enter() {
  join.disabled = true;
  message.textContent = "";
  const invitation = readInvitation(observing ? "observer" : "doctor");
  const media = observing ? null : await openDevices(cameras, microphones, OWN_CAMERA);
  const stop = () => media?.getTracks().forEach((track) => track.stop());
  let trouble = "";
  const call = new Call(invitation, (text) => {
    trouble = text;
    if (text) status.textContent = text;
  }, (refusal) => {
    stop();
    refuse(refusal);
  });
  element("entrance", HTMLElement).hidden = true;
  element("consultation", HTMLElement).hidden = false;
  status.textContent = "Connecting …";

  const room = encodeURIComponent(invitation.room);
  void call.keep("mask", () => view(`/whep/${room}/patient`, invitation.token, (stream) => play(mask, stream)));
  if (media) {
    void call.keep("own", () => publish(`/whip/${room}`, invitation.token, media, OWN_BIT_S));
    element("own", HTMLVideoElement).srcObject = media;
    element("own-figure", HTMLElement).hidden = false;
    pauseButton(element("mute", HTMLButtonElement), media.getAudioTracks(), ["Mute", "Unmute"]);
    pauseButton(element("camera", HTMLButtonElement), media.getVideoTracks(), ["Camera off", "Camera on"]);
  }
  const show = people(call, element("people", HTMLElement), view, play);
  call.follow(({ patient, streams }) => {
    show(streams.filter(({ id }) => id !== "patient"));
    const words = /** @type {Record<string, string>} */ (TRACKING.doctor);
    status.textContent = trouble || (patient.present ? words[patient.tracking] ?? "" : "Waiting for the patient");
  });
  const leave = () => {
    call.end();
    stop();
  };
  window.addEventListener("pagehide", leave);
  element("leave", HTMLButtonElement).addEventListener("click", () => {
    leave();
    location.reload();
  });
}

eyePanel(mask, element("eyes", HTMLCanvasElement), element("enlarge", HTMLButtonElement));
join.addEventListener("click", () => void enter().catch(refuse));
window.addEventListener("hashchange", () => location.reload());
if (observing) {
  element("devices", HTMLElement).hidden = true;
  element("mute", HTMLButtonElement).hidden = true;
  element("camera", HTMLButtonElement).hidden = true;
}
const lacking = surroundings();
if (lacking) {
  refuse(lacking);
  join.disabled = true;
} else {
  try {
    readInvitation(observing ? "observer" : "doctor");
  } catch (error) {
    refuse(error);
  }
  if (!observing) void listDevices(cameras, microphones);
}

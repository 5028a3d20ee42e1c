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
const play = player(element("sound", HTMLButtonElement));
// What the mask is read from.
const CAMERA = { width: 640, height: 480, frameRate: 30 };
const CAMERA_BIT_S = 2_500_000;
const preview = element("preview", HTMLVideoElement);

/** @param {unknown} error */
function refuse(error) {
  message.textContent = error instanceof Refusal ? error.message : "Something went wrong. Please load the page again.";
  if (!(error instanceof Refusal)) console.error(error);
  status.textContent = "";
  element("entrance", HTMLElement).hidden = false;
  element("consultation", HTMLElement).hidden = true;
  join.disabled = false;
}

async function enter() {
  join.disabled = true;
  message.textContent = "";
  const invitation = readInvitation("patient");
  const media = await openDevices(cameras, microphones, CAMERA);
  const stop = () => media.getTracks().forEach((track) => track.stop());
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
  void call.keep("own", () => publish(`/whip/${room}`, invitation.token, media, CAMERA_BIT_S));
  void call.keep("preview", () => view(`/whep/${room}/patient`, invitation.token, (stream) => play(preview, stream)));
  const show = people(call, element("people", HTMLElement), view, play);
  call.follow(({ patient, streams }) => {
    show(streams.filter(({ id }) => id !== "patient"));
    const words = /** @type {Record<string, string>} */ (TRACKING.patient);
    status.textContent = trouble || (words[patient.tracking] ?? "");
  });

  pauseButton(element("mute", HTMLButtonElement), media.getAudioTracks(), ["Mute", "Unmute"]);
  pauseButton(element("camera", HTMLButtonElement), media.getVideoTracks(), ["Pause camera", "Resume camera"]);
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

element("mirror", HTMLButtonElement).addEventListener("click", ({ currentTarget }) => {
  const mirrored = preview.classList.toggle("mirrored");
  if (currentTarget instanceof HTMLElement) currentTarget.setAttribute("aria-pressed", String(mirrored));
});
join.addEventListener("click", () => void enter().catch(refuse));
window.addEventListener("hashchange", () => location.reload());
const lacking = surroundings();
if (lacking) {
  refuse(lacking);
  join.disabled = true;
} else {
  try {
    readInvitation("patient");
  } catch (error) {
    refuse(error);
  }
  void listDevices(cameras, microphones);
}

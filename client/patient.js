import { joinAsPatient } from "./digitalmask.js";
import { listDevices } from "./devices.js";
import { readInvitation } from "./invitation.js";
import { surroundings } from "./messages.js";
import { attempt, element, pauseButton, present, refuse, TRACKING } from "./page.js";
import { readTerms, VOICE } from "./terms.js";

const cameras = element("camera-choice", HTMLSelectElement);
const microphones = element("microphone-choice", HTMLSelectElement);
const join = element("join", HTMLButtonElement);
const preview = element("preview", HTMLVideoElement);

async function enter() {
  join.disabled = true;
  element("message", HTMLElement).textContent = "";
  const consultation = await joinAsPatient(preview, location.hash, {
    camera: cameras.value, microphone: microphones.value, people: element("people", HTMLElement),
  });
  present(consultation, ({ patient }) => /** @type {Record<string, string>} */ (TRACKING.patient)[patient.tracking] ?? "");
  const media = consultation.media ?? new MediaStream();
  pauseButton(element("mute", HTMLButtonElement), media.getAudioTracks(), ["Mute", "Unmute"]);
  pauseButton(element("camera", HTMLButtonElement), media.getVideoTracks(), ["Pause camera", "Resume camera"]);
  askForConsent(consultation);
}

/** @param {import("./digitalmask.js").Consultation} consultation */
function askForConsent(consultation) {
  const question = element("consent", HTMLElement);
  const end = element("end-recording", HTMLButtonElement);
  consultation.on("state", ({ recording }) => {
    const asked = recording.state === "asked";
    if (asked && question.hidden) queueMicrotask(() => question.focus());
    question.hidden = !asked;
    end.hidden = recording.state !== "running";
  });
  element("agree", HTMLButtonElement).onclick = () => attempt(() => consultation.agreeToRecord());
  element("refuse", HTMLButtonElement).onclick = () => attempt(() => consultation.stopRecording());
  end.onclick = () => attempt(() => consultation.stopRecording());
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
    readInvitation(location.hash, "patient");
  } catch (error) {
    refuse(error);
  }
  join.disabled = true;
  readTerms().then(({ voice }) => {
    element("voice", HTMLElement).textContent = VOICE[voice];
    element("microphone", HTMLElement).hidden = voice === "off";
    join.disabled = false;
  }).catch(refuse);
  void listDevices(cameras, microphones);
}

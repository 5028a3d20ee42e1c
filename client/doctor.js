import { joinAsDoctor, joinAsObserver } from "./digitalmask.js";
import { listDevices } from "./devices.js";
import { readInvitation } from "./invitation.js";
import { surroundings } from "./messages.js";
import { attempt, element, pauseButton, present, refuse, TRACKING } from "./page.js";
import { HEARD, readTerms } from "./terms.js";

const cameras = element("camera-choice", HTMLSelectElement);
const microphones = element("microphone-choice", HTMLSelectElement);
const join = element("join", HTMLButtonElement);
const mask = element("mask", HTMLVideoElement);
const observing = location.pathname === "/observer";

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

/**
 * How the mask is doing, for whoever looks after the machine.
 * @param {import("./events.js").RoomState["patient"]} patient @param {string} provider
 */
function figures(patient, provider) {
  if (!patient.present) return "No patient is here.";
  const stages = Object.entries(patient.stage_ms).map(([name, ms]) => `${name} ${ms} ms`);
  const reduced = ["", " Under load: every second frame is read.",
    " Under load: every second frame is read, the picture is smaller.",
    " Under load: every second frame is read, the picture is much smaller."];
  return `${patient.fps} pictures a second; ${stages.join(", ")}. ${patient.received} frames came, `
    + `${patient.replaced} gave way to newer ones. Faces are read on the ${provider}.`
    + (reduced[patient.reduced] ?? "");
}

async function enter() {
  join.disabled = true;
  element("message", HTMLElement).textContent = "";
  const enterRoom = observing ? joinAsObserver : joinAsDoctor;
  const consultation = await enterRoom(mask, location.hash, {
    camera: cameras.value, microphone: microphones.value, people: element("people", HTMLElement),
  });
  const words = /** @type {Record<string, string>} */ (TRACKING.doctor);
  present(consultation, ({ patient }) => (
    patient.present ? words[patient.tracking] ?? "" : "Waiting for the patient"));
  consultation.on("state", ({ patient, provider }) => {
    element("figures", HTMLElement).textContent = figures(patient, provider);
  });
  const { media } = consultation;
  if (!media) return;
  element("own", HTMLVideoElement).srcObject = media;
  element("own-figure", HTMLElement).hidden = false;
  pauseButton(element("mute", HTMLButtonElement), media.getAudioTracks(), ["Mute", "Unmute"]);
  pauseButton(element("camera", HTMLButtonElement), media.getVideoTracks(), ["Camera off", "Camera on"]);
  offerRecording(consultation);
}

/**
 * Lets the doctor ask for a recording, end it, and save what was recorded.
 * @param {import("./digitalmask.js").Consultation} consultation
 */
function offerRecording(consultation) {
  const button = element("record", HTMLButtonElement);
  const captions = { off: "Record", asked: "Waiting for the patient's consent", running: "Stop recording" };
  const notice = element("notice", HTMLElement);
  /** @type {keyof typeof captions | ""} */
  let stage = "";
  let listed = false;
  consultation.on("state", ({ recording: { possible, state, finishing, trouble } }) => {
    button.hidden = !possible;
    button.textContent = captions[state];
    button.title = state === "asked" ? "Press to withdraw the question" : "";
    const whole = state === "off" && !finishing;
    if (possible && whole && !listed) void attempt(() => listRecordings(consultation));
    listed = whole;
    if (state === "off" && stage !== "off") {
      if (stage === "asked") notice.textContent = "No recording: the patient did not agree.";
      if (trouble) notice.textContent = `Attention: ${trouble}.`;
    }
    stage = state;
  });
  button.onclick = () => attempt(() => (
    stage === "off" ? consultation.askToRecord() : consultation.stopRecording()));
}

/** @param {import("./digitalmask.js").Consultation} consultation */
async function listRecordings(consultation) {
  const list = element("recordings", HTMLElement);
  const kept = await consultation.recordings();
  list.replaceChildren(...kept.map(({ id, bytes, ended_at }) => {
    const save = document.createElement("button");
    const ended = new Date(ended_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    save.textContent = `Save the recording that ended at ${ended} (${(bytes / 1e6).toFixed(1)} MB)`;
    save.onclick = () => attempt(async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await consultation.fetchRecording(id));
      link.download = `${id}.mp4`;
      link.click();
      URL.revokeObjectURL(link.href);
    });
    return save;
  }));
}

readTerms().then(({ voice }) => {
  element("mask-caption", HTMLElement).textContent = HEARD[voice];
}).catch(refuse);
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
    readInvitation(location.hash, observing ? "observer" : "doctor");
  } catch (error) {
    refuse(error);
  }
  if (!observing) void listDevices(cameras, microphones);
}

// The demo page: a file, a webcam or a video. `?model=URL` selects the model, `?package=URL` the package.

const query = new URLSearchParams(location.search);
const { Detector } = await import(new URL(query.get("package") ?? "../package/index.js", location.href).href);

const byId = (id) => document.getElementById(id);
const [file, camera, stop, status, canvas, video] = ["file", "camera", "stop", "status", "canvas", "video"].map(byId);
const context = canvas.getContext("2d");
let running = null;

function say(text) {
  status.textContent = text;
}

/** Draws a picture and its detections. */
function show(picture, width, height, detections) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  context.drawImage(picture, 0, 0, width, height);
  const unit = Math.max(1, Math.round(Math.max(width, height) / 400));
  context.lineWidth = 2 * unit;
  context.font = `${12 * unit}px system-ui, sans-serif`;
  for (const { box, score, classId, label } of detections) {
    context.strokeStyle = context.fillStyle = `hsl(${(classId * 137) % 360} 90% 45%)`;
    context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
    context.fillText(`${label} ${score.toFixed(2)}`, box[0] + 2 * unit, Math.max(12 * unit, box[1] - 4 * unit));
  }
}

/** Detects in the frames of the video element until it ends or is stopped. */
async function watch(detector) {
  const control = new AbortController();
  running = { control, frames: 0, objects: 0 };
  stop.disabled = false;
  try {
    await video.play();
    for await (const { detections, width, height } of detector.stream(video, { signal: control.signal })) {
      show(video, width, height, detections);
      running.frames += 1;
      running.objects = detections.length;
      say(`${running.frames} frames, ${detections.length} objects`);
    }
    say(`${running.frames} frames, end of the video`);
  } catch (error) {
    if (!control.signal.aborted) throw error;
    say(`${running.frames} frames, stopped`);
  } finally {
    stop.disabled = true;
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    running = null;
  }
}

/** Reports errors of a handler in the page. */
function handled(work) {
  return async (event) => {
    try {
      await work(event);
    } catch (error) {
      say(`${error.name}: ${error.message}`);
    }
  };
}

async function openFile(detector, chosen) {
  running?.control.abort();
  if (chosen.type.startsWith("video/")) {
    video.srcObject = null;
    video.src = URL.createObjectURL(chosen);
    await watch(detector);
    return;
  }
  const start = performance.now();
  const detections = await detector.detect(chosen);
  const time = Math.round(performance.now() - start);
  const bitmap = await createImageBitmap(chosen);
  show(bitmap, bitmap.width, bitmap.height, detections);
  bitmap.close();
  say(`${detections.length} objects in ${time} ms: ${detections.map(({ label }) => label).join(", ")}`);
}

async function openCamera(detector) {
  running?.control.abort();
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640 }, audio: false });
  await watch(detector);
}

await handled(async () => {
  const detector = await Detector.create({
    model: query.get("model") ?? "model.safetensors",
    score: 0.4,
    onProgress: ({ loaded, total }) => say(`Model: ${loaded} of ${total ?? "?"} bytes`),
  });
  file.onchange = handled(() => openFile(detector, file.files[0]));
  camera.onclick = handled(() => openCamera(detector));
  stop.onclick = () => running?.control.abort();
  say("Choose a picture or a video, or start the webcam.");
})();

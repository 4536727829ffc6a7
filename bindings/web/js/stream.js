// Detection in the frames of a video element.

import { errorOf } from "./errors.js";

/** Detects in the newest frame whenever the detector is free; the frames between are skipped. */
export async function* streamOf(detector, video, { maxFps = Infinity, score, signal } = {}) {
  if (!(typeof maxFps === "number" && maxFps > 0)) {
    throw errorOf("option", `\`maxFps\` is ${maxFps}; expected a number above 0`);
  }
  const interval = 1000 / maxFps;
  let last = -Infinity;
  for (;;) {
    signal?.throwIfAborted();
    const wait = last + interval - performance.now();
    if (wait > 0) await pause(wait, signal);
    if (!(await nextFrame(video, signal))) return;
    last = performance.now();
    const frame = { time: video.currentTime, width: video.videoWidth, height: video.videoHeight };
    const detections = await detector.detect(video, { score, signal });
    yield { ...frame, detections };
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Waits for a frame that has not been shown before; false at the end of the video. */
function nextFrame(video, signal) {
  return new Promise((resolve, reject) => {
    let request = null;
    const finish = (settle, value) => {
      if (request !== null) cancel(video, request);
      for (const name of ["ended", "error", "emptied"]) video.removeEventListener(name, ended);
      signal?.removeEventListener("abort", abort);
      settle(value);
    };
    const ended = () => finish(resolve, false);
    const abort = () => finish(reject, signal.reason);
    if (signal?.aborted) return abort();
    if (video.ended || video.error) return ended();
    for (const name of ["ended", "error", "emptied"]) video.addEventListener(name, ended);
    signal?.addEventListener("abort", abort);
    request = schedule(video, () => {
      request = null;
      finish(resolve, true);
    });
  });
}

function schedule(video, work) {
  if (video.requestVideoFrameCallback) return video.requestVideoFrameCallback(work);
  return requestAnimationFrame(function check() {
    if (video.readyState >= 2) work();
    else requestAnimationFrame(check);
  });
}

function cancel(video, request) {
  if (video.cancelVideoFrameCallback) video.cancelVideoFrameCallback(request);
  else cancelAnimationFrame(request);
}

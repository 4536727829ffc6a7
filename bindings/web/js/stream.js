// Detection in the frames of a video element.

import { errorOf } from "./errors.js";
import { streamOptions } from "./options.js";

/** Time between two looks at what has no event: a stopped webcam, a freed detector. */
const POLL = 250;

/** Detects in the newest frame whenever the detector is free; the frames between are skipped. `check` throws when it is freed. */
export async function* streamOf(detector, check, video, options) {
  const { maxFps = Infinity, score, signal } = streamOptions(options);
  if (typeof HTMLVideoElement !== "function" || !(video instanceof HTMLVideoElement)) {
    throw errorOf("image", "`stream` takes a video element; use `detect` for other sources");
  }
  const interval = 1000 / maxFps;
  let last = -Infinity;
  // The media of the video can be taken away while a frame is detected.
  let isOver = false;
  const end = () => (isOver = true);
  video.addEventListener("emptied", end);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const wait = last + interval - performance.now();
      if (wait > 0) await pause(wait, signal);
      if (isOver || !(await nextFrame(video, check, signal)) || isOver) return;
      last = performance.now();
      const frame = { time: video.currentTime, width: video.videoWidth, height: video.videoHeight };
      const detections = await detector.detect(video, { score, signal });
      yield { ...frame, detections };
    }
  } finally {
    video.removeEventListener("emptied", end);
  }
}

/** Whether the video has no further frames: it has ended, failed, or all tracks of its stream have stopped. */
const hasEnded = (video) => video.ended || video.error !== null || video.srcObject?.active === false;

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
function nextFrame(video, check, signal) {
  return new Promise((resolve, reject) => {
    let request = null;
    let timer = null;
    const finish = (settle, value) => {
      clearInterval(timer);
      if (request !== null) cancel(video, request);
      for (const name of ["ended", "error", "emptied"]) video.removeEventListener(name, ended);
      signal?.removeEventListener("abort", abort);
      settle(value);
    };
    const ended = () => finish(resolve, false);
    const abort = () => finish(reject, signal.reason);
    if (signal?.aborted) return abort();
    if (hasEnded(video)) return ended();
    timer = setInterval(() => {
      try {
        check();
        if (hasEnded(video)) ended();
      } catch (error) {
        finish(reject, error);
      }
    }, POLL);
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

// The package in headless Chromium: worker, sources, demo page, streams.
// PICODET_CLIP is a video as .y4m for the fake camera.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";

import { launch } from "./chromium.mjs";
import { serve } from "./server.mjs";

const { PICODET_PACKAGE, PICODET_EXPECTED, PICODET_CLIP, PICODET_FRAMES } = process.env;
const cases = JSON.parse(await readFile(`${PICODET_EXPECTED}/expected.json`));
const [{ picture, found: expected }] = cases;
let server, isolated, browser;

before(async () => {
  const folders = {
    "/package/": PICODET_PACKAGE,
    "/web/": dirname(PICODET_PACKAGE),
    "/expected/": PICODET_EXPECTED,
    "/pictures/": dirname(picture),
    "/demo/": new URL("../demo", import.meta.url).pathname,
    "/models/": new URL("../../../crates/picodet/models", import.meta.url).pathname,
  };
  server = await serve(folders);
  isolated = await serve(folders, { isolated: true });
  browser = await launch("--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${PICODET_CLIP}`);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  await isolated?.stop();
});

/** A page with the package as `picodet`; its errors fail the test. */
async function open(permissions = [], { address } = server) {
  const context = await browser.newContext({ permissions });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${address}/demo/index.html?package=/package/index.js&model=/expected/layout.safetensors`);
  await page.evaluate(async () => (globalThis.picodet = await import("/package/index.js")));
  return { page, close: () => context.close().then(() => assert.deepEqual(errors, [])) };
}

const url = () => `/pictures/${basename(picture)}`;

test("a file in the worker gives the library's boxes, and the memory is released", async () => {
  const { page, close } = await open();
  const { found, progress, closed } = await page.evaluate(async (url) => {
    const progress = [];
    const onProgress = (event) => progress.push(event);
    const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors", score: 0.2, onProgress });
    const found = await detector.detect(await (await fetch(url)).blob());
    detector.free();
    const closed = await detector.detect(new Blob()).catch((error) => error.name);
    return { found, progress, closed };
  }, url());
  assert.equal(closed, "ClosedError");
  assert.equal(progress.at(-1).loaded, progress.at(-1).total);
  assert.equal(found.length, expected.length);
  found.forEach((object, index) => {
    assert.equal(object.label, expected[index].label);
    object.box.forEach((side, at) => assert.ok(Math.abs(side - expected[index].box[at]) <= 1e-3));
  });
  await close();
});

test("every kind of source gives the same boxes for a PNG picture", async () => {
  const { page, close } = await open();
  const results = await page.evaluate(async (url) => {
    const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors", score: 0.4 });
    const blob = await (await fetch(url)).blob();
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const offscreen = new OffscreenCanvas(image.width, image.height);
    offscreen.getContext("2d").drawImage(image, 0, 0);
    const frame = new VideoFrame(canvas, { timestamp: 0, alpha: "discard" });
    const sources = {
      blob,
      buffer: await blob.arrayBuffer(),
      bytes: new Uint8Array(await blob.arrayBuffer()),
      imageData: context.getImageData(0, 0, image.width, image.height),
      image,
      canvas,
      offscreen,
      bitmap: await createImageBitmap(image),
      frame,
    };
    const results = {};
    for (const [name, source] of Object.entries(sources)) results[name] = await detector.detect(source);
    // Sources belong to the caller: a second detection in them works.
    await Promise.all([detector.detect(sources.bitmap), detector.detect(frame), detector.detect(sources.buffer)]);
    frame.close();
    const local = await picodet.Detector.create({ model: "/expected/layout.safetensors", score: 0.4, worker: false });
    results.local = await local.detect(image);
    // Pixels are those at the time of the call, also when calls overlap and when their copies reuse memory.
    const { imageData } = sources;
    const pixels = imageData.data.slice();
    const first = local.detect(imageData);
    imageData.data.fill(0);
    const second = local.detect(imageData);
    imageData.data.set(pixels);
    [results.changed] = await Promise.all([first, second]);
    results.reused = await local.detect(imageData);
    return results;
  }, url());
  for (const [name, found] of Object.entries(results)) {
    assert.equal(found.length, results.blob.length, name);
    found.forEach((object, index) => {
      // A video frame is converted to YUV and back.
      const tolerance = name === "frame" ? 3 : 1e-3;
      object.box.forEach((side, at) => assert.ok(Math.abs(side - results.blob[index].box[at]) <= tolerance, name));
    });
  }
  await close();
});

test("several threads find the same boxes", async () => {
  const { page, close } = await open([], isolated);
  const requests = [];
  page.on("request", (request) => requests.push(basename(new URL(request.url()).pathname)));
  const { one, several, threads, memory, closed } = await page.evaluate(async (url) => {
    const blob = await (await fetch(url)).blob();
    const model = "/expected/layout.safetensors";
    const single = await picodet.Detector.create({ model, score: 0.1, threads: 1 });
    const one = await single.detect(blob);
    single.free();
    const several = [];
    const threads = [];
    const memory = [];
    let closed;
    for (const count of [2, 3, 8]) {
      const detector = await picodet.Detector.create({ model, score: 0.1, threads: count });
      threads.push(detector.threads);
      for (let round = 0; round < 4; round += 1) {
        several.push(await detector.detect(blob));
        if (round % 3 === 0) memory.push(detector.memoryBytes);
      }
      detector.free();
      closed = await detector.detect(blob).catch((error) => error.name);
    }
    return { one, several, threads, memory, closed };
  }, url());
  assert.deepEqual(threads, [2, 3, 8]);
  assert.ok(one.length > 5);
  several.forEach((found, at) => {
    // The same number of threads gives the same bits, another one the same within rounding.
    assert.deepEqual(found, several[4 * Math.floor(at / 4)]);
    assert.equal(found.length, one.length);
    found.forEach((object, index) => {
      assert.equal(object.label, one[index].label);
      assert.ok(Math.abs(object.score - one[index].score) <= 1e-4);
      object.box.forEach((side, at) => assert.ok(Math.abs(side - one[index].box[at]) <= 2e-3));
    });
  });
  for (let at = 0; at < memory.length; at += 2) assert.equal(memory[at], memory[at + 1], "the memory grows");
  assert.equal(closed, "ClosedError");
  const modules = requests.filter((name) => name.endsWith(".wasm")).map((name) => name.includes("threads"));
  assert.ok(modules.includes(false) && modules.filter(Boolean).length === 3, modules.join());
  await close();
});

test("every module finds the library's boxes", async () => {
  const { page, close } = await open([], isolated);
  const results = await page.evaluate(async (url) => {
    const blob = await (await fetch(url)).blob();
    const results = {};
    for (const [name, threads] of [["", 1], ["-relaxed", 1], ["-threads", 2], ["-threads-relaxed", 2]]) {
      const wasm = `/package/picodet${name}.wasm`;
      const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors", score: 0.2, wasm, threads });
      if (detector.threads === threads) results[wasm] = await detector.detect(blob);
      detector.free();
    }
    return results;
  }, url());
  assert.equal(Object.keys(results).length, 4);
  for (const [name, found] of Object.entries(results)) {
    assert.equal(found.length, expected.length, name);
    found.forEach((object, index) => {
      assert.equal(object.label, expected[index].label, name);
      assert.ok(Math.abs(object.score - expected[index].score) <= 1e-4, name);
      object.box.forEach((side, at) => assert.ok(Math.abs(side - expected[index].box[at]) <= 2e-3, name));
    });
  }
  await close();
});

test("a page without shared memory, or without the script of threads, detects with one thread", async () => {
  const count = async (address, options) => {
    const { page, close } = await open([], address);
    const messages = [];
    page.on("console", (message) => messages.push(message.text()));
    const threads = await page.evaluate(async (options) => {
      const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors", ...options });
      await detector.detect(new ImageData(64, 64));
      const { threads } = detector;
      detector.free();
      return threads;
    }, options);
    await close();
    return { threads, messages: messages.filter((text) => text.startsWith("picodet:")).join() };
  };
  assert.deepEqual(await count(server, {}), { threads: 1, messages: "" });
  const asked = await count(server, { threads: 2 });
  assert.equal(asked.threads, 1);
  assert.match(asked.messages, /one thread, since this page may not share memory.*Cross-Origin-Opener-Policy/);
  const missing = await count(isolated, { threads: 3, threadUrl: "/missing.js" });
  assert.equal(missing.threads, 1);
  assert.match(missing.messages, /a thread has not started.*threadUrl/);
  const plain = await count(isolated, { threads: 3, wasm: "/package/picodet.wasm" });
  assert.equal(plain.threads, 1);
  assert.ok((await count(isolated, {})).threads >= 1);
});

test("a thread that stops ends the detector with an error", async () => {
  const { page, close } = await open([], isolated);
  const failure = await page.evaluate(async () => {
    const source = `self.onmessage = () => {
      self.postMessage({ isReady: true });
      setTimeout(() => self.postMessage({ message: "unreachable" }), 300);
    }`;
    const threadUrl = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors", threads: 2, threadUrl });
    await new Promise((resolve) => setTimeout(resolve, 600));
    return detector.detect(new ImageData(64, 64)).catch((error) => `${error.name}: ${error.message}`);
  });
  assert.match(failure, /^InternalError: a thread has stopped \(unreachable\)/);
  await close();
});

test("streams end with their video, and say what is wrong", async () => {
  const { page, close } = await open();
  const results = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
    document.body.append(canvas);
    const context = canvas.getContext("2d");
    const drawing = setInterval(() => context.fillRect(Math.random() * 60, 0, 4, 4), 40);
    const play = async () => {
      const video = Object.assign(document.createElement("video"), { muted: true });
      video.srcObject = canvas.captureStream(25);
      await video.play();
      return video;
    };
    const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors", inputSize: [64, 64] });
    const outcome = async (video, change, used = detector) => {
      let frames = 0;
      const limit = new Promise((resolve) => setTimeout(resolve, 8000, "hangs"));
      const run = async () => {
        for await (const _ of used.stream(video)) {
          frames += 1;
          if (frames === 3) change(video);
        }
        return "ends";
      };
      return Promise.race([run().catch((error) => `${error.name}: ${error.message}`), limit]);
    };
    const results = {
      stopped: await outcome(await play(), (video) => video.srcObject.getTracks().forEach((track) => track.stop())),
      removed: await outcome(await play(), (video) => (video.srcObject = null)),
      canvas: await outcome(canvas),
      nothing: await outcome(null),
    };
    const other = await picodet.Detector.create({ model: "/expected/layout.safetensors", inputSize: [64, 64] });
    const paused = (video) => {
      video.pause();
      setTimeout(() => other.free(), 400);
    };
    results.freed = await outcome(await play(), paused, other);
    clearInterval(drawing);
    detector.free();
    return results;
  });
  assert.equal(results.stopped, "ends");
  assert.equal(results.removed, "ends");
  assert.match(results.canvas, /^ImageError: `stream` takes a video element/);
  assert.match(results.nothing, /^ImageError: `stream` takes a video element/);
  assert.match(results.freed, /^ClosedError/);
  await close();
});

test("a download that stalls is stopped by its signal, also one of the caller", async () => {
  const { page, close } = await open();
  const reason = await page.evaluate(async () => {
    const control = new AbortController();
    const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(8)) });
    setTimeout(() => control.abort(new Error("enough")), 200);
    const created = picodet.Detector.create({ model: new Response(body), signal: control.signal });
    return created.then(() => "created", (error) => error.message);
  });
  assert.equal(reason, "enough");
  await close();
});

test("the page of docs/web.md detects in a file", async () => {
  const text = await readFile(new URL("../../../docs/web.md", import.meta.url), "utf8");
  await writeFile(join(dirname(PICODET_PACKAGE), "docs.html"), text.match(/```html\n([\s\S]*?)```/)[1]);
  const page = await browser.newPage();
  await page.goto(`${server.address}/web/docs.html`);
  await page.waitForSelector("body[data-ready]");
  await page.setInputFiles("#file", new URL("../../../examples/coffee.jpg", import.meta.url).pathname);
  await page.waitForFunction(() => document.getElementById("result").textContent.includes("cup 0.8"));
  await page.close();
});

test("detection requests the model only", async () => {
  const { page, close } = await open();
  const requests = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  const found = await page.evaluate(async () => {
    const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors" });
    const canvas = new OffscreenCanvas(64, 64);
    canvas.getContext("2d").fillRect(0, 0, 64, 64);
    await detector.detect(canvas);
    const found = await detector.detect(await canvas.convertToBlob({ type: "image/webp" }));
    return found.length;
  });
  assert.equal(typeof found, "number");
  const others = new Set(requests.filter((path) => !path.startsWith("/package/")));
  assert.deepEqual([...others], ["/expected/layout.safetensors"]);
  await close();
});

test("errors of the page", async () => {
  const { page, close } = await open();
  const errors = await page.evaluate(async () => {
    const failed = (promise) => promise.then(() => "no error", (error) => `${error.name}: ${error.message}`);
    const detector = await picodet.Detector.create({ model: "/expected/layout.safetensors" });
    const missing = Object.assign(new Image(), { src: "/missing.png" });
    const errors = {
      model: await failed(picodet.Detector.create({ model: "/missing.safetensors" })),
      wasm: await failed(picodet.Detector.create({ model: "/expected/layout.safetensors", wasm: "/missing.wasm" })),
      worker: await failed(picodet.Detector.create({ model: "/expected/layout.safetensors", workerUrl: "/missing.js" })),
      other: await failed(picodet.Detector.create({ model: "/expected/layout.safetensors", workerUrl: "https://example.com/worker.js" })),
      image: await failed(detector.detect(missing)),
      canvas: await failed(detector.detect(Object.assign(document.createElement("canvas"), { width: 0 }))),
      video: await failed(detector.detect(document.createElement("video"))),
      text: await failed(detector.detect(new Blob(["text"]))),
      element: await failed(detector.detect(document.body)),
      side: await failed(picodet.Detector.create({ model: "/missing.safetensors", inputSize: [32000000, 32] })),
      threads: await failed(picodet.Detector.create({ model: "/missing.safetensors", threads: 0 })),
      local: await failed(picodet.Detector.create({ model: "/expected/layout.safetensors", threads: 2, worker: false })),
    };
    const control = new AbortController();
    const calls = [1, 2, 3].map(() => failed(detector.detect(new ImageData(64, 64), { signal: control.signal })));
    control.abort(new DOMException("enough", "AbortError"));
    errors.aborted = (await Promise.all(calls)).join(" ");
    errors.afterwards = (await detector.detect(new ImageData(64, 64))).length;
    const late = failed(detector.detect(new ImageData(64, 64)));
    detector.free();
    errors.late = await late;
    return errors;
  });
  assert.match(errors.model, /^ModelError: .*missing\.safetensors: HTTP 404.*check the URL/);
  assert.match(errors.wasm, /^InternalError: .*HTTP 404.*serve the \.wasm files/);
  assert.match(errors.worker, /^InternalError: .*worker/);
  assert.match(errors.other, /^OptionError: `workerUrl`: the worker cannot be started .*of the origin of the page/);
  assert.match(errors.image, /^ImageError: .*missing\.png: cannot be loaded/);
  assert.match(errors.canvas, /^ImageError: the image is empty/);
  assert.match(errors.video, /^ImageError: the video has no frame yet/);
  assert.match(errors.text, /^ImageError: this is a text file/);
  assert.match(errors.side, /^OptionError: .*multiples of 32 up to 4096/);
  assert.match(errors.threads, /^OptionError: `threads` is 0; expected a whole number from 1 to 64/);
  assert.match(errors.local, /^OptionError: `threads` above 1 are for a `worker`/);
  assert.match(errors.element, /^ImageError: an object of class HTMLBodyElement/);
  assert.equal(errors.aborted, Array(3).fill("AbortError: enough").join(" "));
  assert.equal(typeof errors.afterwards, "number");
  assert.match(errors.late, /^ClosedError/);
  await close();
});

test("the demo page detects in a file", async () => {
  const { page, close } = await open();
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("Choose"));
  await page.setInputFiles("#file", picture);
  await page.waitForFunction(() => /objects in \d+ ms/.test(document.getElementById("status").textContent));
  assert.match(await page.textContent("#status"), /table/);
  await close();
});

test("the demo page reports a refused camera", async () => {
  const { page, close } = await open();
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("Choose"));
  await page.click("#camera");
  await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("NotAllowedError"));
  await close();
});

/** Returns the longest task of the page's main thread in a trace, in milliseconds of processor time. */
function longestTask(trace) {
  const events = JSON.parse(trace).traceEvents;
  const main = events.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
  const threads = new Set(main.map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = events.filter(({ name, pid, tid }) => name === "RunTask" && threads.has(`${pid} ${tid}`));
  // Tasks that the trace cuts off have no duration.
  const times = tasks.map(({ tdur, dur }) => tdur ?? dur).filter((time) => time !== undefined);
  assert.ok(times.length > 0);
  return Math.max(...times) / 1000;
}

test("a camera: detections, short tasks of the page, constant memory", async () => {
  const { page, close } = await open(["camera"]);
  const frames = Number(PICODET_FRAMES ?? 200);
  const text = await readFile(new URL("../../../docs/web.md", import.meta.url), "utf8");
  const example = text.match(/```js\n([\s\S]*?)```/)[1];
  await page.evaluate(async () => {
    const video = document.getElementById("video");
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640 } });
    await video.play();
    const detector = await picodet.Detector.create({ model: "/models/coco_s_416.safetensors", score: 0.4 });
    let objects = 0;
    globalThis.watch = async (wanted) => {
      let frames = 0;
      for await (const { detections } of detector.stream(video)) {
        objects += detections.filter(({ label }) => label === "person" || label === "cup").length;
        frames += 1;
        if (frames >= wanted) break;
      }
      return { frames, objects, memory: detector.memoryBytes };
    };
    Object.assign(globalThis, { video, detector });
  });
  const before = await page.evaluate(() => watch(20));
  await browser.startTracing(page, { categories: ["toplevel", "disabled-by-default-devtools.timeline"] });
  const traced = await page.evaluate(() => watch(50));
  const longest = longestTask((await browser.stopTracing()).toString());
  const after = await page.evaluate((frames) => watch(frames), frames);
  console.log(`${frames} frames; longest task ${longest} ms; ${after.memory - before.memory} bytes of growth`);
  assert.equal(traced.frames, 50);
  assert.equal(after.memory, before.memory);
  assert.ok(after.objects >= frames);
  assert.ok(longest <= 16, `a task of ${longest} ms`);
  const { aborted, ended } = await page.evaluate(async (example) => {
    await Object.getPrototypeOf(async () => {}).constructor("video", "detector", example)(video, detector);
    const control = new AbortController();
    const stream = detector.stream(video, { signal: control.signal, maxFps: 1000 });
    await stream.next();
    control.abort(new Error("enough"));
    const aborted = await stream.next().catch((error) => error.message);
    detector.free();
    const ended = await detector.stream(video).next().catch((error) => error.name);
    return { aborted, ended };
  }, example);
  assert.equal(aborted, "enough");
  assert.equal(ended, "ClosedError");
  await close();
});

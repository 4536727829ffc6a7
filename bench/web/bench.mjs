// Times detection in a picture with picodet and onnxruntime-web, turn by turn in one page, and compares their outputs.
// onnxruntime-web runs the network only, on a prepared tensor; picodet also resizes, decodes and suppresses.

import { launch } from "../../bindings/web/test/chromium.mjs";
import { serve } from "../../bindings/web/test/server.mjs";

const { PICODET_PACKAGE, PICODET_NODE_MODULES, PICTURE, ROUNDS = "60" } = process.env;

/** Runs in the page: both with `threads` threads, and picodet with one as well. */
async function measure([rounds, threads]) {
  const SIZE = 416;
  const ort = await import("/modules/onnxruntime-web/dist/ort.wasm.min.mjs");
  const { Detector } = await import("/package/index.js");
  Object.assign(ort.env.wasm, { numThreads: threads, wasmPaths: "/modules/onnxruntime-web/dist/" });
  const open = (head) => ort.InferenceSession.create(`/bench/${head}.onnx`, { graphOptimizationLevel: "all" });
  const [raw, decoded] = [await open("raw"), await open("decoded")];
  const create = (options) => Detector.create({ model: "/bench/s416.safetensors", score: 0.3, ...options });
  // Several threads need a worker; one thread in a worker is compared with them.
  const detector = await create(threads > 1 ? { threads } : { worker: false });
  const single = await create({ threads: 1 });

  // A picture of the network's own size: both get the same pixels.
  const canvas = new OffscreenCanvas(SIZE, SIZE);
  const context = canvas.getContext("2d");
  const picture = await createImageBitmap(await (await fetch("/picture.jpg")).blob());
  context.drawImage(picture, 0, 0, SIZE, SIZE);
  const image = context.getImageData(0, 0, SIZE, SIZE);
  const values = new Float32Array(3 * SIZE * SIZE);
  const mean = [0.485, 0.456, 0.406];
  const deviation = [0.229, 0.224, 0.225];
  for (let at = 0; at < SIZE * SIZE; at += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      values[channel * SIZE * SIZE + at] = (image.data[4 * at + channel] / 255 - mean[channel]) / deviation[channel];
    }
  }
  const input = (session) => {
    const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", values, [1, 3, SIZE, SIZE]) };
    // Some exports also take the scale from the picture to the input.
    for (const name of session.inputNames.slice(1)) feeds[name] = new ort.Tensor("float32", [1, 1], [1, 2]);
    return feeds;
  };
  const [feeds, decodedFeeds] = [input(raw), input(decoded)];

  // Outputs: every detection has a position of the exported network with the same score and box.
  const found = await detector.detect(image);
  const outputs = Object.values(await decoded.run(decodedFeeds));
  const boxes = outputs.find(({ dims }) => dims.at(-1) === 4);
  const scores = outputs.find((output) => output !== boxes);
  const positions = boxes.dims.at(-2);
  const classesFirst = scores.dims.at(-1) === positions;
  const classes = classesFirst ? scores.dims.at(-2) : scores.dims.at(-1);
  const scoreOf = (position, id) => scores.data[classesFirst ? id * positions + position : position * classes + id];
  let difference = { box: 0, score: 0 };
  for (const { box, score, classId } of found) {
    let best = { box: Infinity, score: Infinity };
    for (let position = 0; position < positions; position += 1) {
      const sides = box.map((side, index) => Math.abs(side - boxes.data[4 * position + index]));
      const distance = Math.max(...sides);
      if (distance < best.box) best = { box: distance, score: Math.abs(score - scoreOf(position, classId)) };
    }
    difference = { box: Math.max(difference.box, best.box), score: Math.max(difference.score, best.score) };
  }

  const times = { ours: [], theirs: [], single: [] };
  const time = async (list, work) => {
    const start = performance.now();
    await work();
    list.push(performance.now() - start);
  };
  // The first rounds include the compilation of the modules.
  for (let round = -10; round < rounds; round += 1) {
    if (round === 0) times.ours.length = times.theirs.length = times.single.length = 0;
    await time(times.ours, () => detector.detect(image));
    await time(times.theirs, () => raw.run(feeds));
    if (threads > 1) await time(times.single, () => single.detect(image));
  }
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  const [ours, theirs] = [median(times.ours), median(times.theirs)];
  return { objects: found.length, difference, ours, theirs, single: median(times.single), threads: detector.threads };
}

const bench = PICODET_NODE_MODULES;
const folders = {
  "/package/": PICODET_PACKAGE,
  "/modules/": `${bench}/node_modules`,
  "/bench/": bench,
  "/picture.jpg": PICTURE,
  "/empty.html": new URL("empty.html", import.meta.url).pathname,
};
const server = await serve(folders, { isolated: true });
const browser = await launch();
try {
  for (const wanted of [1, 2]) {
    const page = await browser.newPage();
    await page.goto(`${server.address}/empty.html`);
    const { objects, difference, ours, theirs, single, threads } = await page.evaluate(measure, [Number(ROUNDS), wanted]);
    const [box, score] = [difference.box, difference.score].map((value) => value.toExponential(1));
    console.log(`threads: ${threads}; ${objects} objects; largest difference: ${box} px, score ${score}`);
    console.log(`picodet          ${ours.toFixed(1)} ms (median of ${ROUNDS}, whole detection)`);
    console.log(`onnxruntime-web  ${theirs.toFixed(1)} ms (network only)`);
    console.log(`ratio            ${(theirs / ours).toFixed(2)}`);
    if (wanted > 1) console.log(`gain             ${(single / ours).toFixed(2)} (one thread of picodet in a worker ÷ ${threads})`);
    await page.close();
  }
} finally {
  await browser.close();
  await server.stop();
}

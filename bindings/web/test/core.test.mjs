// The package in Node: boxes of the library, bad input, lifetime.
// PICODET_PACKAGE is the built package, PICODET_EXPECTED the folder that the example `expected` writes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const folder = process.env.PICODET_EXPECTED;
const from = (path) => pathToFileURL(`${process.env.PICODET_PACKAGE}/${path}`).href;
const { ClosedError, Detector, ImageError, InternalError, ModelError, OptionError, PicodetError } = await import(
  from("node.js")
);
const { Engine } = await import(from("engine.js"));
const cases = JSON.parse(await readFile(`${folder}/expected.json`));
const layout = await readFile(`${folder}/layout.safetensors`);
const page = await readFile(cases[0].picture);

/** Compares with a tolerance of 1e-3 pixels of the network input: the library's processor may have fused multiply-add. */
function assertSame(found, expected, side) {
  const extent = Math.max(...expected.flatMap(({ box }) => box), side);
  const tolerance = (1e-3 * extent) / side;
  assert.equal(found.length, expected.length);
  found.forEach((object, index) => {
    const other = expected[index];
    assert.equal(object.label, other.label);
    assert.equal(object.classId, other.classId);
    assert.ok(Math.abs(object.score - other.score) <= 1e-4, `score ${object.score} and ${other.score}`);
    object.box.forEach((value, side) => {
      assert.ok(Math.abs(value - other.box[side]) <= tolerance, `box ${object.box} and ${other.box}`);
    });
  });
}

test("the module imports nothing", async () => {
  const module = await WebAssembly.compile(await readFile(new URL(from("picodet.wasm"))));
  assert.deepEqual(WebAssembly.Module.imports(module), []);
});

test("the boxes are those of the library", async () => {
  const detectors = new Map();
  let objects = 0;
  for (const { model, picture, score, found } of cases) {
    if (!detectors.has(model)) {
      detectors.set(model, await Detector.create({ model: await readFile(`${folder}/${model}`), score }));
    }
    const result = detectors.get(model).detect(await readFile(picture));
    if (found === null) await assert.rejects(result, ImageError);
    else {
      assertSame(await result, found, detectors.get(model).inputSize[1]);
      objects += found.length;
    }
  }
  assert.ok(objects > 0);
  for (const detector of detectors.values()) detector.free();
});

test("a detector describes its model", async () => {
  const detector = await Detector.create({ model: layout });
  assert.equal(detector.classes.length, 10);
  assert.equal(detector.categoryIds.length, 10);
  assert.ok(detector.inputSize.every((side) => side % 32 === 0));
  assert.match(detector.version, /^\d+\.\d+\.\d+$/);
  const high = await detector.detect(page, { score: 0.9 });
  const all = await detector.detect(page);
  assert.deepEqual(high, all.filter((object) => object.score >= Math.fround(0.9)));
  assert.ok(high.length > 0);
  detector.free();
});

test("bad models are errors", async () => {
  const refused = (model, name, pattern) =>
    assert.rejects(Detector.create({ model }), (error) => {
      assert.ok(error instanceof name, String(error));
      assert.ok(error instanceof PicodetError && error instanceof Error);
      assert.match(error.message, pattern);
      return true;
    });
  await refused(new Uint8Array(0), ModelError, /./);
  await refused(layout.subarray(0, 1000), ModelError, /it is cut/);
  await refused(layout.subarray(0, layout.length - 1), ModelError, /it is cut/);
  await refused(new TextEncoder().encode("<!doctype html>"), ModelError, /not a picodet model/);
  await refused(undefined, OptionError, /`model`/);
  await refused({}, OptionError, /`model` is an object of class Object; expected the URL/);
  await refused("http://127.0.0.1:1/model", ModelError, /cannot be downloaded/);
  await refused("model.safetensors", ModelError, /model.safetensors: cannot be downloaded.*`await readFile\(path\)`/);
  const transferred = new ArrayBuffer(8);
  structuredClone(transferred, { transfer: [transferred] });
  await refused(transferred, ModelError, /not a picodet model|detached/);
});

test("bad options are errors", async () => {
  const refused = (options) => assert.rejects(Detector.create({ model: layout, ...options }), OptionError);
  await refused({ score: 2 });
  await refused({ score: NaN });
  await refused({ iou: "0.5" });
  await refused({ maxDetections: 0 });
  await refused({ inputSize: [416] });
  await refused({ treshold: 0.5 });
  await refused({ worker: true });
  await refused({ worker: "no" });
  await refused({ threads: 1.5 });
  await refused({ threads: null });
  await refused({ signal: 1 });
  await refused({ signal: { aborted: false } });
  await refused({ onProgress: true });
  await refused({ wasm: 7 });
  await refused({ workerUrl: {} });
  await refused({ score: Object.create(null) });
  await assert.rejects(Detector.create({ model: layout, inputSize: [100, 100] }), PicodetError);
  await assert.rejects(Detector.create(null), OptionError);
});

test("bad images are errors and the detector remains usable", async () => {
  const detector = await Detector.create({ model: layout });
  const refused = (source, pattern) =>
    assert.rejects(detector.detect(source), (error) => {
      assert.ok(error instanceof ImageError, String(error));
      assert.match(error.message, pattern);
      return true;
    });
  await refused(new Uint8Array(0), /empty/);
  await refused(new Uint8Array(100).fill(0xa5), /not an image/);
  await refused(page.subarray(0, 2000), /./);
  await refused({ data: new Uint8ClampedArray(0), width: 0, height: 0 }, /empty/);
  await refused({ data: new Uint8ClampedArray(12), width: 2, height: 2 }, /must have 16 bytes/);
  await refused({ data: new Uint8ClampedArray(16), width: -1, height: 4 }, /pixels of -1 x 4; expected whole numbers/);
  await refused({ data: new Uint8ClampedArray(16), width: 2 ** 32 + 2, height: 2 }, /expected whole numbers/);
  await refused({ data: new Uint8ClampedArray(16), width: "2", height: 2 }, /pixels of "2" x 2/);
  await refused({ data: [1, 2, 3, 4], width: 1, height: 1 }, /Uint8ClampedArray/);
  for (const source of [undefined, null, 3, "page.png", {}]) await refused(source, /is not an image/);
  const transferred = page.buffer.slice(0, 100);
  structuredClone(transferred, { transfer: [transferred] });
  await refused(transferred, /detached/);
  await assert.rejects(detector.detect(page, { score: 0.1 }), OptionError);
  assert.ok((await detector.detect(new Blob([page]))).length > 0);
  detector.free();
});

test("options of detect and stream are checked", async () => {
  const detector = await Detector.create({ model: layout });
  const refused = (options, pattern) =>
    assert.rejects(detector.detect(page, options), (error) => {
      assert.ok(error instanceof OptionError, String(error));
      assert.match(error.message, pattern);
      return true;
    });
  await refused(0.5, /the options are 0.5; expected an object/);
  await refused({ treshold: 0.5 }, /unknown option `treshold`; expected one of: score, signal/);
  await refused({ signal: 1 }, /`signal` is 1; expected an AbortSignal/);
  await refused({ score: "high" }, /`score` is "high"; expected a number from 0.4/);
  await assert.rejects(detector.stream(null, { fps: 3 }).next(), /unknown option `fps`.*maxFps/);
  await assert.rejects(detector.stream(null, { maxFps: -1 }).next(), /`maxFps` is -1; expected a number above 0/);
  await assert.rejects(detector.stream(null).next(), ImageError);
  assert.ok((await detector.detect(page, { score: undefined, signal: undefined })).length > 0);
  detector.free();
});

test("a model may lie in shared memory", async () => {
  const shared = new SharedArrayBuffer(layout.length);
  new Uint8Array(shared).set(layout);
  const detector = await Detector.create({ model: shared });
  assert.equal(detector.classes.length, 10);
  detector.free();
});

test("calls may overlap, and two detectors do not disturb each other", async () => {
  const one = await Detector.create({ model: layout, score: 0.4 });
  const two = await Detector.create({ model: layout, score: 0.4 });
  const pixels = { data: new Uint8ClampedArray(64 * 64 * 4), width: 64, height: 64 };
  const results = await Promise.all([one.detect(page), two.detect(pixels), one.detect(pixels), two.detect(page)]);
  assert.deepEqual(results[0], results[3]);
  assert.deepEqual(results[1], results[2]);
  one.free();
  assert.deepEqual(await two.detect(page), results[0]);
  two.free();
});

test("freed detectors and aborted calls reject", async () => {
  const detector = await Detector.create({ model: layout });
  const reason = new Error("enough");
  await assert.rejects(detector.detect(page, { signal: AbortSignal.abort(reason) }), reason);
  const control = new AbortController();
  const pending = detector.detect(page, { signal: control.signal });
  control.abort(reason);
  await assert.rejects(pending, reason);
  await assert.rejects(Detector.create({ model: layout, signal: control.signal }), reason);
  const late = detector.detect(page);
  detector.free();
  detector.free();
  await assert.rejects(late, ClosedError);
  await assert.rejects(detector.detect(page), ClosedError);
});

test("after a trap the detector is unusable, others are not", async () => {
  const module = await WebAssembly.compile(await readFile(new URL(from("picodet.wasm"))));
  const { exports } = await WebAssembly.instantiate(module, {});
  // Destroys the state of the instance: pointers and lengths become invalid.
  const broken = new Engine(null, {
    ...exports,
    picodet_detect_file: () => {
      new Uint8Array(exports.memory.buffer, 0, exports.memory.buffer.byteLength).fill(0x7f);
      return exports.picodet_detect_file();
    },
  });
  assert.throws(() => broken.detectFile(page), InternalError);
  assert.throws(() => broken.detectFile(page), /report it.*create another one/);
  const other = await Engine.create(module, layout, {});
  assert.ok(other.detectFile(page).length > 0);
});

test("detections do not grow the memory", async () => {
  const detector = await Detector.create({ model: layout, inputSize: [96, 96] });
  const pixels = (width, height) => ({ data: new Uint8ClampedArray(width * height * 4).fill(90), width, height });
  for (let turn = 0; turn < 20; turn += 1) await detector.detect(pixels(320, 240 + turn));
  const before = detector.memoryBytes;
  for (let turn = 0; turn < 300; turn += 1) await detector.detect(pixels(300 + (turn % 20), 240));
  assert.equal(detector.memoryBytes, before);
  detector.free();
});

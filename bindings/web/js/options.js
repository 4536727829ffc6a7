// Checks the arguments of the public class: JavaScript converts silently what it should refuse.

import { errorOf } from "./errors.js";

/** Sides above this are no network inputs; the command has the same limit. */
const MOST_SIDE = 4096;
/** Most threads of a detection. */
const MOST_THREADS = 64;

const isSize = (value) => Number.isInteger(value) && value > 0 && value < 2 ** 31;
const isSide = (value) => isSize(value) && value <= MOST_SIDE && value % 32 === 0;
const isAddress = (value) => typeof value === "string" || value instanceof URL;
const isSignal = (value) =>
  typeof value?.throwIfAborted === "function" && typeof value.addEventListener === "function" && "reason" in value;
const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

const SIGNAL = [isSignal, "an AbortSignal"];
const UNIT = [(value) => typeof value === "number" && value >= 0 && value <= 1, "a number from 0 to 1"];
const ADDRESS = [isAddress, "an address"];

/** What each option has to be; the module needs the first four. */
const CREATE = {
  score: UNIT,
  iou: UNIT,
  maxDetections: [isSize, "a whole number above 0"],
  inputSize: [
    (value) => Array.isArray(value) && value.length === 2 && value.every(isSide),
    `[height, width], multiples of 32 up to ${MOST_SIDE}`,
  ],
  model: [() => true, ""],
  wasm: [
    (value) => isAddress(value) || isBytes(value) || value instanceof WebAssembly.Module,
    "an address, bytes or a WebAssembly.Module",
  ],
  worker: [(value) => typeof value === "boolean", "true or false"],
  workerUrl: ADDRESS,
  threads: [(value) => isSize(value) && value <= MOST_THREADS, `a whole number from 1 to ${MOST_THREADS}`],
  threadUrl: ADDRESS,
  onProgress: [(value) => typeof value === "function", "a function"],
  signal: SIGNAL,
};
const MODULE = ["score", "iou", "maxDetections", "inputSize"];
// The detector knows its own lower bound of the scores.
const DETECT = { score: [() => true, ""], signal: SIGNAL };
const STREAM = { ...DETECT, maxFps: [(value) => typeof value === "number" && value > 0, "a number above 0"] };

/** Returns the options of `Detector.create`, and those of them that the module takes. */
export function createOptions(options) {
  if (options === null || typeof options !== "object") throw errorOf("option", "expected an object with `model`");
  const all = checked(options, CREATE);
  const module = { score: 0.4 };
  for (const name of MODULE) if (all[name] !== undefined) module[name] = all[name];
  return { all, module };
}

/** Returns the options of `detect`, whose scores begin at `lowest`. */
export function detectOptions(options, lowest) {
  const all = checked(options ?? {}, DETECT);
  if (all.score !== undefined && !(UNIT[0](all.score) && all.score >= lowest)) {
    throw refused("score", all.score, `a number from ${lowest}, the detector's own, to 1`);
  }
  return all;
}

/** Returns the options of `stream`. */
export const streamOptions = (options) => checked(options ?? {}, STREAM);

function checked(options, known) {
  if (typeof options !== "object") throw errorOf("option", `the options are ${format(options)}; expected an object`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) {
      throw errorOf("option", `unknown option \`${name}\`; expected one of: ${Object.keys(known).join(", ")}`);
    }
    const [fits, expected] = known[name];
    if (value !== undefined && !fits(value)) throw refused(name, value, expected);
  }
  return options;
}

const refused = (name, value, expected) => errorOf("option", `\`${name}\` is ${format(value)}; expected ${expected}`);

/** A value as a message shows it; objects without a text of their own are possible. */
export function format(value) {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "function") return "a function";
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(format).join(", ")}]`;
  return `an object of class ${value.constructor?.name ?? "unknown"}`;
}

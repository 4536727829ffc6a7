// One instance of the WebAssembly module, with one detector in it.

import { errorOf } from "./errors.js";

const FLOATS_PER_OBJECT = 6;
/** Limits of the shared memory in pages of 64 KiB; the module with threads is linked with the same ones. */
const SHARED_MEMORY = { initial: 64, maximum: 16384, shared: true };
/** Stack of a helper thread in bytes. */
const STACK = 1 << 20;

/** Compiles the module: bytes, a compiled module, or a URL. */
export async function compile(source) {
  try {
    if (source instanceof WebAssembly.Module) return source;
    if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return await WebAssembly.compile(source);
    const response = await fetch(source);
    if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`.trim());
    // Servers that do not know the type of .wasm files are common; compileStreaming refuses their answers.
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    const place = typeof source === "string" || source instanceof URL ? `${source}: ` : "";
    const remedy = "serve the .wasm files of the package beside the script, or pass an address as `wasm`";
    throw errorOf("internal", `${place}the WebAssembly module cannot be loaded (${cause.message}); ${remedy}`, { cause });
  }
}

/** A detector in an instance of its own: freeing it frees its whole memory. */
export class Engine {
  #module;
  #exports;
  #memory;
  #broken = null;

  constructor(module, exports, memory) {
    this.#module = module;
    this.#exports = exports;
    this.#memory = memory ?? exports.memory;
  }

  /** Creates a detector from a model file (`Uint8Array`). */
  static async create(module, model, options) {
    // The module with threads imports its memory.
    const isShared = WebAssembly.Module.imports(module).length > 0;
    const memory = isShared ? new WebAssembly.Memory(SHARED_MEMORY) : undefined;
    const instance = await WebAssembly.instantiate(module, isShared ? { env: { memory } } : {});
    const engine = new Engine(module, instance.exports, memory);
    engine.#guard(() => engine.#exports.picodet_start());
    const head = new TextEncoder().encode(JSON.stringify(options));
    engine.#write(head.length + model.length, (bytes) => {
      bytes.set(head);
      bytes.set(model, head.length);
    });
    engine.#call("picodet_create", head.length);
    const { classes, categoryIds, inputSize, version } = JSON.parse(engine.#text());
    engine.description = { classes, categoryIds, inputSize, version };
    return engine;
  }

  /** Returns what threads need to help this engine (thread.js): at most `count`, none without shared memory. */
  helpers(count) {
    const helpers = [];
    const { picodet_thread_memory: allocate, __tls_size: size, __tls_align: alignment } = this.#exports;
    while (allocate && helpers.length < count) {
      const align = (at, step) => Math.ceil(at / step) * step;
      const step = Math.max(alignment.value, 16);
      const at = this.#guard(() => allocate(STACK + size.value + 2 * step)) >>> 0;
      if (at === 0) break;
      // The stack grows down to the start of its memory; the variables of the thread are behind it.
      const stack = align(at, step) + STACK;
      helpers.push({ module: this.#module, memory: this.#memory, stack, variables: align(stack, step) });
    }
    return helpers;
  }

  /** Detects in the bytes of an image file. */
  detectFile(bytes) {
    this.#write(bytes.length, (input) => input.set(bytes));
    this.#call("picodet_detect_file");
    return this.#found();
  }

  /** Detects in pixels, four bytes each, red first. */
  detectPixels(bytes, width, height) {
    this.#write(bytes.length, (input) => input.set(bytes));
    this.#call("picodet_detect_pixels", width, height);
    return this.#found();
  }

  /** Size of the instance's memory in bytes. */
  get memoryBytes() {
    return this.#memory?.buffer.byteLength ?? 0;
  }

  /** Releases the instance. */
  free() {
    this.#exports = this.#memory = null;
    this.#broken = errorOf("closed", "the detector has been freed; create another one");
  }

  #found() {
    const bytes = this.#output();
    // A copy, since the next call writes over the output.
    return new Float32Array(bytes.slice().buffer);
  }

  #write(length, fill) {
    const at = this.#guard(() => this.#exports.picodet_input(length)) >>> 0;
    if (at === 0) throw errorOf("image", `no memory for ${length} bytes; use a smaller image`);
    fill(new Uint8Array(this.#memory.buffer, at, length));
  }

  #call(name, ...values) {
    if (this.#guard(() => this.#exports[name](...values)) === 0) return;
    const { code, message } = JSON.parse(this.#text());
    throw errorOf(code, message);
  }

  #output() {
    const [at, length] = this.#guard(() => [this.#exports.picodet_output(), this.#exports.picodet_output_length()]);
    return new Uint8Array(this.#memory.buffer, at >>> 0, length);
  }

  #text() {
    // A copy: shared memory cannot be decoded.
    return new TextDecoder().decode(this.#output().slice());
  }

  /** Runs a call of the module. After a trap its state is undefined: no further call reaches it. */
  #guard(work) {
    if (this.#broken) throw this.#broken;
    try {
      return work();
    } catch (cause) {
      const reason = this.#panic() ?? cause.message;
      const message = `internal error, please report it: ${reason}; free this detector and create another one`;
      this.#exports = null;
      this.#broken = errorOf("internal", message, { cause });
      throw this.#broken;
    }
  }

  #panic() {
    try {
      const length = this.#exports.picodet_panic_length();
      if (length === 0) return null;
      const bytes = new Uint8Array(this.#memory.buffer, this.#exports.picodet_panic() >>> 0, length);
      return JSON.parse(new TextDecoder().decode(bytes.slice())).message;
    } catch {
      return null;
    }
  }
}

/** Turns the values of the module into objects; those below `score` are left out. */
export function toDetections(values, classes, score = 0) {
  const found = [];
  for (let at = 0; at < values.length; at += FLOATS_PER_OBJECT) {
    if (values[at + 4] < score) continue;
    const classId = values[at + 5];
    const box = [values[at], values[at + 1], values[at + 2], values[at + 3]];
    found.push({ box, score: values[at + 4], classId, label: classes[classId] });
  }
  return found;
}

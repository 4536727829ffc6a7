// Reads the model that the page gives.

import { errorOf } from "./errors.js";
import { format } from "./options.js";

const EXPECTED = "expected the URL of a model file, a Response, a Blob, or its bytes";

const IS_NODE = globalThis.process?.versions?.node !== undefined;

/** Returns the bytes of a model file in a buffer that may be transferred. */
export async function readModel(model, { onProgress, signal }) {
  if (isBuffer(model) || ArrayBuffer.isView(model)) return copy(model);
  if (typeof Blob === "function" && model instanceof Blob) return new Uint8Array(await model.arrayBuffer());
  if (typeof Response === "function" && model instanceof Response) return download(model, onProgress, signal);
  if (typeof model !== "string" && !(model instanceof URL)) {
    throw errorOf("option", `\`model\` is ${format(model)}; ${EXPECTED}`);
  }
  let response;
  try {
    response = await fetch(model, { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const remedy = IS_NODE ? "check the URL, or pass the bytes of a file (`await readFile(path)`)" : "check the URL and CORS";
    throw errorOf("model", `${model}: cannot be downloaded (${cause.message}); ${remedy}`, { cause });
  }
  return download(response, onProgress, signal, String(model));
}

const isBuffer = (model) =>
  model instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && model instanceof SharedArrayBuffer);

function copy(model) {
  try {
    return ArrayBuffer.isView(model)
      ? new Uint8Array(model.buffer, model.byteOffset, model.byteLength).slice()
      : new Uint8Array(model).slice();
  } catch (cause) {
    throw errorOf("model", "the model's buffer is detached: it was transferred; pass a copy (`slice()`)", { cause });
  }
}

async function download(response, onProgress, signal, name = response.url || "the model") {
  if (!response.ok) {
    const status = `HTTP ${response.status} ${response.statusText}`.trim();
    throw errorOf("model", `${name}: ${status}; check the URL of the model`);
  }
  // With a content encoding the length is that of the compressed body.
  const encoded = response.headers.get("content-encoding");
  const total = encoded ? null : Number(response.headers.get("content-length")) || null;
  const parts = [];
  let loaded = 0;
  let stop;
  try {
    if (!response.body) return new Uint8Array(await response.arrayBuffer());
    const reader = response.body.getReader();
    stop = () => reader.cancel().catch(() => {});
    signal?.addEventListener("abort", stop);
    for (;;) {
      const { done, value } = await reader.read();
      signal?.throwIfAborted();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      onProgress?.({ loaded, total });
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw errorOf("model", `${name}: the download has stopped after ${loaded} bytes (${cause.message}); try again`, {
      cause,
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

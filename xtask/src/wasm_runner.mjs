// Runs a WebAssembly test binary that cargo has built: node wasm_runner.mjs FILE ARGUMENTS…
//
// Binaries for wasm32-wasip1 get this machine's files, standard streams and environment. Those for
// wasm32-unknown-unknown have none of that: they take no arguments, say nothing, and fail by a trap, whose stack names
// the test.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [file, ...rest] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(file));
const name = basename(file);

if (WebAssembly.Module.imports(module).some((entry) => entry.module === "wasi_snapshot_preview1")) {
  const { WASI } = await import("node:wasi");
  const wasi = new WASI({
    version: "preview1",
    args: [name, ...rest],
    env: process.env,
    preopens: { "/": "/" },
    returnOnExit: true,
  });
  // Each function in one of JavaScript: Node 20 crashes some time after modules have called its own ones directly.
  const functions = Object.entries(wasi.wasiImport).map(([name, call]) => [name, (...values) => call(...values)]);
  const imports = { wasi_snapshot_preview1: Object.fromEntries(functions) };
  const instance = await WebAssembly.instantiate(module, imports);
  process.exitCode = wasi.start(instance);
} else {
  const instance = await WebAssembly.instantiate(module, {});
  const code = instance.exports.main(0, 0);
  console.log(`${name}: ${code === 0 ? "passed" : `failed with code ${code}`}`);
  process.exitCode = code;
}

// The modules of the package, and what they need of the browser.

/** A module of one function with f32x4.relaxed_madd, a fused multiply-add where the processor has one. */
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
]);

/** Returns the entry for the fastest module that this engine runs, of the names `plain`, `relaxed`, `threads`, `threadsRelaxed`. */
export function fastest(modules, threads) {
  const isRelaxed = WebAssembly.validate(RELAXED);
  if (threads > 1) return isRelaxed ? modules.threadsRelaxed : modules.threads;
  return isRelaxed ? modules.relaxed : modules.plain;
}

// A thread that helps the detector of another worker for ever.

self.onmessage = async ({ data: { module, memory, stack, variables } }) => {
  try {
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    exports.__stack_pointer.value = stack;
    exports.__wasm_init_tls(variables);
    self.postMessage({ isReady: true });
    exports.picodet_help();
  } catch (error) {
    self.postMessage({ message: String(error?.message ?? error) });
  }
};

// The errors of the package.

/** The base class; `code` is the kind of the error. */
export class PicodetError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The model cannot be loaded, or the file is not a picodet model. */
export class ModelError extends PicodetError {}
/** The image cannot be read, or is of an unsupported kind. */
export class ImageError extends PicodetError {}
/** An option is invalid. */
export class OptionError extends PicodetError {}
/** The detector has been freed. */
export class ClosedError extends PicodetError {}
/** The module has stopped: the detector cannot be used any more. */
export class InternalError extends PicodetError {}

const CLASSES = {
  model: ModelError,
  image: ImageError,
  unsupported: ImageError,
  option: OptionError,
  closed: ClosedError,
  internal: InternalError,
};

/** Returns the error of a kind. */
export function errorOf(code, message, options) {
  return new (CLASSES[code] ?? PicodetError)(code, message, options);
}

/** Returns an error as a plain object that can be sent between threads. */
export function toPlain(error) {
  if (error instanceof PicodetError) return { code: error.code, message: error.message };
  return { code: "internal", message: String(error?.message ?? error) };
}

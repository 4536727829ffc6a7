/// <reference lib="esnext.disposable" />

/** An object in an image. */
export interface Detection {
  /** Left, top, right and bottom in pixels of the image. */
  box: [x1: number, y1: number, x2: number, y2: number];
  /** Confidence, 0 to 1. */
  score: number;
  /** Index in {@link Detector.classes}. */
  classId: number;
  /** Name of the class. */
  label: string;
}

/** Pixels of four bytes, red first; the fourth byte is ignored. */
export interface Pixels {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** An image file (Blob or its bytes), pixels, or what the page shows. */
export type Source =
  | Blob
  | ArrayBufferLike
  | ArrayBufferView
  | ImageData
  | Pixels
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame;

export interface Progress {
  /** Bytes received. */
  loaded: number;
  /** Bytes of the whole file; `null` if the server does not give it. */
  total: number | null;
}

export interface CreateOptions {
  /** A native model file: its URL, a response, a Blob, or its bytes. */
  model: string | URL | Response | Blob | ArrayBufferLike | ArrayBufferView;
  /** Lower bound of the scores, 0 to 1. Default 0.4. */
  score?: number;
  /** IoU above which a box is suppressed by a better one of its class. Default 0.6. */
  iou?: number;
  /** Maximum number of detections per image. Default 100. */
  maxDetections?: number;
  /** Height and width of the network input, multiples of 32. Default: the model's own. */
  inputSize?: [height: number, width: number];
  /** Whether to detect in a worker. Default true; in Node always false. */
  worker?: boolean;
  /** Address of `worker.js`, for bundlers that do not find it. */
  workerUrl?: string | URL;
  /**
   * Number of threads of a detection, 1 to 64. More than one need a worker and a cross-origin isolated page. Default: half of
   * the processor's cores, at most 4; 1 where memory may not be shared.
   */
  threads?: number;
  /** Address of `thread.js`, for bundlers that do not find it. */
  threadUrl?: string | URL;
  /**
   * Address or contents of a module of the package, for bundlers that do not find them: `picodet.wasm`, or
   * `picodet-threads.wasm` for several threads. The modules `-relaxed` are faster, where the engine has relaxed SIMD.
   */
  wasm?: string | URL | ArrayBuffer | ArrayBufferView | WebAssembly.Module;
  /** Called while the model is downloaded. */
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

export interface DetectOptions {
  /** Lower bound of the scores, at least the detector's own. */
  score?: number;
  /** Rejects the promise with the signal's reason. */
  signal?: AbortSignal;
}

export interface StreamOptions extends DetectOptions {
  /** Maximum number of frames per second. Default: as many as the detector and the video have. */
  maxFps?: number;
}

/** The detections in a frame of a video. */
export interface Frame {
  detections: Detection[];
  /** Position in the video in seconds. */
  time: number;
  width: number;
  height: number;
}

/** A model prepared for detection. Calls may overlap; they run one after the other. */
export class Detector {
  private constructor();
  /** Loads a model. Rejects with a {@link PicodetError}, or the signal's reason. */
  static create(options: CreateOptions): Promise<Detector>;
  /** Names of the classes. */
  readonly classes: readonly string[];
  /** COCO category id of each class. */
  readonly categoryIds: readonly number[];
  /** Height and width of the network input. */
  readonly inputSize: readonly [height: number, width: number];
  /** Number of threads of a detection. */
  readonly threads: number;
  /** Version of the package. */
  readonly version: string;
  /** Memory of the WebAssembly module in bytes, after the last detection. */
  readonly memoryBytes: number;
  /** Detects the objects in an image, ordered by class and then by falling score. */
  detect(source: Source, options?: DetectOptions): Promise<Detection[]>;
  /** Detects in the newest frame of a video whenever the detector is free, until the video ends. */
  stream(video: HTMLVideoElement, options?: StreamOptions): AsyncGenerator<Frame, void, void>;
  /** Releases the worker and its memory. Later calls reject with a {@link ClosedError}. */
  free(): void;
  [Symbol.dispose](): void;
}

/** The base class of the errors; the message gives what failed and what to do. */
export class PicodetError extends Error {
  readonly code: "model" | "image" | "unsupported" | "option" | "closed" | "internal";
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

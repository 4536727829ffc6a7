/*
 * picodet: object detection with PicoDet.
 *
 * Pointers that are not NULL point to memory of the stated type and length, which no other thread writes to during the call.
 * Texts are UTF-8 and end with a zero byte; paths are bytes of the system on Unix and UTF-8 elsewhere.
 * Functions that can fail return a picodet_status; picodet_last_error describes it. Places of results are written on failure too
 * (NULL or zeros).
 * Handles (models, detectors, results, decoded images) may be used by any number of threads at the same time. A handle that is
 * closed, of another kind or not from this library gives PICODET_ERROR_HANDLE. Pointers to texts and arrays that a function
 * returns become invalid when their handle is closed.
 * The library calls nothing back, does not use errno, and frees what it has allocated.
 *
 * Generated from the sources in bindings/c by cbindgen; `PICODET_UPDATE=1 cargo test -p picodet-c --test header` writes it again.
 */

#ifndef PICODET_H
#define PICODET_H

#include <stddef.h>
#include <stdint.h>

/**
 * Version of structs and meanings; the library of another one is not compatible.
 */
#define PICODET_ABI_VERSION 1

/**
 * Precision of convolutions: 32-bit floating point.
 */
#define PICODET_PRECISION_F32 0

/**
 * Precision of convolutions: factors in bf16, sums in f32; on processors with bf16 instructions.
 */
#define PICODET_PRECISION_BF16 1

/**
 * Precision of convolutions: f16; on 64-bit ARM processors with arithmetic in it.
 */
#define PICODET_PRECISION_F16 2

/**
 * Precision of convolutions: the fastest of these on this processor.
 */
#define PICODET_PRECISION_AUTO 3

/**
 * Red, green, blue.
 */
#define PICODET_FORMAT_RGB 0

/**
 * Blue, green, red, as OpenCV has it.
 */
#define PICODET_FORMAT_BGR 1

/**
 * Red, green, blue, alpha; alpha is ignored.
 */
#define PICODET_FORMAT_RGBA 2

/**
 * Blue, green, red, alpha; alpha is ignored.
 */
#define PICODET_FORMAT_BGRA 3

/**
 * One byte of grey per pixel.
 */
#define PICODET_FORMAT_GREY 4

/**
 * YUV 4:2:2, of most webcams: luma, U, luma, V for each two pixels of a row.
 */
#define PICODET_FORMAT_YUYV 5

/**
 * YUV 4:2:0: luma, then one plane in which U and V alternate.
 */
#define PICODET_FORMAT_NV12 6

/**
 * YUV 4:2:0: luma, then one plane in which V and U alternate.
 */
#define PICODET_FORMAT_NV21 7

/**
 * YUV 4:2:0: luma, then a plane of U, then a plane of V.
 */
#define PICODET_FORMAT_I420 8

/**
 * Luma from 16 to 235, chroma from 16 to 240: video and most cameras.
 */
#define PICODET_RANGE_LIMITED 0

/**
 * Luma and chroma from 0 to 255: JPEG and some cameras.
 */
#define PICODET_RANGE_FULL 1

/**
 * Pixels that `picodet_image_decode` or `picodet_image_open` has decoded.
 */
typedef struct picodet_decoded picodet_decoded;

/**
 * The objects that were detected in one image. Any number of threads may use one.
 */
typedef struct picodet_result picodet_result;

/**
 * A model prepared for detection. Any number of threads may use one at the same time.
 */
typedef struct picodet_detector picodet_detector;

/**
 * A model: a network with its weights and class names. Any number of threads may use one.
 */
typedef struct picodet_model picodet_model;

/**
 * The result of a call: `PICODET_OK` or one of `PICODET_ERROR_…`; `picodet_last_error` describes the error.
 */
typedef int32_t picodet_status;

/**
 * An image: pixels in memory of the caller, or pixels that `picodet_image_decode` or `picodet_image_open` has decoded.
 *
 * Set all fields to 0 first, then those that are needed. Width and height are those in memory, before the rotation. YUV is
 * converted by BT.601.
 */
typedef struct picodet_image {
    /**
     * The first byte of the first row.
     */
    const uint8_t *data;
    /**
     * Number of bytes at `data`, against which sizes and strides are checked; 0: the caller has checked them.
     */
    size_t size;
    /**
     * Columns, 1 to 65,535.
     */
    uint32_t width;
    /**
     * Rows, 1 to 65,535.
     */
    uint32_t height;
    /**
     * Bytes from row to row; 0: rows follow each other without a gap.
     */
    size_t stride;
    /**
     * One of PICODET_FORMAT_.
     */
    int32_t format;
    /**
     * The clockwise rotation in degrees that turns the image upright: 0, 90, 180 or 270. Boxes are in pixels of the upright
     * image.
     */
    int32_t orientation;
    /**
     * One of PICODET_RANGE_, for YUV formats.
     */
    int32_t range;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * NV12, NV21: the plane of chroma and NULL. I420: the planes of U and V. NULL: the planes follow each other at `data`.
     */
    const uint8_t *chroma[2];
    /**
     * Number of bytes at each pointer of `chroma`; 0: the caller has checked them.
     */
    size_t chroma_size;
    /**
     * Bytes from row to row of a plane of chroma; 0 for the value that follows from `stride`.
     */
    size_t chroma_stride;
    /**
     * Pixels that the library has decoded, NULL for those of the caller.
     */
    const struct picodet_decoded *owner;
} picodet_image;

/**
 * The options of a detector; `picodet_options_init` fills in the defaults.
 */
typedef struct picodet_options {
    /**
     * Size of the struct in bytes, as the caller knows it.
     */
    size_t struct_size;
    /**
     * Minimum score of a detection, 0 to 1. Default: 0.4.
     */
    float score_threshold;
    /**
     * IoU above which a box is suppressed by a better one of its class, 0 to 1. Default: 0.6.
     */
    float iou_threshold;
    /**
     * Maximum number of detections per image, at least 1. Default: 100.
     */
    uint32_t max_detections;
    /**
     * Threads of each inference, 1 to 1024. Default: 1.
     */
    uint32_t threads;
    /**
     * Width of the network input in pixels, a multiple of 32; 0 for both sides: the model's own. Default: 0.
     */
    uint32_t input_width;
    /**
     * Height of the network input in pixels, a multiple of 32; 0 for both sides: the model's own. Default: 0.
     */
    uint32_t input_height;
    /**
     * One of PICODET_PRECISION_; a quantised model is computed in bytes, and BF16 and F16 are errors for it. Default:
     * PICODET_PRECISION_F32.
     */
    int32_t precision;
    /**
     * Must be 0.
     */
    uint32_t reserved;
    /**
     * Maximum number of pixels, width times height, of images that are decoded from files; larger JPEG pictures are decoded
     * at a half, a quarter or an eighth of their sides. Default: 100 million.
     */
    uint64_t max_pixels;
} picodet_options;

/**
 * A detected object.
 */
typedef struct picodet_detection {
    /**
     * Left edge in pixels of the upright image; may be slightly outside, as all edges.
     */
    float x1;
    /**
     * Top edge.
     */
    float y1;
    /**
     * Right edge.
     */
    float x2;
    /**
     * Bottom edge.
     */
    float y2;
    /**
     * Score, 0 to 1.
     */
    float score;
    /**
     * Index of the class.
     */
    uint32_t class_id;
    /**
     * Name of the class in UTF-8, valid until the result is closed.
     */
    const char *class_name;
} picodet_detection;

/**
 * The time of each stage of a detection in milliseconds.
 */
typedef struct picodet_times {
    /**
     * Resize and normalise.
     */
    double preprocess;
    /**
     * The network.
     */
    double network;
    /**
     * Decode and suppress.
     */
    double postprocess;
} picodet_times;

/**
 * The call succeeded.
 */
#define PICODET_OK 0

/**
 * An argument is NULL, misaligned or out of its range.
 */
#define PICODET_ERROR_ARGUMENT 1

/**
 * A handle is closed, of another kind, or not from this library.
 */
#define PICODET_ERROR_HANDLE 2

/**
 * A file cannot be read or written.
 */
#define PICODET_ERROR_FILE 3

/**
 * The model is not valid, or not possible with the options.
 */
#define PICODET_ERROR_MODEL 4

/**
 * The bytes are not a supported image, or the image is incomplete or too large.
 */
#define PICODET_ERROR_IMAGE 5

/**
 * There is not enough memory.
 */
#define PICODET_ERROR_MEMORY 6

/**
 * An error in the library; please report it with its message.
 */
#define PICODET_ERROR_INTERNAL 7

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Returns PICODET_ABI_VERSION of the library, to compare with that of the header.
 */
uint32_t picodet_abi_version(void);

/**
 * Returns the version of the library, as in "0.1.0".
 */
const char *picodet_version(void);

/**
 * Returns the message of the last call of this thread in UTF-8, empty if it succeeded; valid until the thread's next call.
 */
const char *picodet_last_error(void);

/**
 * Returns the number of open handles: models, detectors, results and decoded images that have not been closed.
 */
size_t picodet_handle_count(void);

/**
 * Opens a model file.
 *
 * Errors: PICODET_ERROR_FILE, PICODET_ERROR_MODEL.
 */
picodet_status picodet_model_open(const char *file, struct picodet_model **model);

/**
 * Opens a model from the `size` bytes of a model file, which are not needed afterwards.
 *
 * Errors: PICODET_ERROR_MODEL.
 */
picodet_status picodet_model_from_bytes(const uint8_t *data, size_t size, struct picodet_model **model);

/**
 * Opens a model that the library contains, by its name; NULL opens the default model.
 *
 * Errors: PICODET_ERROR_ARGUMENT for an unknown name.
 */
picodet_status picodet_model_embedded(const char *name, struct picodet_model **model);

/**
 * Closes a model; detectors that were created from it remain usable. NULL is ignored.
 *
 * Errors: PICODET_ERROR_HANDLE for a handle that is closed already.
 */
picodet_status picodet_model_free(struct picodet_model *model);

/**
 * Returns the number of classes; 0 on error.
 */
size_t picodet_model_class_count(const struct picodet_model *model);

/**
 * Returns the name of a class in UTF-8, valid until the model is closed; NULL on error.
 */
const char *picodet_model_class_name(const struct picodet_model *model, size_t class_id);

/**
 * Returns the COCO category id of a class; -1 on error.
 */
int64_t picodet_model_category_id(const struct picodet_model *model, size_t class_id);

/**
 * Writes width and height of the network input in pixels; either pointer may be NULL.
 */
picodet_status picodet_model_input_size(const struct picodet_model *model, uint32_t *width, uint32_t *height);

/**
 * Returns a value of the model's metadata in UTF-8, valid until the model is closed; NULL for an unknown key. Every model has
 * `variant`, `origin`, `licence` and `resize`.
 */
const char *picodet_model_metadata(const struct picodet_model *model,
                                   const char *key);

/**
 * Decodes the `size` bytes of an image file: JPEG, PNG, WebP, BMP or GIF, turned upright by its EXIF orientation, at most
 * `max_pixels` (0: 100 million). The bytes are not needed afterwards. The image is closed by `picodet_image_free`.
 *
 * Errors: PICODET_ERROR_IMAGE.
 */
picodet_status picodet_image_decode(const uint8_t *data,
                                    size_t size,
                                    uint64_t max_pixels,
                                    struct picodet_image *image);

/**
 * Reads and decodes an image file, as `picodet_image_decode` does.
 *
 * Errors: PICODET_ERROR_FILE, PICODET_ERROR_IMAGE.
 */
picodet_status picodet_image_open(const char *file, uint64_t max_pixels, struct picodet_image *image);

/**
 * Closes a decoded image and sets its fields to 0. NULL and images without an owner are ignored.
 *
 * Errors: PICODET_ERROR_HANDLE for a copy of an image that is closed already.
 */
picodet_status picodet_image_free(struct picodet_image *image);

/**
 * Fills in the default options. `struct_size` is `sizeof(picodet_options)`.
 */
picodet_status picodet_options_init(struct picodet_options *options, size_t struct_size);

/**
 * Prepares a model for detection; `options` may be NULL for the defaults. The model may be closed afterwards.
 *
 * Errors: PICODET_ERROR_ARGUMENT for an option out of its range, PICODET_ERROR_MODEL.
 */
picodet_status picodet_detector_new(const struct picodet_model *model,
                                    const struct picodet_options *options,
                                    struct picodet_detector **detector);

/**
 * Closes a detector; its results remain usable, and calls of other threads that use it end as usual. NULL is ignored.
 *
 * Errors: PICODET_ERROR_HANDLE for a handle that is closed already.
 */
picodet_status picodet_detector_free(struct picodet_detector *detector);

/**
 * Writes width and height of the network input in pixels; either pointer may be NULL.
 */
picodet_status picodet_detector_input_size(const struct picodet_detector *detector,
                                           uint32_t *width,
                                           uint32_t *height);

/**
 * Detects the objects in an image. The result is closed by `picodet_result_free`.
 *
 * Errors: PICODET_ERROR_ARGUMENT where the fields of the image contradict each other.
 */
picodet_status picodet_detect(const struct picodet_detector *detector,
                              const struct picodet_image *image,
                              struct picodet_result **result);

/**
 * Detects the objects in an image file: JPEG, PNG, WebP, BMP or GIF, turned upright by its EXIF orientation.
 *
 * Errors: PICODET_ERROR_FILE, PICODET_ERROR_IMAGE.
 */
picodet_status picodet_detect_file(const struct picodet_detector *detector,
                                   const char *file,
                                   struct picodet_result **result);

/**
 * Returns the number of detections; 0 on error.
 */
size_t picodet_result_count(const struct picodet_result *result);

/**
 * Returns the detections, ordered by class, then by falling score, valid until the result is closed; NULL on error.
 */
const struct picodet_detection *picodet_result_items(const struct picodet_result *result);

/**
 * Returns the detections as a JSON array of objects with `class`, `name`, `score` and `box` [x1, y1, x2, y2], in UTF-8, valid
 * until the result is closed; NULL on error.
 */
const char *picodet_result_json(const struct picodet_result *result);

/**
 * Writes width and height of the upright image in pixels; either pointer may be NULL.
 */
picodet_status picodet_result_image_size(const struct picodet_result *result,
                                         uint32_t *width,
                                         uint32_t *height);

/**
 * Writes the time of each stage of the detection.
 */
picodet_status picodet_result_times(const struct picodet_result *result, struct picodet_times *times);

/**
 * Writes a copy of the image, upright, with boxes, class names and scores drawn in, to a file: JPEG for .jpg and .jpeg,
 * otherwise PNG. The image is that of the detection.
 *
 * Errors: PICODET_ERROR_FILE, PICODET_ERROR_ARGUMENT for an image of another size.
 */
picodet_status picodet_result_draw(const struct picodet_result *result,
                                   const struct picodet_image *image,
                                   const char *file);

/**
 * Closes a result. NULL is ignored.
 *
 * Errors: PICODET_ERROR_HANDLE for a handle that is closed already.
 */
picodet_status picodet_result_free(struct picodet_result *result);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PICODET_H */

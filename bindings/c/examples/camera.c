/*
 * Detects the objects in the pictures of a camera (Linux, Video4Linux2), always in the newest one.
 *
 *     camera DEVICE [--size WIDTHxHEIGHT] [--format yuyv|mjpeg] [--frames COUNT] [--model FILE]
 *
 * DEVICE is a device such as /dev/video0, or a file of the bytes that such a device delivers: YUYV pictures of the given size, or
 * JPEG pictures, one after another.
 */
#define _DEFAULT_SOURCE 1
#include <picodet.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFERS 4
#define TIMEOUT_MS 5000

/* The pictures of a device or of a file. */
typedef struct source {
    int file;
    int is_device;
    int is_mjpeg;
    unsigned width, height;
    /* Of a device: its buffers, and the one that is in use. */
    void *buffers[BUFFERS];
    size_t lengths[BUFFERS];
    unsigned count;
    struct v4l2_buffer current;
    int has_current;
    /* Of a file: its bytes, and the position of the next picture. */
    unsigned char *bytes;
    size_t size, position;
} source;

static int complain(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    return -1;
}

/* As ioctl, repeated when a signal interrupts it. */
static int control(int file, unsigned long request, void *argument) {
    int result;
    do {
        result = ioctl(file, request, argument);
    } while (result == -1 && errno == EINTR);
    return result;
}

/* Asks the device for size and format, maps its buffers and starts it. */
static int start_device(source *from) {
    struct v4l2_format format;
    struct v4l2_requestbuffers request;
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    unsigned i;

    memset(&format, 0, sizeof format);
    format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    format.fmt.pix.width = from->width;
    format.fmt.pix.height = from->height;
    format.fmt.pix.pixelformat = from->is_mjpeg ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
    format.fmt.pix.field = V4L2_FIELD_ANY;
    if (control(from->file, VIDIOC_S_FMT, &format) == -1) {
        return complain("VIDIOC_S_FMT");
    }
    /* A device may choose another size or format than the one that it was asked for. */
    from->width = format.fmt.pix.width;
    from->height = format.fmt.pix.height;
    if (format.fmt.pix.pixelformat != V4L2_PIX_FMT_MJPEG && format.fmt.pix.pixelformat != V4L2_PIX_FMT_YUYV) {
        fprintf(stderr, "the device delivers neither YUYV nor MJPEG\n");
        return -1;
    }
    from->is_mjpeg = format.fmt.pix.pixelformat == V4L2_PIX_FMT_MJPEG;

    memset(&request, 0, sizeof request);
    request.count = BUFFERS;
    request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    request.memory = V4L2_MEMORY_MMAP;
    if (control(from->file, VIDIOC_REQBUFS, &request) == -1) {
        return complain("VIDIOC_REQBUFS");
    }
    for (i = 0; i < request.count && i < BUFFERS; i++) {
        struct v4l2_buffer buffer;
        memset(&buffer, 0, sizeof buffer);
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        buffer.index = i;
        if (control(from->file, VIDIOC_QUERYBUF, &buffer) == -1) {
            return complain("VIDIOC_QUERYBUF");
        }
        from->buffers[i] = mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, from->file, buffer.m.offset);
        if (from->buffers[i] == MAP_FAILED) {
            from->buffers[i] = NULL;
            return complain("mmap");
        }
        from->lengths[i] = buffer.length;
        from->count = i + 1;
        if (control(from->file, VIDIOC_QBUF, &buffer) == -1) {
            return complain("VIDIOC_QBUF");
        }
    }
    return control(from->file, VIDIOC_STREAMON, &type) == -1 ? complain("VIDIOC_STREAMON") : 0;
}

/* Waits for a picture of the device and skips those that are older than the newest. Returns 1 for a picture, -1 on failure. */
static int next_of_device(source *from, const unsigned char **data, size_t *size) {
    struct pollfd ready;
    if (from->has_current && control(from->file, VIDIOC_QBUF, &from->current) == -1) {
        return complain("VIDIOC_QBUF");
    }
    from->has_current = 0;
    ready.fd = from->file;
    ready.events = POLLIN;
    if (poll(&ready, 1, TIMEOUT_MS) <= 0) {
        fprintf(stderr, "the device has delivered nothing for %d ms\n", TIMEOUT_MS);
        return -1;
    }
    for (;;) {
        struct v4l2_buffer buffer;
        memset(&buffer, 0, sizeof buffer);
        buffer.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        buffer.memory = V4L2_MEMORY_MMAP;
        if (control(from->file, VIDIOC_DQBUF, &buffer) == -1) {
            if (errno == EAGAIN && from->has_current) {
                break;
            }
            return complain("VIDIOC_DQBUF");
        }
        if (from->has_current && control(from->file, VIDIOC_QBUF, &from->current) == -1) {
            return complain("VIDIOC_QBUF");
        }
        from->current = buffer;
        from->has_current = 1;
    }
    if (from->current.index >= from->count || from->current.bytesused > from->lengths[from->current.index]) {
        fprintf(stderr, "the device names a buffer that it does not have\n");
        return -1;
    }
    *data = (const unsigned char *)from->buffers[from->current.index];
    *size = from->current.bytesused;
    return 1;
}

/* Reads the whole file. */
static int start_file(source *from) {
    size_t capacity = 0;
    for (;;) {
        ssize_t count;
        if (from->size == capacity) {
            unsigned char *larger;
            capacity = capacity == 0 ? 1 << 20 : 2 * capacity;
            larger = (unsigned char *)realloc(from->bytes, capacity);
            if (larger == NULL) {
                return complain("realloc");
            }
            from->bytes = larger;
        }
        count = read(from->file, from->bytes + from->size, capacity - from->size);
        if (count < 0) {
            return complain("read");
        }
        if (count == 0) {
            return 0;
        }
        from->size += (size_t)count;
    }
}

/* Returns the length of the JPEG picture at the beginning of `bytes`; the whole size where its end is missing. */
static size_t jpeg_length(const unsigned char *bytes, size_t size) {
    size_t at = 2;
    /* Segments have a length; the scan after the last one ends with the marker FF D9. */
    while (at + 4 <= size && bytes[at] == 0xff && bytes[at + 1] != 0xda) {
        at += 2 + (size_t)(bytes[at + 2] << 8 | bytes[at + 3]);
    }
    for (; at + 2 <= size; at++) {
        if (bytes[at] == 0xff && bytes[at + 1] == 0xd9) {
            return at + 2;
        }
    }
    return size;
}

/* Returns 1 for a picture, 0 at the end of the file. */
static int next_of_file(source *from, const unsigned char **data, size_t *size) {
    const size_t left = from->size - from->position;
    const size_t picture = (size_t)from->width * from->height * 2;
    *data = from->bytes + from->position;
    *size = from->is_mjpeg ? jpeg_length(*data, left) : picture;
    if (left == 0 || *size > left) {
        return 0;
    }
    from->position += *size;
    return 1;
}

static int open_source(source *from, const char *path) {
    struct stat status;
    from->file = open(path, O_RDWR | O_NONBLOCK);
    if (from->file == -1) {
        from->file = open(path, O_RDONLY);
    }
    if (from->file == -1 || fstat(from->file, &status) == -1) {
        return complain(path);
    }
    from->is_device = S_ISCHR(status.st_mode);
    return from->is_device ? start_device(from) : start_file(from);
}

static void close_source(source *from) {
    unsigned i;
    if (from->is_device) {
        int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
        control(from->file, VIDIOC_STREAMOFF, &type);
    }
    for (i = 0; i < from->count; i++) {
        munmap(from->buffers[i], from->lengths[i]);
    }
    free(from->bytes);
    if (from->file != -1) {
        close(from->file);
    }
}

/* Detects in one picture and prints a line per object. */
static int detect(const picodet_detector *detector, const source *from, unsigned long frame,
                  const unsigned char *data, size_t size) {
    picodet_image image;
    picodet_result *result = NULL;
    memset(&image, 0, sizeof image);
    if (from->is_mjpeg) {
        if (picodet_image_decode(data, size, 0, &image) != PICODET_OK) {
            /* Cameras deliver a broken picture now and then. */
            fprintf(stderr, "frame %lu: %s\n", frame, picodet_last_error());
            return 0;
        }
    } else {
        image.data = data;
        image.size = size;
        image.width = from->width;
        image.height = from->height;
        image.format = PICODET_FORMAT_YUYV;
    }
    if (picodet_detect(detector, &image, &result) != PICODET_OK) {
        fprintf(stderr, "frame %lu: %s\n", frame, picodet_last_error());
        picodet_image_free(&image);
        return -1;
    }
    {
        const picodet_detection *found = picodet_result_items(result);
        const size_t count = picodet_result_count(result);
        size_t i;
        printf("frame %lu: %lu objects\n", frame, (unsigned long)count);
        for (i = 0; i < count; i++) {
            printf("  %s %.3f [%.1f, %.1f, %.1f, %.1f]\n", found[i].class_name, (double)found[i].score,
                   (double)found[i].x1, (double)found[i].y1, (double)found[i].x2, (double)found[i].y2);
        }
        fflush(stdout);
    }
    picodet_result_free(result);
    picodet_image_free(&image);
    return 0;
}

static int run(source *from, const picodet_detector *detector, unsigned long frames) {
    unsigned long frame;
    for (frame = 0; frame < frames; frame++) {
        const unsigned char *data = NULL;
        size_t size = 0;
        const int got = from->is_device ? next_of_device(from, &data, &size) : next_of_file(from, &data, &size);
        if (got <= 0) {
            return got;
        }
        if (detect(detector, from, frame, data, size) != 0) {
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *path = NULL, *model_file = NULL;
    unsigned long frames = (unsigned long)-1;
    picodet_model *model = NULL;
    picodet_detector *detector = NULL;
    picodet_status status;
    source from;
    int i, code = 1;

    memset(&from, 0, sizeof from);
    from.file = -1;
    from.width = 640;
    from.height = 480;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--size") == 0 && i + 1 < argc) {
            if (sscanf(argv[++i], "%ux%u", &from.width, &from.height) != 2) {
                fprintf(stderr, "--size: expected WIDTHxHEIGHT\n");
                return 2;
            }
        } else if (strcmp(argv[i], "--format") == 0 && i + 1 < argc) {
            from.is_mjpeg = strcmp(argv[++i], "mjpeg") == 0;
        } else if (strcmp(argv[i], "--frames") == 0 && i + 1 < argc) {
            frames = strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--model") == 0 && i + 1 < argc) {
            model_file = argv[++i];
        } else {
            path = argv[i];
        }
    }
    if (path == NULL) {
        fprintf(stderr, "usage: camera DEVICE [--size WxH] [--format yuyv|mjpeg] [--frames COUNT] [--model FILE]\n");
        return 2;
    }
    status = model_file != NULL ? picodet_model_open(model_file, &model) : picodet_model_embedded(NULL, &model);
    if (status != PICODET_OK || picodet_detector_new(model, NULL, &detector) != PICODET_OK) {
        fprintf(stderr, "model: %s\n", picodet_last_error());
    } else if (open_source(&from, path) == 0 && run(&from, detector, frames) == 0) {
        code = 0;
    }
    close_source(&from);
    picodet_detector_free(detector);
    picodet_model_free(model);
    return code;
}

/*
 * A camera for tests: preloaded into a program, it answers for the device FAKE_CAMERA as Video4Linux2 does. The pictures are those
 * of the file FAKE_CAMERA_FILE, each FAKE_CAMERA_SIZE bytes long, delivered one after another; after the last, nothing comes.
 */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BUFFERS 8

static int device = -1;
static unsigned char *buffers[MAX_BUFFERS];
static unsigned count, first, queued;
static unsigned queue[MAX_BUFFERS];
static int is_on;
static FILE *pictures;
static size_t picture_size;

static int refuse(int error) {
    errno = error;
    return -1;
}

int open(const char *path, int flags, ...) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    const char *name = getenv("FAKE_CAMERA");
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (name != NULL && strcmp(path, name) == 0) {
        pictures = fopen(getenv("FAKE_CAMERA_FILE"), "rb");
        picture_size = strtoul(getenv("FAKE_CAMERA_SIZE"), NULL, 10);
        /* A character device that does nothing. */
        device = real("/dev/null", O_RDWR);
        return device;
    }
    return real(path, flags, mode);
}

static int set_format(struct v4l2_format *format) {
    /* A device may have other sizes than the one that it is asked for. */
    format->fmt.pix.width = 640;
    format->fmt.pix.height = 480;
    format->fmt.pix.sizeimage = 640 * 480 * 2;
    return 0;
}

static int request(struct v4l2_requestbuffers *wanted) {
    count = wanted->count < 3 ? wanted->count : 3;
    wanted->count = count;
    return 0;
}

static int enqueue(const struct v4l2_buffer *buffer) {
    if (buffer->index >= count || queued == count) {
        return refuse(EINVAL);
    }
    queue[(first + queued++) % MAX_BUFFERS] = buffer->index;
    return 0;
}

static int dequeue(struct v4l2_buffer *buffer) {
    unsigned index;
    /* The picture is fetched before the program asks for another one, so that at most one is ready. */
    static int delivered;
    if (!is_on || queued == 0) {
        return refuse(EINVAL);
    }
    if (delivered) {
        delivered = 0;
        return refuse(EAGAIN);
    }
    index = queue[first];
    if (fread(buffers[index], 1, picture_size, pictures) != picture_size) {
        return refuse(EIO);
    }
    first = (first + 1) % MAX_BUFFERS;
    queued--;
    delivered = 1;
    buffer->index = index;
    buffer->bytesused = (unsigned)picture_size;
    return 0;
}

int ioctl(int file, unsigned long command, ...) {
    int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    void *argument;
    va_list arguments;
    va_start(arguments, command);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (file != device || device == -1) {
        return real(file, command, argument);
    }
    switch (command) {
    case VIDIOC_S_FMT:
        return set_format((struct v4l2_format *)argument);
    case VIDIOC_REQBUFS:
        return request((struct v4l2_requestbuffers *)argument);
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buffer = (struct v4l2_buffer *)argument;
        if (buffer->index >= count) {
            return refuse(EINVAL);
        }
        buffer->length = 640 * 480 * 2;
        buffer->m.offset = buffer->index * buffer->length;
        return 0;
    }
    case VIDIOC_QBUF:
        return enqueue((const struct v4l2_buffer *)argument);
    case VIDIOC_DQBUF:
        return dequeue((struct v4l2_buffer *)argument);
    case VIDIOC_STREAMON:
        is_on = 1;
        return 0;
    case VIDIOC_STREAMOFF:
        is_on = 0;
        if (pictures != NULL) {
            fclose(pictures);
            pictures = NULL;
        }
        return 0;
    default:
        return refuse(ENOTTY);
    }
}

int poll(struct pollfd *files, nfds_t number, int timeout) {
    int (*real)(struct pollfd *, nfds_t, int) = (int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
    if (number != 1 || files[0].fd != device) {
        return real(files, number, timeout);
    }
    files[0].revents = POLLIN;
    return 1;
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    void *(*real)(void *, size_t, int, int, int, off_t) =
        (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
    if (file == device && device != -1) {
        void *memory = real(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        buffers[(size_t)offset / length] = (unsigned char *)memory;
        return memory;
    }
    return real(address, length, protection, flags, file, offset);
}

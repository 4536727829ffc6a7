/*
 * What the native library uses of Android's C library and glibc has under another name or not at all, so that a test can load
 * the library for Android into a program of glibc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>

int *__errno(void) { return &errno; }

/* No system property is set. */
int __system_property_get(const char *name, char *value) {
    (void)name;
    value[0] = 0;
    return 0;
}

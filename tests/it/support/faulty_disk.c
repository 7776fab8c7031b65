/* Loaded before the C library: makes a disk fail while a file is there that says how. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *how) {
    const char *folder = getenv("FAULTY_DISK");
    char path[4096];
    struct stat there;
    if (!folder || snprintf(path, sizeof path, "%s/%s", folder, how) >= (int)sizeof path) return 0;
    return stat(path, &there) == 0;
}

/* What was written may be lost, and the kernel says so once. */
#define SYNC(name)                                        \
    int name(int fd) {                                    \
        static int (*real)(int);                          \
        if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name); \
        if (fails("eio")) { errno = EIO; return -1; }     \
        return real(fd);                                  \
    }
SYNC(fsync)
SYNC(fdatasync)

/* No room for another byte. */
#define WRITE(name, offset)                               \
    ssize_t name(int fd, const void *bytes, size_t count, offset at) { \
        static ssize_t (*real)(int, const void *, size_t, offset); \
        if (!real) real = (ssize_t (*)(int, const void *, size_t, offset))dlsym(RTLD_NEXT, #name); \
        if (fails("enospc")) { errno = ENOSPC; return -1; } \
        return real(fd, bytes, count, at);                \
    }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)

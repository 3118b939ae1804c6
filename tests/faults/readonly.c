/* As if a file system had turned read-only below a running process: with LD_PRELOAD, as soon as the file named in
   READONLY_WHEN exists, whatever would change something below READONLY_BELOW fails with EROFS. Reading goes on. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int below(const char *path) {
    const char *place = getenv("READONLY_BELOW");
    size_t length = place ? strlen(place) : 0;
    return length && !strncmp(path, place, length) && (path[length] == '/' || !path[length]);
}

static int on(void) {
    const char *when = getenv("READONLY_WHEN");
    return when && !access(when, F_OK);
}

static int fd_is_below(int fd) {
    char link[64], path[PATH_MAX];
    if (!on())
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

static int path_is_below(int fd, const char *name) {
    if (!name)
        return fd_is_below(fd);
    if (name[0] == '/')
        return on() && below(name);
    return fd != AT_FDCWD && fd_is_below(fd);
}

#define REFUSE(condition) do { if (condition) { errno = EROFS; return -1; } } while (0)

static int would_write(int fd, const char *name, int flags) {
    if ((flags & O_ACCMODE) == O_RDONLY && !((flags & O_CREAT) && faccessat(fd, name, F_OK, 0)))
        return 0;
    return path_is_below(fd, name);
}

#define OPEN(name)                                                                 \
    int name(const char *path, int flags, ...) {                                   \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        REFUSE(would_write(AT_FDCWD, path, flags));                                \
        return REAL(name)(path, flags, mode);                                      \
    }
#define OPENAT(name)                                                               \
    int name(int fd, const char *path, int flags, ...) {                           \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        REFUSE(would_write(fd, path, flags));                                      \
        return REAL(name)(fd, path, flags, mode);                                  \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *data, size_t size) { REFUSE(fd_is_below(fd)); return REAL(write)(fd, data, size); }
ssize_t writev(int fd, const struct iovec *v, int n) { REFUSE(fd_is_below(fd)); return REAL(writev)(fd, v, n); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REFUSE(fd_is_below(fd));
    return REAL(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REFUSE(fd_is_below(fd));
    return REAL(pwrite64)(fd, data, size, at);
}
int ftruncate(int fd, off_t size) { REFUSE(fd_is_below(fd)); return REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { REFUSE(fd_is_below(fd)); return REAL(ftruncate64)(fd, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    return fd_is_below(fd) ? EROFS : REAL(posix_fallocate)(fd, at, size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    return fd_is_below(fd) ? EROFS : REAL(posix_fallocate64)(fd, at, size);
}
int fchmod(int fd, mode_t mode) { REFUSE(fd_is_below(fd)); return REAL(fchmod)(fd, mode); }
int fchown(int fd, uid_t user, gid_t group) { REFUSE(fd_is_below(fd)); return REAL(fchown)(fd, user, group); }
int futimens(int fd, const struct timespec t[2]) { REFUSE(fd_is_below(fd)); return REAL(futimens)(fd, t); }
int utimensat(int fd, const char *name, const struct timespec t[2], int flags) {
    REFUSE(path_is_below(fd, name));
    return REAL(utimensat)(fd, name, t, flags);
}
int rename(const char *old, const char *new) {
    REFUSE(path_is_below(AT_FDCWD, new));
    return REAL(rename)(old, new);
}
int renameat(int fd, const char *old, int other, const char *new) {
    REFUSE(path_is_below(other, new));
    return REAL(renameat)(fd, old, other, new);
}
int linkat(int fd, const char *old, int other, const char *new, int flags) {
    REFUSE(path_is_below(other, new));
    return REAL(linkat)(fd, old, other, new, flags);
}
int unlink(const char *path) { REFUSE(path_is_below(AT_FDCWD, path)); return REAL(unlink)(path); }
int unlinkat(int fd, const char *name, int flags) {
    REFUSE(path_is_below(fd, name));
    return REAL(unlinkat)(fd, name, flags);
}
int mkdir(const char *path, mode_t mode) { REFUSE(path_is_below(AT_FDCWD, path)); return REAL(mkdir)(path, mode); }
int mkdirat(int fd, const char *name, mode_t mode) {
    REFUSE(path_is_below(fd, name));
    return REAL(mkdirat)(fd, name, mode);
}
int rmdir(const char *path) { REFUSE(path_is_below(AT_FDCWD, path)); return REAL(rmdir)(path); }

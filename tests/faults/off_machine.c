/* A machine that is off, for a real process: loaded before libc, between it and the kernel.
 *
 * The time of day is set off by OFF_CLOCK's file ("+3600", "-3600", "frozen"), read at each look; the monotonic
 * clocks are left alone. A write to, or an fsync of, a file whose name ends in ".jsonl" fails as off_disk() has
 * been told: the number-th of its kind, and every one behind it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NONE, FULL, BROKEN, FSYNC };
static int kind = NONE, number = 0, writes = 0, fsyncs = 0, failed = 0;

void off_disk(int wanted, int at) { kind = wanted; number = at; writes = fsyncs = failed = 0; }
int off_writes(void) { return writes; }
int off_fsyncs(void) { return fsyncs; }
int off_failed(void) { return failed; }

static int journal(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    return size > 6 && memcmp(path + size - 6, ".jsonl", 6) == 0;
}

ssize_t write(int file, const void *data, size_t size) {
    if (kind != NONE && journal(file)) {
        writes++;
        if (kind != FSYNC && writes >= number) {
            failed++;
            if (kind == FULL && writes == number && size > 1)
                return syscall(SYS_write, file, data, size / 2); /* the next one finds nothing left */
            errno = kind == FULL ? ENOSPC : EIO;
            return -1;
        }
    }
    return syscall(SYS_write, file, data, size);
}

int fsync(int file) {
    if (kind != NONE && journal(file)) {
        fsyncs++;
        if (kind == FSYNC && fsyncs >= number) {
            failed++;
            errno = EIO;
            return -1;
        }
    }
    return syscall(SYS_fsync, file);
}

static void set_off(struct timespec *now) {
    static time_t frozen = 0;
    char text[32] = "";
    const char *path = getenv("OFF_CLOCK");
    int file = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    if (size <= 0) return;
    if (strncmp(text, "frozen", 6) != 0) { frozen = 0; now->tv_sec += atol(text); return; }
    if (frozen == 0) frozen = now->tv_sec;
    now->tv_sec = frozen;
    now->tv_nsec = 0;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int found = syscall(SYS_clock_gettime, which, now);
    if (found == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) set_off(now);
    return found;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (into) *into = found.tv_sec;
    return found.tv_sec;
}

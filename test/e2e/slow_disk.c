// SPDX-License-Identifier: Apache-2.0
// A slow disk for tests, loaded in front of the C library: writes to regular files take as long as
// they would at $SLOW_DISK_BYTES_PER_S. The bytes go through unchanged.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t free_at_ns; // when the disk has done what it was given

static int64_t now_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void take_time(int fd, size_t bytes) {
    struct stat st;
    const char *rate = getenv("SLOW_DISK_BYTES_PER_S");
    if (rate == NULL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    int64_t cost = (int64_t)((double)bytes * 1e9 / atof(rate));
    (void)pthread_mutex_lock(&lock);
    int64_t now = now_ns();
    free_at_ns = (free_at_ns > now ? free_at_ns : now) + cost;
    int64_t wait = free_at_ns - now;
    (void)pthread_mutex_unlock(&lock);
    struct timespec t = {wait / 1000000000, wait % 1000000000};
    (void)nanosleep(&t, NULL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *p, size_t n) {
    take_time(fd, n);
    return REAL(write)(fd, p, n);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    take_time(fd, n);
    return REAL(pwrite)(fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
    take_time(fd, n);
    return REAL(pwrite64)(fd, p, n, at);
}

// SPDX-License-Identifier: Apache-2.0
// Random bytes from the kernel.
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/panic.h"

static const char hex[] = "0123456789abcdef";

void yg_rand_bytes(void *out, size_t len) {
    unsigned char *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            yg_panic(__FILE__, __LINE__, "getrandom failed: errno %d", errno);
        p += n;
        len -= (size_t)n;
    }
}

uint64_t yg_rand_u64(void) {
    uint64_t v;
    yg_rand_bytes(&v, sizeof(v));
    return v;
}

void yg_rand_hex(char *out, size_t digits) {
    unsigned char raw[64];
    for (size_t at = 0; at < digits;) {
        size_t n = digits - at < sizeof(raw) ? digits - at : sizeof(raw);
        yg_rand_bytes(raw, n);
        for (size_t i = 0; i < n; i++)
            out[at + i] = hex[raw[i] & 15];
        at += n;
    }
}

void yg_uuid_v4(char out[YG_UUID_TEXT_BYTES]) {
    unsigned char raw[16];
    yg_rand_bytes(raw, sizeof(raw));
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    char *p = out;
    for (size_t i = 0; i < sizeof(raw); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[raw[i] >> 4];
        *p++ = hex[raw[i] & 15];
    }
    *p = 0;
}

// SPDX-License-Identifier: Apache-2.0
// Log lines: one JSON object a line, one write(2) a line, held back when a place floods.
#include "base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

#define LINES_PER_SECOND 10u
#define LINE_BYTES 4096u

static _Atomic int level_min = YG_LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // the call sites' counts

static const char *const level_names[YG_LOG_LEVEL_COUNT] = {
    [YG_LOG_DEBUG] = "debug",
    [YG_LOG_INFO] = "info",
    [YG_LOG_WARN] = "warn",
    [YG_LOG_ERROR] = "error",
};

void yg_log_level_set(enum yg_log_level level) {
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
}

bool yg_log_level_parse(yg_str name, enum yg_log_level *ret_level) {
    for (int i = 0; i < YG_LOG_LEVEL_COUNT; i++)
        if (yg_str_eq_nocase(name, yg_str_c(level_names[i]))) {
            *ret_level = (enum yg_log_level)i;
            return true;
        }
    return false;
}

struct line {
    char text[LINE_BYTES];
    size_t len;
};

// Leaves room for the closing brace and the line end.
static void put(struct line *l, const char *p, size_t n) {
    size_t room = LINE_BYTES - 2 - l->len;
    if (n > room)
        n = room;
    memcpy(l->text + l->len, p, n);
    l->len += n;
}

static void put_quoted(struct line *l, yg_str s) {
    put(l, "\"", 1);
    for (size_t i = 0; i < s.len && l->len < LINE_BYTES - 16; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '"' || c == '\\') {
            put(l, "\\", 1);
            put(l, s.ptr + i, 1);
        } else if (c < 0x20 || c == 0x7f) {
            char esc[8];
            put(l, esc, (size_t)snprintf(esc, sizeof(esc), "\\u%04x", c));
        } else {
            put(l, s.ptr + i, 1);
        }
    }
    put(l, "\"", 1);
}

static void put_kv(struct line *l, const struct yg_log_kv *kv) {
    char number[40];
    if (l->len > LINE_BYTES - 96 - strlen(kv->key))
        return; // no room for a whole pair: leave it out rather than break the JSON
    put(l, ",", 1);
    put_quoted(l, yg_str_c(kv->key));
    put(l, ":", 1);
    switch (kv->kind) {
    case YG_KV_STR_KIND:
        put_quoted(l, kv->str);
        break;
    case YG_KV_INT_KIND:
        put(l, number, (size_t)snprintf(number, sizeof(number), "%lld", (long long)kv->i64));
        break;
    case YG_KV_F64_KIND:
        if (isfinite(kv->f64))
            put(l, number, (size_t)snprintf(number, sizeof(number), "%.6g", kv->f64));
        else
            put(l, "null", 4);
        break;
    }
}

// May this site write now? *ret_held: lines that were kept back since its last one.
static bool admit(struct yg_log_site *site, uint32_t *ret_held) {
    int64_t second = yg_mono_ns(&yg_clock_system) / YG_NS_PER_S;
    bool yes = true;
    *ret_held = 0;
    pthread_mutex_lock(&lock);
    if (site->second != second) {
        site->second = second;
        site->count = 0;
    }
    if (site->count >= LINES_PER_SECOND) {
        site->held++;
        yes = false;
    } else {
        site->count++;
        *ret_held = site->held;
        site->held = 0;
    }
    pthread_mutex_unlock(&lock);
    return yes;
}

void yg_log_write(struct yg_log_site *site, enum yg_log_level level, const char *room,
                  const char *message, const struct yg_log_kv *kv, size_t kv_count) {
    uint32_t held;
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed) || !admit(site, &held))
        return;
    struct line l;
    l.len = 0;
    char time_text[YG_TIME_TEXT_BYTES];
    size_t time_len = yg_time_format_iso(yg_now_ns(&yg_clock_system), time_text);
    put(&l, "{\"ts\":", 6);
    put_quoted(&l, (yg_str){time_text, time_len});
    put_kv(&l, &YG_KV_C("level", level_names[level]));
    put_kv(&l, &YG_KV_C("room", room));
    put_kv(&l, &YG_KV_C("msg", message));
    for (size_t i = 0; i < kv_count; i++)
        put_kv(&l, &kv[i]);
    if (held)
        put_kv(&l, &YG_KV_INT("held_back", held));
    l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    ssize_t n = write(STDERR_FILENO, l.text, l.len);
    (void)n; // there is nowhere to report a failing log
}

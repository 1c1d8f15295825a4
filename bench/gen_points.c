// SPDX-License-Identifier: Apache-2.0
// Metric points of 50,000 series: 14,500 counts, gauges with two decimals, latencies, gauges that
// seldom change, and series that are mostly zero. Values are those of a walk a series.
#include "gen.h"

#include "codec/protobuf.h"

#include <stdlib.h>

enum kind { COUNT, GAUGE, LATENCY, SELDOM, ZERO };

// Metric families; the members add up to GEN_SERIES.
static const struct family {
    const char *name;
    enum kind kind;
    uint32_t series;
} families[] = {
    {"fleet.requests", COUNT, 14500},    {"fleet.memory.used_mb", GAUGE, 12000},
    {"fleet.latency_ms", LATENCY, 5500}, {"fleet.concurrency.reserved", SELDOM, 10000},
    {"fleet.errors", ZERO, 5000},        {"fleet.throttles", ZERO, 3000},
};

static const struct family *family_of(uint32_t series, uint32_t *ret_member) {
    const struct family *f = families;
    while (series >= f->series)
        series -= (f++)->series;
    *ret_member = series;
    return f;
}

void gen_points_init(struct gen_points *p, uint64_t seed, uint32_t first, uint32_t count,
                     int64_t start_s, uint32_t interval_s) {
    *p = (struct gen_points){.seed = seed,
                             .first = first,
                             .count = count,
                             .interval_s = interval_s,
                             .next_s = start_s,
                             .level = calloc(count, sizeof(double)),
                             .random = calloc(count, sizeof(uint64_t))};
    if (p->level == NULL || p->random == NULL) {
        fputs("gen: no memory for the series\n", stderr);
        exit(1);
    }
    for (uint32_t i = 0; i < count; i++) {
        p->random[i] = gen_state(seed, 'M', first + i);
        p->level[i] = 10 + gen_skewed(&p->random[i], 500);
    }
}

void gen_points_fini(struct gen_points *p) {
    free(p->level);
    free(p->random);
}

// In hundredths, so that every form writes the same decimal number.
static int64_t next_value(struct gen_points *p, enum kind kind, uint32_t i) {
    uint64_t *s = &p->random[i];
    double *level = &p->level[i];
    switch (kind) {
    case COUNT:
        *level += (gen_unit(s) - 0.5) * (*level > 400 ? 3 : 2);
        if (*level < 1)
            *level = 1;
        return 100 * (int64_t)(*level * (0.8 + 0.4 * gen_unit(s)));
    case GAUGE:
        *level += (gen_unit(s) - 0.5) * 4;
        if (*level < 0)
            *level = 0;
        return (int64_t)(*level * 100);
    case LATENCY: {
        double u = gen_unit(s);
        return (int64_t)((*level + u * u * u * u * 900) * 100);
    }
    case SELDOM:
        if (gen_below(s, 200) == 0)
            *level = gen_below(s, 64);
        return 100 * (int64_t)*level;
    case ZERO:
        return gen_below(s, 60) ? 0 : 100 * (1 + gen_below(s, 9));
    }
    return 0;
}

int64_t gen_points_value(struct gen_points *p, uint32_t i) {
    uint32_t member;
    return next_value(p, family_of((p->first + i) % GEN_SERIES, &member)->kind, i);
}

const char *gen_points_family(const struct gen_points *p, uint32_t i) {
    uint32_t member;
    return family_of((p->first + i) % GEN_SERIES, &member)->name;
}

static void put_value(struct yg_buf *out, int64_t hundredths) {
    if (hundredths % 100)
        yg_buf_printf(out, "%lld.%02d", (long long)(hundredths / 100), (int)(hundredths % 100));
    else
        yg_buf_printf(out, "%lld", (long long)(hundredths / 100));
}

// Tags of a series: its function's, and a number that keeps members of one family apart.
static uint32_t tags_of(uint32_t member, yg_str *tags, char *text, size_t cap) {
    const struct gen_function *f = gen_function(member % GEN_FUNCTIONS);
    int len = snprintf(text, cap, "env:prod|functionname:%s|service:%s|team:%s|version:%s|az:%c",
                       f->name.ptr, f->service.ptr, f->team.ptr, f->version.ptr,
                       (char)('a' + member / GEN_FUNCTIONS % 3));
    yg_str rest = {text, (size_t)len};
    uint32_t n = 0;
    for (size_t at; (at = yg_str_find_char(rest, '|', 0)) != SIZE_MAX;
         rest = yg_str_sub(rest, at + 1, rest.len))
        tags[n++] = yg_str_sub(rest, 0, at);
    tags[n++] = rest;
    return n;
}

struct one {
    const struct family *family;
    yg_str tags[8];
    uint32_t tag_count, member;
    char host[24], text[400];
};

static void describe(uint32_t series, struct one *o) {
    o->family = family_of(series, &o->member);
    o->tag_count = tags_of(o->member, o->tags, o->text, sizeof(o->text));
    snprintf(o->host, sizeof(o->host), "i-%04u", o->member / GEN_FUNCTIONS);
}

static void put_json(struct gen_points *p, const struct one *o, uint32_t i, uint32_t points,
                     bool more, struct yg_buf *out) {
    yg_buf_printf(out, "%s{\"metric\":\"%s\",\"type\":%d,\"interval\":%u,\"points\":[",
                  more ? "," : "", o->family->name, o->family->kind == COUNT ? 1 : 3,
                  p->interval_s);
    for (uint32_t n = 0; n < points; n++) {
        yg_buf_printf(out, "%s{\"timestamp\":%lld,\"value\":", n ? "," : "",
                      (long long)(p->next_s + (int64_t)n * p->interval_s));
        put_value(out, next_value(p, o->family->kind, i));
        yg_buf_putc(out, '}');
    }
    yg_buf_puts(out, YG_STR("],\"tags\":["));
    for (uint32_t t = 0; t < o->tag_count; t++)
        yg_buf_printf(out, "%s\"%.*s\"", t ? "," : "", (int)o->tags[t].len, o->tags[t].ptr);
    yg_buf_printf(out, "],\"resources\":[{\"type\":\"host\",\"name\":\"%s\"}]}", o->host);
}

static void put_protobuf(struct gen_points *p, const struct one *o, uint32_t i, uint32_t points,
                         struct yg_buf *series, struct yg_buf *part, struct yg_buf *out) {
    yg_buf_reset(series);
    yg_buf_reset(part);
    yg_pb_put_bytes(part, 1, YG_STR("host"));
    yg_pb_put_bytes(part, 2, yg_str_c(o->host));
    yg_pb_put_bytes(series, 1, yg_buf_str(part));
    yg_pb_put_bytes(series, 2, yg_str_c(o->family->name));
    for (uint32_t t = 0; t < o->tag_count; t++)
        yg_pb_put_bytes(series, 3, o->tags[t]);
    for (uint32_t n = 0; n < points; n++) {
        yg_buf_reset(part);
        yg_pb_put_f64(part, 1, (double)next_value(p, o->family->kind, i) / 100);
        yg_pb_put_varint(part, 2, (uint64_t)(p->next_s + (int64_t)n * p->interval_s));
        yg_pb_put_bytes(series, 4, yg_buf_str(part));
    }
    yg_pb_put_varint(series, 5, o->family->kind == COUNT ? 1 : 3);
    yg_pb_put_varint(series, 8, p->interval_s);
    yg_pb_put_bytes(out, 1, yg_buf_str(series));
}

void gen_points_body(struct gen_points *p, enum gen_points_form form, uint32_t first,
                     uint32_t count, uint32_t points, struct yg_buf *out) {
    struct yg_buf series = YG_BUF(YG_MEM_BASE, 1u << 20), part = YG_BUF(YG_MEM_BASE, 1u << 10);
    struct one o;
    if (form == GEN_POINTS_JSON)
        yg_buf_puts(out, YG_STR("{\"series\":["));
    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = first + n - p->first;
        describe(first + n, &o);
        if (form == GEN_POINTS_JSON)
            put_json(p, &o, i, points, n > 0, out);
        else
            put_protobuf(p, &o, i, points, &series, &part, out);
    }
    if (form == GEN_POINTS_JSON)
        yg_buf_puts(out, YG_STR("]}"));
    yg_buf_fini(&series);
    yg_buf_fini(&part);
}

void gen_points_forward(struct gen_points *p, uint32_t points) {
    p->next_s += (int64_t)points * p->interval_s;
}

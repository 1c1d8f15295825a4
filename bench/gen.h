// SPDX-License-Identifier: Apache-2.0
// Rows of an invented fleet of Lambda functions, the same for every server that is measured:
// a row is a function of (seed, block, place in the block), whoever writes it and in what form.
//
// A block is about 1,000 rows that belong together (whole requests, whole traces) and stands for
// one slice of the time between start_ms and end_ms.
#ifndef YG_BENCH_GEN_H
#define YG_BENCH_GEN_H

#include "base/buf.h"

#define GEN_BLOCK_ROWS 1000u
#define GEN_FIELDS_MAX 64
#define GEN_TEXT_MAX 6144
#define GEN_FUNCTIONS 500u
#define GEN_SERVICES 80u

struct gen {
    uint64_t seed;
    int64_t start_ms, end_ms; // the rows' times
    uint64_t blocks;          // blocks between start_ms and end_ms
};

// Where a field stands in the vendor's form of the row.
enum gen_place {
    GEN_TOP,      // a reserved field of the row
    GEN_TAG,      // logs: one word of ddtags; spans: meta
    GEN_ATTRIBUTE // logs: a (nested) attribute; spans: metrics
};

struct gen_field {
    yg_str key;   // dotted path
    yg_str value; // text as it stands in JSON (escapes written); numbers as digits
    enum gen_place place;
    bool number;
};

struct gen_row {
    int64_t at_ns;
    struct gen_field fields[GEN_FIELDS_MAX];
    uint32_t field_count;
    // Spans only.
    uint64_t trace_hi, trace_lo, span_id, parent_id;
    int64_t duration_ns;
    bool error;
    yg_str service, name, resource, type;
    uint32_t text_len;
    char text[GEN_TEXT_MAX];
};

typedef void (*gen_row_fn)(void *arg, const struct gen_row *row, bool first_of_trace,
                           uint32_t trace_spans);

// Calls fn for every row of the block, in the order in which a fleet would send them. The row is
// borrowed for the call. Returns the rows.
uint32_t gen_logs(const struct gen *g, uint64_t block, gen_row_fn fn, void *arg);
uint32_t gen_spans(const struct gen *g, uint64_t block, gen_row_fn fn, void *arg);

// ------------------------------------------------------------ metrics

#define GEN_SERIES 50000u
enum gen_points_form { GEN_POINTS_JSON, GEN_POINTS_PROTOBUF };

// The values of one sender's series go on from call to call. Zero is no valid state.
struct gen_points {
    uint64_t seed;
    uint32_t first, count; // series first … first + count − 1
    uint32_t interval_s;
    int64_t next_s;
    double *level;
    uint64_t *random;
};

void gen_points_init(struct gen_points *p, uint64_t seed, uint32_t first, uint32_t count,
                     int64_t start_s, uint32_t interval_s);
// The next value of series i in hundredths, and its metric: for whoever needs no body.
int64_t gen_points_value(struct gen_points *p, uint32_t i);
const char *gen_points_family(const struct gen_points *p, uint32_t i);
void gen_points_fini(struct gen_points *p);
// Appends one body: `points` following points of each of the series [first, first + count).
// The caller asks for every series of the sender before it calls gen_points_forward.
void gen_points_body(struct gen_points *p, enum gen_points_form form, uint32_t first,
                     uint32_t count, uint32_t points, struct yg_buf *out);
void gen_points_forward(struct gen_points *p, uint32_t points);

// ------------------------------------------------------------ forms

enum gen_form {
    GEN_LOGS_JSON,  // /api/v2/logs: an array
    GEN_LOGS_FLAT,  // JSON lines, one flat object a row
    GEN_SPANS_V04,  // MessagePack, an array of traces
    GEN_SPANS_V05,  // MessagePack with a dictionary of strings
    GEN_SPANS_FLAT, // JSON lines
};

// Appends the blocks [first, first + count) as one body; returns the rows.
uint32_t gen_body(const struct gen *g, enum gen_form form, uint64_t first, uint32_t count,
                  struct yg_buf *out);

// ------------------------------------------------------------ small tools

static inline uint64_t gen_next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
// A state of its own for every (seed, kind, number).
static inline uint64_t gen_state(uint64_t seed, uint64_t kind, uint64_t number) {
    uint64_t s = seed * 0xd1342543de82ef95u + kind * 0xda942042e4dd58b5u + number;
    return gen_next(&s);
}
static inline uint32_t gen_below(uint64_t *state, uint32_t n) {
    return (uint32_t)((gen_next(state) >> 32) * n >> 32);
}
static inline double gen_unit(uint64_t *state) {
    return (double)(gen_next(state) >> 11) * 0x1p-53;
}
// Small numbers far more often than large ones.
static inline uint32_t gen_skewed(uint64_t *state, uint32_t n) {
    double u = gen_unit(state);
    return (uint32_t)(u * u * (double)n);
}

// What a function always has, the same in logs and spans.
struct gen_function {
    yg_str name, service, team, version, region, account, arn, runtime, architecture, host,
        runtime_id, memory;
    uint32_t memory_mb;
    char text[512];
};
const struct gen_function *gen_function(uint32_t function);

void gen_row_clear(struct gen_row *r);
// Formats into the row's text; the result lives as long as the row.
yg_str gen_text(struct gen_row *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
yg_str gen_uuid(struct gen_row *r, uint64_t hi, uint64_t lo);
yg_str gen_hex(struct gen_row *r, uint64_t v);
yg_str gen_decimal(struct gen_row *r, uint64_t v);
yg_str gen_hundredths(struct gen_row *r, uint64_t v); // 1234 → 12.34
void gen_add(struct gen_row *r, enum gen_place place, const char *key, yg_str value);
void gen_add_number(struct gen_row *r, enum gen_place place, const char *key, yg_str value);

#endif

// SPDX-License-Identifier: Apache-2.0
// The forms in which rows travel: the vendor's bodies, and flat JSON lines for everything else.
#include "gen.h"

#include "base/hash.h"
#include "codec/msgpack.h"
#include "codec/text.h"

#include <stdlib.h>

#define WORDS_MAX (1u << 16) // different strings of one v0.5 body

struct words {
    yg_str list[WORDS_MAX];
    uint32_t count;
    uint32_t slots[WORDS_MAX * 2]; // number + 1; 0 = free
    struct yg_buf text;            // fixed capacity: the strings stay where they are
};

struct writer {
    enum gen_form form;
    struct yg_buf *out;
    uint32_t rows;
    uint32_t traces;
    struct words *words; // v0.5
    struct yg_buf body;  // MessagePack forms: what follows the count
};

// ------------------------------------------------------------ JSON

static void put_pair(struct yg_buf *out, yg_str key, const struct gen_field *f) {
    yg_buf_putc(out, '"');
    yg_buf_puts(out, key);
    yg_buf_puts(out, f->number ? YG_STR("\":") : YG_STR("\":\""));
    yg_buf_puts(out, f->value);
    if (!f->number)
        yg_buf_putc(out, '"');
}

static void put_tags(struct yg_buf *out, const struct gen_row *r) {
    bool more = false;
    yg_buf_puts(out, YG_STR(",\"ddtags\":\""));
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct gen_field *f = &r->fields[i];
        if (f->place != GEN_TAG)
            continue;
        if (more)
            yg_buf_putc(out, ',');
        more = true;
        yg_buf_puts(out, f->key);
        yg_buf_putc(out, ':');
        yg_buf_puts(out, f->value);
    }
    yg_buf_putc(out, '"');
}

// Attributes with the same first part of their path stand side by side and become one object.
static void put_attributes(struct yg_buf *out, const struct gen_row *r) {
    yg_str open = YG_STR("");
    bool comma = true;
    for (uint32_t i = 0; i < r->field_count; i++) {
        const struct gen_field *f = &r->fields[i];
        if (f->place != GEN_ATTRIBUTE)
            continue;
        size_t dot = yg_str_find_char(f->key, '.', 0);
        yg_str head = dot == SIZE_MAX ? YG_STR("") : yg_str_sub(f->key, 0, dot);
        if (!yg_str_eq(head, open)) {
            if (open.len > 0)
                yg_buf_putc(out, '}');
            if (head.len > 0) {
                yg_buf_puts(out, YG_STR(",\""));
                yg_buf_puts(out, head);
                yg_buf_puts(out, YG_STR("\":{"));
                comma = false;
            }
            open = head;
        }
        if (comma)
            yg_buf_putc(out, ',');
        comma = true;
        put_pair(out, head.len > 0 ? yg_str_sub(f->key, dot + 1, f->key.len) : f->key, f);
    }
    if (open.len > 0)
        yg_buf_putc(out, '}');
}

static void log_json(struct writer *w, const struct gen_row *r) {
    bool more = false;
    yg_buf_puts(w->out, w->rows > 0 ? YG_STR(",{") : YG_STR("[{"));
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].place != GEN_TOP)
            continue;
        if (more)
            yg_buf_putc(w->out, ',');
        more = true;
        put_pair(w->out, r->fields[i].key, &r->fields[i]);
    }
    put_tags(w->out, r);
    put_attributes(w->out, r);
    yg_buf_putc(w->out, '}');
}

static void fields_flat(struct yg_buf *out, const struct gen_row *r) {
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (i > 0)
            yg_buf_putc(out, ',');
        put_pair(out, r->fields[i].key, &r->fields[i]);
    }
}

static void log_flat(struct writer *w, const struct gen_row *r) {
    yg_buf_putc(w->out, '{');
    fields_flat(w->out, r);
    yg_buf_puts(w->out, YG_STR("}\n"));
}

static void span_flat(struct writer *w, const struct gen_row *r) {
    yg_buf_printf(w->out,
                  "{\"trace_id\":\"%016llx%016llx\",\"span_id\":\"%llu\",\"parent_id\":\"%llu\","
                  "\"start\":%lld,\"duration\":%lld,\"error\":%d,\"service\":\"%.*s\",\"name\":"
                  "\"%.*s\",\"resource\":\"%.*s\",\"type\":\"%.*s\",",
                  (unsigned long long)r->trace_hi, (unsigned long long)r->trace_lo,
                  (unsigned long long)r->span_id, (unsigned long long)r->parent_id,
                  (long long)r->at_ns, (long long)r->duration_ns, r->error, (int)r->service.len,
                  r->service.ptr, (int)r->name.len, r->name.ptr, (int)r->resource.len,
                  r->resource.ptr, (int)r->type.len, r->type.ptr);
    fields_flat(w->out, r);
    yg_buf_puts(w->out, YG_STR("}\n"));
}

// ------------------------------------------------------------ MessagePack

static uint32_t count_place(const struct gen_row *r, enum gen_place place) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->field_count; i++)
        n += r->fields[i].place == place;
    return n;
}

static double number_of(yg_str text) {
    double v = 0;
    if (!yg_str_to_f64(text, &v))
        abort();
    return v;
}

static void key_str(struct yg_buf *b, const char *key, yg_str value) {
    yg_mp_put_str(b, yg_str_c(key));
    yg_mp_put_str(b, value);
}
static void key_u64(struct yg_buf *b, const char *key, uint64_t value) {
    yg_mp_put_str(b, yg_str_c(key));
    yg_mp_put_u64(b, value);
}

static void span_v04(struct yg_buf *b, const struct gen_row *r) {
    yg_mp_put_map(b, 12);
    key_u64(b, "trace_id", r->trace_lo);
    key_u64(b, "span_id", r->span_id);
    key_u64(b, "parent_id", r->parent_id);
    key_str(b, "name", r->name);
    key_str(b, "service", r->service);
    key_str(b, "resource", r->resource);
    key_str(b, "type", r->type);
    key_u64(b, "error", r->error);
    key_u64(b, "start", (uint64_t)r->at_ns);
    key_u64(b, "duration", (uint64_t)r->duration_ns);
    yg_mp_put_str(b, YG_STR("meta"));
    yg_mp_put_map(b, count_place(r, GEN_TAG));
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].place != GEN_TAG)
            continue;
        yg_mp_put_str(b, r->fields[i].key);
        yg_mp_put_str(b, r->fields[i].value);
    }
    yg_mp_put_str(b, YG_STR("metrics"));
    yg_mp_put_map(b, count_place(r, GEN_ATTRIBUTE));
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].place != GEN_ATTRIBUTE)
            continue;
        yg_mp_put_str(b, r->fields[i].key);
        yg_mp_put_f64(b, number_of(r->fields[i].value));
    }
}

static uint32_t word(struct words *w, yg_str s) {
    uint64_t at = yg_hash_stable(s.ptr, s.len) % (WORDS_MAX * 2);
    for (; w->slots[at] != 0; at = (at + 1) % (WORDS_MAX * 2))
        if (yg_str_eq(w->list[w->slots[at] - 1], s))
            return w->slots[at] - 1;
    if (w->count == WORDS_MAX || w->text.len + s.len > w->text.cap) {
        fputs("gen: a body has too many different strings\n", stderr);
        abort();
    }
    w->list[w->count] = (yg_str){w->text.ptr + w->text.len, s.len};
    yg_buf_puts(&w->text, s);
    w->slots[at] = ++w->count;
    return w->count - 1;
}

static void put_word(struct writer *w, yg_str s) {
    yg_mp_put_u64(&w->body, word(w->words, s));
}

static void span_v05(struct writer *w, const struct gen_row *r) {
    struct yg_buf *b = &w->body;
    yg_mp_put_array(b, 12);
    put_word(w, r->service);
    put_word(w, r->name);
    put_word(w, r->resource);
    yg_mp_put_u64(b, r->trace_lo);
    yg_mp_put_u64(b, r->span_id);
    yg_mp_put_u64(b, r->parent_id);
    yg_mp_put_u64(b, (uint64_t)r->at_ns);
    yg_mp_put_u64(b, (uint64_t)r->duration_ns);
    yg_mp_put_u64(b, r->error);
    yg_mp_put_map(b, count_place(r, GEN_TAG));
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].place != GEN_TAG)
            continue;
        put_word(w, r->fields[i].key);
        put_word(w, r->fields[i].value);
    }
    yg_mp_put_map(b, count_place(r, GEN_ATTRIBUTE));
    for (uint32_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].place != GEN_ATTRIBUTE)
            continue;
        put_word(w, r->fields[i].key);
        yg_mp_put_f64(b, number_of(r->fields[i].value));
    }
    put_word(w, r->type);
}

// ------------------------------------------------------------ bodies

static void write_row(void *arg, const struct gen_row *r, bool first_of_trace,
                      uint32_t trace_spans) {
    struct writer *w = arg;
    if (first_of_trace && (w->form == GEN_SPANS_V04 || w->form == GEN_SPANS_V05)) {
        w->traces++;
        yg_mp_put_array(&w->body, trace_spans);
    }
    switch (w->form) {
    case GEN_LOGS_JSON:
        log_json(w, r);
        break;
    case GEN_LOGS_FLAT:
        log_flat(w, r);
        break;
    case GEN_SPANS_V04:
        span_v04(&w->body, r);
        break;
    case GEN_SPANS_V05:
        span_v05(w, r);
        break;
    case GEN_SPANS_FLAT:
        span_flat(w, r);
        break;
    }
    w->rows++;
}

static void finish_v05(struct writer *w) {
    yg_mp_put_array(w->out, 2);
    yg_mp_put_array(w->out, w->words->count);
    for (uint32_t i = 0; i < w->words->count; i++)
        yg_mp_put_str(w->out, w->words->list[i]);
}

uint32_t gen_body(const struct gen *g, enum gen_form form, uint64_t first, uint32_t count,
                  struct yg_buf *out) {
    struct writer w = {.form = form, .out = out, .body = YG_BUF(YG_MEM_BASE, out->limit_bytes)};
    struct yg_err err;
    if (form == GEN_SPANS_V05) {
        w.words = calloc(1, sizeof(*w.words));
        if (w.words == NULL)
            abort();
        w.words->text = YG_BUF(YG_MEM_BASE, out->limit_bytes);
        if (yg_buf_reserve(&w.words->text, 16u << 20, &err) != YG_OK)
            abort();
        word(w.words, YG_STR(""));
    }
    for (uint64_t b = first; b < first + count; b++) {
        if (form == GEN_LOGS_JSON || form == GEN_LOGS_FLAT)
            gen_logs(g, b, write_row, &w);
        else
            gen_spans(g, b, write_row, &w);
    }
    if (form == GEN_LOGS_JSON)
        yg_buf_putc(out, ']');
    if (form == GEN_SPANS_V05)
        finish_v05(&w);
    if (form == GEN_SPANS_V04 || form == GEN_SPANS_V05) {
        yg_mp_put_array(out, w.traces);
        yg_buf_puts(out, yg_buf_str(&w.body));
    }
    yg_buf_fini(&w.body);
    if (w.words) {
        yg_buf_fini(&w.words->text);
        free(w.words);
    }
    if (yg_buf_ok(out, &err) != YG_OK) {
        fputs("gen: a body is larger than its limit; ask for fewer rows a body\n", stderr);
        exit(1);
    }
    return w.rows;
}

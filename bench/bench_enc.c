// SPDX-License-Identifier: Apache-2.0
// Cost of the value encodings on columns of real segments: bytes and nanoseconds of CPU a value to
// write and to read, per column. Every granule is decoded from the file, encoded anew (stripe
// dictionaries of many strings given up, long texts with the row's ids as own texts) and read back.
//
//   bench_enc [--final] [--column NAME] FILE.seg…
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/enc_part.h"

#include "base/panic.h"

#define DICT_MANY 4096u
#define OWN_MAX 6u
#define ID_BYTES_MIN 12u // average length of what may be quoted in texts
#define TEXT_BYTES_MIN 32u
#define REPEAT 3

static uint64_t cpu_ns(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct total {
    uint64_t values;
    uint64_t bytes;
    uint64_t raw;
    uint64_t write_ns;
    uint64_t read_ns;
    uint32_t encodings[YG_ENC_COUNT];
};

static const char *only; // column, or NULL: all
static enum yg_enc_level level = YG_ENC_LEVEL_FILE;

struct own_column {
    const yg_str *texts[OWN_MAX]; // [row]
    uint32_t count;
    uint32_t rows;
};

static yg_rc own_texts(void *ctx, uint32_t slot, struct yg_arena *arena, const yg_str **ret_texts,
                       struct yg_err *err) {
    (void)arena, (void)err;
    *ret_texts = ((struct own_column *)ctx)->texts[slot];
    return YG_OK;
}

// What the writer would get.
static void input_of(const struct yg_seg_values *v, enum yg_type type, struct yg_arena *arena,
                     struct yg_enc_input *in) {
    uint32_t *rows = yg_arena_alloc(arena, sizeof(*rows) * v->count);
    uint32_t row = 0;
    for (uint32_t i = 0; i < v->count; i++, row++) {
        if (v->present)
            row = yg_bits_next(v->present, v->rows, row);
        rows[i] = row;
    }
    *in = (struct yg_enc_input){
        .type = type,
        .rows = v->rows,
        .count = v->count,
        .at_rows = rows,
        .codes = v->codes,
        .strs = v->strs,
        .i64 = v->i64,
        .f64 = v->f64,
        .ids = v->ids,
    };
    if (v->dict == NULL)
        return;
    if (v->dict->count <= DICT_MANY) {
        in->coded = true;
        in->code_max = v->dict->count - 1;
        return;
    }
    yg_str *strs = yg_arena_alloc(arena, sizeof(*strs) * v->count);
    for (uint32_t i = 0; i < v->count; i++)
        strs[i] = v->dict->strs[v->codes[i]];
    in->strs = strs;
}

static uint64_t text_bytes(const struct yg_enc_input *in) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; !in->coded && in->strs && i < in->count; i++)
        bytes += in->strs[i].len;
    return bytes;
}

static yg_rc read_back(const struct yg_enc_input *in, const struct yg_seg_values *v, yg_str body,
                       uint8_t encoding, struct own_column *own, struct yg_arena *arena,
                       const yg_str **ret_strs, struct yg_err *err) {
    struct yg_enc_reader r = {
        .c = {body, 0},
        .encoding = encoding,
        .count = in->count,
        .rows = in->rows,
        .present = v->present,
        .arena = arena,
        .own = {.count = own->count, .texts = own_texts, .ctx = own},
    };
    const int64_t *i64;
    const double *f64;
    const yg_id128 *ids;
    const uint32_t *codes;
    const yg_str *strs;
    switch (in->type) {
    case YG_T_STR:
    case YG_T_JSON:
        if (in->coded)
            return yg_enc_get_codes(&r, in->code_max + 1, &codes, err);
        YG_TRY(yg_enc_get_strs(&r, &strs, err));
        *ret_strs = strs;
        return YG_OK;
    case YG_T_I64:
    case YG_T_BOOL:
        return yg_enc_get_i64(&r, &i64, err);
    case YG_T_F64:
        return yg_enc_get_f64(&r, &f64, err);
    case YG_T_ID:
        return yg_enc_get_ids(&r, &ids, err);
    case YG_TYPE_COUNT:
        break;
    }
    return YG_EINTERNAL;
}

static size_t presence_bytes(const char *chunk, const struct yg_enc_input *in) {
    uint32_t kind = (uint8_t)chunk[1] & YG_CHUNK_F_PRESENCE;
    if (kind == YG_PRESENCE_LIST)
        return 2 + 2 * (size_t)in->count;
    return kind == YG_PRESENCE_BITMAP ? 8 * YG_BITS_WORDS(in->rows) : 0;
}

static yg_rc measure(struct yg_encoder *e, const struct yg_enc_input *in,
                     const struct yg_seg_values *v, struct own_column *own, struct total *t,
                     struct yg_err *err) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_STORE, 1u << 30);
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    struct yg_seg_entry entry = {0};
    uint64_t write_ns = UINT64_MAX, read_ns = UINT64_MAX, from;
    for (int k = 0; k < REPEAT; k++) {
        yg_buf_reset(&out);
        from = cpu_ns();
        YG_TRY(yg_encode_chunk(e, in, &out, &entry, err));
        from = cpu_ns() - from;
        write_ns = from < write_ns ? from : write_ns;
    }
    YG_TRY(yg_buf_reserve(&out, YG_PACK_SLACK, err));
    size_t skip = presence_bytes(out.ptr, in);
    yg_str body = yg_str_n(out.ptr + sizeof(struct yg_seg_chunk) + skip,
                           entry.stored_bytes - sizeof(struct yg_seg_chunk) - skip);
    const yg_str *strs = NULL;
    for (int k = 0; k < REPEAT; k++) {
        yg_arena_reset(arena);
        from = cpu_ns();
        YG_TRY(read_back(in, v, body, entry.encoding, own, arena, &strs, err));
        from = cpu_ns() - from;
        read_ns = from < read_ns ? from : read_ns;
    }
    for (uint32_t i = 0; strs && i < in->count; i++)
        YG_ASSERT(yg_str_eq(strs[i], in->strs[i]));
    t->values += in->count;
    t->bytes += entry.stored_bytes - skip;
    t->raw += in->coded ? 4 * (uint64_t)in->count : text_bytes(in);
    t->write_ns += write_ns;
    t->read_ns += read_ns;
    t->encodings[entry.encoding]++;
    return YG_OK;
}

// Rows' texts of the columns that look like ids.
static void add_own(struct own_column *own, const struct yg_enc_input *in, struct yg_arena *arena) {
    uint64_t bytes = text_bytes(in);
    if (own->count == OWN_MAX || bytes / in->count < ID_BYTES_MIN || bytes / in->count > 48)
        return;
    yg_str *texts = YG_NEW_N(arena, yg_str, in->rows);
    for (uint32_t i = 0; i < in->count; i++)
        texts[in->at_rows[i]] = in->strs[i];
    own->texts[own->count++] = texts;
}

static void give_own(struct yg_enc_input *in, const struct own_column *own,
                     struct yg_arena *arena) {
    if (own->count == 0 || in->coded || text_bytes(in) / in->count < TEXT_BYTES_MIN)
        return;
    yg_str *texts = yg_arena_alloc(arena, sizeof(*texts) * in->count * own->count);
    for (uint32_t i = 0; i < in->count; i++)
        for (uint32_t s = 0; s < own->count; s++)
            texts[i * own->count + s] = own->texts[s][in->at_rows[i]];
    in->own = texts;
    in->own_count = own->count;
}

static yg_rc granule(struct yg_segment *seg, uint32_t stripe, uint32_t g, struct yg_encoder *e,
                     struct total *totals, struct yg_err *err) {
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    uint32_t columns = seg->dir.column_count;
    struct yg_seg_values *values = YG_NEW_N(arena, struct yg_seg_values, columns);
    struct yg_enc_input *in = YG_NEW_N(arena, struct yg_enc_input, columns);
    struct own_column own = {0};
    for (uint32_t c = 0; c < columns; c++) {
        YG_TRY(yg_segment_values(seg, stripe, g, c, arena, &values[c], err));
        if (values[c].count == 0)
            continue;
        input_of(&values[c], seg->dir.columns[c].type, arena, &in[c]);
        add_own(&own, &in[c], arena);
    }
    static struct own_column none;
    for (uint32_t c = 0; c < columns; c++) {
        if (values[c].count == 0 || (only && !yg_str_eq_c(seg->dir.columns[c].name, only)))
            continue;
        bool quoted = yg_str_eq_c(seg->dir.columns[c].name, "message");
        if (quoted)
            give_own(&in[c], &own, arena);
        YG_TRY(measure(e, &in[c], &values[c], quoted ? &own : &none, &totals[c], err));
    }
    return YG_OK;
}

static int by_bytes(const void *a, const void *b, void *arg) {
    const struct total *t = arg;
    uint64_t x = t[*(const uint32_t *)a].bytes, y = t[*(const uint32_t *)b].bytes;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void print(const struct yg_segment *seg, const struct total *totals) {
    uint32_t columns = seg->dir.column_count;
    uint32_t *order = calloc(columns, sizeof(*order));
    struct total all = {0};
    YG_ASSERT(order != NULL);
    for (uint32_t c = 0; c < columns; c++)
        order[c] = c;
    qsort_r(order, columns, sizeof(*order), by_bytes, (void *)(uintptr_t)totals);
    printf("%-36s %9s %8s %8s %8s %8s  encodings\n", "column", "values", "B/row", "B/value",
           "ns write", "ns read");
    for (uint32_t i = 0; i < columns; i++) {
        const struct total *t = &totals[order[i]];
        if (t->values == 0)
            continue;
        double n = (double)t->values;
        printf("%-36.*s %9" PRIu64 " %8.3f %8.3f %8.2f %8.2f ",
               YG_STR_FMT(seg->dir.columns[order[i]].name), t->values,
               (double)t->bytes / (double)seg->row_count, (double)t->bytes / n,
               (double)t->write_ns / n, (double)t->read_ns / n);
        for (uint32_t k = 0; k < YG_ENC_COUNT; k++)
            if (t->encodings[k])
                printf(" %u:%u", k, t->encodings[k]);
        printf("\n");
        all.bytes += t->bytes;
        all.write_ns += t->write_ns;
        all.read_ns += t->read_ns;
    }
    double rows = (double)seg->row_count;
    printf("%-36s %9" PRIu64 " %8.3f B a row, %.0f ns a row to write, %.0f to read\n", "all",
           seg->row_count, (double)all.bytes / rows, (double)all.write_ns / rows,
           (double)all.read_ns / rows);
    free(order);
}

static yg_rc file(const char *path, struct yg_err *err) {
    struct yg_segment *seg = yg_segment_of_file(path);
    yg_rc rc = yg_segment_load(seg, err);
    struct yg_encoder e;
    struct total *totals = NULL;
    yg_encoder_init(&e, level);
    if (rc == YG_OK)
        totals = calloc(seg->dir.column_count, sizeof(*totals));
    seg->row_count = 0;
    for (uint32_t s = 0; rc == YG_OK && s < seg->dir.stripe_count; s++) {
        seg->row_count += seg->dir.stripes[s].row_count;
        for (uint32_t g = 0; rc == YG_OK && g < seg->dir.stripes[s].granule_count; g++)
            rc = granule(seg, s, g, &e, totals, err);
    }
    if (rc == YG_OK)
        print(seg, totals);
    free(totals);
    yg_encoder_fini(&e);
    yg_segment_unref(seg);
    return rc;
}

int main(int argc, char **argv) {
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--final") == 0)
            level = YG_ENC_LEVEL_FINAL;
        else if (strcmp(argv[i], "--column") == 0 && i + 1 < argc)
            only = argv[++i];
        else
            return 2;
    }
    for (; i < argc; i++) {
        struct yg_err err = {0};
        if (file(argv[i], &err) != YG_OK) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    return 0;
}

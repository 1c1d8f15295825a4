// SPDX-License-Identifier: Apache-2.0
// CPU time of finding: each kernel of a filter over granules of 8,192 rows in cache, and the key
// index (building, size, look-up). Usage: bench_filter [rounds]
#include <stdio.h>
#include <time.h>

#include "filter/filter.h"
#include "model/block.h"
#include "store/key_index.h"

#define ROWS YG_GRANULE_ROWS

static uint64_t rng_state = 1;
static uint32_t below(uint32_t n) {
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng_state >> 33) % n;
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(yg_rc rc, const struct yg_err *err) {
    if (rc == YG_OK)
        return;
    (void)fprintf(stderr, "bench_filter: %s\n", err->text);
    exit(1);
}

// ------------------------------------------------------------ one granule

static struct yg_arena *arena;
static yg_str *messages;
static size_t message_bytes;
static struct yg_vec vecs[5]; // service, @n, @d, message, timestamp
static const char *const names[5] = {"service", "@n", "@d", "message", "timestamp"};

static size_t make_message(char *out, size_t room) {
    uint32_t a = below(UINT32_MAX), b = below(65536), c = below(4096), d = below(4096);
    int len = 0;
    switch (below(4)) {
    case 0:
        len = snprintf(out, room, "START RequestId: %08x-%04x-4%03x-8%03x-%08x%04x Version: 7\n", a,
                       b, c, d, a, b);
        break;
    case 1:
        len = snprintf(out, room, "payment %08x of order %u took %u ms, answer 200 from upstream\n",
                       a, b, c);
        break;
    case 2:
        len =
            snprintf(out, room, "user %u opened a session, cart of %u items, step %u of checkout\n",
                     b, c, d);
        break;
    default:
        len = snprintf(out, room, "Connection to host-%u refused, next try in %u ms (attempt %u)\n",
                       c, d, b);
    }
    return (size_t)len;
}

static yg_rc columns(struct yg_block *b, yg_str name, const struct yg_vec *ret[YG_TYPE_COUNT],
                     uint32_t *ret_count, struct yg_err *err) {
    (void)b;
    (void)err;
    *ret_count = 0;
    for (uint32_t i = 0; i < 5; i++)
        if (yg_str_eq_c(name, names[i]))
            ret[(*ret_count)++] = &vecs[i];
    return YG_OK;
}

static void stats(struct yg_block *b, yg_str name, enum yg_type type,
                  struct yg_vec_stats *ret_stats) {
    (void)b;
    (void)name;
    (void)type;
    *ret_stats = (struct yg_vec_stats){0};
}

static bool column_at(struct yg_block *b, uint32_t idx, yg_str *ret_name, enum yg_type *ret_type) {
    (void)b;
    if (idx >= 5)
        return false;
    *ret_name = yg_str_c(names[idx]);
    *ret_type = vecs[idx].type;
    return true;
}

static void make_granule(void) {
    static struct yg_dict dict = {.uid = 1, .count = 80};
    yg_str *services = YG_NEW_N(arena, yg_str, 80);
    uint32_t *codes = YG_NEW_N(arena, uint32_t, ROWS);
    int64_t *n = YG_NEW_N(arena, int64_t, ROWS), *time = YG_NEW_N(arena, int64_t, ROWS);
    double *d = YG_NEW_N(arena, double, ROWS);
    char *bytes = yg_arena_alloc(arena, ROWS * 128);
    messages = YG_NEW_N(arena, yg_str, ROWS);
    for (uint32_t i = 0; i < 80; i++)
        services[i] = yg_arena_printf(arena, "service-%u", i);
    dict.strs = services;
    for (uint32_t r = 0; r < ROWS; r++) {
        codes[r] = below(80);
        n[r] = below(1000);
        d[r] = below(1000) / 8.0;
        time[r] = r;
        messages[r] = (yg_str){bytes + message_bytes, make_message(bytes + message_bytes, 128)};
        message_bytes += messages[r].len;
    }
    vecs[0] = (struct yg_vec){.type = YG_T_STR, .dict = &dict, .codes = codes};
    vecs[1] = (struct yg_vec){.type = YG_T_I64, .i64 = n};
    vecs[2] = (struct yg_vec){.type = YG_T_F64, .f64 = d};
    vecs[3] = (struct yg_vec){.type = YG_T_STR, .strs = messages};
    vecs[4] = (struct yg_vec){.type = YG_T_I64, .i64 = time};
}

static void bench_search(const char *search, uint32_t rounds) {
    static const struct yg_block_ops ops = {
        .columns = columns, .stats = stats, .column_at = column_at};
    struct yg_block b = {.ops = &ops,
                         .track = YG_TRACK_LOGS,
                         .row_count = ROWS,
                         .max_time_ns = ROWS - 1,
                         .arena = arena};
    struct yg_err err = {0};
    struct yg_node *tree;
    struct yg_filter *f;
    uint64_t rows[YG_BITS_WORDS(ROWS)];
    struct yg_search_options options = {.track = YG_TRACK_LOGS};
    must(yg_search_parse(yg_str_c(search), &options, arena, &tree, &err), &err);
    must(yg_filter_compile(tree, (struct yg_time_range){0, ROWS}, &f, &err), &err);
    must(yg_filter_run(f, &b, rows, &err), &err);
    double from = cpu_s();
    for (uint32_t i = 0; i < rounds; i++)
        must(yg_filter_run(f, &b, rows, &err), &err);
    double each = (cpu_s() - from) / rounds;
    printf("%-52s %9.1f Mrow/s  %6.2f GB/s of messages  %u rows\n", search, ROWS / each / 1e6,
           (double)message_bytes / each / 1e9, yg_bits_count(rows, ROWS));
    yg_filter_destroy(f);
}

// ------------------------------------------------------------ key index

static yg_rc read_memory(void *ctx, void *out, size_t len, uint64_t at, struct yg_err *err) {
    (void)err;
    memcpy(out, ((struct yg_buf *)ctx)->ptr + at, len);
    return YG_OK;
}

#define GRANULES 122u
static void bench_keys(void) {
    struct yg_err err = {0};
    struct yg_key_builder *b = yg_key_builder_create();
    struct yg_buf out = YG_BUF(YG_MEM_STORE, (size_t)1 << 30);
    yg_str *ids = YG_NEW_N(arena, yg_str, ROWS);
    char *text = yg_arena_alloc(arena, ROWS * 40);
    uint64_t section = 0, rows = (uint64_t)GRANULES * ROWS;
    double spent = 0;
    for (uint32_t g = 0; g < GRANULES; g++) {
        for (uint32_t r = 0; r < ROWS; r++) { // a request id stands in five rows
            if (r % 5 == 0)
                (void)snprintf(text + r * 40, 40, "%08x-%04x-4abc-8def-%08x%04x", below(UINT32_MAX),
                               below(65536), below(UINT32_MAX), below(65536));
            ids[r] = (yg_str){text + (r - r % 5) * 40, 36};
            messages[r].len = make_message((char *)(uintptr_t)messages[r].ptr, messages[r].len + 1);
        }
        double from = cpu_s();
        struct yg_key_input in = {.column = YG_STR("@request_id"),
                                  .type = YG_T_STR,
                                  .granule = g,
                                  .count = ROWS,
                                  .many_values = true,
                                  .strs = ids};
        yg_key_builder_add(b, &in);
        in.column = YG_STR("message");
        in.strs = messages;
        yg_key_builder_add(b, &in);
        if (g % 64 == 63)
            must(yg_key_builder_stripe(b, out.len, &out, &err), &err);
        spent += cpu_s() - from;
    }
    double from = cpu_s();
    must(yg_key_builder_write(b, out.len, GRANULES, &out, &section, &err), &err);
    spent += cpu_s() - from;
    yg_key_builder_destroy(b);
    struct yg_key_index index;
    struct yg_key_io io = {read_memory, &out};
    must(yg_key_index_open(yg_str_sub(yg_buf_str(&out), section, out.len), GRANULES, section, &io,
                           &index, &err),
         &err);
    uint64_t bits[YG_BITS_WORDS(GRANULES)] = {0};
    from = cpu_s();
    for (uint32_t i = 0; i < 200000; i++)
        must(yg_key_index_find(&index, below(1u << YG_KEY_BITS), bits, &err), &err);
    double each = (cpu_s() - from) / 200000;
    printf("key index, ids and words of messages: %.0f ns a row to build, %.2f B a row, %.0f ns a "
           "look-up in %u parts\n",
           spent / (double)rows * 1e9, (double)out.len / (double)rows, each * 1e9,
           index.part_count);
    yg_key_index_close(&index);
    yg_buf_fini(&out);
}

int main(int argc, char **argv) {
    static const char *const searches[] = {
        "service:service-7",
        "service:service-7*",
        "service:(service-7 OR service-8 OR service-9)",
        "@n:500",
        "@n:[100 TO 200]",
        "@d:>100",
        "service:service-7 @n:[100 TO 200]",
        "message:*nosuchword*",
        "message:*upstream*",
        "nosuchword",
        "CONNECTION",
        "\"refused, next try\"",
        "service:service-7 refused",
        "message:~\"took [0-9]+ ms, answer 5\"",
        "message:~\"(?i)step 1\\d+ of\"",
        "*:nosuchword",
        "*:500",
    };
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 300;
    arena = yg_arena_create(YG_MEM_QUERY, (size_t)1 << 30);
    make_granule();
    printf("%u rows, messages of %.1f B, %u rounds\n", ROWS, (double)message_bytes / ROWS, rounds);
    for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++)
        bench_search(searches[i], rounds);
    bench_keys();
    yg_arena_destroy(arena);
    return 0;
}

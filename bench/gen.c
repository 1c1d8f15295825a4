// SPDX-License-Identifier: Apache-2.0
// What rows of every kind share: texts, numbers, and the fleet's functions.
#include "gen.h"

#include <pthread.h>
#include <stdarg.h>

void gen_row_clear(struct gen_row *r) {
    r->field_count = 0;
    r->text_len = 0;
}

static char *take(struct gen_row *r, size_t len) {
    if (r->text_len + len > GEN_TEXT_MAX) {
        fputs("gen: a row is larger than GEN_TEXT_MAX\n", stderr);
        abort();
    }
    char *at = r->text + r->text_len;
    r->text_len += (uint32_t)len;
    return at;
}

yg_str gen_text(struct gen_row *r, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    size_t room = GEN_TEXT_MAX - r->text_len;
    int len = vsnprintf(r->text + r->text_len, room, fmt, args);
    va_end(args);
    return (yg_str){take(r, (size_t)len + 1), (size_t)len};
}

static void put_hex(char *at, uint64_t v, uint32_t digits) {
    for (uint32_t i = digits; i-- > 0; v >>= 4)
        at[i] = "0123456789abcdef"[v & 15];
}

yg_str gen_uuid(struct gen_row *r, uint64_t hi, uint64_t lo) {
    char *at = take(r, 36);
    hi = (hi & ~UINT64_C(0xf000)) | 0x4000;
    lo = (lo & (UINT64_MAX >> 2)) | UINT64_C(1) << 63;
    put_hex(at, hi >> 32, 8);
    put_hex(at + 9, hi >> 16, 4);
    put_hex(at + 14, hi, 4);
    put_hex(at + 19, lo >> 48, 4);
    put_hex(at + 24, lo, 12);
    at[8] = at[13] = at[18] = at[23] = '-';
    return (yg_str){at, 36};
}

yg_str gen_hex(struct gen_row *r, uint64_t v) {
    char *at = take(r, 16);
    put_hex(at, v, 16);
    return (yg_str){at, 16};
}

yg_str gen_decimal(struct gen_row *r, uint64_t v) {
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    char *at = take(r, n);
    for (size_t i = 0; i < n; i++)
        at[i] = digits[n - 1 - i];
    return (yg_str){at, n};
}

// As JSON writes numbers: no zeros at the end.
yg_str gen_hundredths(struct gen_row *r, uint64_t v) {
    yg_str whole = gen_decimal(r, v / 100);
    if (v % 100 == 0)
        return whole;
    size_t more = v % 10 ? 3 : 2;
    char *at = take(r, more);
    at[0] = '.';
    at[1] = (char)('0' + v / 10 % 10);
    if (more == 3)
        at[2] = (char)('0' + v % 10);
    return (yg_str){whole.ptr, whole.len + more};
}

static void add(struct gen_row *r, enum gen_place place, yg_str key, yg_str value, bool number) {
    if (r->field_count == GEN_FIELDS_MAX) {
        fputs("gen: a row has more than GEN_FIELDS_MAX fields\n", stderr);
        abort();
    }
    r->fields[r->field_count++] =
        (struct gen_field){.key = key, .value = value, .place = place, .number = number};
}

void gen_add(struct gen_row *r, enum gen_place place, const char *key, yg_str value) {
    add(r, place, yg_str_c(key), value, false);
}

void gen_add_number(struct gen_row *r, enum gen_place place, const char *key, yg_str value) {
    add(r, place, yg_str_c(key), value, true);
}

// ------------------------------------------------------------ functions

static struct gen_function functions[GEN_FUNCTIONS];
static pthread_once_t functions_once = PTHREAD_ONCE_INIT;

static const char *const areas[] = {
    "orders",  "payments", "carts",    "search",  "users",  "stock",   "prices", "mail",
    "reports", "shipping", "invoices", "returns", "offers", "reviews", "media",  "ledger"};
static const char *const parts[] = {"api", "worker", "events", "sync", "admin"};
static const char *const verbs[] = {"create", "update", "list",   "get",     "delete",
                                    "export", "import", "notify", "resolve", "validate",
                                    "retry",  "audit",  "publish"};
static const char *const regions[] = {"ap-northeast-1", "us-east-1", "eu-west-1"};
static const char *const accounts[] = {"123456789012", "210987654321", "345678901234"};
static const char *const runtimes[] = {"nodejs20.x", "nodejs22.x", "python3.12", "java21"};
static const char *const teams[] = {"orders", "payments", "search",   "identity",
                                    "stock",  "growth",   "platform", "finance"};
static const uint32_t memories_mb[] = {128, 256, 512, 1024, 2048};

static yg_str put(struct gen_function *f, size_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static yg_str put(struct gen_function *f, size_t *at, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(f->text + *at, sizeof(f->text) - *at, fmt, args);
    va_end(args);
    yg_str s = {f->text + *at, (size_t)len};
    *at += (size_t)len + 1;
    return s;
}

static void make_functions(void) {
    for (uint32_t i = 0; i < GEN_FUNCTIONS; i++) {
        struct gen_function *f = &functions[i];
        size_t at = 0;
        uint64_t random = gen_state(7, 'F', i);
        uint32_t service = i % GEN_SERVICES;
        const char *area = areas[service % 16], *part = parts[service / 16];
        const char *region = regions[i % 3], *account = accounts[service % 3];
        f->memory_mb = memories_mb[gen_below(&random, 5)];
        f->service = put(f, &at, "%s-%s", area, part);
        f->name = put(f, &at, "prod-%s-%s-%s%u", area, part, verbs[i % 13], i / GEN_SERVICES);
        f->team = yg_str_c(teams[service % 8]);
        f->version = put(f, &at, "%u.%u.%u", 1 + i % 407 % 5, i % 407 / 5 % 9, i % 407 / 45);
        f->region = yg_str_c(region);
        f->account = yg_str_c(account);
        f->arn = put(f, &at, "arn:aws:lambda:%s:%s:function:%s", region, account, f->name.ptr);
        f->runtime = yg_str_c(runtimes[service % 4]);
        f->architecture = i % 3 ? YG_STR("arm64") : YG_STR("x86_64");
        f->host =
            put(f, &at, "ip-10-%u-%u-%u.ec2.internal", i % 4, gen_below(&random, 256), i % 251);
        uint64_t hi = gen_next(&random), lo = gen_next(&random);
        f->runtime_id = put(f, &at, "%08x-%04x-4%03x-a%03x-%012llx", (uint32_t)(hi >> 32),
                            (uint32_t)(hi >> 16) & 0xffff, (uint32_t)hi & 0xfff,
                            (uint32_t)(lo >> 52), (unsigned long long)(lo & 0xffffffffffff));
        f->memory = put(f, &at, "%u", f->memory_mb);
    }
}

const struct gen_function *gen_function(uint32_t function) {
    pthread_once(&functions_once, make_functions);
    return &functions[function];
}

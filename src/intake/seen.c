// SPDX-License-Identifier: Apache-2.0
// Who has sent what: the Setup page's "waiting for first data" and its table of clients.
#include <pthread.h>

#include "base/hash.h"
#include "intake/door.h"

#define KINDS_MAX 256u
#define REFUSALS_MAX 32u // routes

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct yg_intake_seen *kinds; // made on the first visit
static uint32_t kind_count;

// Printable ASCII of s, cut to fit.
static void set_text(char *out, size_t size, yg_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len && n + 1 < size; i++)
        out[n++] = s.ptr[i] > ' ' && s.ptr[i] < 0x7f ? s.ptr[i] : '_';
    out[n] = 0;
}

// Under the lock. NULL when there are 256 kinds already and this is none of them.
static struct yg_intake_seen *find(const struct yg_intake_visit *v) {
    struct yg_intake_seen key = {.requests = 0};
    set_text(key.client, sizeof(key.client), v->client);
    set_text(key.version, sizeof(key.version), v->version);
    set_text(key.route, sizeof(key.route), yg_str_c(v->route));
    for (uint32_t i = 0; i < kind_count; i++)
        if (strcmp(kinds[i].client, key.client) == 0 && strcmp(kinds[i].route, key.route) == 0 &&
            strcmp(kinds[i].version, key.version) == 0)
            return &kinds[i];
    if (kind_count == KINDS_MAX)
        return NULL;
    if (kinds == NULL)
        kinds = yg_calloc(YG_MEM_INTAKE, KINDS_MAX, sizeof(*kinds));
    key.first_ns = v->now_ns;
    kinds[kind_count] = key;
    return &kinds[kind_count++];
}

void yg_intake_saw(const struct yg_intake_visit *v) {
    pthread_mutex_lock(&lock);
    struct yg_intake_seen *seen = find(v);
    if (seen) {
        seen->requests++;
        seen->items += v->items;
        seen->bytes += v->bytes;
        seen->rejected += v->rejected;
        seen->last_ns = v->now_ns;
    }
    pthread_mutex_unlock(&lock);
}

void yg_intake_seen_each(void (*fn)(void *ctx, const struct yg_intake_seen *seen), void *ctx) {
    for (uint32_t i = 0;; i++) {
        struct yg_intake_seen copy; // fn runs without the lock
        pthread_mutex_lock(&lock);
        bool there = i < kind_count;
        if (there)
            copy = kinds[i];
        pthread_mutex_unlock(&lock);
        if (!there)
            return;
        fn(ctx, &copy);
    }
}

// ------------------------------------------------------------ refusals

static struct yg_intake_refused refusals[REFUSALS_MAX]; // by route; under the lock
static uint32_t refusal_count;

void yg_intake_refused(const char *route, uint16_t status, const char *text, int64_t now_ns) {
    pthread_mutex_lock(&lock);
    uint32_t i = 0;
    while (i < refusal_count && strcmp(refusals[i].route, route) != 0)
        i++;
    if (i < REFUSALS_MAX) {
        struct yg_intake_refused *r = &refusals[i];
        refusal_count = i == refusal_count ? i + 1 : refusal_count;
        *r = (struct yg_intake_refused){.status = status, .at_ns = now_ns};
        set_text(r->route, sizeof(r->route), yg_str_c(route));
        snprintf(r->text, sizeof(r->text), "%s", text);
    }
    pthread_mutex_unlock(&lock);
}

void yg_intake_refused_each(void (*fn)(void *ctx, const struct yg_intake_refused *refused),
                            void *ctx) {
    for (uint32_t i = 0; i < REFUSALS_MAX; i++) {
        pthread_mutex_lock(&lock);
        struct yg_intake_refused copy = refusals[i];
        pthread_mutex_unlock(&lock);
        if (copy.at_ns != 0)
            fn(ctx, &copy);
    }
}

// "nodejs" → "dd-trace-js" and so on; the language's own word when no library is known by it.
static yg_str library_of(yg_str lang) {
    static const struct {
        yg_str lang, library;
    } known[] = {
        {YG_STR_INIT("nodejs"), YG_STR_INIT("dd-trace-js")},
        {YG_STR_INIT("javascript"), YG_STR_INIT("dd-trace-js")},
        {YG_STR_INIT("python"), YG_STR_INIT("dd-trace-py")},
        {YG_STR_INIT("go"), YG_STR_INIT("dd-trace-go")},
        {YG_STR_INIT("java"), YG_STR_INIT("dd-trace-java")},
        {YG_STR_INIT("ruby"), YG_STR_INIT("dd-trace-rb")},
        {YG_STR_INIT("php"), YG_STR_INIT("dd-trace-php")},
        {YG_STR_INIT("dotnet"), YG_STR_INIT("dd-trace-dotnet")},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (yg_str_eq_nocase(lang, known[i].lang))
            return known[i].library;
    return lang;
}

static yg_str first_header(struct yg_http_request *req, const char *a, const char *b) {
    yg_str value = yg_http_header(req, a);
    return value.len ? value : yg_http_header(req, b);
}

void yg_door_saw(struct yg_http_request *req, const struct yg_door *door, int64_t now_ns,
                 const struct yg_intake_tally *t, bool rejected) {
    yg_str lang = first_header(req, "datadog-meta-lang", "dd-client-library-language");
    struct yg_intake_visit v = {
        .client = lang.len ? library_of(lang) : yg_str_c(door->client),
        .version = first_header(req, "datadog-meta-tracer-version", "dd-client-library-version"),
        .route = door->name,
        .items = t ? t->taken : 0,
        .bytes = req->body.len,
        .rejected = (t ? t->skipped : 0) + (rejected ? 1 : 0),
        .now_ns = now_ns,
    };
    yg_intake_saw(&v);
}

// SPDX-License-Identifier: Apache-2.0
// What the page's API remembers between calls: samples for rates, refused requests, known
// environments.
#include "api/ui.h"

#include "base/counter.h"
#include "base/panic.h"

#define SAMPLES 16
#define RATE_WINDOW_NS (INT64_C(10) * YG_NS_PER_S)
#define SAMPLE_EVERY_NS (INT64_C(900) * YG_NS_PER_MS)
#define ENVS_MAX 50
#define PATHS_MAX 64
#define ENVS_KEEP_NS (INT64_C(15) * YG_NS_PER_S)
#define ENVS_WINDOW_NS (INT64_C(24) * 3600 * YG_NS_PER_S)

struct sample {
    int64_t mono_ns;
    int64_t spans;
    int64_t logs;
    int64_t points;
    int64_t rejected;
};

struct yg_api_ui {
    pthread_mutex_t lock;           // guards everything below
    struct sample samples[SAMPLES]; // ring, newest at `newest`
    uint32_t newest;
    uint32_t count;
    struct yg_ui_refused refused[YG_RECEIVED_COUNT];
    char *envs[ENVS_MAX];
    uint32_t env_count;
    int64_t envs_mono_ns;   // when they were read; 0 = never
    char *paths[PATHS_MAX]; // shapes of unknown paths that have a counter of their own
    uint32_t path_count;
};

struct yg_api_ui *yg_api_ui_create(void) {
    struct yg_api_ui *ui = yg_calloc(YG_MEM_QUERY, 1, sizeof(*ui));
    pthread_mutex_init(&ui->lock, NULL);
    return ui;
}

static void drop_envs(struct yg_api_ui *ui) {
    for (uint32_t i = 0; i < ui->env_count; i++)
        yg_free(YG_MEM_QUERY, ui->envs[i]);
    ui->env_count = 0;
}

void yg_api_ui_destroy(struct yg_api_ui *ui) {
    if (ui == NULL)
        return;
    drop_envs(ui);
    for (uint32_t i = 0; i < ui->path_count; i++)
        yg_free(YG_MEM_QUERY, ui->paths[i]);
    pthread_mutex_destroy(&ui->lock);
    yg_free(YG_MEM_QUERY, ui);
}

// ---- rates -------------------------------------------------------------------------------------

static void add_counter(void *ctx, const struct yg_counter *c, int64_t value) {
    struct sample *s = ctx;
    if (strcmp(c->name, "yagura.intake.rejected") == 0) {
        s->rejected += value;
    } else if (strcmp(c->name, "yagura.intake.rows") == 0) {
        if (strcmp(c->tags, "track:spans") == 0)
            s->spans += value;
        else if (strcmp(c->tags, "track:logs") == 0)
            s->logs += value;
        else if (strcmp(c->tags, "track:metrics") == 0)
            s->points += value;
    }
}

static void take_sample(struct yg_api *api) {
    struct yg_api_ui *ui = api->ui;
    struct sample now = {.mono_ns = yg_mono_ns(api->clock)};
    pthread_mutex_lock(&ui->lock);
    bool due = ui->count == 0 || now.mono_ns - ui->samples[ui->newest].mono_ns >= SAMPLE_EVERY_NS;
    pthread_mutex_unlock(&ui->lock);
    if (!due)
        return;
    yg_counter_each(add_counter, &now);
    pthread_mutex_lock(&ui->lock);
    ui->newest = (ui->newest + 1) % SAMPLES;
    ui->samples[ui->newest] = now;
    if (ui->count < SAMPLES)
        ui->count++;
    pthread_mutex_unlock(&ui->lock);
}

void yg_api_tick(struct yg_api *api) {
    if (api->store != NULL) {
        struct yg_store_status s;
        yg_store_status(api->store, &s);
        atomic_store_explicit(&api->disk_full, s.disk_full, memory_order_release);
    }
    if (api->ui != NULL)
        take_sample(api);
}

static double per_second(int64_t gained, int64_t dur_ns) {
    return gained > 0 ? (double)gained / ((double)dur_ns / (double)YG_NS_PER_S) : 0.0;
}

void yg_ui_rates(struct yg_api *api, struct yg_ui_rates *ret_rates) {
    *ret_rates = (struct yg_ui_rates){0};
    struct yg_api_ui *ui = api->ui;
    if (ui == NULL)
        return;
    take_sample(api);
    pthread_mutex_lock(&ui->lock);
    const struct sample *last = &ui->samples[ui->newest];
    const struct sample *first = last;
    for (uint32_t i = 1; i < ui->count; i++) { // the oldest one that is not older than the window
        const struct sample *s = &ui->samples[(ui->newest + SAMPLES - i) % SAMPLES];
        if (last->mono_ns - s->mono_ns > RATE_WINDOW_NS + YG_NS_PER_S)
            break;
        first = s;
    }
    int64_t dur_ns = last->mono_ns - first->mono_ns;
    if (dur_ns > 0)
        *ret_rates = (struct yg_ui_rates){
            .spans = per_second(last->spans - first->spans, dur_ns),
            .logs = per_second(last->logs - first->logs, dur_ns),
            .points = per_second(last->points - first->points, dur_ns),
            .rejected = per_second(last->rejected - first->rejected, dur_ns),
        };
    pthread_mutex_unlock(&ui->lock);
}

// ---- refused requests --------------------------------------------------------------------------

enum yg_received_kind yg_ui_received_kind(yg_str path) {
    static const struct {
        const char *prefix;
        enum yg_received_kind kind;
    } rows[] = {
        {"/v0.6/stats", YG_RECEIVED_STATS},
        {"/v0.7/config", YG_RECEIVED_COUNT},
        {"/v0.", YG_RECEIVED_TRACES},
        {"/api/v2/logs", YG_RECEIVED_LOGS},
        {"/v1/input", YG_RECEIVED_LOGS},
        {"/api/v1/series", YG_RECEIVED_METRICS},
        {"/api/v2/series", YG_RECEIVED_METRICS},
        {"/api/v1/distribution_points", YG_RECEIVED_DISTRIBUTIONS},
        {"/api/v1/check_run", YG_RECEIVED_CHECKS},
        {"/api/v1/events", YG_RECEIVED_EVENTS},
        {"/telemetry/", YG_RECEIVED_TELEMETRY},
        {"dogstatsd", YG_RECEIVED_DOGSTATSD},
        {"/dogstatsd", YG_RECEIVED_DOGSTATSD},
        {"udp", YG_RECEIVED_DOGSTATSD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (yg_str_starts(path, yg_str_c(rows[i].prefix)))
            return rows[i].kind;
    return YG_RECEIVED_COUNT;
}

void yg_ui_note_refused(struct yg_api *api, const struct yg_http_request *req, uint16_t status,
                        const char *text) {
    enum yg_received_kind kind = yg_ui_received_kind(req->path);
    if (api->ui == NULL || kind == YG_RECEIVED_COUNT)
        return;
    pthread_mutex_lock(&api->ui->lock);
    struct yg_ui_refused *r = &api->ui->refused[kind];
    r->at_ns = yg_now_ns(api->clock);
    r->status = status;
    (void)snprintf(r->text, sizeof(r->text), "%s", text);
    pthread_mutex_unlock(&api->ui->lock);
}

struct newest {
    enum yg_received_kind kind;
    struct yg_ui_refused *refused;
};

static void take_newer(void *ctx, const struct yg_api_refused *refused) {
    struct newest *n = ctx;
    if (yg_ui_received_kind(yg_str_c(refused->route)) != n->kind ||
        refused->at_ns <= n->refused->at_ns)
        return;
    n->refused->at_ns = refused->at_ns;
    n->refused->status = refused->status;
    (void)snprintf(n->refused->text, sizeof(n->refused->text), "%s", refused->text);
}

// The newer one of what the guard refused and what intake refused.
void yg_ui_last_refused(struct yg_api *api, enum yg_received_kind kind,
                        struct yg_ui_refused *ret_refused) {
    YG_ASSERT(kind < YG_RECEIVED_COUNT);
    *ret_refused = (struct yg_ui_refused){0};
    if (api->ui != NULL) {
        pthread_mutex_lock(&api->ui->lock);
        *ret_refused = api->ui->refused[kind];
        pthread_mutex_unlock(&api->ui->lock);
    }
    struct newest n = {.kind = kind, .refused = ret_refused};
    if (api->refused_each != NULL)
        api->refused_each(take_newer, &n);
}

bool yg_ui_name_path(struct yg_api *api, const char *shape) {
    struct yg_api_ui *ui = api->ui;
    if (ui == NULL)
        return false;
    pthread_mutex_lock(&ui->lock);
    bool known = false;
    for (uint32_t i = 0; i < ui->path_count && !known; i++)
        known = strcmp(ui->paths[i], shape) == 0;
    if (!known && ui->path_count < PATHS_MAX) {
        ui->paths[ui->path_count++] = yg_strndup(YG_MEM_QUERY, shape, strlen(shape));
        known = true;
    }
    pthread_mutex_unlock(&ui->lock);
    return known;
}

// ---- environments ------------------------------------------------------------------------------

static yg_rc read_envs(struct yg_api *api, struct yg_arena *arena, struct yg_agg_result *ret_result,
                       struct yg_err *err) {
    static const struct yg_node all = {.kind = YG_NODE_ALL};
    struct yg_compute count = {.agg = YG_AGG_COUNT};
    struct yg_group_by by = {.facet = {.kind = YG_FIELD_RESERVED, .name = YG_STR(YG_COL_ENV)},
                             .limit = ENVS_MAX};
    int64_t now_ns = yg_now_ns(api->clock);
    struct yg_event_query q = {
        .track = YG_TRACK_SPANS,
        .range = {.from_ns = now_ns - ENVS_WINDOW_NS, .to_ns = now_ns + YG_NS_PER_S},
        .filter = &all,
        .computes = &count,
        .compute_count = 1,
        .group_by = &by,
        .group_count = 1,
        .deadline_mono_ns = yg_mono_ns(api->clock) + 2 * YG_NS_PER_S,
    };
    return yg_events_aggregate(api->store, &q, true, arena, ret_result, err);
}

static void keep_envs(struct yg_api_ui *ui, const struct yg_agg_result *result, int64_t mono_ns) {
    pthread_mutex_lock(&ui->lock);
    drop_envs(ui);
    for (uint32_t i = 0; i < result->count && ui->env_count < ENVS_MAX; i++) {
        yg_str env = result->buckets[i].by ? result->buckets[i].by[0] : (yg_str){0};
        if (env.len > 0)
            ui->envs[ui->env_count++] = yg_strndup(YG_MEM_QUERY, env.ptr, env.len);
    }
    ui->envs_mono_ns = mono_ns;
    pthread_mutex_unlock(&ui->lock);
}

yg_rc yg_ui_envs(struct yg_api *api, struct yg_arena *arena, yg_str **ret_envs, uint32_t *ret_count,
                 struct yg_err *err) {
    *ret_envs = NULL;
    *ret_count = 0;
    struct yg_api_ui *ui = api->ui;
    if (ui == NULL || api->store == NULL)
        return YG_OK;
    int64_t mono_ns = yg_mono_ns(api->clock);
    pthread_mutex_lock(&ui->lock);
    // Without any the next page asks again: the first data must not wait for the cache.
    bool stale = ui->env_count == 0 || mono_ns - ui->envs_mono_ns > ENVS_KEEP_NS;
    pthread_mutex_unlock(&ui->lock);
    if (stale) {
        struct yg_agg_result result = {0};
        YG_TRY(read_envs(api, arena, &result, err));
        keep_envs(ui, &result, mono_ns);
    }
    pthread_mutex_lock(&ui->lock);
    yg_str *envs = YG_NEW_N(arena, yg_str, ENVS_MAX);
    for (uint32_t i = 0; envs != NULL && i < ui->env_count; i++)
        envs[(*ret_count)++] = yg_arena_str(arena, yg_str_c(ui->envs[i]));
    pthread_mutex_unlock(&ui->lock);
    *ret_envs = envs;
    return envs ? YG_OK : yg_fail(err, YG_ENOMEM, "no memory for the list of environments");
}

// SPDX-License-Identifier: Apache-2.0
// How the server is: /health, /ready, /metrics (Prometheus text) and the page's status line.
#include "api/ui.h"

#include "base/counter.h"
#include "base/file.h"
#include "monitor/monitor.h"

// One line a fault that the server lives with.
static void put_fault(struct yg_json_writer *w, bool is, const char *what, uint64_t count,
                      const char *text) {
    if (!is)
        return;
    yg_jw_object(w);
    yg_jw_kstr(w, "what", yg_str_c(what));
    yg_jw_ki64(w, "count", (int64_t)count);
    yg_jw_kstr(w, "text", yg_str_c(text));
    yg_jw_object_end(w);
}

static void put_faults(struct yg_json_writer *w, const struct yg_store_status *s) {
    put_fault(w, s->disk_full, "disk_full", 1, "the disk is full: intake waits for room");
    put_fault(w, s->log_failed, "log_failed", 1,
              "the write-ahead log cannot be written: nothing is acknowledged");
    put_fault(w, s->flush_failed, "flush_failed", 1,
              "memory cannot be written to files: the log keeps the rows");
    put_fault(w, s->damaged_chunks > 0, "damaged_data", s->damaged_chunks,
              "damaged parts were found and left out of answers; yagura fsck names them");
    put_fault(w, s->segments_kept_out > 0, "damaged_files", s->segments_kept_out,
              "damaged files are left out of merges");
    put_fault(w, s->merge_waits_for_disk, "merge_waits", 1, "merges wait: the disk lacks room");
}

static bool is_sound(const struct yg_store_status *s) {
    return !s->disk_full && !s->log_failed && !s->flush_failed && s->damaged_chunks == 0 &&
           s->segments_kept_out == 0 && !s->merge_waits_for_disk;
}

// 200 while the process lives; what it lives with is named.
void yg_ui_health(struct yg_http_request *take_req) {
    const struct yg_api *api = take_req->ctx;
    struct yg_store_status s = {0};
    if (atomic_load_explicit(&api->ready, memory_order_acquire))
        yg_store_status(api->store, &s);
    struct yg_http_reply reply = {.status = 200, .content_type = "application/json"};
    if (is_sound(&s)) {
        reply.static_body = YG_STR("{\"status\":\"ok\"}");
        yg_http_reply(take_req, &reply);
        return;
    }
    struct yg_buf out = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&out);
    yg_jw_object(&w);
    yg_jw_kstr(&w, "status", YG_STR("degraded"));
    yg_jw_k(&w, "details");
    yg_jw_array(&w);
    put_faults(&w, &s);
    yg_jw_array_end(&w);
    yg_jw_object_end(&w);
    yg_api_reply(take_req, 200, &out);
}

void yg_ui_ready(struct yg_http_request *take_req) {
    const struct yg_api *api = take_req->ctx;
    struct yg_http_reply reply = {.status = 503, .content_type = "application/json"};
    reply.extra[reply.extra_count++] = (struct yg_http_header){YG_STR("Retry-After"), YG_STR("1")};
    if (atomic_load_explicit(&api->draining, memory_order_acquire)) {
        reply.static_body =
            YG_STR("{\"status\":\"draining\",\"reason\":\"the server is stopping\"}");
    } else if (!atomic_load_explicit(&api->ready, memory_order_acquire)) {
        reply.static_body =
            YG_STR("{\"status\":\"starting\",\"reason\":\"the write-ahead log is being read\"}");
    } else if (atomic_load_explicit(&api->disk_full, memory_order_acquire)) {
        reply.static_body = YG_STR(
            "{\"status\":\"disk_full\",\"reason\":\"the disk is full: intake waits for room\"}");
    } else {
        reply.status = 200;
        reply.extra_count = 0;
        reply.static_body = YG_STR("{\"status\":\"ready\"}");
    }
    yg_http_reply(take_req, &reply);
}

// ---- Prometheus text ---------------------------------------------------------------------------

struct shown {
    const struct yg_counter *counter;
    int64_t value;
    uint32_t order;
};
struct shown_list {
    struct shown *rows;
    uint32_t len;
    uint32_t cap;
};

static void gather(void *ctx, const struct yg_counter *c, int64_t value) {
    struct shown_list *list = ctx;
    YG_GROW(YG_MEM_QUERY, list->rows, list->len, list->cap);
    list->rows[list->len] = (struct shown){c, value, list->len};
    list->len++;
}

static int by_name(const void *left, const void *right) {
    const struct shown *a = left;
    const struct shown *b = right;
    int cmp = strcmp(a->counter->name, b->counter->name);
    return cmp ? cmp : a->order < b->order ? -1 : 1;
}

static void put_name(struct yg_buf *out, const char *name) {
    for (; *name; name++) {
        bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                     (*name >= '0' && *name <= '9');
        yg_buf_putc(out, plain ? *name : '_');
    }
}

static void put_labels(struct yg_buf *out, yg_str tags) {
    char before = '{';
    while (tags.len > 0) {
        size_t comma = yg_str_find_char(tags, ',', 0);
        yg_str tag = comma == SIZE_MAX ? tags : yg_str_sub(tags, 0, comma);
        tags = comma == SIZE_MAX ? (yg_str){0} : yg_str_sub(tags, comma + 1, tags.len);
        size_t colon = yg_str_find_char(tag, ':', 0);
        if (colon == SIZE_MAX || colon == 0)
            continue;
        yg_buf_putc(out, before);
        before = ',';
        char name[64];
        (void)snprintf(name, sizeof(name), "%.*s", (int)(colon < 60 ? colon : 60), tag.ptr);
        put_name(out, name);
        yg_buf_puts(out, YG_STR("=\""));
        for (size_t i = colon + 1; i < tag.len; i++) {
            if (tag.ptr[i] == '"' || tag.ptr[i] == '\\')
                yg_buf_putc(out, '\\');
            yg_buf_putc(out, tag.ptr[i] == '\n' ? ' ' : tag.ptr[i]);
        }
        yg_buf_putc(out, '"');
    }
    if (before == ',')
        yg_buf_putc(out, '}');
}

void yg_ui_metrics(struct yg_http_request *take_req) {
    // One path, two readers: a scraper gets text, a browser the page's metrics explorer.
    if (yg_str_find(yg_http_header(take_req, "accept"), YG_STR("text/html"), 0) != SIZE_MAX) {
        yg_ui_page(take_req);
        return;
    }
    struct shown_list list = {0};
    yg_counter_each(gather, &list);
    if (list.len > 0)
        qsort(list.rows, list.len, sizeof(list.rows[0]), by_name);
    struct yg_http_reply reply = {.status = 200,
                                  .content_type = "text/plain; version=0.0.4; charset=utf-8"};
    struct yg_buf *out = &reply.body;
    *out = yg_api_buf();
    for (uint32_t i = 0; i < list.len; i++) {
        const struct yg_counter *c = list.rows[i].counter;
        if (i == 0 || strcmp(c->name, list.rows[i - 1].counter->name) != 0) {
            yg_buf_puts(out, YG_STR("# TYPE "));
            put_name(out, c->name);
            yg_buf_puts(out, c->kind == YG_COUNTER ? YG_STR(" counter\n") : YG_STR(" gauge\n"));
        }
        put_name(out, c->name);
        put_labels(out, yg_str_c(c->tags));
        yg_buf_printf(out, " %lld\n", (long long)list.rows[i].value);
    }
    yg_free(YG_MEM_QUERY, list.rows);
    yg_http_reply(take_req, &reply);
}

// ---- GET Y/status ------------------------------------------------------------------------------

static void put_memory(struct yg_json_writer *w) {
    int64_t used = 0;
    int64_t limit = 0;
    for (unsigned t = 0; t < YG_MEM_TAG_COUNT; t++) {
        used += yg_mem_used((enum yg_mem_tag)t);
        limit += yg_mem_limit((enum yg_mem_tag)t);
    }
    yg_jw_k(w, "memory");
    yg_jw_object(w);
    yg_jw_ki64(w, "used_bytes", used);
    yg_jw_ki64(w, "limit_bytes", limit);
    yg_jw_object_end(w);
}

static void put_disk(struct yg_json_writer *w, const struct yg_api *api) {
    struct yg_store_status s;
    struct yg_err err = {0};
    int64_t free_bytes = 0;
    int64_t total_bytes = 0;
    yg_store_status(api->store, &s);
    if (api->data_dir != NULL &&
        yg_file_free_bytes(api->data_dir, &free_bytes, &total_bytes, &err) != YG_OK)
        free_bytes = total_bytes = 0;
    yg_jw_k(w, "disk");
    yg_jw_object(w);
    yg_jw_ki64(w, "data_bytes", (int64_t)(s.bytes_files + s.wal_bytes));
    yg_jw_ki64(w, "free_bytes", free_bytes);
    yg_jw_ki64(w, "total_bytes", total_bytes);
    yg_jw_object_end(w);
}

static void put_monitors(struct yg_json_writer *w, const struct yg_api *api) {
    uint32_t counts[YG_STATE_COUNT] = {0};
    if (api->monitors != NULL)
        yg_monitors_counts(api->monitors, counts);
    yg_jw_k(w, "monitors");
    yg_jw_object(w);
    yg_jw_ki64(w, "alert", counts[YG_STATE_ALERT]);
    yg_jw_ki64(w, "warn", counts[YG_STATE_WARN]);
    yg_jw_ki64(w, "no_data", counts[YG_STATE_NO_DATA]);
    yg_jw_ki64(w, "ok", counts[YG_STATE_OK]);
    yg_jw_ki64(w, "muted", 0);
    yg_jw_object_end(w);
}

void yg_ui_status(struct yg_http_request *take_req) {
    struct yg_api *api = take_req->ctx;
    struct yg_ui_rates rates;
    yg_ui_rates(api, &rates);
    int64_t now_ns = yg_now_ns(api->clock);
    struct yg_buf body = yg_api_buf();
    struct yg_json_writer w = YG_JSON_WRITER(&body);
    yg_jw_object(&w);
    yg_jw_ki64(&w, "now_ms", yg_ui_ms(now_ns));
    yg_jw_kstr(&w, "version", YG_STR(YG_VERSION));
    yg_jw_ki64(&w, "uptime_s", (now_ns - api->started_ns) / YG_NS_PER_S);
    yg_jw_kbool(&w, "ready", atomic_load_explicit(&api->ready, memory_order_acquire));
    yg_jw_k(&w, "ingest");
    yg_jw_object(&w);
    yg_jw_kf64(&w, "spans_per_s", rates.spans);
    yg_jw_kf64(&w, "logs_per_s", rates.logs);
    yg_jw_kf64(&w, "points_per_s", rates.points);
    yg_jw_kf64(&w, "rejected_per_s", rates.rejected);
    yg_jw_object_end(&w);
    yg_jw_ki64(&w, "lag_ms", 0); // the store shows every row that it acknowledged
    put_memory(&w);
    put_disk(&w, api);
    put_monitors(&w, api);
    if (api->wal_sync_note != NULL)
        yg_jw_kstr(&w, "note", yg_str_c(api->wal_sync_note));
    yg_jw_object_end(&w);
    yg_ui_reply(take_req, &body);
}

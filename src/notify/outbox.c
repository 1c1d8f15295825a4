// SPDX-License-Identifier: Apache-2.0
// The sender: takes due rows of the outbox, sends them, notes what became of each.
//
// One thread works in rounds: note the answers that came, send what is due, sleep until the next
// row is due, an answer comes or somebody kicks. A row stays pending in the database until its
// answer is noted, so after a crash exactly the deliveries whose answer was not noted are tried
// again, under the same id (header X-Yagura-Delivery). Of one (monitor, group, target) only the
// oldest pending row is ever under way. Locks: `lock` guards `answered` and `in_flight`; the egress
// thread takes it for a few instructions, the sender never holds it across the database or the
// client.
#include "notify/notify_internal.h"

#include "base/counter.h"
#include "base/log.h"
#include "base/panic.h"

#define NOTIFIER_MAGIC 0x6f7b0c11u
#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS 300000
#define TIMEOUT_MS 15000
#define TRIES_MAX 20
#define IN_FLIGHT_MAX 16
#define IDLE_MS 5000
#define ARENA_BYTES (16u << 20)
#define ERROR_BYTES 200
#define CLOSE_WAIT_MS 2000 // for answers that are still under way

// One try under way: what the row needs when its answer comes.
struct delivery_try {
    struct yg_notifier *notifier;
    struct delivery_try *next; // of `answered`
    int64_t seq;
    int64_t attempts; // with this one
    yg_rc rc;
    long status;
    bool sent;
    int64_t retry_after_s;
    char error[ERROR_BYTES];
};

struct yg_notifier {
    uint32_t magic;
    struct yg_meta *meta;
    struct yg_client *client;
    const struct yg_clock *clock;
    int64_t retry_first_ms, retry_max_ms, timeout_ms;
    uint32_t tries_max, in_flight_max;
    pthread_mutex_t lock;
    struct delivery_try *answered; // newest first
    int64_t *in_flight;            // seqs under way
    uint32_t in_flight_count;
    uint32_t refs; // the owner's and one per try under way: an answer may come after the end
    bool closed;
    struct yg_event wake;
    struct yg_thread thread;
    bool started;
    _Atomic bool stop;
    struct yg_counter *sent, *failed, *retried;
};

struct yg_notifier *yg_notifier_create(const struct yg_notifier_options *o) {
    YG_ASSERT(o->meta && o->client && o->clock);
    struct yg_notifier *n = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*n));
    n->magic = NOTIFIER_MAGIC;
    n->refs = 1;
    n->meta = o->meta;
    n->client = o->client;
    n->clock = o->clock;
    n->retry_first_ms = o->retry_first_ms ? o->retry_first_ms : RETRY_FIRST_MS;
    n->retry_max_ms = o->retry_max_ms ? o->retry_max_ms : RETRY_MAX_MS;
    n->timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    n->tries_max = o->tries_max ? o->tries_max : TRIES_MAX;
    n->in_flight_max = o->in_flight_max ? o->in_flight_max : IN_FLIGHT_MAX;
    n->in_flight = yg_calloc(YG_MEM_MONITOR, n->in_flight_max, sizeof(*n->in_flight));
    pthread_mutex_init(&n->lock, NULL);
    yg_event_init(&n->wake);
    n->sent = yg_counter_get(YG_COUNTER, "yagura.notify.messages", "outcome:sent");
    n->failed = yg_counter_get(YG_COUNTER, "yagura.notify.messages", "outcome:failed");
    n->retried = yg_counter_get(YG_COUNTER, "yagura.notify.messages", "outcome:retried");
    return n;
}

// ---------------------------------------------------------------- answers

static bool is_under_way(struct yg_notifier *n, int64_t seq) {
    bool found = false;
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->in_flight_count; i++)
        found |= n->in_flight[i] == seq;
    pthread_mutex_unlock(&n->lock);
    return found;
}

static void under_way_add(struct yg_notifier *n, int64_t seq) {
    pthread_mutex_lock(&n->lock);
    YG_ASSERT(n->in_flight_count < n->in_flight_max);
    n->in_flight[n->in_flight_count++] = seq;
    pthread_mutex_unlock(&n->lock);
}

static void under_way_remove(struct yg_notifier *n, int64_t seq) {
    pthread_mutex_lock(&n->lock);
    for (uint32_t i = 0; i < n->in_flight_count; i++)
        if (n->in_flight[i] == seq)
            n->in_flight[i] = n->in_flight[--n->in_flight_count];
    pthread_mutex_unlock(&n->lock);
}

static uint32_t under_way_count(struct yg_notifier *n) {
    pthread_mutex_lock(&n->lock);
    uint32_t count = n->in_flight_count;
    pthread_mutex_unlock(&n->lock);
    return count;
}

static void ref(struct yg_notifier *n) {
    pthread_mutex_lock(&n->lock);
    n->refs++;
    pthread_mutex_unlock(&n->lock);
}

static void unref(struct yg_notifier *n) {
    pthread_mutex_lock(&n->lock);
    bool last = --n->refs == 0;
    pthread_mutex_unlock(&n->lock);
    if (!last)
        return;
    yg_event_fini(&n->wake);
    pthread_mutex_destroy(&n->lock);
    yg_free(YG_MEM_MONITOR, n->in_flight);
    n->magic = 0;
    yg_free(YG_MEM_MONITOR, n);
}

// On the egress thread: hands the answer to the sender. After its end nobody notes the answer; the
// delivery is repeated by the next start, under its id.
static void on_answer(void *arg, const struct yg_client_answer *answer) {
    struct delivery_try *t = arg;
    struct yg_notifier *n = t->notifier;
    t->rc = answer->rc;
    t->status = answer->status;
    t->sent = answer->sent;
    t->retry_after_s = answer->retry_after_s;
    if (answer->rc != YG_OK)
        snprintf(t->error, sizeof(t->error), "%s", answer->error ? answer->error : "no answer");
    pthread_mutex_lock(&n->lock);
    bool closed = n->closed;
    if (!closed) {
        t->next = n->answered;
        n->answered = t;
        yg_event_set(&n->wake);
    }
    pthread_mutex_unlock(&n->lock);
    if (closed)
        yg_free(YG_MEM_MONITOR, t);
    unref(n);
}

static int64_t backoff_ns(const struct yg_notifier *n, int64_t attempts, int64_t retry_after_s) {
    int64_t wait_ms = n->retry_first_ms;
    for (int64_t i = 1; i < attempts && wait_ms < n->retry_max_ms; i++)
        wait_ms *= 2;
    if (retry_after_s > 0 && retry_after_s * 1000 > wait_ms)
        wait_ms = retry_after_s * 1000;
    return (wait_ms < n->retry_max_ms ? wait_ms : n->retry_max_ms) * YG_NS_PER_MS;
}

static bool is_worth_a_retry(const struct delivery_try *t) {
    return t->rc != YG_OK || t->status >= 500 || t->status == 429 || t->status == 408;
}

// The row as it stands after this try.
static struct yg_message_record outcome(struct yg_notifier *n, const struct delivery_try *t) {
    int64_t now_ns = yg_now_ns(n->clock);
    struct yg_message_record rec = {.seq = t->seq,
                                    .attempts = t->attempts,
                                    .last_status = t->status,
                                    .last_error = yg_str_c(t->error),
                                    .due_ns = now_ns};
    if (t->rc == YG_OK && t->status >= 200 && t->status < 300) {
        rec.state = YG_MESSAGE_SENT;
        rec.done_ns = now_ns;
        yg_counter_add(n->sent, 1);
    } else if (is_worth_a_retry(t) && t->attempts < n->tries_max) {
        rec.state = YG_MESSAGE_PENDING;
        rec.due_ns = now_ns + backoff_ns(n, t->attempts, t->retry_after_s);
        yg_counter_add(n->retried, 1);
    } else {
        rec.state = t->rc != YG_OK && t->sent ? YG_MESSAGE_UNKNOWN : YG_MESSAGE_FAILED;
        rec.done_ns = now_ns;
        yg_counter_add(n->failed, 1);
    }
    return rec;
}

// A note that cannot be written leaves the row as it was: it is tried again, under the same id.
static void note(struct yg_notifier *n, const struct yg_message_record *rec) {
    struct yg_err err = {0};
    if (yg_meta_outbox_note(n->meta, rec, &err) != YG_OK)
        yg_log(YG_LOG_WARN, "notify", "outcome of a message could not be stored",
               YG_KV_INT("seq", rec->seq), YG_KV_C("error", err.text));
}

static void note_answers(struct yg_notifier *n) {
    pthread_mutex_lock(&n->lock);
    struct delivery_try *list = n->answered;
    n->answered = NULL;
    pthread_mutex_unlock(&n->lock);
    while (list) {
        struct delivery_try *t = list;
        list = t->next;
        if (t->rc == YG_OK && (t->status < 200 || t->status >= 300))
            snprintf(t->error, sizeof(t->error), "HTTP status %ld", t->status);
        struct yg_message_record rec = outcome(n, t);
        if (t->rc != YG_ECANCEL) // the client stops: not a try that counts
            note(n, &rec);
        under_way_remove(n, t->seq);
        yg_free(YG_MEM_MONITOR, t);
    }
}

// ---------------------------------------------------------------- sending

static void fail_for_good(struct yg_notifier *n, const struct yg_message_record *msg,
                          const struct yg_err *err) {
    struct yg_message_record rec = {.seq = msg->seq,
                                    .attempts = msg->attempts,
                                    .state = YG_MESSAGE_FAILED,
                                    .due_ns = msg->due_ns,
                                    .done_ns = yg_now_ns(n->clock),
                                    .last_status = msg->last_status,
                                    .last_error = yg_str_c(err->text)};
    yg_counter_add(n->failed, 1);
    note(n, &rec);
}

static yg_rc send_delivery(struct yg_notifier *n, const struct yg_message_record *msg,
                           const struct yg_delivery *d, struct yg_arena *arena,
                           struct yg_err *err) {
    char *url = yg_arena_cstr(arena, d->url);
    if (!url)
        return yg_fail(err, YG_ENOMEM, "message: no memory");
    struct delivery_try *t = yg_calloc(YG_MEM_MONITOR, 1, sizeof(*t));
    t->notifier = n;
    t->seq = msg->seq;
    t->attempts = msg->attempts + 1;
    struct yg_client_request request = {.method = "POST",
                                        .url = url,
                                        .headers = d->headers,
                                        .header_count = d->header_count,
                                        .body = d->body,
                                        .timeout_ms = n->timeout_ms};
    under_way_add(n, msg->seq);
    ref(n);
    yg_rc rc = yg_client_send(n->client, &request, on_answer, t, err);
    if (rc != YG_OK) {
        unref(n);
        under_way_remove(n, msg->seq);
        yg_free(YG_MEM_MONITOR, t);
    }
    return rc;
}

static void send_one(struct yg_notifier *n, const struct yg_message_record *msg) {
    struct yg_err err = {0};
    struct yg_delivery d;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, ARENA_BYTES);
    yg_rc rc = yg_delivery_build(n->meta, msg, arena, &d, &err);
    if (rc == YG_OK)
        rc = send_delivery(n, msg, &d, arena, &err);
    if (rc == YG_ENOTFOUND || rc == YG_EINPUT || rc == YG_ELIMIT)
        fail_for_good(n, msg, &err);
    else if (rc != YG_OK) // stays pending: the next round looks again
        yg_log(YG_LOG_WARN, "notify", "message could not be sent", YG_KV_C("error", err.text));
}

// Sends what is due; returns when the next row is due.
static int64_t send_due(struct yg_notifier *n) {
    struct yg_err err = {0};
    struct yg_message_record *rows = NULL;
    uint32_t count = 0;
    int64_t next_ns = INT64_MAX;
    YG_AUTO_ARENA arena = yg_arena_create(YG_MEM_MONITOR, ARENA_BYTES);
    yg_rc rc = yg_meta_outbox_due(n->meta, yg_now_ns(n->clock), 2 * n->in_flight_max, arena, &rows,
                                  &count, &next_ns, &err);
    if (rc != YG_OK)
        yg_log(YG_LOG_WARN, "notify", "outbox could not be read", YG_KV_C("error", err.text));
    for (uint32_t i = 0; i < count && rc == YG_OK; i++) {
        if (under_way_count(n) == n->in_flight_max)
            break; // an answer wakes the next round
        if (!is_under_way(n, rows[i].seq))
            send_one(n, &rows[i]);
    }
    return next_ns;
}

uint32_t yg_notifier_pass(struct yg_notifier *n) {
    YG_CHECK(n, NOTIFIER_MAGIC);
    note_answers(n);
    (void)send_due(n);
    return under_way_count(n);
}

static void notifier_main(void *arg) {
    struct yg_notifier *n = arg;
    while (!atomic_load_explicit(&n->stop, memory_order_acquire)) {
        yg_event_reset(&n->wake);
        note_answers(n);
        int64_t next_ns = send_due(n);
        int64_t wait_ms = IDLE_MS;
        if (next_ns != INT64_MAX) {
            wait_ms = (next_ns - yg_now_ns(n->clock)) / YG_NS_PER_MS + 1;
            wait_ms = wait_ms < 1 ? 1 : wait_ms > IDLE_MS ? IDLE_MS : wait_ms;
        }
        (void)yg_event_wait_ms(&n->wake, wait_ms);
    }
}

void yg_notifier_start(struct yg_notifier *n) {
    YG_CHECK(n, NOTIFIER_MAGIC);
    YG_ASSERT(!n->started);
    n->started = true;
    yg_thread_start(&n->thread, "yg-notify", notifier_main, n);
}

void yg_notifier_kick(struct yg_notifier *n) {
    YG_CHECK(n, NOTIFIER_MAGIC);
    yg_event_set(&n->wake);
}

void yg_notifier_destroy(struct yg_notifier *n) {
    if (!n)
        return;
    YG_CHECK(n, NOTIFIER_MAGIC);
    atomic_store_explicit(&n->stop, true, memory_order_release);
    yg_event_set(&n->wake);
    if (n->started)
        yg_thread_join(&n->thread);
    note_answers(n);
    for (int64_t waited_ms = 0; under_way_count(n) > 0 && waited_ms < CLOSE_WAIT_MS;
         waited_ms += 50) {
        (void)yg_event_wait_ms(&n->wake, 50);
        yg_event_reset(&n->wake);
        note_answers(n);
    }
    pthread_mutex_lock(&n->lock);
    n->closed = true;
    pthread_mutex_unlock(&n->lock);
    note_answers(n); // those that came just before
    unref(n);
}

// SPDX-License-Identifier: Apache-2.0
// One libuv loop on one thread: posts from other threads, timers, and the graceful stop.
//
// Other threads reach the loop only through two queues under loop->lock (posted functions and
// answered requests) and one uv_async. Everything else belongs to the loop thread between start and
// stop, and to the owner before and after.
#include "net/net_internal.h"

#define TICK_MS 100

static int64_t mono_ms(void) {
    return (int64_t)(uv_hrtime() / 1000000u);
}

static void run_posts(struct yg_loop *loop) {
    for (;;) {
        pthread_mutex_lock(&loop->lock);
        struct net_post *posts = loop->posts;
        uint32_t len = loop->post_len;
        struct net_exchange *x = loop->replied_first;
        loop->posts = NULL;
        loop->post_len = loop->post_cap = 0;
        loop->replied_first = loop->replied_last = NULL;
        pthread_mutex_unlock(&loop->lock);
        if (len == 0 && x == NULL)
            return;
        loop->now_ms = mono_ms();
        while (x != NULL) {
            struct net_exchange *next = x->next;
            x->next = NULL;
            net_conn_replied(x);
            x = next;
        }
        for (uint32_t i = 0; i < len; i++)
            posts[i].fn(posts[i].arg);
        yg_free(YG_MEM_NET, posts);
    }
}

static void on_wake(uv_async_t *wake) {
    run_posts(wake->data);
}

static void on_tick(uv_timer_t *timer) {
    struct yg_loop *loop = timer->data;
    loop->now_ms = mono_ms();
    for (struct yg_http_server *s = loop->servers; s != NULL; s = s->next)
        for (struct net_conn *c = s->conns, *next; c != NULL; c = next) {
            next = c->next;
            net_conn_tick(c, loop->now_ms);
        }
}

static void on_ack(uv_timer_t *timer) {
    struct yg_loop *loop = timer->data;
    net_conn_ack_poll(loop);
    if (loop->acks == NULL)
        uv_timer_stop(timer);
}

static void on_every(uv_timer_t *timer) {
    struct net_every *every = timer->data;
    every->fn(every->arg);
}

struct yg_loop *yg_loop_create(struct yg_pool *pool) {
    struct yg_loop *loop = yg_calloc(YG_MEM_NET, 1, sizeof(*loop));
    loop->magic = NET_LOOP_MAGIC;
    loop->pool = pool;
    pthread_mutex_init(&loop->lock, NULL);
    if (uv_loop_init(&loop->uv) != 0 || uv_async_init(&loop->uv, &loop->wake, on_wake) != 0)
        yg_panic(__FILE__, __LINE__, "the system has no event loop to give");
    uv_timer_init(&loop->uv, &loop->tick);
    uv_timer_init(&loop->uv, &loop->ack);
    uv_timer_init(&loop->uv, &loop->grace);
    loop->wake.data = loop->tick.data = loop->ack.data = loop->grace.data = loop;
    loop->read_buf = yg_alloc(YG_MEM_NET, NET_READ_BYTES);
    loop->now_ms = mono_ms();
    loop->date_s = -1;
    return loop;
}

static void loop_main(void *arg) {
    struct yg_loop *loop = arg;
    loop->now_ms = mono_ms();
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
    }
}

void yg_loop_start(struct yg_loop *loop) {
    YG_CHECK(loop, NET_LOOP_MAGIC);
    YG_ASSERT(loop->phase == NET_LOOP_NEW);
    loop->phase = NET_LOOP_RUNNING;
    yg_thread_start(&loop->thread, "yg-loop", loop_main, loop);
}

// Closes what keeps the loop alive, once no connection is left (or the grace is over).
static void close_all(struct yg_loop *loop) {
    if (loop->closing)
        return;
    pthread_mutex_lock(&loop->lock); // no uv_async_send after this
    loop->closing = true;
    pthread_mutex_unlock(&loop->lock);
    for (struct net_every *e = loop->everys; e != NULL; e = e->next)
        uv_close((uv_handle_t *)&e->timer, NULL);
    for (struct yg_udp *u = loop->udps; u != NULL; u = net_udp_next(u))
        net_udp_stop(u);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    uv_close((uv_handle_t *)&loop->ack, NULL);
    uv_close((uv_handle_t *)&loop->grace, NULL);
}

static void on_grace(uv_timer_t *timer) {
    struct yg_loop *loop = timer->data;
    for (struct yg_http_server *s = loop->servers; s != NULL; s = s->next)
        for (struct net_conn *c = s->conns, *next; c != NULL; c = next) {
            next = c->next;
            net_conn_close(c);
        }
    if (loop->conn_count == 0)
        close_all(loop);
}

static void stop_on_loop(void *arg) {
    struct yg_loop *loop = arg;
    loop->phase = NET_LOOP_DRAINING;
    for (struct yg_http_server *s = loop->servers; s != NULL; s = s->next) {
        net_server_stop_listening(s);
        for (struct net_conn *c = s->conns, *next; c != NULL; c = next) {
            next = c->next;
            net_conn_drain(c);
        }
    }
    if (loop->conn_count == 0)
        close_all(loop);
    else
        uv_timer_start(&loop->grace, on_grace, (uint64_t)loop->grace_ms, 0);
}

void yg_loop_stop(struct yg_loop *loop, int64_t grace_ms) {
    YG_CHECK(loop, NET_LOOP_MAGIC);
    if (loop->phase == NET_LOOP_ENDED)
        return;
    loop->grace_ms = grace_ms > 0 ? grace_ms : 0;
    if (loop->phase == NET_LOOP_NEW) { // never ran: close the handles here
        stop_on_loop(loop);
        loop_main(loop);
    } else {
        yg_loop_post(loop, stop_on_loop, loop);
        yg_thread_join(&loop->thread);
    }
    loop->phase = NET_LOOP_ENDED;
}

void net_loop_flush(struct yg_loop *loop) {
    YG_ASSERT(loop->phase == NET_LOOP_ENDED);
    run_posts(loop);
}

void yg_loop_destroy(struct yg_loop *loop) {
    if (loop == NULL)
        return;
    YG_CHECK(loop, NET_LOOP_MAGIC);
    yg_loop_stop(loop, 0);
    net_loop_flush(loop);
    YG_ASSERT(loop->servers == NULL && loop->udps == NULL);
    while (loop->free_exchanges != NULL) {
        struct net_exchange *x = loop->free_exchanges;
        loop->free_exchanges = x->next;
        net_exchange_free(x);
    }
    while (loop->everys != NULL) {
        struct net_every *e = loop->everys;
        loop->everys = e->next;
        yg_free(YG_MEM_NET, e);
    }
    YG_ASSERT(uv_loop_close(&loop->uv) == 0);
    pthread_mutex_destroy(&loop->lock);
    yg_free(YG_MEM_NET, loop->read_buf);
    loop->magic = 0;
    yg_free(YG_MEM_NET, loop);
}

// True when the loop must be woken: nothing was queued before.
static bool queue_empty(const struct yg_loop *loop) {
    return loop->post_len == 0 && loop->replied_first == NULL;
}

void yg_loop_post(struct yg_loop *loop, yg_job_fn fn, void *arg) {
    YG_CHECK(loop, NET_LOOP_MAGIC);
    pthread_mutex_lock(&loop->lock);
    bool wake = queue_empty(loop);
    YG_GROW(YG_MEM_NET, loop->posts, loop->post_len, loop->post_cap);
    loop->posts[loop->post_len++] = (struct net_post){fn, arg};
    if (wake && !loop->closing)
        uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

void net_loop_push_reply(struct net_exchange *x) {
    struct yg_loop *loop = x->loop;
    pthread_mutex_lock(&loop->lock);
    bool wake = queue_empty(loop);
    x->next = NULL;
    if (loop->replied_last != NULL)
        loop->replied_last->next = x;
    else
        loop->replied_first = x;
    loop->replied_last = x;
    if (wake && !loop->closing)
        uv_async_send(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

static void every_start(void *arg) {
    struct net_every *every = arg;
    struct yg_loop *loop = every->loop;
    if (loop->closing) {
        yg_free(YG_MEM_NET, every);
        return;
    }
    every->next = loop->everys;
    loop->everys = every;
    uv_timer_init(&loop->uv, &every->timer);
    every->timer.data = every;
    uv_timer_start(&every->timer, on_every, (uint64_t)every->interval_ms,
                   (uint64_t)every->interval_ms);
}

void yg_loop_every(struct yg_loop *loop, int64_t interval_ms, yg_job_fn fn, void *arg) {
    YG_CHECK(loop, NET_LOOP_MAGIC);
    YG_ASSERT(interval_ms > 0);
    struct net_every *every = yg_calloc(YG_MEM_NET, 1, sizeof(*every));
    *every = (struct net_every){.loop = loop, .interval_ms = interval_ms, .fn = fn, .arg = arg};
    if (loop->phase == NET_LOOP_NEW)
        every_start(every);
    else
        yg_loop_post(loop, every_start, every);
}

void net_loop_conn_opened(struct yg_loop *loop) {
    if (loop->conn_count++ == 0)
        uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
}

void net_loop_conn_closed(struct yg_loop *loop) {
    YG_ASSERT(loop->conn_count > 0);
    if (--loop->conn_count > 0)
        return;
    uv_timer_stop(&loop->tick);
    if (loop->phase == NET_LOOP_DRAINING)
        close_all(loop);
}

void net_loop_tick_faster(struct yg_loop *loop) {
    if (!uv_is_active((uv_handle_t *)&loop->ack) && !loop->closing)
        uv_timer_start(&loop->ack, on_ack, NET_ACK_POLL_MS, NET_ACK_POLL_MS);
}

yg_str net_loop_date(struct yg_loop *loop) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if ((int64_t)ts.tv_sec != loop->date_s) {
        static const char days[] = "SunMonTueWedThuFriSat";
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct tm tm;
        gmtime_r(&ts.tv_sec, &tm);
        loop->date_s = (int64_t)ts.tv_sec;
        (void)snprintf(loop->date, sizeof(loop->date), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                       days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return yg_str_c(loop->date);
}

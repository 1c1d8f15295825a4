// SPDX-License-Identifier: Apache-2.0
// Outgoing HTTP: one libcurl multi handle on one thread, a bounded queue in front of it.
//
// A request is copied into a struct job, waits in a FIFO, runs as an easy handle, and ends in
// exactly one call of its fn on the egress thread. Redirects are not followed (a webhook's answer
// is its answer), the environment's proxy is used except towards loopback.
#include "net/net_internal.h"

#include <curl/curl.h>

#define CLIENT_MAGIC 0x636c6e74u
#define IN_FLIGHT_DEFAULT 64
#define ANSWER_DEFAULT_BYTES (64u << 10)
#define TIMEOUT_DEFAULT_MS 10000
#define POLL_MS 1000
#define POLL_IDLE_MS 60000 // curl_multi_wakeup ends it

struct job {
    struct job *next;
    CURL *easy;
    struct curl_slist *headers;
    char *method;
    char *url;
    char *body;
    size_t body_len;
    int64_t timeout_ms;
    struct yg_buf answer;
    bool cut; // the answer was longer than its limit
    char error[CURL_ERROR_SIZE];
    void (*fn)(void *arg, const struct yg_client_answer *answer);
    void *arg;
};

struct yg_client {
    uint32_t magic;
    CURLM *multi;
    uint32_t in_flight_max;
    struct yg_thread thread;
    pthread_mutex_t lock; // guards the queue and stop
    struct job *first;
    struct job *last;
    uint32_t queued;
    bool stop;
    struct job *running; // egress thread only
    uint32_t running_count;
    struct yg_counter *sent;
    struct yg_counter *failed;
};

static void job_free(struct job *job) {
    if (job == NULL)
        return;
    if (job->easy != NULL)
        curl_easy_cleanup(job->easy);
    curl_slist_free_all(job->headers);
    yg_free(YG_MEM_NET, job->method);
    yg_free(YG_MEM_NET, job->url);
    yg_free(YG_MEM_NET, job->body);
    yg_buf_fini(&job->answer);
    yg_free(YG_MEM_NET, job);
}

static size_t on_answer(char *ptr, size_t size, size_t count, void *arg) {
    struct job *job = arg;
    size_t len = size * count;
    size_t room = job->answer.limit_bytes - job->answer.len;
    size_t take = len < room ? len : room;
    yg_buf_put(&job->answer, ptr, take);
    if (take < len)
        job->cut = true;
    return take == len ? len : CURL_WRITEFUNC_ERROR;
}

// The host part of a URL is this machine's loopback.
static bool to_loopback(const char *url) {
    const char *host = strstr(url, "://");
    if (host == NULL)
        return false;
    host += 3;
    size_t len = strcspn(host, "/?#");
    yg_str authority = yg_str_n(host, len);
    size_t at = yg_str_rfind_char(authority, '@');
    if (at != SIZE_MAX)
        authority = yg_str_sub(authority, at + 1, len);
    return yg_str_starts(authority, YG_STR("127.")) || yg_str_starts(authority, YG_STR("[::1]")) ||
           yg_str_eq(authority, YG_STR("localhost")) ||
           yg_str_starts(authority, YG_STR("localhost:"));
}

static bool job_prepare(struct job *job) {
    CURL *easy = job->easy = curl_easy_init();
    if (easy == NULL)
        return false;
    CURLcode rc = curl_easy_setopt(easy, CURLOPT_URL, job->url);
    rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    rc |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "yagura/" YG_VERSION);
    rc |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)job->timeout_ms);
    rc |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, job->headers);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
    rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, job->error);
    rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
    if (to_loopback(job->url))
        rc |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (strcmp(job->method, "HEAD") == 0)
        rc |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (job->body_len > 0 || strcmp(job->method, "GET") != 0) {
        rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->body_len);
        rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body ? job->body : "");
    }
    rc |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
    return rc == CURLE_OK;
}

static yg_rc rc_of(CURLcode code, const struct job *job, long status) {
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && job->cut && status > 0))
        return YG_OK;
    return code == CURLE_OPERATION_TIMEDOUT ? YG_ETIMEOUT : YG_EUPSTREAM;
}

static void job_end(struct yg_client *client, struct job *job, yg_rc rc, const char *error) {
    struct yg_client_answer answer = {.rc = rc, .error = error ? error : ""};
    if (job->easy != NULL) {
        long request_bytes = 0;
        curl_off_t upload_bytes = 0;
        curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &answer.status);
        curl_easy_getinfo(job->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
        curl_easy_getinfo(job->easy, CURLINFO_SIZE_UPLOAD_T, &upload_bytes);
        answer.sent = request_bytes > 0 || upload_bytes > 0 || answer.status > 0;
        curl_off_t wait_s = 0;
        if (curl_easy_getinfo(job->easy, CURLINFO_RETRY_AFTER, &wait_s) == CURLE_OK)
            answer.retry_after_s = (int64_t)wait_s;
    }
    answer.body = yg_buf_str(&job->answer);
    yg_counter_add(rc == YG_OK ? client->sent : client->failed, 1);
    job->fn(job->arg, &answer);
    job_free(job);
}

static void unlink_running(struct yg_client *client, struct job *job) {
    for (struct job **at = &client->running; *at != NULL; at = &(*at)->next)
        if (*at == job) {
            *at = job->next;
            client->running_count--;
            return;
        }
}

static void collect(struct yg_client *client) {
    CURLMsg *message;
    int left = 0;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        struct job *job = NULL;
        long status = 0;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(client->multi, job->easy);
        unlink_running(client, job);
        yg_rc rc = rc_of(code, job, status);
        const char *error = job->error[0] ? job->error : curl_easy_strerror(code);
        job_end(client, job, rc, rc == YG_OK ? NULL : error);
    }
}

// Next job of the queue; NULL when none is there or enough are running.
static struct job *take_job(struct yg_client *client, bool *ret_stop) {
    pthread_mutex_lock(&client->lock);
    *ret_stop = client->stop;
    struct job *job = NULL;
    if (client->first != NULL && client->running_count < client->in_flight_max && !client->stop) {
        job = client->first;
        client->first = job->next;
        if (client->first == NULL)
            client->last = NULL;
        client->queued--;
    }
    pthread_mutex_unlock(&client->lock);
    return job;
}

static void start_job(struct yg_client *client, struct job *job) {
    job->next = NULL;
    if (!job_prepare(job) || curl_multi_add_handle(client->multi, job->easy) != CURLM_OK) {
        job_end(client, job, YG_EINTERNAL, "the request could not be prepared");
        return;
    }
    job->next = client->running;
    client->running = job;
    client->running_count++;
}

static void cancel_all(struct yg_client *client) {
    while (client->running != NULL) {
        struct job *job = client->running;
        client->running = job->next;
        curl_multi_remove_handle(client->multi, job->easy);
        job_end(client, job, YG_ECANCEL, "stopped");
    }
    while (client->first != NULL) {
        struct job *job = client->first;
        client->first = job->next;
        job_end(client, job, YG_ECANCEL, "stopped");
    }
}

static void client_main(void *arg) {
    struct yg_client *client = arg;
    for (;;) {
        bool stop = false;
        struct job *job;
        while ((job = take_job(client, &stop)) != NULL)
            start_job(client, job);
        if (stop)
            break;
        int running = 0;
        curl_multi_perform(client->multi, &running);
        collect(client);
        curl_multi_poll(client->multi, NULL, 0, client->running_count ? POLL_MS : POLL_IDLE_MS,
                        NULL);
    }
    cancel_all(client);
}

static void curl_init(void) {
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct yg_client *yg_client_create(uint32_t in_flight_max) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_init);
    struct yg_client *client = yg_calloc(YG_MEM_NET, 1, sizeof(*client));
    client->magic = CLIENT_MAGIC;
    client->in_flight_max = in_flight_max ? in_flight_max : IN_FLIGHT_DEFAULT;
    client->sent = yg_counter_get(YG_COUNTER, "yagura.net.client_requests", "outcome:answered");
    client->failed = yg_counter_get(YG_COUNTER, "yagura.net.client_requests", "outcome:failed");
    pthread_mutex_init(&client->lock, NULL);
    client->multi = curl_multi_init();
    YG_ASSERT(client->multi != NULL);
    yg_thread_start(&client->thread, "yg-egress", client_main, client);
    return client;
}

void yg_client_destroy(struct yg_client *client) {
    if (client == NULL)
        return;
    YG_CHECK(client, CLIENT_MAGIC);
    pthread_mutex_lock(&client->lock);
    client->stop = true;
    pthread_mutex_unlock(&client->lock);
    curl_multi_wakeup(client->multi);
    yg_thread_join(&client->thread);
    curl_multi_cleanup(client->multi);
    pthread_mutex_destroy(&client->lock);
    client->magic = 0;
    yg_free(YG_MEM_NET, client);
}

// "Name: value", or "Name;" for an empty one, as libcurl wants it.
static bool add_header(struct job *job, const struct yg_http_header *header) {
    struct yg_buf line = YG_BUF(YG_MEM_NET, 16u << 10);
    yg_buf_puts(&line, header->name);
    yg_buf_puts(&line, header->value.len > 0 ? YG_STR(": ") : YG_STR(";"));
    yg_buf_puts(&line, header->value);
    yg_buf_putc(&line, '\0');
    bool ok = !line.failed && strpbrk(line.ptr, "\r\n") == NULL && strlen(line.ptr) + 1 == line.len;
    struct curl_slist *longer = ok ? curl_slist_append(job->headers, line.ptr) : NULL;
    if (longer != NULL)
        job->headers = longer;
    yg_buf_fini(&line);
    return longer != NULL;
}

static yg_rc job_fill(struct job *job, const struct yg_client_request *request,
                      struct yg_err *err) {
    const char *method = request->method ? request->method : "GET";
    job->method = yg_strndup(YG_MEM_NET, method, strlen(method));
    job->url = yg_strndup(YG_MEM_NET, request->url, strlen(request->url));
    job->body_len = request->body.len;
    if (request->body.len > 0) {
        job->body = yg_try_alloc(YG_MEM_NET, request->body.len);
        if (job->body == NULL)
            return yg_fail(err, YG_ENOMEM, "no memory for a body of %zu bytes", request->body.len);
        memcpy(job->body, request->body.ptr, request->body.len);
    }
    job->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : TIMEOUT_DEFAULT_MS;
    job->answer = YG_BUF(YG_MEM_NET, request->answer_max_bytes ? request->answer_max_bytes
                                                               : ANSWER_DEFAULT_BYTES);
    job->headers = curl_slist_append(NULL, "Expect:"); // never wait for 100 Continue
    for (uint32_t i = 0; i < request->header_count; i++)
        if (!add_header(job, &request->headers[i]))
            return yg_fail(err, YG_EINPUT, "header %u has a line break, a NUL or is too long", i);
    return YG_OK;
}

yg_rc yg_client_send(struct yg_client *client, const struct yg_client_request *request,
                     void (*fn)(void *arg, const struct yg_client_answer *answer), void *arg,
                     struct yg_err *err) {
    YG_CHECK(client, CLIENT_MAGIC);
    YG_ASSERT(fn != NULL && request->url != NULL);
    struct job *job = yg_calloc(YG_MEM_NET, 1, sizeof(*job));
    job->fn = fn;
    job->arg = arg;
    yg_rc rc = job_fill(job, request, err);
    if (rc != YG_OK) {
        job_free(job);
        return rc;
    }
    pthread_mutex_lock(&client->lock);
    bool full = client->queued >= 4 * client->in_flight_max || client->stop;
    if (!full) {
        if (client->last != NULL)
            client->last->next = job;
        else
            client->first = job;
        client->last = job;
        client->queued++;
    }
    pthread_mutex_unlock(&client->lock);
    if (full) {
        job_free(job);
        return yg_fail(err, YG_EBUSY, "%u requests are waiting to be sent",
                       4 * client->in_flight_max);
    }
    curl_multi_wakeup(client->multi);
    return YG_OK;
}

// SPDX-License-Identifier: Apache-2.0
// UDP receiver: several datagrams per system call, each handed over on the loop thread.
#include "net/net_internal.h"

#define DATAGRAM_MAX_BYTES (64u << 10)
#define DATAGRAMS_PER_CALL 16
#define SOCKET_BUFFER_BYTES (4 << 20)

struct yg_udp {
    uint32_t magic;
    struct yg_loop *loop;
    struct yg_udp *next;
    uv_udp_t handle;
    void (*fn)(void *ctx, yg_str datagram);
    void *ctx;
    char *buf; // only the pages that datagrams touch become resident
    bool open;
    struct yg_counter *datagrams;
    struct yg_counter *bytes;
    char address[NET_ADDRESS_BYTES];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf) {
    (void)suggested;
    struct yg_udp *udp = handle->data;
    *ret_buf = uv_buf_init(udp->buf, DATAGRAM_MAX_BYTES * DATAGRAMS_PER_CALL);
}

static void on_datagram(uv_udp_t *handle, ssize_t nread, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags) {
    struct yg_udp *udp = handle->data;
    (void)flags;
    if (nread <= 0 || from == NULL) // nothing more to read, or an error of one datagram
        return;
    yg_counter_add(udp->datagrams, 1);
    yg_counter_add(udp->bytes, nread);
    udp->fn(udp->ctx, yg_str_n(buf->base, (size_t)nread));
}

static yg_rc bind_udp(struct yg_udp *udp, const char *address, struct yg_err *err) {
    struct sockaddr_storage addr;
    YG_TRY(net_address_resolve(address, true, &addr, err));
    uv_udp_init_ex(&udp->loop->uv, &udp->handle, AF_UNSPEC | UV_UDP_RECVMMSG);
    udp->open = true;
    udp->handle.data = udp;
    int rc = uv_udp_bind(&udp->handle, (const struct sockaddr *)&addr, 0);
    if (rc == 0)
        rc = uv_udp_recv_start(&udp->handle, on_alloc, on_datagram);
    if (rc != 0) {
        (void)yg_fail(err, YG_EIO, "cannot listen on udp %s: %s", address, uv_strerror(rc));
        if (err)
            err->sys_errno = -rc;
        return YG_EIO;
    }
    int bytes = SOCKET_BUFFER_BYTES; // the system may give less
    (void)uv_recv_buffer_size((uv_handle_t *)&udp->handle, &bytes);
    struct sockaddr_storage real = {0};
    int len = sizeof(real);
    uv_udp_getsockname(&udp->handle, (struct sockaddr *)&real, &len);
    net_address_text((const struct sockaddr *)&real, true, udp->address, sizeof(udp->address));
    return YG_OK;
}

static void udp_free(struct yg_udp *udp) {
    yg_free(YG_MEM_NET, udp->buf);
    udp->magic = 0;
    yg_free(YG_MEM_NET, udp);
}

static void on_failed_closed(uv_handle_t *handle) {
    udp_free(handle->data);
}

yg_rc yg_udp_create(struct yg_loop *loop, const char *address,
                    void (*fn)(void *ctx, yg_str datagram), void *ctx, struct yg_udp **ret_udp,
                    struct yg_err *err) {
    YG_CHECK(loop, NET_LOOP_MAGIC);
    YG_ASSERT(loop->phase == NET_LOOP_NEW && fn != NULL);
    struct yg_udp *udp = yg_calloc(YG_MEM_NET, 1, sizeof(*udp));
    *udp = (struct yg_udp){.magic = NET_UDP_MAGIC, .loop = loop, .fn = fn, .ctx = ctx};
    udp->buf = yg_alloc(YG_MEM_NET, DATAGRAM_MAX_BYTES * DATAGRAMS_PER_CALL);
    udp->datagrams = yg_counter_get(YG_COUNTER, "yagura.net.datagrams", "");
    udp->bytes = yg_counter_get(YG_COUNTER, "yagura.net.datagram_bytes", "");
    yg_rc rc = bind_udp(udp, address, err);
    if (rc != YG_OK) {
        if (udp->open)
            uv_close((uv_handle_t *)&udp->handle, on_failed_closed);
        else
            udp_free(udp);
        return rc;
    }
    udp->next = loop->udps;
    loop->udps = udp;
    *ret_udp = udp;
    return YG_OK;
}

const char *yg_udp_address(const struct yg_udp *udp) {
    YG_CHECK(udp, NET_UDP_MAGIC);
    return udp->address;
}

void net_udp_stop(struct yg_udp *udp) {
    if (!udp->open)
        return;
    udp->open = false;
    uv_close((uv_handle_t *)&udp->handle, NULL);
}

struct yg_udp *net_udp_next(struct yg_udp *udp) {
    return udp->next;
}

void yg_udp_destroy(struct yg_udp *udp) {
    if (udp == NULL)
        return;
    YG_CHECK(udp, NET_UDP_MAGIC);
    struct yg_loop *loop = udp->loop;
    if (loop->phase == NET_LOOP_NEW)
        yg_loop_stop(loop, 0);
    YG_ASSERT(loop->phase == NET_LOOP_ENDED);
    for (struct yg_udp **at = &loop->udps; *at != NULL; at = &(*at)->next)
        if (*at == udp) {
            *at = udp->next;
            break;
        }
    udp_free(udp);
}

// SPDX-License-Identifier: Apache-2.0
// Listen addresses as the options write them ("127.0.0.1:8080", "[::1]:0", ":8080") and back to
// text.
#include "net/net_internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

// Splits host and port; host may be empty (all interfaces).
static yg_rc split(const char *text, char *host, size_t host_bytes, const char **ret_port,
                   struct yg_err *err) {
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0')
        return yg_fail(err, YG_EINPUT, "address \"%.100s\": want HOST:PORT", text);
    const char *from = text;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && from[0] == '[' && from[len - 1] == ']') {
        from++;
        len -= 2;
    } else if (memchr(from, ':', len) != NULL) {
        return yg_fail(err, YG_EINPUT, "address \"%.100s\": an IPv6 host stands in [ ]", text);
    }
    if (len >= host_bytes)
        return yg_fail(err, YG_EINPUT, "address \"%.100s\": host too long", text);
    memcpy(host, from, len);
    host[len] = '\0';
    uint64_t port = 0;
    if (!yg_str_to_u64(yg_str_c(colon + 1), &port) || port > 65535)
        return yg_fail(err, YG_EINPUT, "address \"%.100s\": port must be 0 to 65535", text);
    *ret_port = colon + 1;
    return YG_OK;
}

yg_rc net_address_resolve(const char *text, bool udp, struct sockaddr_storage *ret_addr,
                          struct yg_err *err) {
    char host[256];
    const char *port = NULL;
    YG_TRY(split(text, host, sizeof(host), &port, err));
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = udp ? SOCK_DGRAM : SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (rc != 0)
        return yg_fail(err, YG_EINPUT, "address \"%.100s\": %s", text, gai_strerror(rc));
    memset(ret_addr, 0, sizeof(*ret_addr));
    memcpy(ret_addr, list->ai_addr, list->ai_addrlen);
    if (host[0] == '\0') // every interface: IPv6 sockets take IPv4 too
        for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
            if (a->ai_family == AF_INET6)
                memcpy(ret_addr, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(list);
    return YG_OK;
}

void net_address_text(const struct sockaddr *addr, bool with_port, char *out, size_t out_bytes) {
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    bool six = false;
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        port = ntohs(in.sin_port);
    } else if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof(in6));
        six = !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        if (six)
            (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        else
            (void)inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof(host));
        port = ntohs(in6.sin6_port);
    }
    if (!with_port)
        (void)snprintf(out, out_bytes, "%s", host);
    else
        (void)snprintf(out, out_bytes, six ? "[%s]:%u" : "%s:%u", host, (unsigned)port);
}

bool net_address_loopback(const struct sockaddr *addr) {
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
    }
    if (addr->sa_family != AF_INET6)
        return false;
    struct sockaddr_in6 in6;
    memcpy(&in6, addr, sizeof(in6));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return in6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

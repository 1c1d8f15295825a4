// SPDX-License-Identifier: Apache-2.0
// gzip, zlib, raw deflate and zstd under a cap on the output: a bomb stops at the cap.
#include "codec/inflate.h"

#define ZLIB_CONST // next_in points to const bytes
#include <zlib.h>
#include <zstd.h>

#define STEP_BYTES (64u << 10)
#define ZSTD_WINDOW_LOG_MAX 25 // 32 MiB: clients stay below 8 MiB

bool yg_encoding_parse(yg_str name, enum yg_encoding *ret_encoding) {
    static const struct {
        yg_str name;
        enum yg_encoding encoding;
    } known[] = {
        {YG_STR_INIT(""), YG_ENC_IDENTITY},  {YG_STR_INIT("identity"), YG_ENC_IDENTITY},
        {YG_STR_INIT("gzip"), YG_ENC_GZIP},  {YG_STR_INIT("x-gzip"), YG_ENC_GZIP},
        {YG_STR_INIT("zstd"), YG_ENC_ZSTD},  {YG_STR_INIT("deflate"), YG_ENC_DEFLATE},
        {YG_STR_INIT("zstd1"), YG_ENC_ZSTD}, // the public API's name for the same frames
    };
    name = yg_str_trim(name);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (yg_str_eq_nocase(name, known[i].name)) {
            *ret_encoding = known[i].encoding;
            return true;
        }
    return false;
}

// Room for the next output: at least one byte, or ELIMIT.
static yg_rc make_room(struct yg_buf *out, size_t guess, struct yg_err *err) {
    if (out->cap - out->len > 0)
        return YG_OK;
    size_t left = out->limit_bytes > out->len ? out->limit_bytes - out->len : 0;
    if (left == 0)
        return yg_fail(err, YG_ELIMIT, "body inflates to more than %zu bytes", out->limit_bytes);
    return yg_buf_reserve(out, guess < left ? guess : left, err);
}

// A zlib stream (RFC 1950) begins with CM 8 and a header that is a multiple of 31.
static bool looks_like_zlib(yg_str in) {
    if (in.len < 2)
        return true;
    unsigned a = (unsigned char)in.ptr[0];
    unsigned b = (unsigned char)in.ptr[1];
    return (a & 0x0f) == 8 && (a >> 4) <= 7 && (a << 8 | b) % 31 == 0;
}

static yg_rc zlib_damage(const char *what, size_t at, int rc, const z_stream *z,
                         struct yg_err *err) {
    if (rc == Z_MEM_ERROR)
        return yg_fail(err, YG_ENOMEM, "no memory to inflate %s", what);
    if (rc == Z_BUF_ERROR)
        return yg_fail(err, YG_EINPUT, "%s at byte %zu: ends early", what, at);
    return yg_fail(err, YG_EINPUT, "%s at byte %zu: %s", what, at,
                   z->msg              ? z->msg
                   : rc == Z_NEED_DICT ? "needs a dictionary"
                                       : "damaged");
}

// Output is full although the stream goes on: does it only have its trailer left, or more bytes?
static int probe_end(z_stream *z) {
    unsigned char one;
    z->next_out = &one;
    z->avail_out = 1;
    int rc = inflate(z, Z_NO_FLUSH);
    return z->avail_out == 1 ? rc : Z_OK; // a byte came out: more than the limit
}

// One member or stream; *at moves past it.
static yg_rc inflate_member(z_stream *z, const char *what, yg_str in, size_t *at,
                            struct yg_buf *out, struct yg_err *err) {
    for (;;) {
        bool full = out->len == out->limit_bytes;
        int rc;
        if (!full) {
            YG_TRY(make_room(out, in.len * 4 > STEP_BYTES ? in.len * 4 : STEP_BYTES, err));
            size_t room = out->cap - out->len;
            z->avail_out = room > UINT32_MAX ? UINT32_MAX : (uInt)room;
            z->next_out = (unsigned char *)out->ptr + out->len;
        }
        size_t left = in.len - *at;
        z->avail_in = left > UINT32_MAX ? UINT32_MAX : (uInt)left;
        z->next_in = (const unsigned char *)in.ptr + *at;
        uInt in_before = z->avail_in;
        uInt out_before = z->avail_out;
        rc = full ? probe_end(z) : inflate(z, Z_NO_FLUSH);
        *at += in_before - z->avail_in;
        if (!full)
            out->len += out_before - z->avail_out;
        if (rc == Z_STREAM_END)
            return YG_OK;
        if (rc == Z_OK && full)
            return make_room(out, 1, err); // ELIMIT
        if (rc == Z_BUF_ERROR && *at < in.len && !full)
            continue; // output was full: the next turn makes room
        if (rc != Z_OK)
            return zlib_damage(what, *at, rc, z, err);
        if (*at == in.len && z->avail_out > 0)
            return zlib_damage(what, *at, Z_BUF_ERROR, z, err);
    }
}

static yg_rc inflate_zlib(enum yg_encoding encoding, yg_str in, struct yg_buf *out,
                          struct yg_err *err) {
    bool gzip = encoding == YG_ENC_GZIP;
    const char *what = gzip ? "gzip" : "deflate";
    int window = gzip ? MAX_WBITS + 16 : looks_like_zlib(in) ? MAX_WBITS : -MAX_WBITS;
    z_stream z = {0};
    int rc = inflateInit2(&z, window);
    if (rc != Z_OK)
        return zlib_damage(what, 0, rc, &z, err);
    size_t at = 0;
    yg_rc result = inflate_member(&z, what, in, &at, out, err);
    while (result == YG_OK && at < in.len && gzip && in.ptr[at] == 0x1f) {
        (void)inflateReset(&z);
        result = inflate_member(&z, what, in, &at, out, err);
    }
    (void)inflateEnd(&z);
    if (result == YG_OK && at < in.len)
        return yg_fail(err, YG_EINPUT, "%s at byte %zu: bytes after the end", what, at);
    return result;
}

static yg_rc zstd_run(ZSTD_DCtx *ctx, yg_str in, struct yg_buf *out, struct yg_err *err) {
    ZSTD_inBuffer src = {.src = in.ptr, .size = in.len, .pos = 0};
    size_t want = 1; // of an empty body, as of a torn one, more bytes are wanted
    char spare[64];
    while (src.pos < src.size || want != 0) {
        bool full = out->len == out->limit_bytes;
        if (!full)
            YG_TRY(make_room(out, in.len * 4 > STEP_BYTES ? in.len * 4 : STEP_BYTES, err));
        ZSTD_outBuffer dst = {.dst = full ? spare : out->ptr + out->len,
                              .size = full ? sizeof(spare) : out->cap - out->len};
        size_t before = src.pos;
        want = ZSTD_decompressStream(ctx, &dst, &src);
        if (ZSTD_isError(want))
            return yg_fail(err, YG_EINPUT, "zstd at byte %zu: %s", src.pos,
                           ZSTD_getErrorName(want));
        if (full && dst.pos > 0)
            return make_room(out, 1, err); // ELIMIT
        if (!full)
            out->len += dst.pos;
        if (want != 0 && src.pos == src.size && dst.pos < dst.size && src.pos == before)
            return yg_fail(err, YG_EINPUT, "zstd at byte %zu: ends early", src.pos);
    }
    return YG_OK;
}

static yg_rc inflate_zstd(yg_str in, struct yg_buf *out, struct yg_err *err) {
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (ctx == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory to inflate zstd");
    (void)ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    yg_rc rc = zstd_run(ctx, in, out, err);
    (void)ZSTD_freeDCtx(ctx);
    return rc;
}

yg_rc yg_inflate(enum yg_encoding encoding, yg_str in, struct yg_buf *out, struct yg_err *err) {
    switch (encoding) {
    case YG_ENC_IDENTITY:
        return yg_buf_append(out, in, err);
    case YG_ENC_GZIP:
    case YG_ENC_DEFLATE:
        return inflate_zlib(encoding, in, out, err);
    case YG_ENC_ZSTD:
        return inflate_zstd(in, out, err);
    }
    return yg_fail(err, YG_EINTERNAL, "unknown encoding %d", (int)encoding);
}

yg_rc yg_gzip(yg_str in, int level, struct yg_buf *out, struct yg_err *err) {
    z_stream z = {0};
    if (in.len > UINT32_MAX)
        return yg_fail(err, YG_ELIMIT, "%zu bytes are too many to gzip at once", in.len);
    if (deflateInit2(&z, level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return yg_fail(err, YG_ENOMEM, "no memory to gzip");
    yg_rc rc = yg_buf_reserve(out, deflateBound(&z, in.len), err);
    if (rc == YG_OK) {
        z.next_in = (const unsigned char *)in.ptr;
        z.avail_in = (uInt)in.len;
        z.next_out = (unsigned char *)out->ptr + out->len;
        z.avail_out = (uInt)(out->cap - out->len > UINT32_MAX ? UINT32_MAX : out->cap - out->len);
        if (deflate(&z, Z_FINISH) == Z_STREAM_END)
            out->len += z.total_out;
        else
            rc = yg_fail(err, YG_EINTERNAL, "gzip did not finish");
    }
    (void)deflateEnd(&z);
    return rc;
}

yg_rc yg_zstd(yg_str in, int level, struct yg_buf *out, struct yg_err *err) {
    YG_TRY(yg_buf_reserve(out, ZSTD_compressBound(in.len), err));
    size_t n = ZSTD_compress(out->ptr + out->len, out->cap - out->len, in.ptr, in.len, level);
    if (ZSTD_isError(n))
        return yg_fail(err, YG_EINTERNAL, "zstd: %s", ZSTD_getErrorName(n));
    out->len += n;
    return YG_OK;
}

// SPDX-License-Identifier: Apache-2.0
// Fixed-size parts of metric block files and the series log; docs/formats/metrics.md describes the
// rest. Little-endian, no padding.
#ifndef YG_STORE_MSTORE_FORMAT_H
#define YG_STORE_MSTORE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define YG_MFILE_MAGIC 0x424d4759u        // "YGMB"
#define YG_MFILE_FOOTER_MAGIC 0x454d4759u // "YGME"
#define YG_MFILE_VERSION 2u               // written; version 1 is read too

struct yg_mfile_header {
    uint32_t magic, version;
    uint32_t level, reserved0;
    uint64_t seq_lo, seq_hi;
    int64_t created_s;
    uint64_t reserved1, reserved2;
    uint32_t reserved3;
    uint32_t crc; // CRC-32C of the 60 bytes before
};
_Static_assert(sizeof(struct yg_mfile_header) == 64, "on disk");

struct yg_mfile_footer {
    uint64_t directory_offset, series_offset;
    uint32_t directory_bytes, series_bytes; // chunk headers included
    uint32_t chunk_count, series_count;
    uint64_t points;
    uint32_t min_bucket, max_bucket;
    uint32_t reserved0, reserved1;
    uint32_t magic;
    uint32_t crc; // CRC-32C of the 60 bytes before
};
_Static_assert(sizeof(struct yg_mfile_footer) == 64, "on disk");

enum { YG_MCHUNK_RAW = 0, YG_MCHUNK_ZSTD = 1 };
enum { YG_MCHUNK_RUNS = 1, YG_MCHUNK_DIRECTORY = 2, YG_MCHUNK_SERIES = 3 };
// FULL: in files of version 1 only.
enum {
    YG_MRUN_SINGLE = 0,
    YG_MRUN_FULL = 1,
    YG_MRUN_SKETCHES = 2,
    YG_MRUN_MIXED = 3,
    YG_MRUN_ROLLED = 4
};

struct yg_mchunk_header {
    uint32_t raw_bytes, stored_bytes;
    uint32_t crc; // CRC-32C of this header with crc = 0, then of the stored payload
    uint8_t encoding, kind;
    uint16_t reserved;
};
_Static_assert(sizeof(struct yg_mchunk_header) == 16, "on disk");

#define YG_MLOG_MAGIC 0x534d4759u // "YGMS"
struct yg_mlog_header {
    uint32_t magic, version;
    uint64_t reserved;
};
_Static_assert(sizeof(struct yg_mlog_header) == 16, "on disk");
enum { YG_MLOG_NAME = 1, YG_MLOG_SERIES = 2 };

#endif

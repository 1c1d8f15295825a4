// SPDX-License-Identifier: Apache-2.0
// Private to query: partial results of sealed granules, so that a query which looks at the same
// hour every minute reads only what is new.
#ifndef YG_QUERY_EVENTS_CACHE_H
#define YG_QUERY_EVENTS_CACHE_H

#include "base/str.h"
#include "store/store.h"

#define YG_PARTIAL_BYTES_MAX (256u << 10) // larger ones cost more to keep than to make again

struct yg_partials; // one per store, made on first use; any thread

struct yg_partial_key {
    uint64_t segment_id;
    uint64_t hidden;  // newest deletion that hides rows of it
    uint64_t plan[2]; // hash of the fingerprint
    uint32_t run;     // which 64 granules
};

struct yg_partial {
    _Atomic uint32_t refs;
    struct yg_partial_key key;
    uint64_t rows_scanned, rows_matched; // what it stands for
    size_t bytes;
    struct yg_partial *next; // of the same slot
    struct yg_partial *newer, *older;
    char data[];
};

struct yg_partials *yg_partials_of(struct yg_store *store);
// The partial, or NULL; give it back with unref. Borrow: data.
struct yg_partial *yg_partials_get(struct yg_partials *p, const struct yg_partial_key *key);
void yg_partial_unref(struct yg_partial *partial);
// Copies the bytes; makes room by dropping what was used longest ago.
void yg_partials_put(struct yg_partials *p, const struct yg_partial_key *key, yg_str data,
                     uint64_t rows_scanned, uint64_t rows_matched);
// Forgets everything (tests).
void yg_partials_clear(struct yg_partials *p);

#endif

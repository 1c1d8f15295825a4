// SPDX-License-Identifier: Apache-2.0
// Building span rows, whatever protocol version they came in.
#ifndef YG_INTAKE_SPANS_H
#define YG_INTAKE_SPANS_H

#include "codec/msgpack.h"
#include "intake/decode.h"

// A tag name and where its values go. Found by name through a small cache, so that the thousandth
// span of a body pays a comparison for a known tag and no hash.
struct yg_span_key {
    yg_str name;      // NULL ptr: free
    uint8_t special;  // enum special of spans.c
    uint32_t str_col; // UINT32_MAX: not made yet
    uint32_t f64_col;
    // The value before, as it came and as it is stored: most tags of a span are those of its
    // neighbour, so one comparison stands for checking and finding it again.
    yg_str last_raw; // NULL ptr: none
    yg_str last;
    uint32_t last_code; // see yg_batch_put_again
};

#define YG_SPAN_KEYS 512u   // power of two
#define YG_SPAN_GUESSES 64u // members of a map whose order is remembered

struct yg_span {
    yg_str service, name, resource, type, env, host;
    uint64_t trace_id, span_id, parent_id;
    int64_t start, duration, error;
    bool top_level; // the tracer says so
};

struct yg_spans {
    struct yg_batch *b;
    struct yg_intake_tally *tally;
    struct yg_span row; // the open span's scalars
    // Columns that every span has.
    uint32_t time, trace_id, span_id, parent_id, duration, status, top_level;
    struct yg_span_key service, operation, resource, type, env, host;
    uint32_t chunk_first_row;
    uint64_t trace_high; // of the open chunk; from _dd.p.tid of any of its spans
    uint32_t *marked;    // rows of the open chunk that the tracer marked as service entries
    uint32_t marked_count, marked_cap;
    struct yg_span_key keys[YG_SPAN_KEYS];
    // Which names the span before had, by place: fields, meta (index into keys), metrics.
    uint8_t field_guess[YG_SPAN_GUESSES];
    uint16_t meta_guess[YG_SPAN_GUESSES];
    uint16_t metric_guess[YG_SPAN_GUESSES];
    struct yg_buf links; // JSON arrays of the open span; closed when it ends
    struct yg_buf events;
    struct yg_buf scratch;
};

yg_rc yg_spans_init(struct yg_spans *s, struct yg_batch *b, struct yg_intake_tally *t,
                    struct yg_err *err) YG_MUST_USE;
void yg_spans_fini(struct yg_spans *s);
void yg_spans_chunk(struct yg_spans *s); // a trace's spans follow
yg_rc yg_spans_open(struct yg_spans *s, struct yg_err *err) YG_MUST_USE;
// Strings must live as long as the batch; they may be any bytes.
yg_rc yg_spans_meta(struct yg_spans *s, yg_str key, yg_str value, struct yg_err *err) YG_MUST_USE;
yg_rc yg_spans_metric(struct yg_spans *s, yg_str key, double value, struct yg_err *err) YG_MUST_USE;
// Reads a tag's name from a body: place is its number within its map, guess what stood there
// before.
yg_rc yg_spans_read_key(struct yg_spans *s, struct yg_mp *r, uint32_t place,
                        uint16_t guess[YG_SPAN_GUESSES], struct yg_span_key **ret_key,
                        struct yg_err *err) YG_MUST_USE;
// For protocols with a dictionary: the key is looked up once and used again and again.
yg_rc yg_spans_key(struct yg_spans *s, yg_str name, struct yg_span_key *ret_key,
                   struct yg_err *err) YG_MUST_USE;
yg_rc yg_spans_meta_key(struct yg_spans *s, struct yg_span_key *key, yg_str value,
                        struct yg_err *err) YG_MUST_USE;
yg_rc yg_spans_metric_key(struct yg_spans *s, struct yg_span_key *key, double value,
                          struct yg_err *err) YG_MUST_USE;
yg_rc yg_spans_json(struct yg_spans *s, yg_str key, yg_str json, struct yg_err *err) YG_MUST_USE;
yg_rc yg_spans_close(struct yg_spans *s, struct yg_err *err) YG_MUST_USE;
// After the chunk's last span: writes the high halves of its trace ids and marks service entries.
yg_rc yg_spans_chunk_end(struct yg_spans *s, struct yg_err *err) YG_MUST_USE;
// Reads native links and events (msgpack arrays of maps) of the open span.
yg_rc yg_spans_links(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) YG_MUST_USE;
yg_rc yg_spans_events(struct yg_spans *s, struct yg_mp *r, struct yg_err *err) YG_MUST_USE;
// Links and events that came as JSON text in meta. False: not of that shape, keep it as a tag.
bool yg_spans_links_text(struct yg_spans *s, yg_str json);
bool yg_spans_events_text(struct yg_spans *s, yg_str json);

#endif

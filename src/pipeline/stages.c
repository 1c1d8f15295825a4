// SPDX-License-Identifier: Apache-2.0
// Stages: event-time bounds, then the defaults that every row of a track has.
#include "pipeline/stages.h"

#include "base/bits.h"

#define FUTURE_MAX_NS (INT64_C(2) * 3600 * YG_NS_PER_S)

// Keeps row k's time as it was sent; in a body that is full of attributes it is lost.
static yg_rc keep_sent(struct yg_batch *b, uint32_t k, int64_t sent_ns, struct yg_err *err) {
    uint32_t idx;
    yg_rc rc = yg_batch_col(b, YG_STR("@_sent_timestamp"), YG_T_I64, &idx, err);
    if (rc != YG_OK)
        return rc == YG_ELIMIT ? YG_OK : rc;
    uint32_t rows = b->row_count;
    b->row_count = k + 1; // makes row k the open one
    rc = yg_batch_put_i64(b, idx, sent_ns, err);
    b->row_count = rows;
    return rc;
}

// Times later than now + 2 h become the intake's time, the sent one kept as an attribute; rows
// older than the retention are dropped and counted.
static yg_rc bound_times(struct yg_pipeline *p, struct yg_batch *b, int64_t now_ns,
                         struct yg_err *err) {
    uint32_t time_idx;
    YG_TRY(yg_batch_col(b, YG_STR(YG_COL_TIME), YG_T_I64, &time_idx, err));
    int64_t retention_ns = yg_pipeline_retention_ns(p, b->track);
    uint64_t *drop = YG_NEW_N(b->arena, uint64_t, YG_BITS_WORDS(b->row_count) + 1);
    if (drop == NULL)
        return yg_fail(err, YG_ENOMEM, "batch memory is used up");
    uint32_t rows = b->row_count, dropped = 0;
    uint32_t timed = b->cols[time_idx].count;
    if (timed != rows)
        return yg_fail(err, YG_EINTERNAL, "a decoder left %u of %u rows without a time",
                       rows - timed, rows);
    for (uint32_t k = 0; k < rows; k++) {
        if (b->cols[time_idx].i64[k] > now_ns + FUTURE_MAX_NS) {
            YG_TRY(keep_sent(b, k, b->cols[time_idx].i64[k], err));
            b->cols[time_idx].i64[k] = now_ns;
        } else if (retention_ns > 0 && b->cols[time_idx].i64[k] < now_ns - retention_ns) {
            yg_bits_set(drop, k);
            dropped++;
        }
    }
    if (dropped == 0)
        return YG_OK;
    yg_pipeline_reject(p, yg_track_name(b->track), "older_than_retention", dropped);
    return yg_batch_remove(b, drop, err);
}

// Logs without a status are "info", spans without one "ok".
static yg_rc default_status(struct yg_batch *b, struct yg_err *err) {
    if (b->track != YG_TRACK_LOGS && b->track != YG_TRACK_SPANS)
        return YG_OK;
    uint32_t idx;
    YG_TRY(yg_batch_col(b, YG_STR(YG_COL_STATUS), YG_T_STR, &idx, err));
    if (b->cols[idx].count == b->row_count)
        return YG_OK;
    // Rebuild the column with every row present: rows must ascend.
    struct yg_batch_col old = b->cols[idx];
    uint32_t rows = b->row_count;
    b->cols[idx] = (struct yg_batch_col){
        .name = old.name, .type = YG_T_STR, .interned = true, .own_next_same = old.own_next_same};
    yg_str fallback = b->track == YG_TRACK_LOGS ? YG_STR("info") : YG_STR("ok");
    yg_rc rc = YG_OK;
    for (uint32_t row = 0, k = 0; row < rows && rc == YG_OK; row++) {
        bool has = k < old.count && old.rows[k] == row;
        b->row_count = row + 1;
        rc = yg_batch_put_str(b, idx, has ? yg_batch_col_str(&old, k++) : fallback, err);
    }
    b->row_count = rows;
    return rc;
}

yg_rc yg_stages_run(struct yg_pipeline *p, struct yg_batch *batch, int64_t now_ns,
                    struct yg_err *err) {
    if (batch->row_count == 0)
        return YG_OK;
    if (batch->received_ns == 0)
        batch->received_ns = now_ns;
    YG_TRY(bound_times(p, batch, now_ns, err));
    return default_status(batch, err);
}

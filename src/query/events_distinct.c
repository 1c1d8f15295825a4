// SPDX-License-Identifier: Apache-2.0
// Counting distinct values: an exact set of hashes while there are few, HyperLogLog after.
//
// Registers: 2^14 of 8 bits; estimate by Ertl's improved raw estimator, which needs no table of
// corrections and is continuous from small to large counts. Source of the method: O. Ertl, "New
// cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6.
#include "query/events_int.h"

#include <math.h>

#include "base/mem.h"

#define REGISTER_BITS 14u
#define REGISTERS (1u << REGISTER_BITS)
#define RANK_MAX (64u - REGISTER_BITS + 1u)

struct yg_distinct {
    uint64_t *slots; // open addressing; 0 = free
    uint32_t cap;
    uint32_t len;
    uint8_t *registers; // once there are more than YG_DISTINCT_EXACT_MAX
};

struct yg_distinct *yg_distinct_create(void) {
    struct yg_distinct *d = yg_try_alloc(YG_MEM_QUERY, sizeof(*d));
    if (d)
        *d = (struct yg_distinct){0};
    return d;
}

void yg_distinct_destroy(struct yg_distinct *d) {
    if (d == NULL)
        return;
    yg_free(YG_MEM_QUERY, d->slots);
    yg_free(YG_MEM_QUERY, d->registers);
    yg_free(YG_MEM_QUERY, d);
}

size_t yg_distinct_bytes(const struct yg_distinct *d) {
    return sizeof(*d) + sizeof(uint64_t) * d->cap + (d->registers ? REGISTERS : 0);
}

static void add_register(uint8_t *registers, uint64_t hash) {
    uint32_t idx = (uint32_t)(hash >> (64 - REGISTER_BITS));
    uint64_t rest = hash << REGISTER_BITS;
    uint8_t rank = rest ? (uint8_t)(__builtin_clzll(rest) + 1) : RANK_MAX;
    if (rank > registers[idx])
        registers[idx] = rank;
}

// False when it was there already.
static bool insert(uint64_t *slots, uint32_t cap, uint64_t hash) {
    uint32_t i = (uint32_t)hash & (cap - 1);
    while (slots[i] != 0) {
        if (slots[i] == hash)
            return false;
        i = (i + 1) & (cap - 1);
    }
    slots[i] = hash;
    return true;
}

static bool grow(struct yg_distinct *d) {
    uint32_t cap = d->cap ? d->cap * 2 : 16;
    uint64_t *slots = yg_try_alloc(YG_MEM_QUERY, sizeof(uint64_t) * cap);
    if (slots == NULL)
        return false;
    memset(slots, 0, sizeof(uint64_t) * cap);
    for (uint32_t i = 0; i < d->cap; i++)
        if (d->slots[i] != 0)
            insert(slots, cap, d->slots[i]);
    yg_free(YG_MEM_QUERY, d->slots);
    d->slots = slots;
    d->cap = cap;
    return true;
}

static bool to_registers(struct yg_distinct *d) {
    d->registers = yg_try_alloc(YG_MEM_QUERY, REGISTERS);
    if (d->registers == NULL)
        return false;
    memset(d->registers, 0, REGISTERS);
    for (uint32_t i = 0; i < d->cap; i++)
        if (d->slots[i] != 0)
            add_register(d->registers, d->slots[i]);
    yg_free(YG_MEM_QUERY, d->slots);
    d->slots = NULL;
    d->cap = d->len = 0;
    return true;
}

bool yg_distinct_add(struct yg_distinct *d, uint64_t hash) {
    hash |= hash == 0; // 0 marks a free slot
    if (d->registers) {
        add_register(d->registers, hash);
        return true;
    }
    if (d->len * 2 >= d->cap && !grow(d))
        return false;
    d->len += insert(d->slots, d->cap, hash);
    return d->len <= YG_DISTINCT_EXACT_MAX || to_registers(d);
}

static double sigma(double x) {
    if (x == 1)
        return INFINITY;
    double y = 1, z = x, last;
    do {
        x *= x;
        last = z;
        z += x * y;
        y += y;
    } while (z != last);
    return z;
}

static double tau(double x) {
    if (x == 0 || x == 1)
        return 0;
    double y = 1, z = 1 - x, last;
    do {
        x = sqrt(x);
        last = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != last);
    return z / 3;
}

double yg_distinct_count(const struct yg_distinct *d) {
    if (d->registers == NULL)
        return d->len;
    const uint32_t q = RANK_MAX - 1;
    uint32_t histogram[RANK_MAX + 1] = {0};
    for (uint32_t i = 0; i < REGISTERS; i++)
        histogram[d->registers[i]]++;
    const double m = REGISTERS;
    double z = m * tau(1 - histogram[q + 1] / m);
    for (uint32_t k = q; k >= 1; k--)
        z = 0.5 * (z + histogram[k]);
    z += m * sigma(histogram[0] / m);
    const double alpha = 0.5 / log(2);
    return round(alpha * m * m / z);
}

void yg_distinct_save(const struct yg_distinct *d, struct yg_buf *out) {
    uint32_t head[2] = {d->registers != NULL, d->len};
    yg_buf_put(out, head, sizeof(head));
    if (d->registers) {
        yg_buf_put(out, d->registers, REGISTERS);
        return;
    }
    for (uint32_t i = 0; i < d->cap; i++)
        if (d->slots[i] != 0)
            yg_buf_put(out, &d->slots[i], sizeof(d->slots[i]));
}

bool yg_distinct_load(struct yg_distinct *d, yg_str in, size_t *at) {
    uint32_t head[2];
    memcpy(head, in.ptr + *at, sizeof(head));
    *at += sizeof(head);
    if (head[0]) {
        if (d->registers == NULL && !to_registers(d))
            return false;
        const uint8_t *from = (const uint8_t *)in.ptr + *at;
        *at += REGISTERS;
        for (uint32_t i = 0; i < REGISTERS; i++)
            d->registers[i] = from[i] > d->registers[i] ? from[i] : d->registers[i];
        return true;
    }
    for (uint32_t i = 0; i < head[1]; i++) {
        uint64_t hash;
        memcpy(&hash, in.ptr + *at, sizeof(hash));
        *at += sizeof(hash);
        if (!yg_distinct_add(d, hash))
            return false;
    }
    return true;
}

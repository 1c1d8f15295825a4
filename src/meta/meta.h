// SPDX-License-Identifier: Apache-2.0
// Configuration in SQLite behind one interface: organisation, keys, monitors and their state,
// webhooks, outbox. Writes go under one writer lock; reads use a connection per thread. Never
// called from the loop thread, except the functions marked "in memory".
#ifndef YG_META_META_H
#define YG_META_META_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

struct yg_meta;

// Opens (or makes) DIR/config.db, runs migrations. At the first start makes an organisation, an API
// key and an application key: values from first_api_key / first_app_key (32 and 40 hex digits) when
// not NULL, else random.
struct yg_meta_options {
    const char *dir;
    const struct yg_clock *clock;
    const char *first_api_key;
    const char *first_app_key;
};
struct yg_meta_first_keys {
    bool made; // keys were made now: print them once
    char api_key[33];
    char app_key[41];
};
// EINPUT when a given first key has the wrong form; EIO, ECORRUPT with the path; ret_first may be
// NULL.
yg_rc yg_meta_open(const struct yg_meta_options *options, struct yg_meta **ret_meta,
                   struct yg_meta_first_keys *ret_first, struct yg_err *err) YG_MUST_USE;
void yg_meta_close(struct yg_meta *m);

// ---- keys
enum yg_key_kind { YG_KEY_API, YG_KEY_APP };
struct yg_key {
    char id[37]; // UUID
    enum yg_key_kind kind;
    char name[128];
    char last4[5];
    int64_t created_ns;
    bool revoked;
};
// In memory, any thread, constant time in the key's content.
bool yg_meta_key_valid(struct yg_meta *m, enum yg_key_kind kind, yg_str value);
// Makes a key; its value is returned once and stored only as a hash.
yg_rc yg_meta_key_create(struct yg_meta *m, enum yg_key_kind kind, yg_str name, char ret_value[41],
                         struct yg_key *ret_key, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_key_list(struct yg_meta *m, struct yg_arena *arena, struct yg_key **ret_keys,
                       uint32_t *ret_count, struct yg_err *err) YG_MUST_USE;
yg_rc yg_meta_key_revoke(struct yg_meta *m, yg_str id, struct yg_err *err) YG_MUST_USE; // ENOTFOUND
// Organisation's public id and name for answers. In memory; borrow: until the meta closes.
yg_str yg_meta_org_id(struct yg_meta *m);
yg_str yg_meta_org_name(struct yg_meta *m);

#include "meta/objects.h"

#endif

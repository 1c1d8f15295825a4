// SPDX-License-Identifier: Apache-2.0
// What rooms above hang on a store: its pool, and something of theirs that lives as long as it.
#include "base/panic.h"
#include "store/store_int.h"

struct yg_pool *yg_store_pool(const struct yg_store *store) {
    YG_CHECK(store, YG_STORE_MAGIC);
    return store->o.pool;
}

void *yg_store_attached(struct yg_store *store, void *(*create)(void), void (*destroy)(void *)) {
    YG_CHECK(store, YG_STORE_MAGIC);
    pthread_mutex_lock(&store->attach_lock);
    if (store->attached == NULL) {
        store->attached = create();
        store->detach = destroy;
    }
    void *attached = store->attached;
    pthread_mutex_unlock(&store->attach_lock);
    return attached;
}

void yg_store_detach(struct yg_store *store) {
    if (store->attached)
        store->detach(store->attached);
    store->attached = NULL;
}

// SPDX-License-Identifier: Apache-2.0
// The page's files inside the binary: a table that tools/embed_assets.py writes when YG_WEB_DIR is
// given.
#include "api/ui.h"

#ifdef YG_WITH_PAGE
extern const struct yg_asset yg_assets[]; // ended by a row without a path; sorted by path
#else
static const struct yg_asset yg_assets[1]; // built without the page
#endif

_Static_assert(sizeof(struct yg_asset) == 48, "tools/embed_assets.py lays the rows out");

bool yg_ui_assets_there(void) {
    return yg_assets[0].path != NULL;
}

const struct yg_asset *yg_ui_asset_find(yg_str path) {
    for (const struct yg_asset *a = yg_assets; a->path != NULL; a++)
        if (yg_str_eq_c(path, a->path))
            return a;
    return NULL;
}

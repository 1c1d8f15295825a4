// SPDX-License-Identifier: Apache-2.0
// A seed for metric block files: written by the store's own writer, read back from its folder.
#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "base/panic.h"
#include "make_seeds.h"
#include "store/mstore_int.h"

#define BUCKET 179560000u

static void add_run(struct yg_mwriter *w, uint32_t series, enum yg_metric_type type) {
    struct yg_mrun run = {0};
    for (uint32_t i = 0; i < 30; i++) {
        double v = series * 10 + i * 0.25;
        struct yg_hextra x = {v, v, v, v, 1};
        struct yg_sketch *sketch = NULL;
        if (type == YG_METRIC_DISTRIBUTION) {
            sketch = yg_mrun_sketch(&run);
            yg_sketch_add(sketch, v, 2);
        }
        if (i % 7 == 3) { // a bucket of two samples
            x.sum *= 2;
            x.count = 2;
        }
        if (sketch != NULL || (type != YG_METRIC_COUNT && series % 2 == 0))
            yg_mrun_add_full(&run, BUCKET + i + i % 3, &x, sketch);
        else
            yg_mrun_add(&run, BUCKET + i + i % 3, v);
    }
    yg_mrun_settle(&run, type);
    struct yg_err err = {0};
    yg_rc rc = yg_mwriter_run(w, 1 + series / 4, series, type, &run, &err);
    if (rc != YG_OK)
        yg_panic(__FILE__, __LINE__, "%s", err.text);
    yg_mrun_fini(&run);
}

static void keep(const char *dir) {
    DIR *d = opendir(dir);
    YG_ASSERT(d != NULL);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char path[600];
        YG_AUTO(yg_buf) bytes = YG_BUF(YG_MEM_BASE, BUF_MAX);
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (yg_file_read_all(path, &bytes, NULL) == YG_OK)
            seed_file("mblock", "whole", yg_buf_str(&bytes));
        (void)unlink(path);
    }
    closedir(d);
    (void)rmdir(dir);
}

void seed_mblock(void) {
    char dir[] = "/tmp/yg-seed-mblock-XXXXXX";
    struct yg_err err = {0};
    YG_ASSERT(mkdtemp(dir) != NULL);
    struct yg_mwriter w;
    struct yg_mwriter_options o = {
        .dir = dir, .level = YG_MS_ROLLUP_LEVEL, .seq_lo = 1, .seq_hi = 9, .created_s = 1795600000};
    yg_rc rc = yg_mwriter_open(&w, &o, &err);
    YG_ASSERT(rc == YG_OK);
    for (uint32_t series = 0; series < 12; series++)
        add_run(&w, series, (enum yg_metric_type)(series % YG_METRIC_TYPE_COUNT));
    rc = yg_mwriter_finish(&w, &err);
    if (rc != YG_OK)
        yg_panic(__FILE__, __LINE__, "%s", err.text);
    yg_mwriter_fini(&w);
    keep(dir);
}

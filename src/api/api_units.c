// SPDX-License-Identifier: Apache-2.0
// Units of metrics as answers spell them. Ids of percent and microsecond are recorded; the others
// of that run of numbers follow from their order. A unit that is not in the table is answered by
// its name alone. Source: DataDog/datadog-api-client-typescript cassettes v1/Metrics, v2/Metrics;
// DataDog/documentation content/en/metrics/units.md
#include "api/api_metrics.h"

struct unit {
    const char *family, *name, *plural, *short_name;
    double scale;
    int id; // 0 = not known
};

static const struct unit units[] = {
    {"bytes", "bit", "bits", "b", 0.125, 1},
    {"bytes", "byte", "bytes", "B", 1, 2},
    {"bytes", "kibibyte", "kibibytes", "KiB", 1024, 3},
    {"bytes", "mebibyte", "mebibytes", "MiB", 1048576, 4},
    {"bytes", "gibibyte", "gibibytes", "GiB", 1073741824, 5},
    {"bytes", "tebibyte", "tebibytes", "TiB", 1099511627776, 6},
    {"bytes", "pebibyte", "pebibytes", "PiB", 1125899906842624, 7},
    {"bytes", "exbibyte", "exbibytes", "EiB", 1152921504606846976, 8},
    {"time", "microsecond", "microseconds", "μs", 0.000001, 9},
    {"time", "millisecond", "milliseconds", "ms", 0.001, 10},
    {"time", "second", "seconds", "s", 1, 11},
    {"time", "minute", "minutes", "min", 60, 12},
    {"time", "hour", "hours", "hr", 3600, 13},
    {"time", "day", "days", "day", 86400, 14},
    {"time", "week", "weeks", "wk", 604800, 15},
    {"percentage", "fraction", "fractions", NULL, 100, 16},
    {"percentage", "percent", "percent", "%", 1, 17},
    {"time", "nanosecond", "nanoseconds", "ns", 0.000000001, 0},
    {"network", "connection", "connections", "conn", 1, 0},
    {"network", "request", "requests", "req", 1, 0},
    {"network", "packet", "packets", "pkt", 1, 0},
    {"network", "response", "responses", "rsp", 1, 0},
    {"network", "message", "messages", "msg", 1, 0},
    {"general", "error", "errors", "err", 1, 0},
    {"general", "event", "events", NULL, 1, 0},
    {"general", "operation", "operations", "op", 1, 0},
    {"general", "unit", "units", NULL, 1, 0},
    {"general", "invocation", "invocations", NULL, 1, 0},
};

static const struct unit *find_unit(yg_str name) {
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        const struct unit *u = &units[i];
        if (yg_str_eq_c(name, u->name) || yg_str_eq_c(name, u->plural) ||
            (u->short_name != NULL && yg_str_eq_c(name, u->short_name)))
            return u;
    }
    return NULL;
}

static void put_text(struct yg_json_writer *w, const char *key, const char *text) {
    if (text != NULL)
        yg_jw_kstr(w, key, yg_str_c(text));
    else
        yg_jw_knull(w, key);
}

void yg_api_put_unit(struct yg_json_writer *w, yg_str name) {
    if (name.len == 0) {
        yg_jw_null(w);
        return;
    }
    const struct unit *u = find_unit(name);
    yg_jw_object(w);
    yg_jw_kstr(w, "family", u ? yg_str_c(u->family) : YG_STR("general"));
    yg_jw_k(w, "scale_factor");
    yg_jw_f64_float(w, u ? u->scale : 1);
    yg_jw_kstr(w, "name", u ? yg_str_c(u->name) : name);
    put_text(w, "short_name", u ? u->short_name : NULL);
    yg_jw_kstr(w, "plural", u ? yg_str_c(u->plural) : name);
    if (u != NULL && u->id > 0)
        yg_jw_ki64(w, "id", u->id);
    yg_jw_object_end(w);
}

void yg_api_put_unit_pair(struct yg_json_writer *w, yg_str name) {
    if (name.len == 0) {
        yg_jw_null(w);
        return;
    }
    yg_jw_array(w);
    yg_api_put_unit(w, name);
    yg_jw_null(w);
    yg_jw_array_end(w);
}

// SPDX-License-Identifier: Apache-2.0
// The DogStatsD grammar: metrics with packed values, events, service checks.
//
// Lines end at '\n', but an event is cut out by the byte lengths in its head, because clients put
// raw newlines into titles and texts. Counted values are UTF-8 bytes.
// Source: DataDog/datadog-agent comp/dogstatsd/server/parse.go, parse_events.go,
// parse_service_checks.go
#include "base/clock.h"
#include "base/utf8.h"
#include "intake/decode.h"

#define TAGS_MAX 256u   // of one line; more are left out
#define VALUES_MAX 256u // handed over at once
#define NAME_BYTES_MAX 1000u

struct tags {
    yg_str list[TAGS_MAX];
    uint32_t count;
    yg_str host;
};

struct statsd {
    const struct yg_dogstatsd_sink *sink;
    struct yg_arena *arena;
    struct yg_intake_tally *tally;
    struct tags tags;
    uint32_t line;
};

static bool bad(struct statsd *s, const char *why) {
    yg_intake_skip(s->tally, "line %u: %s", s->line, why);
    return false;
}

// ------------------------------------------------------------ fields

static yg_str after(yg_str s, size_t n) {
    return yg_str_sub(s, n, SIZE_MAX);
}

// Tags that speak to the agent rather than about the metric are taken out here.
static void add_tag(struct statsd *s, yg_str tag) {
    struct tags *tags = &s->tags;
    if (yg_str_starts(tag, YG_STR("host:"))) {
        tags->host = after(tag, 5);
        return;
    }
    if (yg_str_starts(tag, YG_STR("dd.internal."))) {
        yg_str resource = YG_STR("dd.internal.resource:");
        if (!yg_str_starts(tag, resource))
            return; // entity id, cardinality, JMX check name
        tag = after(tag, resource.len);
    }
    if (tag.len > 0 && tags->count < TAGS_MAX)
        tags->list[tags->count++] = tag;
}

static void add_tags(struct statsd *s, yg_str list) {
    yg_str tag;
    while (yg_str_split(&list, ',', &tag))
        add_tag(s, yg_intake_utf8(s->arena, yg_str_trim(tag)));
}

static void reset_tags(struct statsd *s) {
    s->tags.count = 0;
    s->tags.host = YG_STR("");
}

// "\\n" stands for a newline in texts.
static yg_str clean_text(struct statsd *s, yg_str text) {
    text = yg_intake_utf8(s->arena, text);
    if (yg_str_find(text, YG_STR("\\n"), 0) == SIZE_MAX)
        return text;
    char *out = yg_arena_alloc(s->arena, text.len);
    if (out == NULL)
        return YG_STR("");
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool newline = text.ptr[i] == '\\' && i + 1 < text.len && text.ptr[i + 1] == 'n';
        out[n++] = newline ? '\n' : text.ptr[i];
        i += newline;
    }
    return (yg_str){out, n};
}

// ------------------------------------------------------------ metrics

static bool metric_type(yg_str text, enum yg_statsd_type *ret_type) {
    static const struct {
        yg_str text;
        enum yg_statsd_type type;
    } types[] = {
        {YG_STR_INIT("c"), YG_STATSD_COUNT},   {YG_STR_INIT("g"), YG_STATSD_GAUGE},
        {YG_STR_INIT("ms"), YG_STATSD_TIMING}, {YG_STR_INIT("h"), YG_STATSD_HISTOGRAM},
        {YG_STR_INIT("s"), YG_STATSD_SET},     {YG_STR_INIT("d"), YG_STATSD_DISTRIBUTION},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (yg_str_eq(text, types[i].text)) {
            *ret_type = types[i].type;
            return true;
        }
    return false;
}

static bool metric_fields(struct statsd *s, yg_str rest, struct yg_statsd_sample *sample) {
    yg_str field;
    while (yg_str_split(&rest, '|', &field)) {
        if (field.len == 0)
            continue;
        if (field.ptr[0] == '#') {
            add_tags(s, after(field, 1));
        } else if (field.ptr[0] == '@') {
            double rate;
            if (!yg_str_to_f64(after(field, 1), &rate) || !(rate > 0 && rate <= 1))
                return bad(s, "the sample rate must be above 0 and at most 1");
            sample->sample_rate = rate;
        } else if (field.ptr[0] == 'T') {
            int64_t ts;
            if (!yg_str_to_i64(after(field, 1), &ts) || ts < 1)
                return bad(s, "the time must be seconds since 1970");
            sample->ts_s = ts;
        } // c:, e:, card: name the sender's container; others are unknown
    }
    if (sample->type != YG_STATSD_COUNT && sample->type != YG_STATSD_GAUGE &&
        sample->type != YG_STATSD_DISTRIBUTION)
        sample->ts_s = 0;
    return true;
}

// All values must be numbers before the first is handed over: a line counts whole or not at all.
static bool values_ok(struct statsd *s, yg_str values) {
    yg_str item;
    double v;
    uint32_t n = 0;
    while (yg_str_split(&values, ':', &item)) {
        if (item.len == 0)
            continue;
        if (!yg_str_to_f64(item, &v))
            return bad(s, "a value is no number");
        n++;
    }
    return n > 0 || bad(s, "no value");
}

static void hand_over(struct statsd *s, struct yg_statsd_sample *sample, yg_str values) {
    double batch[VALUES_MAX];
    yg_str item;
    sample->values = batch;
    while (yg_str_split(&values, ':', &item)) {
        if (item.len == 0)
            continue;
        (void)yg_str_to_f64(item, &batch[sample->value_count++]); // checked before
        sample->gauge_delta = sample->type == YG_STATSD_GAUGE && item.ptr[0] == '+';
        if (sample->value_count == VALUES_MAX) {
            s->sink->sample(s->sink->ctx, sample);
            sample->value_count = 0;
        }
    }
    if (sample->value_count > 0)
        s->sink->sample(s->sink->ctx, sample);
}

static bool parse_metric(struct statsd *s, yg_str line) {
    size_t colon = yg_str_find_char(line, ':', 0);
    size_t bar = yg_str_find_char(line, '|', 0);
    if (colon == SIZE_MAX || colon == 0 || bar == SIZE_MAX || bar < colon)
        return bad(s, "not NAME:VALUE|TYPE");
    if (colon > NAME_BYTES_MAX)
        return bad(s, "the name is longer than 1000 bytes");
    struct yg_statsd_sample sample = {.sample_rate = 1};
    yg_str rest = after(line, bar + 1);
    yg_str type = YG_STR("");
    (void)yg_str_split(&rest, '|', &type);
    if (!metric_type(type, &sample.type))
        return bad(s, "the type must be one of c g ms h d s");
    sample.name = yg_intake_utf8(s->arena, yg_str_sub(line, 0, colon));
    yg_str values = yg_str_sub(line, colon + 1, bar - colon - 1);
    if (sample.type == YG_STATSD_SET)
        sample.set_value = yg_intake_utf8(s->arena, values);
    else if (!values_ok(s, values))
        return false;
    if (sample.type == YG_STATSD_SET && values.len == 0)
        return bad(s, "no value");
    reset_tags(s);
    if (!metric_fields(s, rest, &sample))
        return false;
    if (yg_str_starts(sample.name, YG_STR("datadog.dogstatsd.client.")))
        return true; // the client's figures about itself
    sample.tags = s->tags.list;
    sample.tag_count = s->tags.count;
    sample.host = s->tags.host;
    if (sample.type == YG_STATSD_SET)
        s->sink->sample(s->sink->ctx, &sample);
    else
        hand_over(s, &sample, values);
    s->tally->taken++;
    return true;
}

// ------------------------------------------------------------ events

// "_e{5,4}:" at the start of an event whose lengths lead to its '|' and its end; *ret_head: bytes
// up to and with the colon.
static bool event_head(yg_str data, size_t *ret_title, size_t *ret_text, size_t *ret_head) {
    if (!yg_str_starts(data, YG_STR("_e{")))
        return false;
    yg_str head = yg_str_sub(data, 3, 48); // two numbers of at most 20 digits
    size_t comma = yg_str_find_char(head, ',', 0);
    size_t brace = yg_str_find_char(head, '}', 0);
    uint64_t title;
    uint64_t text;
    if (comma == SIZE_MAX || brace == SIZE_MAX || brace < comma || brace + 1 >= head.len ||
        head.ptr[brace + 1] != ':' || !yg_str_to_u64(yg_str_sub(head, 0, comma), &title) ||
        !yg_str_to_u64(yg_str_sub(head, comma + 1, brace - comma - 1), &text))
        return false;
    *ret_head = 3 + brace + 2;
    size_t left = data.len - *ret_head;
    if (title == 0 || title > left || text > left - title || left - title - text < 1)
        return false; // '|' stands between the two
    size_t end = *ret_head + title + 1 + text;
    if (data.ptr[*ret_head + title] != '|' ||
        (end < data.len && data.ptr[end] != '|' && data.ptr[end] != '\n' && data.ptr[end] != '\r'))
        return false; // lengths that lead elsewhere must not swallow the lines behind
    *ret_title = title;
    *ret_text = text;
    return true;
}

// h: d: k: p: s: t: m: c: e: — fields that events and checks share.
struct extra {
    yg_str host, key, priority, source, alert, message;
    int64_t ts_s;
};

static bool extra_field(struct statsd *s, yg_str field, struct extra *x) {
    if (field.len > 0 && field.ptr[0] == '#') {
        add_tags(s, after(field, 1));
        return true;
    }
    if (field.len < 2 || field.ptr[1] != ':')
        return true; // card:… and whatever comes later
    yg_str value = after(field, 2);
    switch (field.ptr[0]) {
    case 'd':
        return yg_str_to_i64(value, &x->ts_s) && x->ts_s >= 0;
    case 'h':
        x->host = yg_intake_utf8(s->arena, value);
        break;
    case 'k':
        x->key = yg_intake_utf8(s->arena, value);
        break;
    case 'p':
        x->priority = value;
        break;
    case 's':
        x->source = yg_intake_utf8(s->arena, value);
        break;
    case 't':
        x->alert = value;
        break;
    default:
        break;
    }
    return true;
}

static bool parse_event(struct statsd *s, yg_str line) {
    size_t title;
    size_t text;
    size_t head;
    if (!event_head(line, &title, &text, &head))
        return bad(s, "not _e{TITLE BYTES,TEXT BYTES}:TITLE|TEXT, or lengths that lead elsewhere");
    yg_str body = after(line, head);
    yg_str rest = after(body, title + 1 + text);
    struct extra x = {0};
    yg_str field;
    reset_tags(s);
    while (yg_str_split(&rest, '|', &field))
        if (!extra_field(s, field, &x))
            return bad(s, "d: must be seconds since 1970");
    bool low = yg_str_eq_c(x.priority, "low");
    struct yg_intake_event e = {
        .title = clean_text(s, yg_str_sub(body, 0, title)),
        .text = clean_text(s, yg_str_sub(body, title + 1, text)),
        .host = x.host.len ? x.host : s->tags.host,
        .alert_type = x.alert.len ? yg_intake_utf8(s->arena, x.alert) : YG_STR("info"),
        .priority = low ? YG_STR("low") : YG_STR("normal"),
        .aggregation_key = x.key,
        .source = x.source,
        .tags = s->tags.list,
        .tag_count = s->tags.count,
        .ts_s = x.ts_s,
    };
    s->sink->event(s->sink->ctx, &e);
    s->tally->taken++;
    return true;
}

// ------------------------------------------------------------ service checks

// m: is the last field by convention and may hold '|' nowhere else; "m\:" stands for "m:" in it.
static yg_str clean_message(struct statsd *s, yg_str text) {
    text = clean_text(s, text);
    size_t at = yg_str_find(text, YG_STR("m\\:"), 0);
    if (at == SIZE_MAX)
        return text;
    char *out = yg_arena_alloc(s->arena, text.len);
    if (out == NULL)
        return YG_STR("");
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool escape = text.ptr[i] == '\\' && i > 0 && text.ptr[i - 1] == 'm' && i + 1 < text.len &&
                      text.ptr[i + 1] == ':';
        if (!escape)
            out[n++] = text.ptr[i];
    }
    return (yg_str){out, n};
}

static bool parse_check(struct statsd *s, yg_str line) {
    yg_str rest = after(line, 4); // "_sc|"
    yg_str name;
    yg_str status;
    int64_t number;
    if (!yg_str_split(&rest, '|', &name) || name.len == 0 || !yg_str_split(&rest, '|', &status) ||
        !yg_str_to_i64(status, &number) || number < 0 || number > 3 || status.len != 1)
        return bad(s, "not _sc|NAME|0 to 3");
    struct extra x = {0};
    yg_str field;
    reset_tags(s);
    while (yg_str_split(&rest, '|', &field)) {
        if (yg_str_starts(field, YG_STR("m:")))
            x.message = after(field, 2);
        else if (!extra_field(s, field, &x))
            return bad(s, "d: must be seconds since 1970");
    }
    struct yg_intake_check c = {
        .name = yg_intake_utf8(s->arena, name),
        .message = clean_message(s, x.message),
        .host = x.host.len ? x.host : s->tags.host,
        .tags = s->tags.list,
        .tag_count = s->tags.count,
        .ts_s = x.ts_s,
        .status = number,
    };
    s->sink->check(s->sink->ctx, &c);
    s->tally->taken++;
    return true;
}

// ------------------------------------------------------------ lines

// Takes the next line off *data; an event reaches at least to the end of its text.
static yg_str next_line(yg_str *data) {
    size_t title;
    size_t text;
    size_t head;
    size_t from = 0;
    if (event_head(*data, &title, &text, &head))
        from = head + title + 1 + text;
    size_t end = yg_str_find_char(*data, '\n', from);
    yg_str line = yg_str_sub(*data, 0, end);
    *data = end == SIZE_MAX ? YG_STR("") : after(*data, end + 1);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

void yg_dogstatsd_parse(yg_str data, const struct yg_dogstatsd_sink *sink, struct yg_arena *arena,
                        struct yg_intake_tally *t) {
    struct statsd s = {.sink = sink, .arena = arena, .tally = t};
    while (data.len > 0) {
        yg_str line = next_line(&data);
        s.line++;
        if (line.len == 0)
            continue;
        if (yg_str_starts(line, YG_STR("_e{")))
            (void)parse_event(&s, line);
        else if (yg_str_starts(line, YG_STR("_sc|")))
            (void)parse_check(&s, line);
        else
            (void)parse_metric(&s, line);
    }
}

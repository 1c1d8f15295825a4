// SPDX-License-Identifier: Apache-2.0
// The message language of monitors: a subset of handlebars with blocks on the kind of change.
//
// One pass over the text, blocks by recursion with a depth limit; blocks that do not apply are
// walked with `emit` off so that nesting stays right. What users write never fails: unknown
// variables are empty, unknown blocks are true when the variable of that name is not empty, an
// unfinished tag is text, an unfinished block ends with the text. Source: DataDog/documentation
// content/en/monitors/notify/variables.md
#include "notify/notify_internal.h"

#include "base/utf8.h"

#define DEPTH_MAX 32
#define ARGS_MAX 16

struct walk {
    const struct yg_notice *n;
    struct yg_arena *arena;
    struct yg_buf *out;
    yg_str text;
    size_t pos;
    uint32_t depth;
};

enum stop { STOP_END, STOP_CLOSE, STOP_ELSE };

static enum stop walk_run(struct walk *w, yg_str block, bool emit);

// ---------------------------------------------------------------- pieces

// As much as still fits.
static void put_text(struct yg_buf *out, yg_str s) {
    size_t room = out->limit_bytes - out->len;
    yg_buf_puts(out, yg_str_sub(s, 0, room));
    if (s.len > room)
        out->failed = true;
}

static void put_escaped(struct yg_buf *out, yg_str s) {
    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case '&':
            yg_buf_puts(out, YG_STR("&amp;"));
            break;
        case '<':
            yg_buf_puts(out, YG_STR("&lt;"));
            break;
        case '>':
            yg_buf_puts(out, YG_STR("&gt;"));
            break;
        case '"':
            yg_buf_puts(out, YG_STR("&quot;"));
            break;
        case '\'':
            yg_buf_puts(out, YG_STR("&#x27;"));
            break;
        default:
            yg_buf_putc(out, s.ptr[i]);
        }
    }
}

// Cuts "is_match "a.b" 'c' d" into words, quotes undone. At most ARGS_MAX.
static uint32_t split_args(yg_str s, yg_str words[ARGS_MAX]) {
    uint32_t count = 0;
    for (size_t i = 0; i < s.len && count < ARGS_MAX;) {
        if (s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\n' || s.ptr[i] == '\r') {
            i++;
            continue;
        }
        char quote = s.ptr[i];
        if (quote == '"' || quote == '\'') {
            size_t end = yg_str_find_char(s, quote, i + 1);
            if (end == SIZE_MAX)
                end = s.len;
            words[count++] = yg_str_sub(s, i + 1, end - i - 1);
            i = end + 1;
            continue;
        }
        size_t start = i;
        while (i < s.len && s.ptr[i] != ' ' && s.ptr[i] != '\t' && s.ptr[i] != '\n')
            i++;
        words[count++] = yg_str_sub(s, start, i - start);
    }
    return count;
}

static bool state_condition(const struct yg_notice *n, yg_str name, bool *ret_known) {
    enum yg_monitor_state from = n->from, to = n->to;
    bool changed = !n->is_repeat;
    const struct {
        const char *name;
        bool holds;
    } table[] = {
        {"is_alert", to == YG_STATE_ALERT},
        {"is_warning", to == YG_STATE_WARN},
        {"is_no_data", to == YG_STATE_NO_DATA},
        {"is_unknown", to == YG_STATE_UNKNOWN},
        {"is_recovery", changed && to == YG_STATE_OK},
        {"is_warning_recovery", changed && to == YG_STATE_OK && from == YG_STATE_WARN},
        {"is_alert_recovery", changed && to == YG_STATE_OK && from == YG_STATE_ALERT},
        {"is_no_data_recovery", changed && to == YG_STATE_OK && from == YG_STATE_NO_DATA},
        {"is_alert_to_warning", changed && to == YG_STATE_WARN && from == YG_STATE_ALERT},
        {"is_renotify", n->is_repeat},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (yg_str_eq_c(name, table[i].name)) {
            *ret_known = true;
            return table[i].holds;
        }
    }
    *ret_known = false;
    return false;
}

static bool match_condition(struct walk *w, bool exact, const yg_str *words, uint32_t count) {
    if (count < 3)
        return false;
    yg_str value = yg_notice_variable(w->n, words[1], w->arena);
    double number, wanted;
    bool numeric = exact && yg_str_to_f64(value, &number);
    for (uint32_t i = 2; i < count; i++) {
        if (exact && yg_str_eq(value, words[i]))
            return true;
        if (numeric && yg_str_to_f64(words[i], &wanted) && !(wanted < number) && !(wanted > number))
            return true;
        if (!exact && words[i].len == 0 && value.len > 0)
            return true;
        if (!exact && words[i].len > 0 && yg_str_find(value, words[i], 0) != SIZE_MAX)
            return true;
    }
    return false;
}

// Whether {{#head}} holds; `head` is what stands between the marks.
static bool condition(struct walk *w, yg_str head) {
    yg_str words[ARGS_MAX];
    uint32_t count = split_args(head, words);
    if (count == 0)
        return false;
    bool known;
    bool holds = state_condition(w->n, words[0], &known);
    if (known)
        return holds;
    if (yg_str_eq_c(words[0], "is_match"))
        return match_condition(w, false, words, count);
    if (yg_str_eq_c(words[0], "is_exact_match"))
        return match_condition(w, true, words, count);
    if (yg_str_eq_c(words[0], "is_priority")) {
        yg_str own = yg_notice_variable(w->n, YG_STR("priority"), w->arena);
        for (uint32_t i = 1; i < count; i++)
            if (own.len && yg_str_eq_nocase(own, words[i]))
                return true;
        return false;
    }
    return yg_notice_variable(w->n, words[0], w->arena).len > 0;
}

// {{local_time 'last_triggered_at' 'Asia/Tokyo'}}
static yg_str local_time(struct walk *w, const yg_str *words, uint32_t count) {
    int64_t ns = 0;
    if (count != 3)
        return (yg_str){"", 0};
    if (yg_str_starts(words[1], YG_STR("first_triggered_at")))
        ns = w->n->first_triggered_ns;
    else if (yg_str_starts(words[1], YG_STR("last_triggered_at")))
        ns = w->n->last_triggered_ns;
    char text[YG_TIME_TEXT_BYTES];
    if (ns == 0 || !yg_local_time_text(ns, words[2], text))
        return (yg_str){"", 0};
    return yg_arena_str(w->arena, yg_str_c(text));
}

static yg_str expand(struct walk *w, yg_str inside) {
    yg_str words[ARGS_MAX];
    yg_str text = {"", 0};
    uint32_t count = split_args(inside, words);
    if (count == 0)
        return text;
    if (yg_str_eq_c(words[0], "eval")) {
        if (count == 2 && yg_eval_expression(w->n, words[1], w->arena, &text))
            return text;
        return (yg_str){"", 0};
    }
    if (yg_str_eq_c(words[0], "local_time"))
        return local_time(w, words, count);
    if (yg_str_eq_c(words[0], "override_priority"))
        return text;
    return yg_notice_variable(w->n, yg_str_trim(inside), w->arena);
}

// ---------------------------------------------------------------- the walk

// A block's tag alone on its line takes the line with it. `start`..`end` is the tag in the text.
// Removes the blanks before it from the output and moves *end past the line's end.
static void trim_lone_tag(struct walk *w, size_t start, size_t *end, bool emit) {
    size_t before = start, after = *end;
    while (before > 0 && (w->text.ptr[before - 1] == ' ' || w->text.ptr[before - 1] == '\t'))
        before--;
    if (before > 0 && w->text.ptr[before - 1] != '\n')
        return;
    while (after < w->text.len && (w->text.ptr[after] == ' ' || w->text.ptr[after] == '\t'))
        after++;
    if (after < w->text.len && w->text.ptr[after] == '\r')
        after++;
    if (after < w->text.len && w->text.ptr[after] != '\n')
        return;
    if (after < w->text.len)
        after++;
    while (emit && w->out->len > 0 && start > before &&
           (w->out->ptr[w->out->len - 1] == ' ' || w->out->ptr[w->out->len - 1] == '\t'))
        w->out->len--;
    *end = after;
}

static void block_run(struct walk *w, yg_str head, bool negate, bool emit) {
    yg_str words[ARGS_MAX];
    uint32_t count = split_args(head, words);
    yg_str name = count ? words[0] : (yg_str){"", 0};
    bool holds = emit && condition(w, head) != negate;
    if (w->depth >= DEPTH_MAX) { // too deep: the rest is dropped, not recursed into
        w->pos = w->text.len;
        return;
    }
    w->depth++;
    if (walk_run(w, name, holds) == STOP_ELSE)
        (void)walk_run(w, name, emit && !holds);
    w->depth--;
}

// {{{{raw}}}}…{{{{/raw}}}}, also with a condition as its name. True when `pos` stood at one.
static bool raw_block(struct walk *w, bool emit) {
    size_t head_end = yg_str_find(w->text, YG_STR("}}}}"), w->pos + 4);
    if (head_end == SIZE_MAX)
        return false;
    yg_str head = yg_str_trim(yg_str_sub(w->text, w->pos + 4, head_end - w->pos - 4));
    yg_str words[ARGS_MAX];
    if (split_args(head, words) == 0)
        return false;
    yg_str close = yg_arena_printf(w->arena, "{{{{/%.*s}}}}", YG_STR_FMT(words[0]));
    size_t body = head_end + 4;
    size_t end = close.ptr ? yg_str_find(w->text, close, body) : SIZE_MAX;
    if (end == SIZE_MAX)
        return false;
    if (emit && (yg_str_eq_c(words[0], "raw") || condition(w, head)))
        put_text(w->out, yg_str_sub(w->text, body, end - body));
    w->pos = end + close.len;
    return true;
}

static bool comment(struct walk *w) {
    bool is_long = yg_str_starts(yg_str_sub(w->text, w->pos, 5), YG_STR("{{!--"));
    yg_str mark = is_long ? YG_STR("--}}") : YG_STR("}}");
    size_t end = yg_str_find(w->text, mark, w->pos + (is_long ? 5 : 3));
    if (end == SIZE_MAX)
        return false;
    size_t after = end + mark.len;
    trim_lone_tag(w, w->pos, &after, true);
    w->pos = after;
    return true;
}

// Handles the tag at w->pos ("{{" stands there). False: it is no tag, the marks are text.
static bool tag_run(struct walk *w, yg_str block, bool emit, enum stop *ret_stop,
                    bool *ret_stopped) {
    yg_str rest = yg_str_sub(w->text, w->pos, w->text.len);
    if (yg_str_starts(rest, YG_STR("{{{{")) && raw_block(w, emit))
        return true;
    if (yg_str_starts(rest, YG_STR("{{!")))
        return comment(w);
    bool triple = yg_str_starts(rest, YG_STR("{{{"));
    yg_str mark = triple ? YG_STR("}}}") : YG_STR("}}");
    size_t end = yg_str_find(w->text, mark, w->pos + mark.len);
    if (end == SIZE_MAX)
        return false;
    size_t start = w->pos;
    yg_str inside = yg_str_trim(yg_str_sub(w->text, start + mark.len, end - start - mark.len));
    size_t after = end + mark.len;
    char first = inside.len ? inside.ptr[0] : 0;
    bool is_else = !triple && yg_str_eq_c(inside, "else");
    if (!triple && (first == '#' || first == '^' || first == '/' || is_else))
        trim_lone_tag(w, start, &after, emit);
    w->pos = after;
    if (is_else || first == '/') {
        yg_str name = is_else ? block : yg_str_trim(yg_str_sub(inside, 1, inside.len));
        *ret_stopped = w->depth > 0 && yg_str_eq(name, block); // others close nothing: dropped
        *ret_stop = is_else ? STOP_ELSE : STOP_CLOSE;
    } else if (!triple && (first == '#' || first == '^')) {
        block_run(w, yg_str_trim(yg_str_sub(inside, 1, inside.len)), first == '^', emit);
    } else if (emit) {
        yg_str value = expand(w, inside);
        if (triple)
            put_text(w->out, value);
        else
            put_escaped(w->out, value);
    }
    return true;
}

static enum stop walk_run(struct walk *w, yg_str block, bool emit) {
    while (w->pos < w->text.len) {
        size_t open = yg_str_find(w->text, YG_STR("{{"), w->pos);
        if (open == SIZE_MAX)
            open = w->text.len;
        if (emit)
            put_text(w->out, yg_str_sub(w->text, w->pos, open - w->pos));
        w->pos = open;
        if (open == w->text.len)
            break;
        enum stop stop = STOP_END;
        bool stopped = false;
        if (!tag_run(w, block, emit, &stop, &stopped)) {
            if (emit)
                put_text(w->out, YG_STR("{{"));
            w->pos = open + 2;
        } else if (stopped) {
            return stop;
        }
    }
    return STOP_END;
}

yg_rc yg_template_render(const struct yg_notice *n, yg_str text, struct yg_arena *arena,
                         yg_str *ret_text, struct yg_err *err) {
    YG_AUTO(yg_buf) out = YG_BUF(YG_MEM_MONITOR, YG_TEXT_MAX_BYTES);
    struct walk w = {.n = n, .arena = arena, .out = &out, .text = text};
    (void)walk_run(&w, (yg_str){"", 0}, true);
    // Cut at the limit, at a whole character: an alert must not fail for its length.
    yg_str text_out = yg_buf_str(&out);
    if (out.failed)
        text_out.len = yg_utf8_check(text_out);
    *ret_text = yg_arena_str(arena, text_out);
    if (out.len && !ret_text->ptr)
        return yg_fail(err, YG_ENOMEM, "message of monitor %lld: no memory",
                       (long long)n->monitor_id);
    return YG_OK;
}

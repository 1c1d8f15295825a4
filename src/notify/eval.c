// SPDX-License-Identifier: Apache-2.0
// {{eval "…"}}: arithmetic over a message's variables, with the functions of the message language.
// Source: DataDog/documentation content/en/monitors/notify/variables.md (template variable
// evaluation)
#include "notify/notify_internal.h"

#include <ctype.h>
#include <math.h>

#define DEPTH_MAX 24

struct eval {
    const struct yg_notice *n;
    struct yg_arena *arena;
    yg_str text;
    size_t pos;
    uint32_t depth;
    bool bad;
    const char *unit; // set by humanize_*: the result is text
};

static double sum(struct eval *e);

static double fail(struct eval *e) {
    e->bad = true;
    return 0;
}

static char peek(struct eval *e) {
    while (e->pos < e->text.len && isspace((unsigned char)e->text.ptr[e->pos]))
        e->pos++;
    return e->pos < e->text.len ? e->text.ptr[e->pos] : 0;
}

static bool name_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '@' || c == '[' || c == ']';
}

static double truncated(double v) {
    return trunc(v);
}
static double sign(double v) {
    return v > 0 ? 1 : v < 0 ? -1 : 0;
}
static double same(double v) {
    return v;
}
static double to_bool(double v) {
    return v > 0 || v < 0 ? 1 : 0;
}

// Largest unit below the value; keeps the value scaled and notes the unit.
static double humanize(struct eval *e, double v, const char *const *units, size_t count) {
    size_t at = 0;
    for (; at + 1 < count && fabs(v) >= 1024; at++)
        v /= 1024;
    e->unit = units[at];
    return v;
}

static double call(struct eval *e, yg_str name, const double *args, uint32_t count) {
    static const struct {
        const char *name;
        double (*fn)(double);
    } table[] = {{"abs", fabs},  {"int", truncated}, {"float", same}, {"trunc", truncated},
                 {"ceil", ceil}, {"floor", floor},   {"sgn", sign},   {"to_bool", to_bool},
                 {"exp", exp},   {"log10", log10},   {"sin", sin},    {"sinh", sinh},
                 {"asin", asin}, {"asinh", asinh},   {"cos", cos},    {"cosh", cosh},
                 {"acos", acos}, {"acosh", acosh},   {"tan", tan},    {"tanh", tanh},
                 {"atan", atan}, {"atan2", NULL},    {"atanh", atanh}};
    static const char *const bytes[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    static const char *const bits[] = {"b", "Kib", "Mib", "Gib", "Tib", "Pib", "Eib"};
    if (count == 0)
        return fail(e);
    double v = args[0];
    if (yg_str_eq_c(name, "atan2"))
        return count == 2 ? atan2(v, args[1]) : fail(e);
    if (yg_str_eq_c(name, "round")) {
        double scale = count > 1 ? pow(10, trunc(args[1])) : 1;
        return round(v * scale) / scale;
    }
    if (yg_str_eq_c(name, "dec"))
        return v - trunc(v);
    if (yg_str_eq_c(name, "humanize_bytes"))
        return humanize(e, v, bytes, sizeof(bytes) / sizeof(bytes[0]));
    if (yg_str_eq_c(name, "humanize_bits"))
        return humanize(e, v, bits, sizeof(bits) / sizeof(bits[0]));
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (yg_str_eq_c(name, table[i].name) && table[i].fn)
            return table[i].fn(v);
    return fail(e);
}

static double arguments(struct eval *e, yg_str name) {
    double args[2] = {0, 0};
    uint32_t count = 0;
    e->pos++; // '('
    while (!e->bad && peek(e) != ')') {
        if (count == 2)
            return fail(e);
        args[count++] = sum(e);
        if (peek(e) == ',')
            e->pos++;
        else if (peek(e) != ')')
            return fail(e);
    }
    e->pos++;
    return e->bad ? 0 : call(e, name, args, count);
}

static double word(struct eval *e) {
    size_t start = e->pos;
    while (e->pos < e->text.len && name_char(e->text.ptr[e->pos]))
        e->pos++;
    yg_str name = yg_str_sub(e->text, start, e->pos - start);
    double v;
    if (name.len == 0)
        return fail(e);
    if (yg_str_to_f64(name, &v))
        return v;
    if (peek(e) == '(')
        return arguments(e, name);
    return yg_str_to_f64(yg_notice_variable(e->n, name, e->arena), &v) ? v : fail(e);
}

static double atom(struct eval *e) {
    char c = peek(e);
    if (++e->depth > DEPTH_MAX)
        return fail(e);
    double v;
    if (c == '(') {
        e->pos++;
        v = sum(e);
        if (peek(e) != ')')
            return fail(e);
        e->pos++;
    } else if (c == '-') {
        e->pos++;
        v = -atom(e);
    } else {
        v = word(e);
    }
    e->depth--;
    return v;
}

static double power(struct eval *e) {
    double v = atom(e);
    while (!e->bad && peek(e) == '^') {
        e->pos++;
        v = pow(v, atom(e));
    }
    return v;
}

static double product(struct eval *e) {
    double v = power(e);
    for (char c = peek(e); !e->bad && (c == '*' || c == '/' || c == '%'); c = peek(e)) {
        e->pos++;
        double right = power(e);
        v = c == '*' ? v * right : c == '/' ? v / right : fmod(v, right);
    }
    return v;
}

static double sum(struct eval *e) {
    double v = product(e);
    for (char c = peek(e); !e->bad && (c == '+' || c == '-'); c = peek(e)) {
        e->pos++;
        double right = product(e);
        v = c == '+' ? v + right : v - right;
    }
    return v;
}

bool yg_eval_expression(const struct yg_notice *n, yg_str text, struct yg_arena *arena,
                        yg_str *ret_text) {
    struct eval e = {.n = n, .arena = arena, .text = text};
    double v = sum(&e);
    if (e.bad || peek(&e) != 0 || !isfinite(v))
        return false;
    char number[YG_NUMBER_TEXT_BYTES];
    yg_number_text(v, number);
    *ret_text = e.unit ? yg_arena_printf(arena, "%.2f%s", v, e.unit)
                       : yg_arena_str(arena, yg_str_c(number));
    return ret_text->ptr != NULL;
}

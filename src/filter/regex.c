// SPDX-License-Identifier: Apache-2.0
// Regular expressions by PCRE2. An expression is cheap to refuse: the longest run of plain
// characters that every match must hold is searched for first (find.c), and a match that takes
// more than 100,000 steps fails the query instead of holding it up.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "filter/regex.h"

#include <pcre2.h>

#include "base/utf8.h"
#include "filter/internal.h"

#define JIT_STACK_START_BYTES (32u << 10)
#define JIT_STACK_MAX_BYTES (1u << 20)
#define HEAP_LIMIT_KIB 1024u

struct yg_regex {
    pcre2_general_context *general;
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    struct yg_finder need;
    bool need_odd;
    bool gave_up;
};

static void *take_memory(size_t bytes, void *arg) {
    (void)arg;
    return yg_try_alloc(YG_MEM_QUERY, bytes);
}

static void give_memory(void *ptr, void *arg) {
    (void)arg;
    yg_free(YG_MEM_QUERY, ptr);
}

static void destroy(void *arg) {
    struct yg_regex *re = arg;
    pcre2_match_data_free(re->match);
    pcre2_match_context_free(re->context);
    pcre2_jit_stack_free(re->stack);
    pcre2_code_free(re->code);
    pcre2_general_context_free(re->general);
}

// ------------------------------------------------------------ what every match holds

struct literal {
    yg_str in;
    size_t at;
    bool nocase;
    char *run; // of the arena, as long as the expression
    size_t len;
    size_t last; // length before the newest character
    char *best;
    size_t best_len;
};

static void end_run(struct literal *l) {
    if (l->len > l->best_len) {
        memcpy(l->best, l->run, l->len);
        l->best_len = l->len;
    }
    l->len = l->last = 0;
}

// The class that begins at `at` ('['): past its ']'.
static bool skip_class(struct literal *l) {
    l->at++;
    if (l->at < l->in.len && l->in.ptr[l->at] == '^')
        l->at++;
    if (l->at < l->in.len && l->in.ptr[l->at] == ']') // the first one is a member
        l->at++;
    for (; l->at < l->in.len; l->at++) {
        char c = l->in.ptr[l->at];
        if (c == '\\')
            l->at++;
        else if (c == '[' && l->at + 1 < l->in.len && strchr(":.=", l->in.ptr[l->at + 1]))
            return false; // a named class: not worth reading
        else if (c == ']') {
            l->at++;
            return true;
        }
    }
    return false;
}

// The group that begins at `at` ('('): past its ')'.
static bool skip_group(struct literal *l) {
    uint32_t depth = 0;
    while (l->at < l->in.len) {
        char c = l->in.ptr[l->at];
        if (c == '[') {
            if (!skip_class(l))
                return false;
            continue;
        }
        if (c == '\\')
            l->at++;
        depth += c == '(';
        depth -= c == ')';
        l->at++;
        if (depth == 0)
            return true;
    }
    return false;
}

static void put_char(struct literal *l) {
    size_t from = l->at;
    uint32_t cp = yg_utf8_next(l->in, &l->at);
    if (cp >= 0x80 && (l->nocase || cp == 0xfffd)) {
        end_run(l);
        return;
    }
    l->last = l->len;
    for (; from < l->at; from++) {
        char c = l->in.ptr[from];
        l->run[l->len++] = l->nocase && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
}

// An escape at `at`. False: one whose end or meaning is not known here.
static bool take_escape(struct literal *l) {
    if (++l->at >= l->in.len)
        return false;
    char c = l->in.ptr[l->at];
    bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!alnum) {
        put_char(l);
        return true;
    }
    if (strchr("dDwWsSbBhHvVRAzZnrtfeG", c) == NULL)
        return false;
    l->at++;
    end_run(l);
    return true;
}

// One step; false: give up on the whole expression.
static bool take(struct literal *l) {
    char c = l->in.ptr[l->at];
    switch (c) {
    case '|':
    case ')':
        return false;
    case '\\':
        return take_escape(l);
    case '[':
        end_run(l);
        return skip_class(l);
    case '(':
        end_run(l);
        return skip_group(l);
    case '?':
    case '*':
    case '{': // the character before may be missing
        l->len = l->last;
        end_run(l);
        while (c == '{' && l->at + 1 < l->in.len && l->in.ptr[l->at] != '}')
            l->at++;
        l->at++;
        return true;
    case '+':
    case '.':
    case '^':
    case '$':
        end_run(l);
        l->at++;
        return true;
    default:
        put_char(l);
        return true;
    }
}

static yg_rc find_need(struct yg_regex *re, yg_str expression, struct yg_arena *arena,
                       struct yg_err *err) {
    struct literal l = {.in = expression};
    l.run = YG_NEW_N(arena, char, expression.len + 1);
    l.best = YG_NEW_N(arena, char, expression.len + 1);
    if (l.run == NULL || l.best == NULL)
        return yg_fail(err, YG_ENOMEM, "no memory for a regular expression");
    if (yg_str_starts(expression, YG_STR("(?i)"))) {
        l.nocase = true;
        l.at = 4;
    }
    // Options and verbs may change the meaning of what follows.
    for (size_t i = l.at; i + 1 < expression.len; i++)
        if (expression.ptr[i] == '(' &&
            (expression.ptr[i + 1] == '*' ||
             (expression.ptr[i + 1] == '?' &&
              (i + 2 >= expression.len || !strchr(":=!<>P'", expression.ptr[i + 2])))))
            return YG_OK;
    while (l.at < expression.len)
        if (!take(&l))
            return YG_OK;
    end_run(&l);
    if (l.best_len > YG_NEED_BYTES_MAX) // any part of it serves
        l.best_len = l.nocase ? YG_NEED_BYTES_MAX : l.best_len;
    for (size_t i = 0; l.nocase && i < l.best_len; i++)
        re->need_odd = re->need_odd || l.best[i] == 'i' || l.best[i] == 'k' || l.best[i] == 's';
    yg_finder_init(&re->need, (yg_str){l.best, l.best_len}, l.nocase);
    return YG_OK;
}

// ------------------------------------------------------------ compiling and matching

static yg_rc no_memory(struct yg_err *err) {
    return yg_fail(err, YG_ENOMEM, "no memory for a regular expression");
}

static yg_rc compile(struct yg_regex *re, yg_str expression, struct yg_err *err) {
    re->general = pcre2_general_context_create(take_memory, give_memory, NULL);
    pcre2_compile_context *limits = re->general ? pcre2_compile_context_create(re->general) : NULL;
    if (limits == NULL)
        return no_memory(err);
    int code = 0;
    PCRE2_SIZE at = 0;
    // PCRE2's own search for a place to start is wrong in 10.42, where "(?=a)b*ab?" does not find
    // "a" and, with JIT, "(?:a|)1*[ab]{2}" does not find "ab a"; the plain part serves instead.
    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_START_OPTIMIZE;
    re->code =
        pcre2_compile((PCRE2_SPTR)expression.ptr, expression.len, options, &code, &at, limits);
    pcre2_compile_context_free(limits);
    if (re->code == NULL) {
        char text[160];
        if (code == PCRE2_ERROR_HEAP_FAILED || code == PCRE2_ERROR_NOMEMORY)
            return no_memory(err);
        if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text)) < 0)
            text[0] = '\0';
        return yg_fail(err, YG_EINPUT, "regular expression: %s, at its byte %zu", text, at + 1);
    }
    // Without JIT (a system that forbids code made at run time) the interpreter serves.
    (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
    re->match = pcre2_match_data_create(1, re->general);
    re->context = pcre2_match_context_create(re->general);
    re->stack = pcre2_jit_stack_create(JIT_STACK_START_BYTES, JIT_STACK_MAX_BYTES, re->general);
    if (re->match == NULL || re->context == NULL)
        return no_memory(err);
    pcre2_set_match_limit(re->context, YG_REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(re->context, YG_REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(re->context, HEAP_LIMIT_KIB);
    if (re->stack)
        pcre2_jit_stack_assign(re->context, NULL, re->stack);
    return YG_OK;
}

yg_rc yg_regex_compile(yg_str expression, struct yg_arena *arena, struct yg_regex **ret_regex,
                       struct yg_err *err) {
    if (expression.len > YG_REGEX_BYTES_MAX)
        return yg_fail(err, YG_ELIMIT, "a regular expression may be at most %u bytes long",
                       YG_REGEX_BYTES_MAX);
    struct yg_regex *re = YG_NEW(arena, struct yg_regex);
    if (re == NULL || !yg_arena_defer(arena, destroy, re))
        return no_memory(err);
    YG_TRY(compile(re, expression, err));
    YG_TRY(find_need(re, expression, arena, err));
    *ret_regex = re;
    return YG_OK;
}

static bool match_valid(struct yg_regex *re, yg_str text) {
    int rc = pcre2_match(re->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, 0,
                         PCRE2_NO_UTF_CHECK, re->match, re->context);
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        re->gave_up = true;
    return rc >= 0;
}

// Bytes that are no UTF-8 match as U+FFFD, as everywhere in searches.
bool yg_regex_match(struct yg_regex *re, yg_str text) {
    if (re->need.len > 0 && yg_finder_next(&re->need, text, 0) == YG_NOT_FOUND &&
        !(re->need_odd && yg_text_has_odd_fold(text)))
        return false;
    if (yg_is_ascii(text) || yg_utf8_check(text) == text.len)
        return match_valid(re, text);
    char *valid = yg_try_alloc(YG_MEM_QUERY, text.len * 3 + 1);
    re->gave_up = re->gave_up || valid == NULL;
    if (valid == NULL)
        return false;
    size_t len = 0;
    for (size_t at = 0; at < text.len;)
        len += yg_utf8_put(yg_utf8_next(text, &at), valid + len);
    bool found = match_valid(re, (yg_str){valid, len});
    yg_free(YG_MEM_QUERY, valid);
    return found;
}

yg_rc yg_regex_check(const struct yg_regex *re, struct yg_err *err) {
    if (!re->gave_up)
        return YG_OK;
    return yg_fail(err, YG_EINPUT,
                   "a regular expression takes more than %u steps on one value; make it simpler",
                   YG_REGEX_MATCH_LIMIT);
}

const struct yg_finder *yg_regex_need(const struct yg_regex *re, bool *ret_odd) {
    *ret_odd = re->need_odd;
    return &re->need;
}

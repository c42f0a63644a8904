#define _GNU_SOURCE
#include "CArgp.h"

#include <argp.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int program_count;
static char **program_words;

/// glibc passes the arguments of `main` to constructors.
__attribute__((constructor)) static void keep_words(int count, char **words, char **environment) {
    (void)environment;
    program_count = count;
    program_words = words;
}

void apus_program_words(int *count, char ***words) {
    *count = program_count;
    *words = program_words;
}

/// Keys of options without a letter lie above all letters.
enum { first_key = 256 };

typedef struct {
    const apus_argp_option *options;
    size_t option_count;
    bool one_argument;
    apus_argp_part *parts;
    size_t capacity, count;
    bool is_refused;
    /// The word after that of the last part: argp advances only after all letters of a word.
    int next;
} splitting;

static void add(splitting *state, apus_argp_part part) {
    if (part.kind == APUS_ARGP_REFUSED) state->is_refused = true;
    if (state->count < state->capacity) state->parts[state->count] = part;
    state->count += 1;
}

static bool is_exact(const char *word, const char *name) {
    size_t length = strlen(name);
    return strncmp(word, "--", 2) != 0
        || (strncmp(word + 2, name, length) == 0 && (word[length + 2] == '\0' || word[length + 2] == '='));
}

static error_t take(int key, char *value, struct argp_state *argp) {
    splitting *state = argp->input;
    apus_argp_part part = {.kind = APUS_ARGP_ARGUMENT, .option = 0, .value = NULL, .position = (size_t)argp->next - 1};
    switch (key) {
    case ARGP_KEY_ARG:
        add(state, part);
        state->next = argp->next;
        if (state->one_argument) argp->next = argp->argc;
        return 0;
    case ARGP_KEY_ERROR:
        if (state->is_refused) return 0;
        part.kind = APUS_ARGP_REFUSED;
        if (argp->next == state->next) part.position += 1;
        add(state, part);
        return 0;
    case ARGP_KEY_INIT:
    case ARGP_KEY_END:
    case ARGP_KEY_NO_ARGS:
    case ARGP_KEY_SUCCESS:
    case ARGP_KEY_FINI:
        return ARGP_ERR_UNKNOWN;
    }
    for (size_t index = 0; index < state->option_count; index++) {
        const apus_argp_option *option = &state->options[index];
        if (key != (option->letter ? option->letter : first_key + (int)index)) continue;
        part.option = index;
        part.value = value;
        if (value && value == argp->argv[argp->next - 1]) part.position -= 1;
        // Among the letters of one word, argp has not advanced yet.
        if (!value && argp->next == state->next) part.position += 1;
        part.kind = is_exact(argp->argv[part.position], option->name) ? APUS_ARGP_OPTION : APUS_ARGP_REFUSED;
        add(state, part);
        state->next = argp->next;
        return state->is_refused ? EINVAL : 0;
    }
    return ARGP_ERR_UNKNOWN;
}

size_t apus_argp_split(
    const apus_argp_option *options, size_t option_count, bool one_argument, int count, char **words,
    apus_argp_part *parts, size_t capacity) {
    splitting state = {
        .options = options, .option_count = option_count, .one_argument = one_argument,
        .parts = parts, .capacity = capacity, .next = 1};
    struct argp_option *table = calloc(option_count + 1, sizeof *table);
    if (!table) return SIZE_MAX;
    for (size_t index = 0; index < option_count; index++) {
        table[index].name = options[index].name;
        table[index].key = options[index].letter ? options[index].letter : first_key + (int)index;
        table[index].arg = options[index].takes_value ? "VALUE" : NULL;
    }
    struct argp argp = {.options = table, .parser = take};
    // In order: argp neither moves words nor lets POSIXLY_CORRECT change the syntax.
    unsigned flags = ARGP_IN_ORDER | ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP;
    int stopped_at = 0;
    error_t error = argp_parse(&argp, count, words, flags, &stopped_at, &state);
    free(table);
    return error && !state.is_refused ? SIZE_MAX : state.count;
}

// glibc's argp, which splits a command line by GNU's rules, and the command line that the kernel passed to
// `main`.
#ifndef APUS_CARGP_H
#define APUS_CARGP_H

#include <stdbool.h>
#include <stddef.h>

/// An option of a command.
typedef struct {
    /// The name, without dashes.
    const char *name;
    /// The letter of its short form; 0 for none.
    char letter;
    bool takes_value;
} apus_argp_option;

/// The kind of a part of a command line.
typedef enum {
    /// An option of the command.
    APUS_ARGP_OPTION,
    /// An argument, in its place.
    APUS_ARGP_ARGUMENT,
    /// Ends the line: an unknown option, a missing value, or a value for an option that takes none.
    APUS_ARGP_REFUSED,
} apus_argp_kind;

typedef struct {
    apus_argp_kind kind;
    /// The index of an option.
    size_t option;
    /// An option's value, or NULL if it takes none. Lives as long as the command line.
    const char *value;
    /// The position in the command line.
    size_t position;
} apus_argp_part;

/// Splits `words[1]` to `words[count - 1]`; `words[count]` is NULL. Options and arguments may be mixed; after
/// "--", every word is an argument. Names cannot be abbreviated. With `one_argument`, the first argument ends
/// the splitting. Returns the number of parts, of which at most `capacity` are stored; one per byte of the
/// words always suffices. Returns SIZE_MAX if out of memory. Prints nothing.
size_t apus_argp_split(
    const apus_argp_option *options, size_t option_count, bool one_argument, int count, char **words,
    apus_argp_part *parts, size_t capacity);

/// Returns the arguments of `main` without reading /proc. `*words` lives as long as the process.
void apus_program_words(int *count, char ***words);

#endif

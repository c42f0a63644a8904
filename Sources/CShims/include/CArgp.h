// argp of glibc: splits a command line by GNU's rules. And the command line itself, as the kernel gave it to `main`.
#ifndef APUS_CARGP_H
#define APUS_CARGP_H

#include <stdbool.h>
#include <stddef.h>

/// An option that a command has.
typedef struct {
    /// Without dashes.
    const char *name;
    /// The letter of its short form; 0 for none.
    char letter;
    bool takes_value;
} apus_argp_option;

/// What a part of a command line is.
typedef enum {
    /// An option that the command has.
    APUS_ARGP_OPTION,
    /// Anything else, in the place where it stood.
    APUS_ARGP_ARGUMENT,
    /// Ends the line: an option that the command lacks, that lacks its value, or that takes none and has one.
    APUS_ARGP_REFUSED,
} apus_argp_kind;

typedef struct {
    apus_argp_kind kind;
    /// Of an option: which.
    size_t option;
    /// Of an option: its value, or NULL if it takes none. Lives as long as the command line.
    const char *value;
    /// Where in the command line it stands.
    size_t position;
} apus_argp_part;

/// Splits `words[1]` to `words[count - 1]`; `words[count]` is NULL. Options and arguments may be mixed; after "--" come
/// arguments only. An option's name is not to be abbreviated. With `one_argument` the first argument ends the splitting.
/// Returns the number of parts, of which at most `capacity` are stored: as many as there are bytes in the words always
/// suffice. SIZE_MAX: out of memory. Prints nothing.
size_t apus_argp_split(
    const apus_argp_option *options, size_t option_count, bool one_argument, int count, char **words,
    apus_argp_part *parts, size_t capacity);

/// What `main` was given, without /proc. `*words` lives as long as the process.
void apus_program_words(int *count, char ***words);

#endif

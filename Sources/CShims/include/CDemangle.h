// The functions of the running program by their addresses: the Swift runtime's demangler, which its headers do not declare for
// Swift, and glibc's list of loaded objects, which it declares for GNU sources only.
#ifndef APUS_CDEMANGLE_H
#define APUS_CDEMANGLE_H

#include <stdbool.h>
#include <stdint.h>

// Returns a symbol's readable name, which the caller frees, or NULL if the symbol is not one of Swift's.
char *apus_swift_demangle(const char *symbol);

typedef struct {
    // The object's path, and where it is loaded.
    const char *path;
    uintptr_t base;
    // The exported symbol that holds the address, or NULL.
    const char *symbol;
    // Whether the object is the program itself, not a library.
    bool is_program;
} apus_place;

// Finds the loaded object that holds an address. Returns false if none does. The texts live as long as the object is loaded.
bool apus_find(uintptr_t address, apus_place *place);

#endif

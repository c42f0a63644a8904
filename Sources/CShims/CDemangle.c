#define _GNU_SOURCE
#include "CDemangle.h"

#include <dlfcn.h>
#include <string.h>

// Of the runtime: https://github.com/swiftlang/swift, stdlib/public/runtime/Demangle.cpp.
char *swift_demangle(
    const char *mangled, size_t mangled_length, char *output, size_t *output_size, uint32_t flags);

char *apus_swift_demangle(const char *symbol) { return swift_demangle(symbol, strlen(symbol), NULL, NULL, 0); }

bool apus_find(uintptr_t address, apus_place *place) {
    Dl_info own, other;
    if (!dladdr((void *)address, &other) || !dladdr((void *)(uintptr_t)&apus_find, &own)) return false;
    place->path = other.dli_fname;
    place->base = (uintptr_t)other.dli_fbase;
    place->symbol = other.dli_sname;
    place->is_program = own.dli_fbase == other.dli_fbase;
    return true;
}

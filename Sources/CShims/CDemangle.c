#include "CDemangle.h"

#include <stdint.h>
#include <string.h>

// Of the runtime: https://github.com/swiftlang/swift, stdlib/public/runtime/Demangle.cpp.
char *swift_demangle(
    const char *mangled, size_t mangled_length, char *output, size_t *output_size, uint32_t flags);

char *apus_swift_demangle(const char *symbol) { return swift_demangle(symbol, strlen(symbol), NULL, NULL, 0); }

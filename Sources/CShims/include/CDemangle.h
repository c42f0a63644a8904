// The Swift runtime's demangler, which its headers do not declare for Swift.
#ifndef APUS_CDEMANGLE_H
#define APUS_CDEMANGLE_H

// Returns a symbol's readable name, which the caller frees, or NULL if the symbol is not one of Swift's.
char *apus_swift_demangle(const char *symbol);

#endif

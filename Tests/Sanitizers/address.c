// Linked into programs that `make sanitize-address` builds: how AddressSanitizer runs.

// Keeps enough of a stack to hold the functions that leaks.supp names.
const char *__asan_default_options(void) { return "malloc_context_size=64"; }

// Linked into programs that `make sanitize-address` builds: how AddressSanitizer runs.

const char *__asan_default_options(void) { return "exitcode=66"; }

// Linked into programs that `make sanitize-address` builds: what LeakSanitizer, a part of AddressSanitizer, must not
// report.

const char *__lsan_default_suppressions(void) {
    // A loop with a thread of its own is never freed (`EventLoop.start` says why), nor are the tasks that wait when it
    // stops, with all that they hold. Tests stop hundreds of loops; a node has two for as long as it lives. The
    // simulator's loops do not match, and it also reports what remains of a stopped node (docs/simulation.md).
    return "leak:s7Reactor9EventLoopC5start\n";
}

const char *__lsan_default_options(void) { return "print_suppressions=0"; }

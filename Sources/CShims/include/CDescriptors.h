// Reserves standard input, output and error before the program runs. Linking this file suffices.
#ifndef APUS_CDESCRIPTORS_H
#define APUS_CDESCRIPTORS_H

/// Opens the root directory, which can be neither read nor written, in place of each of the three that is
/// closed. Otherwise the first file, socket or database opened would get its number, and with it text meant
/// for standard output or error. Runs before `main`, because the runtime opens descriptors before it calls
/// any Swift code.
__attribute__((constructor)) void apus_reserve_descriptors(void);

#endif

// Standard input, output and error, before anything of the program runs. Linking this file is enough.
#ifndef APUS_CDESCRIPTORS_H
#define APUS_CDESCRIPTORS_H

/// Opens the root directory, which can be neither read from nor written to, in the place of each of the three that is
/// closed: otherwise the first file, socket or database that is opened would get its number, and with it what is meant
/// for standard output or error. Runs before `main`, because the runtime opens descriptors before it calls any Swift
/// code.
__attribute__((constructor)) void apus_reserve_descriptors(void);

#endif

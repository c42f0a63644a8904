#include "CDescriptors.h"

#include <fcntl.h>
#include <unistd.h>

void apus_reserve_descriptors(void) {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        // The lowest free number is this one.
        if (fcntl(descriptor, F_GETFD) < 0) (void)!open("/", O_RDONLY | O_DIRECTORY);
}

// argp of glibc: splits a command line.
#ifndef APUS_CARGP_H
#define APUS_CARGP_H

#endif

// Boost.Beast's HTTP/1.1 parser.
#ifndef APUS_CBEAST_H
#define APUS_CBEAST_H

#endif

// toml++: reads TOML.
#ifndef APUS_CTOML_H
#define APUS_CTOML_H

#endif

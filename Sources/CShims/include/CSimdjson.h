// simdjson: reads JSON.
#ifndef APUS_CSIMDJSON_H
#define APUS_CSIMDJSON_H

#endif

// libcsv: reads CSV.
#ifndef APUS_CCSV_H
#define APUS_CCSV_H

#endif

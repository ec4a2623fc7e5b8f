#include <archive.h>
#include <archive_entry.h>

// A macro with a cast, which Swift does not see.
static const unsigned int dr_archive_regular_file = AE_IFREG;

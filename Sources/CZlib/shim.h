// Reads and writes gzip files (RFC 1952) for recordings.
#include <zlib.h>

// Only the reply parser (read.h) is used, of hiredis 0.14 or later. Sockets are SwiftNIO's.
#include <hiredis/hiredis.h>

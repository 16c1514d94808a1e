// Swift's Glibc module leaves these out.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <malloc.h>

// accept4(2) without an address.
int accept4(int descriptor, void *address, unsigned *length, int flags);

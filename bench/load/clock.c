#include "load.h"
#include <time.h>

static double read_clock (clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double) time.tv_sec * 1e6 + (double) time.tv_nsec / 1e3;
}

double now (void) {
  return read_clock(CLOCK_MONOTONIC);
}

double cpu_time (void) {
  return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

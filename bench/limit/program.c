#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LARGEST_NUMBER = 10000000 };

void die_of(int error, const char* what) {
  fprintf(stderr, "limit: %s: %s\n", what, error ? strerror(error) : "unexpected");
  exit(1);
}

void die(const char* what) {
  die_of(errno, what);
}

double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

unsigned number(const char* text) {
  char* end;
  unsigned long value = strtoul(text, &end, 10);
  if (!*text || *end || !value || value > LARGEST_NUMBER) die_of(EINVAL, text);
  return (unsigned)value;
}

// Opens TAP devices for a program that cannot: open_taps <blocking|nonblocking> <count> <program>
// [argument]... They are lw0, lw1, ... and become its descriptors 3, 4, ...
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "program.h"
#include "tap.h"

enum { FIRST_DESCRIPTOR = 3 };

int main(int argc, char** argv) {
  if (argc < 4) die_of(EINVAL, "open_taps <blocking|nonblocking> <count> <program>");
  enum tap_mode mode = strcmp(argv[1], "blocking") ? TAP_PLAIN : TAP_BLOCKING;
  unsigned count = number(argv[2]);
  for (int i = 0; i < (int)count; i++) {
    char name[16];
    snprintf(name, sizeof name, "lw%d", i);
    int fd = tap_open(name, mode);
    if (fd != FIRST_DESCRIPTOR + i && (dup2(fd, FIRST_DESCRIPTOR + i) < 0 || close(fd))) die("dup2");
  }
  execvp(argv[3], argv + 3);
  die(argv[3]);
}

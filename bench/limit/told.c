#include "told.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "program.h"

enum { MOST_PORTS = 64 };

void tell_ready(void) {
  puts("ready");
  fflush(stdout);
}

void tell_burst(unsigned frames, double seconds) {
  printf("%u %.9f\n", frames, seconds);
  fflush(stdout);
}

bool told_to_go(void) {
  char line[16];
  return read(STDIN_FILENO, line, sizeof line) > 0;
}

bool wait_readable(const int* fds, unsigned count) {
  struct pollfd polled[MOST_PORTS + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
  if (count > MOST_PORTS) die_of(0, "too many ports");
  for (unsigned i = 0; i < count; i++)
    polled[i + 1] = (struct pollfd){.fd = fds[i], .events = POLLIN};
  poll(polled, count + 1, -1);  // a signal that stopped and continued the program is no harm
  return !(polled[0].revents & (POLLIN | POLLHUP)) || told_to_go();
}

bool still_wanted(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  return poll(&input, 1, 0) <= 0 || told_to_go();
}

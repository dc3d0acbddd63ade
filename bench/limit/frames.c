// The limit of the `frames` suite: each workload by bare system calls, in drain loops over batches of 64.
//   frames <workload> <bytes a frame> <frames a burst> [end of the tunnel, 1 or 2]
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batch.h"
#include "pattern.h"
#include "program.h"
#include "switch.h"
#include "tap.h"
#include "told.h"
#include "tunnel.h"

enum { ETHERTYPES = 65536, SWITCH_PORTS = 8, CACHE_LINE = 64 };

static int open_plain(const char* name) {
  return tap_open(name, TAP_PLAIN);
}

// Counts frames by EtherType; a line for each burst.
static void read_frames(unsigned burst) {
  static uint32_t counts[ETHERTYPES];
  struct batch batch = batch_new(LARGEST_FRAME, CACHE_LINE);
  int tap = open_plain("lw0");
  unsigned seen = 0, first = 0;
  double start = 0;
  tell_ready();
  while (true) {
    if (!batch_read(&batch, tap)) {
      if (!wait_readable(&tap, 1)) break;
      continue;
    }
    for (unsigned i = 0; i < batch.count; i++)
      counts[batch.at[i][12] << 8 | batch.at[i][13]]++;
    if (!seen) {
      first = batch.count;
      start = now_seconds();
    }
    seen += batch.count;
    if (seen < burst) continue;
    tell_burst(seen - first, now_seconds() - start);
    seen = 0;
  }
  printf("{\"types\":{");
  const char* comma = "";
  for (unsigned type = 0; type < ETHERTYPES; type++) {
    if (!counts[type]) continue;
    printf("%s\"%04x\":%u", comma, type, counts[type]);
    comma = ",";
  }
  printf("}}\n");
}

// A batch is filled once; each frame gets a number of its own before it is written.
static void write_frames(unsigned size, unsigned burst) {
  static const uint8_t header[14] = {2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, TEST_TYPE >> 8, TEST_TYPE & 0xff};
  struct batch batch = batch_new(LARGEST_FRAME, CACHE_LINE);
  for (unsigned i = 0; i < BATCH_FRAMES; i++) {
    batch.at[i] = batch.slab + (size_t)i * ((size + CACHE_LINE - 1) & ~(CACHE_LINE - 1U));
    batch.length[i] = size;
    memset(batch.at[i], 0, size);
    memcpy(batch.at[i], header, sizeof header);
  }
  int tap = open_plain("lw0");
  uint32_t sequence = 0;
  tell_ready();
  while (told_to_go()) {
    double start = now_seconds();
    for (unsigned left = burst; left; left -= batch.count) {
      batch.count = left < BATCH_FRAMES ? left : BATCH_FRAMES;
      for (unsigned i = 0; i < batch.count; i++, sequence++)
        memcpy(batch.at[i] + sizeof header, &sequence, sizeof sequence);
      batch_write(&batch, tap);
    }
    tell_burst(burst, now_seconds() - start);
  }
  puts("{}");
}

struct policy {
  uint8_t source[256], destination[256];  // whether a station may speak, or be spoken to
};

// The addresses of the stations are 02:00:00:00:01:xx and 02:00:00:00:02:xx.
static bool passes(const struct policy* policy, const uint8_t* frame) {
  static const uint8_t destinations[5] = {2, 0, 0, 0, 1}, sources[5] = {2, 0, 0, 0, 2};
  return !memcmp(frame, destinations, 5) && policy->destination[frame[5]] && !memcmp(frame + 6, sources, 5) &&
         policy->source[frame[11]];
}

// Reads both addresses of each frame and drops what a station sends that may not.
static void forward(void) {
  struct policy policy;
  memset(&policy, 1, sizeof policy);
  for (unsigned station = 15; station < 256; station += 16)
    policy.source[station] = 0;
  struct batch batch = batch_new(LARGEST_FRAME, CACHE_LINE);
  int from = open_plain("lw0"), to = open_plain("lw1");
  tell_ready();
  do {
    while (batch_read(&batch, from)) {
      for (unsigned i = 0; i < batch.count; i++)
        if (passes(&policy, batch.at[i])) write_frame(to, batch.at[i], batch.length[i]);
    }
  } while (wait_readable(&from, 1));
  puts("{}");
}

static unsigned move(struct batch* batch, int from, int to) {
  unsigned count = batch_read(batch, from);
  batch_write(batch, to);
  return count;
}

// Both ways, one thread. With offloads each frame goes with its header as it came.
static void pipe_frames(enum tap_mode mode) {
  struct batch batch = batch_new(mode == TAP_OFFLOADS ? LARGEST_SUPER_FRAME : LARGEST_FRAME, CACHE_LINE);
  int taps[2] = {tap_open("lw0", mode), tap_open("lw1", mode)};
  tell_ready();
  do {
    while (move(&batch, taps[0], taps[1]) + move(&batch, taps[1], taps[0]))
      continue;
  } while (wait_readable(taps, 2));
  puts("{}");
}

static void switch_frames(void) {
  int taps[SWITCH_PORTS];
  for (int i = 0; i < SWITCH_PORTS; i++) {
    char name[16];
    snprintf(name, sizeof name, "lw%d", i);
    taps[i] = open_plain(name);
  }
  tell_ready();
  switch_loop(taps, SWITCH_PORTS);
  puts("{}");
}

// Sends each frame back with its addresses swapped; busy: without ever going to sleep.
static void echo(bool busy) {
  struct batch batch = batch_new(LARGEST_FRAME, CACHE_LINE);
  int tap = open_plain("lw0");
  tell_ready();
  do {
    // To look for the end now and then is all that keeps the busy loop from its frames.
    for (unsigned misses = 0; misses < (busy ? 100000U : 1U);) {
      if (!batch_read(&batch, tap)) {
        misses++;
        continue;
      }
      for (unsigned i = 0; i < batch.count; i++) {
        uint8_t source[6], *frame = batch.at[i];
        memcpy(source, frame + 6, 6);
        memcpy(frame + 6, frame, 6);
        memcpy(frame, source, 6);
      }
      batch_write(&batch, tap);
    }
  } while (busy ? still_wanted() : wait_readable(&tap, 1));
  puts("{}");
}

static void* sleep_for_ever(void* unused) {
  pause();
  return unused;
}

// What a system call costs once a process has threads, as Node has: libc and the kernel take more care.
static void start_thread(void) {
  pthread_t thread;
  errno = pthread_create(&thread, NULL, sleep_for_ever, NULL);
  if (errno) die("pthread_create");
}

int main(int argc, char** argv) {
  if (argc < 4) die_of(EINVAL, "frames <workload> <bytes a frame> <frames a burst> [end]");
  const char* workload = argv[1];
  unsigned size = number(argv[2]), burst = number(argv[3]);
  if (size < 18 || size > LARGEST_FRAME) die_of(EINVAL, argv[2]);
  unsigned end = argc > 4 ? number(argv[4]) : 1;
  char* threads = strstr(argv[1], "-threads");
  if (threads) {
    start_thread();
    *threads = '\0';
  }
  if (!strcmp(workload, "read")) {
    read_frames(burst);
  } else if (!strcmp(workload, "write")) {
    write_frames(size, burst);
  } else if (!strcmp(workload, "forward")) {
    forward();
  } else if (!strcmp(workload, "pipe") || !strcmp(workload, "tcp-plain")) {
    pipe_frames(TAP_PLAIN);
  } else if (!strcmp(workload, "tcp")) {
    pipe_frames(TAP_OFFLOADS);
  } else if (!strcmp(workload, "switch")) {
    switch_frames();
  } else if (!strcmp(workload, "echo") || !strcmp(workload, "echo-busy")) {
    echo(!strcmp(workload, "echo-busy"));
  } else if (!strcmp(workload, "tunnel") || !strcmp(workload, "tunnel-segment")) {
    tunnel(end, !strcmp(workload, "tunnel-segment"));
  } else {
    die_of(EINVAL, workload);
  }
  return 0;
}

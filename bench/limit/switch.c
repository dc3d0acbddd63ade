#include "switch.h"

#include <string.h>

#include "batch.h"
#include "program.h"
#include "told.h"

enum { SLOTS = 8192, CACHE_LINE = 64, UNKNOWN = -1 };

struct station {
  uint64_t address;  // 0: the slot is free
  int port;
};

static struct station table[SLOTS];

static uint64_t address_of(const uint8_t* bytes) {
  uint64_t address = 0;
  memcpy(&address, bytes, 6);
  return address;
}

// The slot of an address, or the free one where it belongs.
static struct station* find(uint64_t address) {
  uint64_t slot = address * 0x9e3779b97f4a7c15U >> 51;
  while (table[slot].address && table[slot].address != address)
    slot = (slot + 1) % SLOTS;
  return &table[slot];
}

static void learn(uint64_t address, int port) {
  static unsigned stations;
  struct station* station = find(address);
  if (!station->address && ++stations > SLOTS / 2) die_of(0, "too many stations");
  *station = (struct station){address, port};
}

static int port_of(const uint8_t* destination) {
  if (destination[0] & 1) return UNKNOWN;  // a group
  const struct station* station = find(address_of(destination));
  return station->address ? station->port : UNKNOWN;
}

static void deliver(const int* ports, unsigned count, unsigned from, const uint8_t* frame, uint32_t length) {
  learn(address_of(frame + 6), (int)from);
  int to = port_of(frame);
  if (to == (int)from) return;
  if (to != UNKNOWN) {
    write_frame(ports[to], frame, length);
    return;
  }
  for (unsigned port = 0; port < count; port++)
    if (port != from) write_frame(ports[port], frame, length);
}

void switch_loop(const int* ports, unsigned count) {
  struct batch batch = batch_new(LARGEST_FRAME, CACHE_LINE);
  do {
    unsigned moved;
    do {
      moved = 0;
      for (unsigned port = 0; port < count; port++) {
        moved += batch_read(&batch, ports[port]);
        for (unsigned i = 0; i < batch.count; i++)
          deliver(ports, count, port, batch.at[i], batch.length[i]);
      }
    } while (moved);
  } while (wait_readable(ports, count));
}
